//! `thingstead device renew-key` and `thingstead module renew-key`.

use serde_json::Value;

use super::server::Server;
use super::transcript::play;

fn keys(server: &Server, line: &str) -> (String, String) {
    let identity = server.json(line);
    let keys = &identity["authentication"]["symmetricKey"];
    let key = |which: &str| keys[which].as_str().unwrap().to_owned();
    (key("primaryKey"), key("secondaryKey"))
}

#[test]
fn keys_of_devices_and_modules() {
    let server = Server::start();
    for line in [
        "device create -d d1",
        "device create -d d2",
        "device create -d d3 --am x509_ca",
        "module create -d d1 -m m1",
        "module create -d d1 -m m2",
        "module create -d d3 -m m1",
    ] {
        server.prints(line);
    }
    play(&server, "renewal");
}

#[test]
fn the_key_that_stays_is_the_one_that_was() {
    let server = Server::start();
    server.prints("device create -d d1");
    let (first, second) = keys(&server, "device show -d d1");
    let renewed = keys(&server, "device renew-key -d d1 --kt secondary");
    assert!(renewed.0 == first && renewed.1 != second);
    let swapped = keys(&server, "device renew-key -d d1 --kt swap");
    assert_eq!(swapped, (renewed.1.clone(), first.clone()));
    let both = keys(&server, "device renew-key -d d1 --kt both");
    assert!(both.0 != swapped.0 && both.1 != first);
    assert_eq!(keys(&server, "device show -d d1"), both);
}

#[test]
fn a_policy_without_the_right_to_write_may_not() {
    let server = Server::start();
    server.prints("device create -d d1");
    let hub = server.json("hub show");
    let strings = &hub["connectionStrings"];
    let run = |policy: &str, line: &str| {
        let string = strings[policy].as_str().unwrap();
        let string = string.replace(
            "HostName=localhost",
            &format!("HostName=localhost:{}", hub["ports"]["https"]),
        );
        let mut command = super::server::program();
        command.args(line.split(' '));
        command.args(["--connection-string", &string, "-o", "json"]);
        command.args(["--ca-file", hub["caCertificate"].as_str().unwrap()]);
        let output = command.output().unwrap();
        (
            output.status.code().unwrap(),
            String::from_utf8(output.stderr).unwrap(),
        )
    };
    let before: Value = server.json("device show -d d1");
    for line in [
        "device renew-key -d d1 --kt swap",
        "device renew-key -d d1 d2 --kt swap",
    ] {
        for policy in ["service", "registryRead", "device"] {
            let (status, complaint) = run(policy, line);
            assert_eq!(status, 1, "{policy} {line}");
            assert!(complaint.contains("403"), "{policy}: {complaint}");
        }
    }
    assert_eq!(server.json("device show -d d1"), before);
    let (status, complaint) = run("registryReadWrite", "device renew-key -d d1 --kt swap");
    assert_eq!(status, 0, "{complaint}");
}
