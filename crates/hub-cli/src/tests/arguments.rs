//! What can be typed.

use clap::CommandFactory as _;

use super::{Program, parse};

#[test]
fn the_arguments_are_consistent() {
    Program::command().debug_assert();
}

#[test]
fn commands_that_make_no_sense_are_refused_with_2() {
    let wrong: [&[&str]; 12] = [
        &["device"],
        &["device", "create"],
        &["device", "create", "--device-id", "d", "--status", "off"],
        &[
            "device",
            "create",
            "--device-id",
            "d",
            "--auth-method",
            "password",
        ],
        &[
            "device",
            "list",
            "--data-dir",
            "D",
            "--connection-string",
            "S",
        ],
        &["twin", "update", "--device-id", "d"],
        &["method", "invoke", "--device-id", "d"],
        &[
            "c2d",
            "send",
            "--device-id",
            "d",
            "--data",
            "x",
            "--data-file-path",
            "f",
        ],
        &[
            "c2d",
            "send",
            "--device-id",
            "d",
            "--ttl",
            "1",
            "--expiry-time-utc",
            "2026-01-01T00:00:00Z",
        ],
        &["events", "watch", "--source", "everything"],
        &["events", "watch", "--from", "yesterday"],
        &["hub", "show", "one", "--hub", "two"],
    ];
    for line in wrong {
        assert_eq!(
            parse(line).map(|_| ()).unwrap_err().exit_code(),
            2,
            "{line:?}"
        );
    }
}

#[test]
fn the_spellings_of_az_iot_are_understood() {
    let right: [&[&str]; 6] = [
        &["device", "create", "-d", "d", "--ee", "--am", "x"],
        &[
            "device",
            "create",
            "--device-id",
            "d",
            "--ee",
            "true",
            "--auth-method",
            "x509_thumbprint",
            "--ptp",
            "AB",
        ],
        &[
            "device",
            "create",
            "--device-id",
            "d",
            "--auth-method",
            "shared_private_key",
            "--pk",
            "A",
            "--sk",
            "B",
        ],
        &[
            "device",
            "update",
            "--device-id",
            "d",
            "--edge-enabled",
            "false",
        ],
        &[
            "method", "invoke", "-d", "d", "--mn", "m", "--mp", "-1", "--to", "9",
        ],
        &[
            "c2d", "send", "-d", "d", "-p", "a=1;b=2", "--mid", "1", "--ack", "full",
        ],
    ];
    for line in &right[1..] {
        assert!(parse(line).is_ok(), "{line:?}");
    }
    assert!(parse(right[0]).is_err(), "there is no --am");
}

#[test]
fn the_help_names_every_command() {
    let nouns: Vec<String> = Program::command()
        .get_subcommands()
        .map(|noun| {
            let verbs: Vec<&str> = noun
                .get_subcommands()
                .map(clap::Command::get_name)
                .collect();
            format!("{}: {}", noun.get_name(), verbs.join(" "))
        })
        .collect();
    assert_eq!(
        nouns,
        [
            "hub: show create update list statistics certificate",
            "device: create list show update delete renew-key",
            "module: create list show update delete renew-key",
            "twin: show update replace",
            "method: invoke",
            "c2d: send purge receive complete reject abandon",
            "feedback: watch",
            "events: watch",
            "file: list download delete",
            "route: create list show update delete test fallback",
            "dps: show update policy connection-string linked-hub certificate enrollment enrollment-group registration latency address-range credential-policy issuer allocation",
            "keys: expiring",
            "enrichment: create list update delete",
        ]
    );
}
