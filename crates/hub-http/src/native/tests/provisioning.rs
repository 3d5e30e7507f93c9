//! The provisioning service for its administrator.

use hub_domain::provisioning::{ServicePermission, ServicePermissions, derived_key};
use hub_domain::sas::sign_token;
use hub_domain::{SymmetricKey, Timestamp};
use serde_json::{Value, json};

use super::access::token_of_service;
use super::{Ask, ask, refused};
use crate::Client;
use crate::request::Peer;
use crate::testing::Installation;

const P: &str = "/provisioning";

async fn get(installation: &Installation, path: &str) -> Value {
    ask(installation, "GET", &format!("{P}{path}"), Value::Null)
        .await
        .ok()
}

async fn post(installation: &Installation, path: &str, body: Value) -> Value {
    let answer = ask(installation, "POST", &format!("{P}{path}"), body).await;
    assert!(answer.status.is_success(), "{path}: {}", answer.text());
    answer.json()
}

async fn put(installation: &Installation, path: &str, body: Value) -> Value {
    ask(installation, "PUT", &format!("{P}{path}"), body)
        .await
        .ok()
}

async fn delete(installation: &Installation, path: &str) {
    let answer = ask(installation, "DELETE", &format!("{P}{path}"), Value::Null).await;
    assert_eq!(answer.status, 204, "{path}: {}", answer.text());
}

/// Begins a roll, and does its first page.
async fn roll_all(installation: &Installation, slot: &str, of: &str) -> Value {
    let mut call = json!({ "slot": slot, "of": of });
    let begun = post(installation, "/rollKeys", call.clone()).await;
    assert_eq!((&begun["rolled"], &begun["next"]), (&json!(0), &json!("")));
    call["begun"] = begun["begun"].clone();
    call["after"] = begun["next"].clone();
    post(installation, "/rollKeys", call).await
}

#[tokio::test]
async fn the_service_and_its_policies_are_shown_and_changed() {
    let installation = Installation::new().await;
    let service = get(&installation, "").await;
    let scope = installation.provisioning.service.id_scope().to_string();
    assert_eq!(service["idScope"], scope.as_str());
    assert_eq!(service["globalEndpoint"], "hub.test");
    assert_eq!(service["allocationPolicy"], "hashed");
    let change = json!({ "allocationPolicy": "geoLatency" });
    let changed = ask(&installation, "PATCH", P, change).await.ok();
    assert_eq!(changed["allocationPolicy"], "geoLatency");
    let policies = get(&installation, "/policies").await;
    assert_eq!(policies["items"][0]["name"], "provisioningserviceowner");
    assert!(!policies.to_string().contains("Key"), "{policies}");
    let policy = get(&installation, "/policies/provisioningserviceowner").await;
    let string = policy["connectionString"].as_str().unwrap();
    let begin = "HostName=hub.test;SharedAccessKeyName=provisioningserviceowner;SharedAccessKey=";
    assert!(string.starts_with(begin), "{string}");
    let hub = ask(&installation, "GET", "/hubs/hub", Value::Null)
        .await
        .ok();
    assert_eq!(
        hub["provisioning"],
        json!({ "globalEndpoint": "hub.test", "idScope": scope, "connectionString": string })
    );
}

#[tokio::test]
async fn hubs_are_linked_and_their_keys_are_never_shown() {
    let installation = Installation::new().await;
    let hubs = get(&installation, "/linkedHubs").await;
    assert_eq!(
        hubs["items"],
        json!([{ "hostName": "hub.test", "isOwn": true, "allocationWeight": 1, "applyAllocationPolicy": true }])
    );
    let key = SymmetricKey::from_bytes(&[5; 32]).unwrap().to_base64();
    let string =
        format!("HostName=far.example:8443;SharedAccessKeyName=iothubowner;SharedAccessKey={key}");
    let linked = post(
        &installation,
        "/linkedHubs",
        json!({ "connectionString": string, "allocationWeight": 3, "region": "West Europe" }),
    )
    .await;
    assert_eq!(linked["policy"], "iothubowner");
    assert_eq!(linked["region"], "west europe");
    let all = get(&installation, "/linkedHubs").await;
    assert!(!all.to_string().contains(&key));
    let changed = ask(
        &installation,
        "PATCH",
        &format!("{P}/linkedHubs/hub.test"),
        json!({ "allocationWeight": 7, "region": "eu" }),
    )
    .await
    .ok();
    assert_eq!(changed["allocationWeight"], 7);
    assert_eq!(changed["region"], "eu");
    let off = ask(
        &installation,
        "PATCH",
        &format!("{P}/linkedHubs/hub.test"),
        json!({ "region": "" }),
    )
    .await
    .ok();
    assert_eq!(off.get("region"), None);
    assert_eq!(off["allocationWeight"], 7);
    let other = json!({ "connectionString": string });
    let wrong = ask(
        &installation,
        "PATCH",
        &format!("{P}/linkedHubs/hub.test"),
        other,
    )
    .await;
    assert_eq!(refused(&wrong), "400 ArgumentInvalid");
    for bad in [
        "",
        "HostName=a.b",
        "HostName=a.b;SharedAccessKeyName=x;SharedAccessKey=?",
    ] {
        let body = json!({ "connectionString": bad });
        let answer = ask(&installation, "POST", &format!("{P}/linkedHubs"), body).await;
        assert_eq!(refused(&answer), "400 ArgumentInvalid", "{bad}");
    }
    delete(&installation, "/linkedHubs/far.example").await;
    let gone = ask(
        &installation,
        "GET",
        &format!("{P}/linkedHubs/far.example"),
        Value::Null,
    )
    .await;
    assert_eq!(refused(&gone), "404 GenericNotFound");
}

#[tokio::test]
async fn places_and_latencies_are_kept() {
    let installation = Installation::new().await;
    let range = "/addressRanges/10.0.0.0%2F8";
    put(&installation, range, json!({ "region": "eu" })).await;
    put(&installation, range, json!({ "region": "us" })).await;
    let ranges = get(&installation, "/addressRanges").await;
    assert_eq!(
        ranges["items"],
        json!([{ "range": "10.0.0.0/8", "region": "us" }])
    );
    delete(&installation, range).await;
    let latency = "/latencies/eu/hub.test";
    put(&installation, latency, json!({ "microseconds": 12_500 })).await;
    let latencies = get(&installation, "/latencies").await;
    assert_eq!(
        latencies["items"],
        json!([{ "region": "eu", "hostName": "hub.test", "microseconds": 12_500 }])
    );
    delete(&installation, latency).await;
    for (verb, path, body) in [
        ("DELETE", range, Value::Null),
        ("DELETE", latency, Value::Null),
    ] {
        let answer = ask(&installation, verb, &format!("{P}{path}"), body).await;
        assert_eq!(refused(&answer), "404 GenericNotFound", "{path}");
    }
    for (path, body) in [
        ("/addressRanges/10.0.0.0%2F40", json!({ "region": "eu" })),
        ("/latencies/eu/none.test", json!({ "microseconds": 1 })),
    ] {
        let answer = ask(&installation, "PUT", &format!("{P}{path}"), body).await;
        assert_eq!(refused(&answer), "400 ArgumentInvalid", "{path}");
    }
}

#[tokio::test]
async fn enrollments_are_written_back_as_they_were_read() {
    let installation = Installation::new().await;
    let terms = json!({
        "status": "enabled", "iotEdge": true, "allocationPolicy": "static", "hubs": ["hub.test"],
        "initialTwin": { "tags": { "site": 1 } },
        "reprovisionPolicy": { "updateHubAssignment": true, "migrateDeviceData": false },
    });
    let body = json!({
        "registrationId": "Sensor-1", "deviceId": "d1", "attestation": { "type": "symmetricKey" }, "terms": terms,
        "information": { "color": "red" },
    });
    let made = post(&installation, "/enrollments", body).await;
    let keys = made["attestation"]["symmetricKey"].clone();
    assert!(keys["primaryKey"].is_string());
    let mut read = get(&installation, "/enrollments/sensor-1").await;
    assert_eq!(read["terms"], terms);
    assert_eq!(read["attestation"], json!({ "type": "symmetricKey" }));
    let etag = format!("\"{}\"", read["etag"].as_str().unwrap());
    let members = read.as_object_mut().unwrap();
    for name in ["etag", "created", "updated"] {
        members.remove(name);
    }
    read["terms"]["status"] = json!("disabled");
    let path = format!("{P}/enrollments/sensor-1");
    let write = || Ask::admin("PUT", &path).guard(&etag);
    let written = write().send(&installation, &read.to_string()).await.ok();
    assert_eq!(written["terms"]["status"], "disabled");
    let stale = write().send(&installation, &read.to_string()).await;
    assert_eq!(refused(&stale), "412 PreconditionFailed");
    let shown = get(&installation, "/enrollments/sensor-1/keys").await;
    assert_eq!(shown["symmetricKey"], keys);
    let rolled = post(
        &installation,
        "/enrollments/sensor-1/rollKeys",
        json!({ "slot": "swap" }),
    )
    .await;
    assert_eq!(rolled["symmetricKey"]["primaryKey"], keys["secondaryKey"]);
    let all = roll_all(&installation, "primary", "enrollments").await;
    assert_eq!((&all["rolled"], &all["skipped"]), (&json!(1), &json!(0)));
    let list = get(&installation, "/enrollments?max=1").await;
    assert_eq!(list["items"][0]["registrationId"], "Sensor-1");
    delete(&installation, "/enrollments/sensor-1").await;
    assert_eq!(get(&installation, "/enrollments").await["items"], json!([]));
}

#[tokio::test]
async fn a_group_registers_devices_and_the_administrator_sees_it() {
    let installation = Installation::new().await;
    let body = json!({ "enrollmentGroupId": "g1", "attestation": { "type": "symmetricKey" } });
    let made = post(&installation, "/enrollmentGroups", body).await;
    let key = made["attestation"]["symmetricKey"]["primaryKey"]
        .as_str()
        .unwrap();
    let key = derived_key(&SymmetricKey::parse(key).unwrap(), "d1");
    let scope = installation.provisioning.service.id_scope();
    let preview = post(
        &installation,
        "/allocation/preview",
        json!({ "registrationId": "d1", "enrollmentGroupId": "g1" }),
    )
    .await;
    assert_eq!(preview["hubs"][0]["hostName"], "hub.test");
    assert_eq!(preview["isPolicyOfService"], true);
    let token = sign_token(
        &format!("{scope}/registrations/d1"),
        &key,
        hub_domain::Timestamp::from_seconds(4_000_000_000),
        Some("registration"),
    );
    let request = installation
        .request("PUT", &format!("/{scope}/registrations/d1/register"))
        .header("authorization", token);
    assert_eq!(installation.send(request, "{}").await.status, 202);
    let one = get(&installation, "/registrations/d1").await;
    assert_eq!(one["status"], "assigned");
    assert_eq!(one["enrollmentGroupId"], "g1");
    for (query, count) in [
        ("", 1),
        ("?group=g1", 1),
        ("?group=g2", 0),
        ("?filter=failed", 0),
    ] {
        let list = get(&installation, &format!("/registrations{query}")).await;
        assert_eq!(list["items"].as_array().unwrap().len(), count, "{query}");
    }
    assert_eq!(get(&installation, "").await["registrations"]["assigned"], 1);
    delete(&installation, "/registrations/d1").await;
    let gone = ask(
        &installation,
        "GET",
        &format!("{P}/registrations/d1"),
        Value::Null,
    )
    .await;
    assert_eq!(refused(&gone), "404 GenericNotFound");
    let rolled = roll_all(&installation, "swap", "enrollmentGroups").await;
    assert_eq!(rolled["rolled"], 1);
    delete(&installation, "/enrollmentGroups/g1").await;
}

#[tokio::test]
async fn issuers_and_credential_policies_are_kept_and_the_report_shows_them() {
    let installation = Installation::new().await;
    let issuer = post(&installation, "/issuers", json!({ "name": "factory" })).await;
    assert!(
        issuer["certificateChain"]
            .as_str()
            .unwrap()
            .contains("BEGIN CERTIFICATE")
    );
    assert!(!issuer.to_string().contains("PRIVATE"));
    let body = json!({ "name": "fleet", "issuer": "factory", "validityDays": 60 });
    let policy = post(&installation, "/credentialPolicies", body).await;
    assert_eq!(policy["validityDays"], 60);
    for bad in [
        json!({ "name": "b", "issuer": "none" }),
        json!({ "name": "b", "issuer": "factory", "validityDays": 91 }),
    ] {
        let answer = ask(
            &installation,
            "POST",
            &format!("{P}/credentialPolicies"),
            bad,
        )
        .await;
        assert_eq!(refused(&answer), "400 ArgumentInvalid");
    }
    let used = ask(
        &installation,
        "DELETE",
        &format!("{P}/issuers/factory"),
        Value::Null,
    )
    .await;
    assert_eq!(refused(&used), "400 ArgumentInvalid");
    let report = ask(
        &installation,
        "GET",
        "/keys/expiring?within=36500",
        Value::Null,
    )
    .await
    .ok();
    assert_eq!(report["items"][0]["what"], "issuer");
    assert_eq!(report["items"][0]["isExpired"], false);
    let report = ask(&installation, "GET", "/keys/expiring", Value::Null)
        .await
        .ok();
    assert_eq!(report["items"], json!([]));
    delete(&installation, "/credentialPolicies/fleet").await;
    delete(&installation, "/issuers/factory").await;
}

#[tokio::test]
async fn a_policy_of_the_service_sees_what_expires_in_its_part() {
    let installation = Installation::new().await;
    post(&installation, "/issuers", json!({ "name": "factory" })).await;
    let path = "/keys/expiring?within=36500";
    let all = ask(&installation, "GET", path, Value::Null).await.ok();
    assert_eq!(all["items"][0]["what"], "issuer");
    assert_eq!(all.get("leftOut"), None);
    for (permission, seen, left_out) in [
        (
            ServicePermission::ServiceConfig,
            1,
            json!([
                "hubCertificate",
                "enrollmentGroup",
                "enrollment",
                "registration"
            ]),
        ),
        (
            ServicePermission::EnrollmentRead,
            0,
            json!([
                "hubCertificate",
                "provisioningCertificate",
                "issuer",
                "registration"
            ]),
        ),
    ] {
        let installation = Installation::new().await;
        post(&installation, "/issuers", json!({ "name": "factory" })).await;
        let held = ServicePermissions::of(&[permission]);
        let token = token_of_service(&installation, held).await;
        let report = Ask::with("GET", path, Some(token))
            .send(&installation, "")
            .await
            .ok();
        assert_eq!(report["items"].as_array().unwrap().len(), seen);
        assert_eq!(report["leftOut"], left_out);
    }
}

#[tokio::test(start_paused = true)]
async fn refusals_are_listed_page_by_page_and_found_by_id() {
    let installation = Installation::new().await;
    let settings = json!({ "registrationId": "own", "attestation": { "type": "symmetricKey" } });
    post(&installation, "/enrollments", settings).await;
    let wrong = SymmetricKey::from_bytes(&[9; 32]).unwrap();
    let scope = installation.provisioning.service.id_scope().to_string();
    for id in ["a:1", "own", "C"] {
        let resource = format!("{scope}/registrations/{id}");
        let token = sign_token(
            &resource,
            &wrong,
            Timestamp::from_seconds(4_000_000_000),
            Some("registration"),
        );
        let path = format!("/{scope}/registrations/{id}/register?api-version=2021-06-01");
        let request = installation
            .request("PUT", &path)
            .header("authorization", token);
        let answer = installation.send(request, "{}").await;
        assert_eq!(answer.status, 401, "{}", answer.text());
    }
    let mut ids = Vec::new();
    let mut path = "/refusals?max=2".to_owned();
    loop {
        let page = get(&installation, &path).await;
        let items = page["items"].as_array().unwrap().iter();
        ids.extend(items.map(|one| one["registrationId"].as_str().unwrap().to_owned()));
        let Some(next) = page["next"].as_str() else {
            break;
        };
        path = format!("/refusals?max=2&after={next}");
    }
    assert_eq!(ids, ["own", "a:1", "C"]);
    let one = get(&installation, "/refusals/c").await;
    assert_eq!(
        (&one["registrationId"], &one["count"]),
        (&json!("C"), &json!(1))
    );
    for (path, refusal) in [
        ("/refusals/d", "404 GenericNotFound"),
        ("/refusals?after=C", "400 ArgumentInvalid"),
        ("/refusals?after=2:1:c", "400 ArgumentInvalid"),
        ("/refusals?after=1:x:c", "400 ArgumentInvalid"),
        ("/refusals?max=1001", "400 ArgumentInvalid"),
    ] {
        let answer = ask(&installation, "GET", &format!("{P}{path}"), Value::Null).await;
        assert_eq!(refused(&answer), refusal, "{path}");
    }
}

/// Parameters of a certificate that is good until a day of 2026.
fn certificate_until(name: &str, (month, day): (u8, u8)) -> rcgen::CertificateParams {
    let mut params = rcgen::CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params
        .distinguished_name
        .push(rcgen::DnType::CommonName, name);
    params.not_before = rcgen::date_time_ymd(2025, 1, 1);
    params.not_after = rcgen::date_time_ymd(2026, month, day);
    params
}

#[tokio::test]
async fn what_devices_of_groups_registered_with_expires_too() {
    let installation = Installation::new().await;
    let mut line = certificate_until("line-7", (12, 1));
    line.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let line = rcgen::CertifiedIssuer::self_signed(line, rcgen::KeyPair::generate().unwrap());
    let line = line.unwrap();
    let group = json!({ "enrollmentGroupId": "line-7", "attestation": {
        "type": "x509", "signingCertificates": { "primary": { "certificate": line.pem() } } } });
    post(&installation, "/enrollmentGroups", group).await;
    let scope = installation.provisioning.service.id_scope().to_string();
    for (id, ends) in [("sn-1", (2, 10)), ("sn-2", (11, 1))] {
        let key = rcgen::KeyPair::generate().unwrap();
        let leaf = certificate_until(id, ends).signed_by(&key, &line).unwrap();
        let client = Client {
            certificates: vec![leaf.der().clone()],
            ..Client::new("127.0.0.1:1".parse().unwrap())
        };
        let path = format!("/{scope}/registrations/{id}/register?api-version=2021-06-01");
        let request = installation.request("PUT", &path);
        let request = request.extension(Peer::new(client));
        let answer = installation.send(request, "{}").await;
        assert_eq!(answer.status, 202, "{}", answer.text());
    }
    let report = ask(&installation, "GET", "/keys/expiring", Value::Null)
        .await
        .ok();
    let items = report["items"].as_array().unwrap();
    assert_eq!(items.len(), 1, "{report}");
    assert_eq!(
        (&items[0]["what"], &items[0]["name"]),
        (&json!("registration"), &json!("sn-1"))
    );
}
