//! `device` and `module`.

use serde_json::{Value, json};

use super::script::Exchange;
use super::{Outcome, run};

fn device(id: &str, etag: &str) -> Value {
    json!({
        "deviceId": id, "generationId": "1", "etag": etag, "status": "enabled", "connectionState": "Connected",
        "lastActivityTime": "2026-01-31T12:00:00.0000000Z", "cloudToDeviceMessageCount": 2,
        "authentication": { "type": "sas", "symmetricKey": { "primaryKey": "AAAA", "secondaryKey": "BBBB" } },
        "capabilities": { "iotEdge": false }, "connectionString": "HostName=h;DeviceId=d;SharedAccessKey=AAAA",
    })
}

fn module(etag: &str) -> Value {
    json!({
        "deviceId": "d1", "moduleId": "m1", "generationId": "1", "etag": etag, "managedBy": "me",
        "connectionState": "Disconnected", "cloudToDeviceMessageCount": 0, "authentication": { "type": "none" },
    })
}

#[tokio::test]
async fn a_device_is_shown_as_a_table() {
    let (outcome, asked) = run(
        &["device", "show", "-d", "d#1"],
        vec![Exchange::json(200, &device("d#1", "e1"))],
    )
    .await;
    assert_eq!(asked, ["GET /api/v1/hubs/hub/devices/d%231"]);
    assert_eq!(
        outcome.printed(),
        "\
device             d#1
status             enabled
connection         Connected
last activity      2026-01-31T12:00:00.0000000Z
messages waiting   2
authentication     sas
edge               no
etag               e1
connection string  HostName=h;DeviceId=d;SharedAccessKey=AAAA
"
    );
}

#[tokio::test]
async fn a_device_is_shown_as_json() {
    let shown = device("d1", "e1");
    let (outcome, _) = run(
        &["device", "show", "-d", "d1", "-o", "json"],
        vec![Exchange::json(200, &shown)],
    )
    .await;
    assert_eq!(
        serde_json::from_str::<Value>(&outcome.printed()).unwrap(),
        shown
    );
}

#[tokio::test]
async fn all_pages_of_devices_are_listed() {
    let mut second = device("b", "e");
    second["status"] = json!("disabled");
    second["connectionState"] = json!("Disconnected");
    second.as_object_mut().unwrap().remove("lastActivityTime");
    let pages = vec![
        Exchange::json(200, &json!({ "items": [device("a", "e")], "next": "a" })),
        Exchange::json(200, &json!({ "items": [second] })),
    ];
    let (outcome, asked) = run(&["device", "list"], pages).await;
    assert_eq!(
        asked,
        [
            "GET /api/v1/hubs/hub/devices?max=1000",
            "GET /api/v1/hubs/hub/devices?after=a&max=1000"
        ]
    );
    assert_eq!(
        outcome.printed(),
        "\
DEVICE  STATUS    CONNECTION    AUTHENTICATION  EDGE  LAST ACTIVITY
------------------------------------------------------------------------------------
a       enabled   Connected     sas             no    2026-01-31T12:00:00.0000000Z
b       disabled  Disconnected  sas             no    never
"
    );
}

#[tokio::test]
async fn a_device_is_created_as_the_arguments_say() {
    let line = [
        "device",
        "create",
        "-d",
        "d1",
        "--edge-enabled",
        "--status",
        "disabled",
        "--status-reason",
        "new",
        "--primary-thumbprint",
        "AB",
        "-o",
        "json",
    ];
    let (outcome, asked) = run(&line, vec![Exchange::json(201, &device("d1", "e1"))]).await;
    outcome.printed();
    let (head, body) = asked[0].split_once(" {").unwrap();
    assert_eq!(head, "POST /api/v1/hubs/hub/devices");
    assert_eq!(
        serde_json::from_str::<Value>(&format!("{{{body}")).unwrap(),
        json!({
            "deviceId": "d1", "status": "disabled", "statusReason": "new", "capabilities": { "iotEdge": true },
            "authentication": { "type": "selfSigned", "x509Thumbprint": { "primaryThumbprint": "AB" } },
        })
    );
}

#[tokio::test]
async fn an_update_keeps_what_it_does_not_name_and_tries_again_when_it_was_too_late() {
    let exchanges = vec![
        Exchange::json(200, &device("d1", "e1")),
        Exchange::refusal(412, "PreconditionFailed"),
        Exchange::json(200, &device("d1", "e2")),
        Exchange::json(200, &device("d1", "e3")),
    ];
    let (outcome, asked) = run(
        &["device", "update", "-d", "d1", "--status", "disabled"],
        exchanges,
    )
    .await;
    assert!(outcome.printed().contains("e3"));
    let settings = r#"{"deviceId":"d1","status":"disabled","authentication":{"type":"sas","symmetricKey":{"primaryKey":"AAAA","secondaryKey":"BBBB"}},"capabilities":{"iotEdge":false}}"#;
    assert_eq!(
        asked,
        [
            "GET /api/v1/hubs/hub/devices/d1".to_owned(),
            format!("PUT /api/v1/hubs/hub/devices/d1 if \"e1\" {settings}"),
            "GET /api/v1/hubs/hub/devices/d1".to_owned(),
            format!("PUT /api/v1/hubs/hub/devices/d1 if \"e2\" {settings}"),
        ]
    );
}

#[tokio::test]
async fn an_update_with_an_etag_is_tried_once() {
    let exchanges = vec![
        Exchange::json(200, &device("d1", "e1")),
        Exchange::refusal(412, "PreconditionFailed"),
    ];
    let (outcome, asked) = run(
        &[
            "device", "update", "-d", "d1", "--status", "disabled", "--etag", "e0",
        ],
        exchanges,
    )
    .await;
    assert!(asked[1].starts_with("PUT /api/v1/hubs/hub/devices/d1 if \"e0\""));
    assert_eq!(
        outcome,
        Outcome::Failed(
            1,
            "error: it is refused (412001 PreconditionFailed, request r1)\n\
             hint: somebody changed it meanwhile: show it again and use its etag, or leave --etag out\n"
                .to_owned()
        )
    );
}

#[tokio::test]
async fn an_update_of_nothing_and_keys_of_another_kind_make_no_sense() {
    let (outcome, _) = run(&["device", "update", "-d", "d1"], Vec::new()).await;
    assert!(
        matches!(outcome, Outcome::Failed(2, text) if text.starts_with("error: nothing to change"))
    );
    let line = [
        "device",
        "create",
        "-d",
        "d1",
        "--auth-method",
        "x509_ca",
        "--primary-key",
        "AAAA",
    ];
    let (outcome, _) = run(&line, Vec::new()).await;
    assert!(
        matches!(outcome, Outcome::Failed(2, text) if text.contains("--auth-method shared_private_key"))
    );
}

#[tokio::test]
async fn a_deletion_says_what_is_gone() {
    let line = ["device", "delete", "-d", "d1", "--etag", "e1"];
    let (outcome, asked) = run(&line, vec![Exchange::text(204, "")]).await;
    assert_eq!(
        (outcome.printed().as_str(), asked[0].as_str()),
        (
            "deleted d1\n",
            "DELETE /api/v1/hubs/hub/devices/d1 if \"e1\""
        )
    );
}

#[tokio::test]
async fn modules_have_the_same_verbs() {
    let (outcome, asked) = run(
        &["module", "create", "-d", "d1", "-m", "m1"],
        vec![Exchange::json(201, &module("e1"))],
    )
    .await;
    assert_eq!(
        outcome.printed(),
        "\
device          d1
module          m1
managed by      me
connection      Disconnected
last activity   never
authentication  none
etag            e1
"
    );
    assert_eq!(
        asked,
        [
            r#"POST /api/v1/hubs/hub/devices/d1/modules {"moduleId":"m1","authentication":{"type":"sas","symmetricKey":{}}}"#
        ]
    );
    let list = Exchange::json(200, &json!({ "items": [module("e1")] }));
    let (outcome, _) = run(&["module", "list", "-d", "d1"], vec![list]).await;
    assert_eq!(
        outcome.printed(),
        "\
MODULE  MANAGED BY  CONNECTION    AUTHENTICATION  LAST ACTIVITY
-----------------------------------------------------------------
m1      me          Disconnected  none            never
"
    );
    let exchanges = vec![
        Exchange::json(200, &module("e1")),
        Exchange::json(200, &module("e2")),
    ];
    let (_, asked) = run(
        &[
            "module",
            "update",
            "-d",
            "d1",
            "-m",
            "m1",
            "--managed-by",
            "",
        ],
        exchanges,
    )
    .await;
    assert_eq!(
        asked[1],
        r#"PUT /api/v1/hubs/hub/devices/d1/modules/m1 if "e1" {"moduleId":"m1","authentication":{"type":"none"}}"#
    );
    let (outcome, _) = run(
        &["module", "delete", "-d", "d1", "-m", "m1"],
        vec![Exchange::text(204, "")],
    )
    .await;
    assert_eq!(outcome.printed(), "deleted d1/m1\n");
}

#[tokio::test]
async fn text_of_a_device_cannot_command_the_terminal() {
    let mut evil = device("d1", "e1");
    evil["statusReason"] = json!("\u{1b}[2Jgone");
    let (outcome, _) = run(
        &["device", "show", "-d", "d1"],
        vec![Exchange::json(200, &evil)],
    )
    .await;
    let printed = outcome.printed();
    assert!(
        !printed.contains('\u{1b}') && printed.contains("\\u{1b}[2Jgone"),
        "{printed}"
    );
}
