//! `dps` and `keys`.

use serde_json::{Value, json};

use super::script::Exchange;
use super::{Outcome, parse, run};

const P: &str = "/api/v1/provisioning";

fn enrollment(etag: &str) -> Value {
    json!({
        "registrationId": "d1", "attestation": { "type": "symmetricKey" },
        "terms": { "status": "enabled", "iotEdge": false, "hubs": ["a.test"] },
        "etag": etag, "created": "2026-01-31T12:00:00.0000000Z", "updated": "2026-01-31T12:00:00.0000000Z",
    })
}

fn group(etag: &str) -> Value {
    json!({
        "enrollmentGroupId": "g1", "attestation": { "type": "symmetricKey" },
        "terms": { "status": "enabled", "iotEdge": false },
        "etag": etag, "created": "2026-01-31T12:00:00.0000000Z", "updated": "2026-01-31T12:00:00.0000000Z",
    })
}

/// Runs one command against one answer; what was printed and asked.
async fn one(line: &str, answer: Exchange) -> (String, String) {
    let line: Vec<&str> = line.split(' ').collect();
    let (outcome, asked) = run(&line, vec![answer]).await;
    (outcome.printed(), asked.join("\n"))
}

#[tokio::test]
async fn the_service_is_shown() {
    let service = json!({
        "idScope": "0ne1", "globalEndpoint": "hub.test", "allocationPolicy": "hashed",
        "registrations": { "assigned": 3, "assigning": 1, "failed": 2 },
    });
    let (printed, asked) = one("dps show", Exchange::json(200, &service)).await;
    assert_eq!(asked, format!("GET {P}"));
    assert_eq!(
        printed,
        "\
id scope           0ne1
endpoint           hub.test
allocation policy  hashed
assigned           3
assigning          1
failed             2
"
    );
    let line = "dps update --allocation-policy geolatency";
    let (_, asked) = one(line, Exchange::json(200, &service)).await;
    assert_eq!(
        asked,
        format!(r#"PATCH {P} {{"allocationPolicy":"geoLatency"}}"#)
    );
}

#[tokio::test]
async fn an_enrollment_is_created_with_the_words_of_the_vendors_tool() {
    let line = "dps enrollment create --eid d1 --at symmetricKey --did dev-1 --ps disabled --ap static --ih a.test \
                --rp reprovisionandresetdata --ee true --its {\"site\":1}";
    let (printed, asked) = one(line, Exchange::json(201, &enrollment("e1"))).await;
    let expected = json!({
        "registrationId": "d1", "deviceId": "dev-1", "attestation": { "type": "symmetricKey" },
        "terms": {
            "status": "disabled", "iotEdge": true, "initialTwin": { "tags": { "site": 1 } },
            "reprovisionPolicy": { "updateHubAssignment": true, "migrateDeviceData": false },
            "allocationPolicy": "static", "hubs": ["a.test"],
        },
    });
    let (head, body) = asked.split_once(" {").unwrap();
    assert_eq!(head, format!("POST {P}/enrollments"));
    let body: Value = serde_json::from_str(&format!("{{{body}")).unwrap();
    assert_eq!(body, expected);
    assert!(printed.contains("registration id      d1"), "{printed}");
}

#[tokio::test]
async fn an_update_writes_back_what_was_read_guarded_by_its_etag() {
    let line = [
        "dps",
        "enrollment",
        "update",
        "--eid",
        "d1",
        "--ps",
        "disabled",
    ];
    let answers = vec![
        Exchange::json(200, &enrollment("e1")),
        Exchange::json(200, &enrollment("e2")),
    ];
    let (outcome, asked) = run(&line, answers).await;
    outcome.printed();
    assert_eq!(asked[0], format!("GET {P}/enrollments/d1"));
    assert_eq!(
        asked[1],
        format!(
            r#"PUT {P}/enrollments/d1 if "e1" {{"registrationId":"d1","attestation":{{"type":"symmetricKey"}},"terms":{{"status":"disabled","iotEdge":false,"hubs":["a.test"]}}}}"#
        )
    );
}

#[tokio::test]
async fn the_kind_of_proof_changes_only_when_that_is_said() {
    let update = |more: &[&'static str]| {
        let line = ["dps", "enrollment", "update", "--eid", "d1"];
        [&line[..], more].concat()
    };
    for silent in [["--ca-name", "root"], ["--endorsement-key", "AAAA"]] {
        let answers = vec![Exchange::json(200, &enrollment("e1"))];
        let (outcome, asked) = run(&update(&silent), answers).await;
        assert_eq!(asked.len(), 1, "nothing is written");
        assert!(
            matches!(&outcome, Outcome::Failed(2, told) if told.contains("add --attestation-type")),
            "{outcome:?}"
        );
    }
    let said = update(&["--ca-name", "root", "--attestation-type", "x509"]);
    let answers = vec![
        Exchange::json(200, &enrollment("e1")),
        Exchange::json(200, &enrollment("e2")),
    ];
    let (outcome, asked) = run(&said, answers).await;
    outcome.printed();
    assert!(asked[1].contains(r#""type":"x509""#), "{}", asked[1]);
}

#[tokio::test]
async fn a_webhook_implies_the_custom_policy_and_hubs_may_be_one_text() {
    let line = "dps enrollment create --eid d1 --wh https://f.example/x --ih";
    let mut parts: Vec<&str> = line.split(' ').collect();
    parts.push("a.test b.test");
    let (outcome, asked) = run(&parts, vec![Exchange::json(201, &enrollment("e1"))]).await;
    outcome.printed();
    let body = &asked[0];
    assert!(body.contains(r#""allocationPolicy":"custom""#), "{body}");
    assert!(body.contains(r#""hubs":["a.test","b.test"]"#), "{body}");
}

#[tokio::test]
async fn certificates_of_a_group_are_sent_as_their_files_hold_them() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ca.pem");
    std::fs::write(&path, "text").unwrap();
    let line = format!(
        "dps enrollment-group create --eid g1 --cp {}",
        path.display()
    );
    let (_, asked) = one(&line, Exchange::json(201, &group("e1"))).await;
    assert!(
        asked.contains(
            r#""attestation":{"type":"x509","signingCertificates":{"primary":{"certificate":"dGV4dA=="}}}"#
        ),
        "{asked}"
    );
    let line = "dps enrollment-group create --eid g1 --ca-name root --scn next";
    let (_, asked) = one(line, Exchange::json(201, &group("e1"))).await;
    assert!(
        asked.contains(
            r#""attestation":{"type":"x509","caReferences":{"primary":"root","secondary":"next"}}"#
        ),
        "{asked}"
    );
}

#[tokio::test]
async fn keys_are_rolled_in_one_or_all_and_derived_without_a_server() {
    let keys = json!({ "type": "symmetricKey", "symmetricKey": { "primaryKey": "AAAA", "secondaryKey": "BBBB" } });
    let line = "dps enrollment-group regenerate-keys --eid g1 --kt secondary";
    let (printed, asked) = one(line, Exchange::json(200, &keys)).await;
    assert_eq!(
        asked,
        format!(r#"POST {P}/enrollmentGroups/g1/rollKeys {{"slot":"secondary"}}"#)
    );
    assert!(printed.contains("secondary key  BBBB"), "{printed}");
    let key =
        "8isrFI1sGsIlvvFSSFRiMfCNzv21fjbE/+ah/lSh3lF8e2YG1Te7w1KpZhJFFXJrqYKi9yegxkqIChbqOS9Egw==";
    let line = [
        "dps",
        "enrollment-group",
        "compute-device-key",
        "--key",
        key,
        "--rid",
        "sn-007-888-abc-mac-a1-b2-c3-d4-e5-f6",
    ];
    let mut out = Vec::new();
    let offline = super::hub::Fixed;
    crate::commands::execute(parse(&line).unwrap(), &offline, &|_| None, &mut out)
        .await
        .unwrap();
    let printed = String::from_utf8(out).unwrap();
    assert_eq!(printed, "Jsm0lyGpjaVYVP2g3FnmnmG9dI/9qU24wNoykUmermc=\n");
}

#[tokio::test]
async fn a_registration_shows_its_certificates() {
    let certificate = |subject: &str, thumbprint: &str| {
        json!({
            "subject": subject, "issuer": "CN=root", "thumbprint": thumbprint, "sha256Thumbprint": "CC",
            "serialNumber": "01", "notBefore": "2026-01-31T12:00:00.0000000Z", "expiry": "2027-01-31T12:00:00.0000000Z",
        })
    };
    let registration = json!({
        "registrationId": "d1", "enrollmentGroupId": "g1", "attestation": "x509", "status": "assigned",
        "certificate": certificate("CN=d1", "AA"), "signingCertificate": certificate("CN=line-7", "BB"),
        "operationId": "5.1", "etag": "e", "created": "2026-01-31T12:00:00.0000000Z",
        "updated": "2026-01-31T12:00:00.0000000Z",
    });
    let line = ["dps", "registration", "show", "--rid", "d1"];
    let answers = vec![
        Exchange::json(200, &registration),
        Exchange::refusal(404, "GenericNotFound"),
    ];
    let printed = run(&line, answers).await.0.printed();
    for (name, text) in [
        ("certificate", "CN=d1, AA, expires 2027-01-31T12:00:00"),
        ("signed by", "CN=line-7, BB, expires 2027-01-31T12:00:00"),
    ] {
        let row = printed.lines().find(|row| row.starts_with(name));
        assert!(row.is_some_and(|row| row.contains(text)), "{printed}");
    }
}

const BEGUN: &str = "2026-01-31T12:00:00.0000000Z";

fn rolled_page(rolled: u64, skipped: u64, next: Option<&str>) -> Exchange {
    let mut page = json!({ "rolled": rolled, "skipped": skipped, "begun": BEGUN });
    if let Some(next) = next {
        page["next"] = json!(next);
    }
    Exchange::json(200, &page)
}

#[tokio::test]
async fn all_keys_are_rolled_page_by_page_and_what_breaks_off_says_how_it_goes_on() {
    let line: Vec<&str> = "dps enrollment regenerate-keys --all --kt swap"
        .split(' ')
        .collect();
    let begin = || rolled_page(0, 0, Some(""));
    let answers = vec![
        begin(),
        rolled_page(500, 0, Some("d499")),
        rolled_page(2, 1, None),
    ];
    let (outcome, asked) = run(&line, answers).await;
    assert_eq!(outcome.printed(), "rolled 502, left alone 1 without keys\n");
    let call = format!(r#"POST {P}/rollKeys {{"slot":"swap","of":"enrollments""#);
    assert_eq!(
        asked,
        [
            format!("{call}}}"),
            format!(r#"{call},"begun":"{BEGUN}","after":""}}"#),
            format!(r#"{call},"begun":"{BEGUN}","after":"d499"}}"#),
        ]
    );
    let answers = vec![
        begin(),
        rolled_page(500, 0, Some("d499")),
        Exchange::refusal(503, "ServiceUnavailable"),
    ];
    let Outcome::Failed(1, text) = run(&line, answers).await.0 else {
        panic!("it broke off");
    };
    let go_on = format!(
        "thingstead dps enrollment regenerate-keys --all --key-type swap --begun {BEGUN} --after d499"
    );
    assert!(text.contains(&go_on), "{text}");
    let line: Vec<&str> = go_on.split(' ').skip(1).collect();
    let (outcome, asked) = run(&line, vec![rolled_page(3, 0, None)]).await;
    assert_eq!(outcome.printed(), "rolled 3, left alone 0 without keys\n");
    let wanted = format!(r#"{call},"begun":"{BEGUN}","after":"d499"}}"#);
    assert_eq!(asked, [wanted]);
    // The command itself is wrong, such as a beginning in the future.
    let refusal = Exchange::refusal(400, "ArgumentInvalid");
    let Outcome::Failed(1, text) = run(&line, vec![refusal]).await.0 else {
        panic!("it is refused");
    };
    assert!(!text.contains("go on with"), "{text}");
}

#[tokio::test]
async fn failed_and_refused_devices_are_shown_with_the_reason() {
    let failed = json!({ "items": [{
        "registrationId": "d1", "enrollmentGroupId": "g1", "attestation": "symmetricKey", "status": "failed",
        "errorCode": 400_208, "errorMessage": "no hub can be assigned", "operationId": "5.1", "etag": "e",
        "created": "2026-01-31T12:00:00.0000000Z", "updated": "2026-01-31T12:00:00.0000000Z",
    }] });
    let line = "dps registration list --filter failed";
    let (printed, asked) = one(line, Exchange::json(200, &failed)).await;
    assert_eq!(
        asked,
        format!("GET {P}/registrations?max=1000&filter=failed")
    );
    assert!(printed.contains("no hub can be assigned"), "{printed}");
    let refused = json!({ "items": [{
        "registrationId": "D2", "errorCode": 401_002, "errorMessage": "the token's signature is wrong",
        "address": "10.0.0.7", "count": 12, "first": "2026-01-31T12:00:00.0000000Z",
        "last": "2026-01-31T12:00:00.0000000Z",
    }] });
    let line = "dps registration list --filter refused";
    let (printed, asked) = one(line, Exchange::json(200, &refused)).await;
    assert_eq!(asked, format!("GET {P}/refusals?max=1000"));
    assert!(
        printed.contains("the token's signature is wrong"),
        "{printed}"
    );
    let line = [
        "dps",
        "registration",
        "list",
        "--filter",
        "refused",
        "--top",
        "2",
    ];
    let mut first = refused.clone();
    first["next"] = json!("1:5:d2");
    let answers = vec![Exchange::json(200, &first), Exchange::json(200, &refused)];
    let (outcome, asked) = run(&line, answers).await;
    assert_eq!(outcome.printed().matches("D2").count(), 2);
    let wanted =
        ["max=2", "after=1%3A5%3Ad2&max=1"].map(|query| format!("GET {P}/refusals?{query}"));
    assert_eq!(asked, wanted);
    let line = ["dps", "registration", "show", "--rid", "d2"];
    let answers = || {
        vec![
            Exchange::refusal(404, "GenericNotFound"),
            Exchange::json(200, &refused["items"][0]),
        ]
    };
    let (outcome, asked) = run(&line, answers()).await;
    let printed = outcome.printed();
    assert!(printed.contains("status           refused"), "{printed}");
    let wanted = ["registrations", "refusals"].map(|what| format!("GET {P}/{what}/d2"));
    assert_eq!(asked, wanted);
    let mut leaving = failed["items"][0].clone();
    leaving["leaves"] = json!([{ "hub": "north.test", "deviceId": "d1" }]);
    let mut both = answers();
    both[0] = Exchange::json(200, &leaving);
    let printed = run(&line, both).await.0.printed();
    for part in [
        "status           failed",
        "leaves           north.test/d1",
        "\nturned away since:\n",
        "10.0.0.7",
    ] {
        assert!(printed.contains(part), "{part} in {printed}");
    }
    let answers = vec![
        Exchange::refusal(404, "GenericNotFound"),
        Exchange::refusal(404, "GenericNotFound"),
    ];
    let (outcome, _) = run(&line, answers).await;
    let Outcome::Failed(1, text) = outcome else {
        panic!("it is known");
    };
    assert!(
        text.contains("hint: the device has not asked yet"),
        "{text}"
    );
}

#[tokio::test]
async fn hubs_places_and_latencies_are_set() {
    let hub = json!({
        "hostName": "far.test", "isOwn": false, "policy": "iothubowner", "allocationWeight": 3,
        "applyAllocationPolicy": true, "region": "eu",
    });
    let line = "dps linked-hub create --hub-connection-string HostName=far.test --allocation-weight 3 --region eu";
    let (printed, asked) = one(line, Exchange::json(201, &hub)).await;
    assert_eq!(
        asked,
        format!(
            r#"POST {P}/linkedHubs {{"connectionString":"HostName=far.test","allocationWeight":3,"region":"eu"}}"#
        )
    );
    assert!(
        printed.contains("far.test   iothubowner  3       yes        eu"),
        "{printed}"
    );
    let range = json!({ "range": "10.0.0.0/8", "region": "eu" });
    let line = "dps address-range set --range 10.0.0.0/8 --region eu";
    let (_, asked) = one(line, Exchange::json(200, &range)).await;
    assert_eq!(
        asked,
        format!(r#"PUT {P}/addressRanges/10%2E0%2E0%2E0%2F8 {{"region":"eu"}}"#)
    );
    let latency = json!({ "region": "eu", "hostName": "far.test", "microseconds": 12_500 });
    let line = "dps latency set --region eu --linked-hub far.test --ms 12.5";
    let (printed, asked) = one(line, Exchange::json(200, &latency)).await;
    assert_eq!(
        asked,
        format!(r#"PUT {P}/latencies/eu/far%2Etest {{"microseconds":12500}}"#)
    );
    assert!(printed.contains("12.500 ms"), "{printed}");
}

#[tokio::test]
async fn latencies_are_measured_from_this_machine() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port().to_string();
    let hubs = json!({ "items": [{
        "hostName": "127.0.0.1", "isOwn": true, "allocationWeight": 1, "applyAllocationPolicy": true,
    }] });
    let line = [
        "dps",
        "latency",
        "measure",
        "--region",
        "eu",
        "--port",
        &port,
        "--dry-run",
    ];
    let (outcome, asked) = run(&line, vec![Exchange::json(200, &hubs)]).await;
    let printed = outcome.printed();
    assert_eq!(asked, [format!("GET {P}/linkedHubs")]);
    assert!(printed.contains("127.0.0.1"), "{printed}");
}

#[tokio::test]
async fn a_preview_says_where_and_why() {
    let preview = json!({
        "enrollmentGroupId": "g1", "isEnabled": true, "policy": "geoLatency", "isPolicyOfService": false,
        "stays": false, "region": "eu", "hubs": [{ "hostName": "a.test", "reason": "12 ms from eu" }],
        "waitsFor": "b.test", "notes": ["b.test is left out"],
    });
    let line = "dps allocation preview --rid d1 --eid g1 --address 10.0.0.7 --payload {\"a\":1}";
    let (printed, asked) = one(line, Exchange::json(200, &preview)).await;
    assert_eq!(
        asked,
        format!(
            r#"POST {P}/allocation/preview {{"registrationId":"d1","enrollmentGroupId":"g1","address":"10.0.0.7","payload":{{"a":1}}}}"#
        )
    );
    assert_eq!(
        printed,
        "\
policy      geoLatency, of the group g1
region      eu
goes to     a.test: 12 ms from eu
would wait  for b.test while that does not answer: its twin comes along from there
note        b.test is left out
"
    );
}

#[tokio::test]
async fn what_expires_is_listed() {
    let report = json!({ "until": "2026-03-02T12:00:00.0000000Z", "items": [{
        "what": "enrollmentGroup", "name": "g1", "slot": "primary", "subject": "CN=ca", "thumbprint": "AB",
        "expiry": "2026-01-31T12:00:00.0000000Z", "isExpired": true,
    }] });
    let (printed, asked) = one("keys expiring --within 4w", Exchange::json(200, &report)).await;
    assert_eq!(asked, "GET /api/v1/keys/expiring?within=28");
    assert!(
        printed.contains("enrollmentGroup  g1    primary  CN=ca"),
        "{printed}"
    );
    let nothing = json!({ "until": "2026-03-02T12:00:00.0000000Z", "items": [] });
    let (printed, _) = one("keys expiring", Exchange::json(200, &nothing)).await;
    assert_eq!(
        printed,
        "nothing expires until 2026-03-02T12:00:00.0000000Z\n"
    );
    let part = json!({ "until": "2026-03-02T12:00:00.0000000Z", "items": [],
        "leftOut": ["hubCertificate", "issuer"] });
    let (printed, _) = one("keys expiring", Exchange::json(200, &part)).await;
    assert_eq!(
        printed,
        "nothing expires until 2026-03-02T12:00:00.0000000Z\nnot shown to this policy: hubCertificate, issuer\n"
    );
}

#[test]
fn commands_that_make_no_sense_are_refused_before_anything_is_asked() {
    for line in [
        "dps enrollment show",
        "dps enrollment regenerate-keys --kt primary",
        "dps enrollment regenerate-keys --kt primary --all --eid d1",
        "dps enrollment create --eid d --pk AAAA --cp d.pem",
        "dps enrollment create --eid d --cp d.pem --cn root",
        "dps enrollment create --eid d --ek AAAA --sk AAAA",
        "dps registration list --filter lost",
        "dps issuer create -n i --cp x.pem",
        "keys expiring --within soon",
        "keys expiring --within 99999999w",
    ] {
        let parts: Vec<&str> = line.split(' ').collect();
        assert!(parse(&parts).is_err(), "{line}");
    }
}
