//! `device renew-key` and `module renew-key`.

use serde_json::{Value, json};

use super::script::Exchange;
use super::{Outcome, parse, run};

const HUB: &str = "/api/v1/hubs/hub";

fn device(id: &str, kind: &str) -> Value {
    let mut device = json!({
        "deviceId": id, "generationId": "1", "etag": "e2", "status": "enabled", "connectionState": "Disconnected",
        "cloudToDeviceMessageCount": 0, "authentication": { "type": kind }, "capabilities": { "iotEdge": false },
    });
    if kind == "sas" {
        device["authentication"]["symmetricKey"] =
            json!({ "primaryKey": "AAAA", "secondaryKey": "BBBB" });
        device["connectionString"] =
            json!(format!("HostName=h;DeviceId={id};SharedAccessKey=AAAA"));
    }
    device
}

fn module(id: &str, kind: &str) -> Value {
    let mut module = device("d1", kind);
    module["moduleId"] = json!(id);
    module
}

fn rolled(names: &Value) -> Exchange {
    Exchange::json(200, &json!({ "rolled": names, "failed": [] }))
}

#[tokio::test]
async fn the_key_of_one_device_is_renewed_and_shown() {
    let line = "device renew-key -d d1 --kt secondary --etag e1";
    let line: Vec<&str> = line.split(' ').collect();
    let (outcome, asked) = run(&line, vec![Exchange::json(200, &device("d1", "sas"))]).await;
    assert_eq!(
        asked,
        [format!(
            r#"POST {HUB}/devices/d1/rollKeys if "e1" {{"slot":"secondary"}}"#
        )]
    );
    assert_eq!(
        outcome.printed(),
        "\
device             d1
primary key        AAAA
secondary key      BBBB
etag               e2
connection string  HostName=h;DeviceId=d1;SharedAccessKey=AAAA
"
    );
}

#[tokio::test]
async fn the_key_of_one_module_is_renewed_and_shown() {
    let line = [
        "module",
        "renew-key",
        "-d",
        "d1",
        "-m",
        "m1",
        "--key-type",
        "both",
    ];
    let (outcome, asked) = run(&line, vec![Exchange::json(200, &module("m1", "sas"))]).await;
    assert_eq!(
        asked,
        [format!(
            r#"POST {HUB}/devices/d1/modules/m1/rollKeys {{"slot":"both"}}"#
        )]
    );
    let printed = outcome.printed();
    assert!(printed.contains("secondary key      BBBB"), "{printed}");
}

#[tokio::test]
async fn several_devices_are_renewed_at_once_and_failures_are_an_exit_status() {
    let result = json!({
        "rolled": [{ "deviceId": "d1" }],
        "failed": [{ "identity": { "deviceId": "d2" }, "error": {
            "code": 404_001, "name": "DeviceNotFound", "message": "there is no device d2", "requestId": "r1",
        } }],
    });
    let line = ["device", "renew-key", "-d", "d1", "d2", "--kt", "swap"];
    let (outcome, asked) = run(&line, vec![Exchange::json(200, &result)]).await;
    assert_eq!(
        asked,
        [format!(
            r#"POST {HUB}/rollKeys {{"slot":"swap","identities":[{{"deviceId":"d1"}},{{"deviceId":"d2"}}]}}"#
        )]
    );
    let Outcome::Failed(1, text) = outcome else {
        panic!("one was not renewed");
    };
    assert_eq!(
        text,
        "\
DEVICE  MODULE  RESULT
----------------------------------------------
d1      -       renewed
d2      -       404001 there is no device d2
error: the keys of 1 of 2 were not renewed
"
    );
}

#[tokio::test]
async fn all_that_have_keys_are_renewed_with_their_modules() {
    let devices = json!({ "items": [device("d1", "sas"), device("d2", "certificateAuthority")] });
    let modules = json!({ "items": [module("m1", "sas"), module("m2", "none")] });
    let names = json!([{ "deviceId": "d1" }, { "deviceId": "d1", "moduleId": "m1" }]);
    for all in ["--all", "-d=*"] {
        let exchanges = vec![
            Exchange::json(200, &devices),
            Exchange::json(200, &modules),
            Exchange::json(200, &json!({ "items": [] })),
            rolled(&names),
        ];
        let line = [
            "device",
            "renew-key",
            all,
            "--include-modules",
            "--kt",
            "primary",
            "-o",
            "json",
        ];
        let (outcome, asked) = run(&line, exchanges).await;
        assert_eq!(
            asked[3],
            format!(r#"POST {HUB}/rollKeys {{"slot":"primary","identities":{names}}}"#)
        );
        let printed: Value = serde_json::from_str(&outcome.printed()).unwrap();
        assert_eq!(printed["rolled"], names);
    }
}

#[tokio::test]
async fn many_are_renewed_in_batches_and_a_broken_one_leaves_what_was_done() {
    let all: Vec<_> = (0..150)
        .map(|number| device(&format!("d{number}"), "sas"))
        .collect();
    let first: Vec<_> = (0..100)
        .map(|number| json!({ "deviceId": format!("d{number}") }))
        .collect();
    let exchanges = vec![
        Exchange::json(200, &json!({ "items": all })),
        rolled(&json!(first)),
        Exchange::refusal(503, "ServiceUnavailable"),
    ];
    let line = ["device", "renew-key", "--all", "--kt", "secondary"];
    let (outcome, asked) = run(&line, exchanges).await;
    assert_eq!(asked.len(), 3);
    let Outcome::Failed(1, text) = outcome else {
        panic!("the second batch failed");
    };
    assert!(text.contains("it is refused"), "{text}");
    let unknown: Vec<String> = (100..150).map(|number| format!("d{number}")).collect();
    let said = format!("whether these have new keys: {};", unknown.join(" "));
    assert!(text.contains("d99 ") && text.contains(&said), "{text}");
    let go_on = "thingstead device renew-key --all --key-type secondary --after d149`";
    assert!(text.contains(go_on), "{text}");
    // Those before it are left alone.
    let line = "device renew-key --all --key-type swap --after d2";
    let line: Vec<&str> = line.split(' ').collect();
    let all = json!({ "items": [device("d1", "sas"), device("d2", "sas"), device("d3", "sas")] });
    let exchanges = vec![
        Exchange::json(200, &all),
        rolled(&json!([{ "deviceId": "d3" }])),
    ];
    let (_, asked) = run(&line, exchanges).await;
    let wanted =
        format!(r#"POST {HUB}/rollKeys {{"slot":"swap","identities":[{{"deviceId":"d3"}}]}}"#);
    assert_eq!(asked[1], wanted);
}

#[tokio::test]
async fn modules_of_a_device_are_renewed_at_once() {
    let modules = json!({ "items": [module("m1", "sas"), module("m2", "none")] });
    let names = json!([{ "deviceId": "d1", "moduleId": "m1" }]);
    let line = ["module", "renew-key", "-d", "d1", "-m", "*", "--kt", "swap"];
    let (outcome, asked) = run(&line, vec![Exchange::json(200, &modules), rolled(&names)]).await;
    assert_eq!(
        asked[1],
        format!(r#"POST {HUB}/rollKeys {{"slot":"swap","identities":{names}}}"#)
    );
    assert!(outcome.printed().contains("d1      m1      renewed"));
}

#[tokio::test]
async fn what_makes_no_sense_asks_nobody() {
    for line in [
        "device renew-key -d d1 d2 --kt swap --etag e1",
        "device renew-key --all --kt swap --etag e1",
        "device renew-key -d d1 * --kt swap",
        "module renew-key -d d1 -m m1 m2 --kt swap --etag e1",
    ] {
        let parts: Vec<&str> = line.split(' ').collect();
        let (outcome, asked) = run(&parts, Vec::new()).await;
        assert!(
            matches!(outcome, Outcome::Failed(2, _)),
            "{line}: {outcome:?}"
        );
        assert_eq!(asked, [""; 0], "{line}");
    }
    for line in [
        "device renew-key --kt swap",
        "device renew-key -d d1",
        "device renew-key -d d1 --kt third",
        "device renew-key -d d1 --all --kt swap",
        "module renew-key -d d1 --kt swap",
        "module renew-key -m m1 --kt swap",
    ] {
        let parts: Vec<&str> = line.split(' ').collect();
        assert!(parse(&parts).is_err(), "{line}");
    }
}
