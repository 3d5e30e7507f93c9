//! How a command finds its server.

use std::collections::HashMap;

use crate::arguments::Common;
use crate::connect::{Place, beside, client};

use super::parse;

fn common(line: &[&str]) -> Common {
    let line = [&["device", "list"], line].concat();
    match parse(&line).unwrap() {
        crate::Command::Device(crate::arguments::DeviceCommand::List(list)) => list.common,
        other => panic!("{other:?}"),
    }
}

fn place(line: &[&str], variables: &[(&str, &str)]) -> String {
    let variables: HashMap<_, _> = variables.iter().copied().collect();
    let place = Place::of(&common(line), &|name| {
        variables.get(name).map(|value| (*value).to_owned())
    });
    match place {
        Ok(Place::DataDir(path)) => format!("directory {}", path.display()),
        Ok(Place::ConnectionString(text)) => format!("string {text}"),
        Err(failure) => format!("{} {failure}", failure.status()),
    }
}

#[test]
fn arguments_go_before_the_environment() {
    let both = [
        ("THINGSTEAD_CONNECTION_STRING", "S"),
        ("THINGSTEAD_DATA_DIR", "E"),
    ];
    assert_eq!(place(&["--data-dir", "D"], &both), "directory D");
    assert_eq!(place(&["--connection-string", "A"], &both), "string A");
    assert_eq!(place(&[], &both), "string S");
    assert_eq!(place(&[], &both[1..]), "directory E");
    assert_eq!(
        place(&[], &[("THINGSTEAD_CONNECTION_STRING", "")]),
        "2 error: nothing says where the hub is\nhint: --data-dir DIR for a server on this machine, or \
         --connection-string STRING or THINGSTEAD_CONNECTION_STRING\n"
    );
}

#[test]
fn a_directory_without_a_server_says_how_to_start_one() {
    let folder = tempfile::tempdir().unwrap();
    let directory = folder.path().display().to_string();
    let failure = client(&common(&["--data-dir", &directory]), &|_| None)
        .map(|_| ())
        .unwrap_err();
    assert_eq!(
        (failure.status(), failure.to_string()),
        (
            1,
            format!(
                "error: no server runs on {directory}\nhint: start one: thingstead serve --data-dir {directory}\n"
            )
        )
    );
}

#[test]
fn a_run_file_that_is_none_is_said() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("run.json"), "{}").unwrap();
    let failure = beside(folder.path()).map(|_| ()).unwrap_err();
    assert!(
        failure.to_string().contains("is not a run file"),
        "{failure}"
    );
}

#[test]
fn a_connection_string_that_is_none_makes_no_sense() {
    let failure = client(
        &common(&["--connection-string", "SharedAccessKey=secret"]),
        &|_| None,
    )
    .map(|_| ())
    .unwrap_err();
    assert_eq!(failure.status(), 2);
    assert!(!failure.to_string().contains("secret"), "{failure}");
}
