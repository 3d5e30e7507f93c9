//! `hub certificate`.

use std::path::Path;

use hub_api::client::{Client, ClientConfig, Credential};
use serde_json::{Value, json};

use super::parse;
use super::script::{Exchange, Script};
use crate::arguments::{Command, HubCommand};
use crate::commands::certificate::on_hub;
use crate::connect::Connected;

fn factory(verified: bool) -> Value {
    json!({
        "name": "factory", "etag": "e1", "isVerified": verified, "subject": "CN=factory", "thumbprint": "AB",
        "notBefore": "2026-01-31T12:00:00Z", "expiry": "2027-01-31T12:00:00Z",
        "created": "2026-01-31T12:00:00Z", "updated": "2026-01-31T12:00:00Z", "certificate": "PEM",
    })
}

/// What is printed, or the failure, and what was asked.
async fn run(line: &[&str], exchange: Exchange) -> (String, Vec<String>) {
    let line = [&["hub", "certificate"], line].concat();
    let Command::Hub(HubCommand::Certificate(command)) = parse(&line).unwrap() else {
        panic!("another command");
    };
    let script = Script::start(vec![exchange]).await;
    let credential = Credential::AdminToken("token".to_owned());
    let connected = Connected {
        client: Client::new(ClientConfig::new(script.base(), credential)).unwrap(),
        hub: "hub".to_owned(),
    };
    let mut out = Vec::new();
    let result = on_hub(command, &connected, &mut out).await;
    let mut text = String::from_utf8(out).unwrap();
    if let Err(failure) = result {
        text.push_str(&failure.to_string());
    }
    (text, script.requests())
}

fn file(folder: &Path) -> String {
    let path = folder.join("factory.pem");
    std::fs::write(&path, "text").unwrap();
    path.to_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_certificate_is_sent_as_its_file_holds_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = file(folder.path());
    let line = ["create", "-n", "factory", "-p", &path, "--verified"];
    let (printed, asked) = run(&line, Exchange::json(201, &factory(true))).await;
    assert_eq!(
        asked,
        [
            r#"POST /api/v1/hubs/hub/certificates {"name":"factory","certificate":"dGV4dA==","isVerified":true}"#
        ]
    );
    assert!(printed.contains("status             verified"), "{printed}");
    let line = [
        "update", "--name", "factory", "--path", &path, "--etag", "e1",
    ];
    let (_, asked) = run(&line, Exchange::json(200, &factory(false))).await;
    assert_eq!(
        asked,
        [
            r#"PUT /api/v1/hubs/hub/certificates/factory if "e1" {"certificate":"dGV4dA==","isVerified":false}"#
        ]
    );
    let line = ["verify", "-n", "factory", "-p", &path];
    let (_, asked) = run(&line, Exchange::json(200, &factory(true))).await;
    assert_eq!(
        asked,
        [r#"POST /api/v1/hubs/hub/certificates/factory/verify {"certificate":"dGV4dA=="}"#]
    );
}

#[tokio::test]
async fn a_file_that_is_not_there_is_named() {
    let line = ["create", "-n", "factory", "-p", "/no/such/file"];
    let (printed, asked) = run(&line, Exchange::json(201, &factory(true))).await;
    assert!(
        printed.starts_with("error: /no/such/file cannot be read"),
        "{printed}"
    );
    assert!(asked.is_empty());
}

#[tokio::test]
async fn certificates_are_listed_shown_and_deleted() {
    let page = json!({ "items": [factory(false)] });
    let (printed, _) = run(&["list"], Exchange::json(200, &page)).await;
    assert!(
        printed.contains("factory  unverified  CN=factory"),
        "{printed}"
    );
    let (_, asked) = run(
        &["show", "-n", "factory"],
        Exchange::json(200, &factory(true)),
    )
    .await;
    assert_eq!(asked, ["GET /api/v1/hubs/hub/certificates/factory"]);
    let (printed, asked) = run(&["delete", "-n", "factory"], Exchange::text(204, "")).await;
    assert_eq!(asked, ["DELETE /api/v1/hubs/hub/certificates/factory"]);
    assert_eq!(printed, "deleted factory\n");
    let line = ["generate-verification-code", "-n", "factory"];
    let mut with_code = factory(false);
    with_code["verificationCode"] = json!("ABCD");
    let (printed, asked) = run(&line, Exchange::json(200, &with_code)).await;
    assert_eq!(
        asked,
        ["POST /api/v1/hubs/hub/certificates/factory/verificationCode"]
    );
    assert!(printed.contains("verification code  ABCD"), "{printed}");
}
