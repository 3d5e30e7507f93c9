//! `twin` and `method`.

use serde_json::json;

use super::script::Exchange;
use super::{Outcome, run};

fn twin() -> serde_json::Value {
    let time = "2026-01-31T12:00:00.0000000Z";
    json!({
        "deviceId": "d1", "etag": "AAAAAAAAAAI=", "version": 4, "status": "enabled", "connectionState": "Connected",
        "modelId": "dtmi:a;1", "tags": { "floor": 1 },
        "properties": {
            "desired": {
                "a": { "b": [1, null] }, "empty": {}, "$version": 2,
                "$metadata": { "$lastUpdated": time, "a": { "$lastUpdated": time, "b": { "$lastUpdated": time } } },
            },
            "reported": { "$version": 1, "$metadata": { "$lastUpdated": time } },
        },
    })
}

#[tokio::test]
async fn a_twin_is_shown_member_by_member() {
    let (outcome, asked) = run(
        &["twin", "show", "-d", "d1"],
        vec![Exchange::json(200, &twin())],
    )
    .await;
    assert_eq!(asked, ["GET /api/v1/hubs/hub/devices/d1/twin"]);
    assert_eq!(
        outcome.printed(),
        "\
twin        d1
version     4
etag        AAAAAAAAAAI=
status      enabled
connection  Connected
model       dtmi:a;1

MEMBER         VALUE     UPDATED
-------------------------------------------------------
tags.floor     1
desired.a.b    [1,null]  2026-01-31T12:00:00.0000000Z
desired.empty  {}
"
    );
}

#[tokio::test]
async fn twins_are_written_with_a_guard() {
    let line = [
        "twin",
        "update",
        "-d",
        "d1",
        "-m",
        "m1",
        "--desired",
        r#"{"a":null}"#,
        "--tags",
        "{}",
        "--etag",
        "x",
    ];
    let (outcome, asked) = run(&line, vec![Exchange::json(200, &twin())]).await;
    outcome.printed();
    assert_eq!(
        asked,
        [
            r#"PATCH /api/v1/hubs/hub/devices/d1/modules/m1/twin if "x" {"tags":{},"properties":{"desired":{"a":null}}}"#
        ]
    );
    let (_, asked) = run(
        &["twin", "replace", "-d", "d1", "--tags", r#"{"a":1}"#],
        vec![Exchange::json(200, &twin())],
    )
    .await;
    assert_eq!(
        asked,
        [r#"PUT /api/v1/hubs/hub/devices/d1/twin {"tags":{"a":1}}"#]
    );
}

#[tokio::test]
async fn json_comes_from_a_file_too() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("desired.json");
    std::fs::write(&path, "{ \"a\": 1 }").unwrap();
    let argument = format!("@{}", path.display());
    let (_, asked) = run(
        &["twin", "update", "-d", "d1", "--desired", &argument],
        vec![Exchange::json(200, &twin())],
    )
    .await;
    assert_eq!(
        asked,
        [r#"PATCH /api/v1/hubs/hub/devices/d1/twin {"properties":{"desired":{"a":1}}}"#]
    );
}

#[tokio::test]
async fn what_is_no_json_makes_no_sense() {
    for wrong in ["{", "[]", "1", "@/nowhere/at/all.json"] {
        let (outcome, asked) = run(
            &["twin", "update", "-d", "d1", "--desired", wrong],
            Vec::new(),
        )
        .await;
        assert!(
            matches!(&outcome, Outcome::Failed(2, text) if text.contains("--desired")),
            "{wrong}: {outcome:?}"
        );
        assert!(asked.is_empty());
    }
}

#[tokio::test]
async fn a_method_is_invoked_and_its_answer_shown() {
    let line = [
        "method",
        "invoke",
        "-d",
        "d1",
        "--method-name",
        "reboot",
        "--method-payload",
        "null",
        "--timeout",
        "9",
        "--connect-timeout",
        "3",
    ];
    let answer = Exchange::json(200, &json!({ "status": 203, "payload": { "ok": true } }));
    let (outcome, asked) = run(&line, vec![answer]).await;
    assert_eq!(
        asked,
        [
            r#"POST /api/v1/hubs/hub/devices/d1/methods {"methodName":"reboot","payload":null,"responseTimeoutInSeconds":9,"connectTimeoutInSeconds":3}"#
        ]
    );
    assert_eq!(outcome.printed(), "status 203\n{\n  \"ok\": true\n}\n");
}

#[tokio::test]
async fn a_device_that_is_away_is_said_with_what_helps() {
    let line = ["method", "invoke", "-d", "d1", "--method-name", "m"];
    let (outcome, asked) = run(&line, vec![Exchange::refusal(404, "DeviceNotOnline")]).await;
    assert_eq!(
        asked,
        [r#"POST /api/v1/hubs/hub/devices/d1/methods {"methodName":"m"}"#]
    );
    assert_eq!(
        outcome,
        Outcome::Failed(
            1,
            "error: it is refused (404001 DeviceNotOnline, request r1)\n\
             hint: `thingstead device show` says whether it is connected; --connect-timeout waits for it\n"
                .to_owned()
        )
    );
}
