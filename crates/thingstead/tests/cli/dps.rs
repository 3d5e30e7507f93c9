//! `thingstead dps` and `thingstead keys`.

use std::collections::BTreeSet;
use std::path::Path;

use super::device::register;
use super::files::Factory;
use super::server::{Server, program};
use super::transcript::{commands, play};

/// Where a device with this key is known.
const KEY: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";

#[test]
fn the_service_its_policies_and_hubs() {
    let server = Server::start();
    play(&server, "service");
}

#[test]
fn enrollments_of_devices() {
    let server = Server::start();
    Factory::new(server.folder()).certify(server.folder(), "d3", "d3");
    play(&server, "enrollments");
}

#[test]
fn enrollments_of_groups() {
    let server = Server::start();
    Factory::new(server.folder());
    play(&server, "groups");
}

#[test]
fn places_and_where_devices_go() {
    let server = Server::start();
    let write = |name: &str, text: &str| {
        std::fs::write(server.folder().join(name), text).unwrap();
    };
    write(
        "ranges.json",
        r#"[{"range":"10.0.0.0/8","region":"eu"},{"range":"10.1.0.0/16","region":"asia"},
            {"range":"::1/128","region":"here"}]"#,
    );
    write(
        "twice.json",
        r#"[{"range":"10.0.0.0/8","region":"eu"},{"range":"10.1.0.0/8","region":"asia"}]"#,
    );
    write("wrong.json", r#"[{"range":"10.0.0.0/8"}]"#);
    write(
        "latencies.json",
        r#"[{"region":"eu","hostName":"localhost","microseconds":3500},
            {"region":"eu","hostName":"south.test","microseconds":60000},
            {"region":"asia","hostName":"south.test","microseconds":9000},
            {"region":"asia","hostName":"localhost","microseconds":9900}]"#,
    );
    play(&server, "places");
}

#[test]
fn authorities_issuers_and_what_expires() {
    let server = Server::start();
    Factory::new(server.folder()).certify(server.folder(), "stranger", "stranger");
    play(&server, "authorities");
}

#[test]
fn registrations_and_devices_that_were_turned_away() {
    let server = Server::start();
    play(&server, "registrations_none");
    server.prints(&format!(
        "dps enrollment create --eid d1 --pk {KEY} --sk {KEY}"
    ));
    server.prints("dps enrollment create --eid d2");
    server.prints(&format!(
        "dps enrollment-group create --eid line-7 --pk {KEY} --sk {KEY}"
    ));
    let key = server.prints("dps enrollment-group compute-device-key --gid line-7 --rid sn-1");
    assert_eq!(register(&server, "d1", KEY).0, 202);
    assert_eq!(register(&server, "sn-1", key.trim()).0, 202);
    assert_eq!(register(&server, "d2", KEY).0, 401);
    play(&server, "registrations");
}

#[test]
fn possession_of_an_authority_is_proved() {
    let server = Server::start();
    let factory = Factory::new(server.folder());
    server.prints("dps certificate create -n root -p ca.pem");
    let code = server.json("dps certificate generate-verification-code -n root");
    let code = code["verificationCode"].as_str().unwrap();
    factory.certify(server.folder(), code, "proof");
    let shown = server.prints("dps certificate verify -n root -p proof.pem");
    assert!(shown.contains("status             verified"), "{shown}");
    assert_eq!(
        server.json("dps certificate show -n root")["isVerified"],
        true
    );
}

#[test]
fn latencies_are_measured_to_a_running_hub() {
    let server = Server::start();
    // The port is the one of this installation, whichever that is.
    let measured = server.json("dps latency measure --region here --count 2 --dry-run");
    assert_eq!(measured[0]["hostName"], "localhost");
    assert_eq!(server.json("dps latency list").as_array().unwrap().len(), 0);
    let shown = server.prints("dps latency measure --region here");
    assert!(
        shown.contains("here    localhost  ") && shown.contains(" ms"),
        "{shown}"
    );
    let kept = server.json("dps latency list");
    assert_eq!(
        (&kept[0]["region"], &kept[0]["hostName"]),
        (&"here".into(), &"localhost".into())
    );
    // Nobody listens where the port of a closed listener was.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let done = server.run(&format!(
        "dps latency measure --region here --count 1 --port {port}"
    ));
    assert_eq!(done.status, 1);
    assert!(
        done.complaint.contains("no answer from localhost"),
        "{}",
        done.complaint
    );
    assert_eq!(
        server.json("dps latency list"),
        kept,
        "what was known stays"
    );
}

#[test]
fn a_hub_of_another_installation_is_linked_by_its_connection_string() {
    let (near, far) = (Server::start(), Server::start());
    far.prints("hub create far --hostname far.test");
    let string = far.json("hub show far")["connectionStrings"]["iothubowner"].clone();
    let string = string.as_str().unwrap();
    let line = format!("dps linked-hub create --lcs '{string}' --weight 2 --region eu");
    let shown = near.prints(&line);
    assert!(
        shown.contains("far.test   iothubowner  2       yes        eu"),
        "{shown}"
    );
    assert!(!shown.contains("SharedAccessKey="), "{shown}");
    let listed = near.json("dps linked-hub list").to_string();
    assert!(
        listed.contains("far.test") && !listed.contains("SharedAccessKey="),
        "{listed}"
    );
    let checked = near.run("dps linked-hub check --lh far.test");
    assert_eq!(checked.status, 1);
    assert!(
        checked.printed.contains("far.test   no")
            && checked
                .complaint
                .contains("devices cannot be assigned to far.test"),
        "{} {}",
        checked.printed,
        checked.complaint
    );
    let checked = near
        .run("dps linked-hub check --lh far.test -o json")
        .printed;
    assert!(checked.contains("\"isUsable\": false"), "{checked}");
    let own = near.prints("dps linked-hub check --lh localhost");
    assert!(own.contains("localhost  yes     -"), "{own}");
    let again = near.run(&line);
    assert_eq!(again.status, 1, "{}", again.printed);
    assert!(
        again
            .complaint
            .contains("hint: `thingstead dps linked-hub list`"),
        "{}",
        again.complaint
    );
    assert_eq!(
        near.prints("dps linked-hub delete --lh far.test"),
        "deleted far.test\n"
    );
}

#[test]
fn without_a_server_the_next_step_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let run = |line: &str, data: Option<&Path>| {
        let mut command = program();
        command.args(line.split(' '));
        if let Some(data) = data {
            command.arg("--data-dir").arg(data);
        }
        let output = command.output().unwrap();
        (
            output.status.code().unwrap(),
            String::from_utf8(output.stderr).unwrap(),
        )
    };
    let (status, complaint) = run("dps show", Some(&data));
    assert_eq!(status, 1);
    assert!(
        complaint.contains("hint: start one: thingstead serve"),
        "{complaint}"
    );
    let (status, complaint) = run("dps show", None);
    assert_eq!(status, 2);
    assert!(complaint.contains("hint: --data-dir DIR"), "{complaint}");
    // For this one nobody has to be asked.
    let offline = format!("dps enrollment-group compute-device-key --key {KEY} --rid d1");
    assert_eq!(run(&offline, None), (0, String::new()));
}

#[test]
fn a_policy_of_a_hub_may_not_administer_the_service() {
    let server = Server::start();
    let hub = server.json("hub show");
    let string = hub["connectionStrings"]["iothubowner"].as_str().unwrap();
    let string = string.replace(
        "HostName=localhost",
        &format!("HostName=localhost:{}", hub["ports"]["https"]),
    );
    let ca = hub["caCertificate"].as_str().unwrap();
    for line in [
        "dps show",
        "dps enrollment list",
        "dps policy show",
        "keys expiring",
    ] {
        let mut command = program();
        command.args(line.split(' '));
        command.args(["--connection-string", &string, "--ca-file", ca]);
        let output = command.output().unwrap();
        let complaint = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{line}: {complaint}");
        assert!(complaint.contains("403"), "{line}: {complaint}");
        assert!(output.stdout.is_empty(), "{line}");
    }
}

#[test]
fn a_policy_of_the_service_administers_it_from_elsewhere() {
    let server = Server::start();
    let hub = server.json("hub show");
    let ca = hub["caCertificate"].as_str().unwrap();
    let policy = server.json("dps policy create -n back-end --rights EnrollmentWrite");
    let string = policy["connectionString"].as_str().unwrap();
    let string = string.replace(
        "HostName=localhost",
        &format!("HostName=localhost:{}", hub["ports"]["https"]),
    );
    let run = |line: &str| {
        let mut command = program();
        command.args(line.split(' '));
        command.args(["--connection-string", &string, "--ca-file", ca]);
        let output = command.output().unwrap();
        let complaint = String::from_utf8(output.stderr).unwrap();
        (output.status.code().unwrap(), complaint)
    };
    for line in [
        "dps enrollment create --eid d1",
        "dps enrollment list",
        "dps enrollment regenerate-keys --all --kt swap",
        "dps allocation preview --rid d1",
    ] {
        assert_eq!(run(line), (0, String::new()), "{line}");
    }
    for line in ["dps show", "dps policy list", "dps registration list"] {
        let (status, complaint) = run(line);
        assert_eq!(status, 1, "{line}");
        assert!(complaint.contains("403"), "{line}: {complaint}");
    }
    server.prints("dps policy renew-key -n back-end --kt both");
    let (status, complaint) = run("dps enrollment list");
    assert_eq!(status, 1);
    assert!(complaint.contains("401"), "{complaint}");
}

/// Whoever adds a command adds it to a transcript.
#[test]
fn every_command_is_shown() {
    let shown = commands(&[
        "service",
        "enrollments",
        "groups",
        "places",
        "authorities",
        "registrations_none",
        "registrations",
    ]);
    // With outcomes that differ from run to run: above.
    let elsewhere = ["dps latency measure"];
    let missing: Vec<String> = leaves("dps")
        .into_iter()
        .chain(leaves("keys"))
        .filter(|command| !shown.contains(command) && !elsewhere.contains(&command.as_str()))
        .collect();
    assert_eq!(missing, [""; 0]);
}

/// The commands below one, as its help says.
fn leaves(command: &str) -> BTreeSet<String> {
    let output = program()
        .args(command.split(' '))
        .arg("--help")
        .output()
        .unwrap();
    let help = String::from_utf8(output.stdout).unwrap();
    let Some((_, listed)) = help.split_once("Commands:\n") else {
        return BTreeSet::from([command.to_owned()]);
    };
    let lines = listed.lines().take_while(|line| !line.is_empty());
    let names = lines.filter_map(|line| line.strip_prefix("  ")?.split(' ').next());
    names
        .filter(|name| !name.is_empty() && *name != "help")
        .flat_map(|name| leaves(&format!("{command} {name}")))
        .collect()
}
