use hub_domain::provisioning::{
    AllocationPolicy, Attestation, Enrollment, EnrollmentGroup, EnrollmentGroupId, RegistrationId,
    Slots, Terms,
};
use hub_domain::{Etag, Status, SymmetricKey, Timestamp};
use serde_json::{Value, json};

use super::*;
use crate::compat::InputError;
use crate::native::Keys;

const VERSION: &str = "2021-10-01";
const KEY: &str = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";
const MOMENT: Timestamp = Timestamp::from_seconds(1_769_860_800);

fn key() -> SymmetricKey {
    SymmetricKey::parse(KEY).unwrap()
}

fn unreadable(_: &[u8]) -> Option<CertificateDescription> {
    None
}

fn described(der: &[u8]) -> Option<CertificateDescription> {
    Some(CertificateDescription {
        subject_name: "CN=d1".to_owned(),
        sha1_thumbprint: format!("AB{:02X}", der[0]),
        sha256_thumbprint: "CD".to_owned(),
        issuer_name: "CN=ca".to_owned(),
        not_before_utc: MOMENT,
        not_after_utc: MOMENT,
        serial_number: "01".to_owned(),
        version: 3,
    })
}

fn read(body: &Value) -> Result<EnrollmentInput, InputError> {
    EnrollmentInput::parse(body.to_string().as_bytes())
}

#[track_caller]
fn refused(body: &Value) -> String {
    match read(body) {
        Ok(_) => panic!("it was taken: {body}"),
        Err(error) => error.to_string(),
    }
}

fn enrollment(input: EnrollmentInput) -> Enrollment {
    let attestation = match input.attestation {
        AttestationInput::SymmetricKey { primary, secondary } => Attestation::SymmetricKey {
            primary: primary.unwrap_or_else(key),
            secondary: secondary.unwrap_or_else(key),
        },
        AttestationInput::Tpm {
            endorsement_key,
            storage_root_key,
        } => Attestation::Tpm {
            endorsement_key: endorsement_key.into(),
            storage_root_key: storage_root_key.map(Into::into),
        },
        AttestationInput::ClientCertificates(slots) => {
            let slot = |input| match input {
                CertificateInput::Given(der) => {
                    hub_domain::provisioning::CertificateSlot { der: der.into() }
                }
                CertificateInput::Known { .. } => panic!("only known"),
            };
            Attestation::ClientCertificates(Slots {
                primary: slots.primary.map(slot),
                secondary: slots.secondary.map(slot),
            })
        }
        AttestationInput::SigningCertificates(_) => panic!("of a group"),
        AttestationInput::AuthorityReferences(names) => Attestation::AuthorityReferences(names),
    };
    Enrollment {
        id: RegistrationId::parse(&input.registration_id.unwrap()).unwrap(),
        device: input.device,
        attestation,
        terms: input.terms,
        information: input.information,
        etag: Etag("e1".to_owned()),
        created: MOMENT,
        updated: MOMENT,
        rolled_in: None,
    }
}

#[test]
fn an_enrollment_with_every_member_comes_back_as_it_was_sent() {
    let sent = json!({
        "registrationId": "Sensor-1",
        "deviceId": "d1",
        "optionalDeviceInformation": { "color": "red" },
        "attestation": { "type": "symmetricKey", "symmetricKey": { "primaryKey": KEY, "secondaryKey": KEY } },
        "capabilities": { "iotEdge": true },
        "iotHubHostName": "hub.test",
        "initialTwin": { "tags": { "site": 3 }, "properties": { "desired": { "speed": 1.5 } } },
        "provisioningStatus": "disabled",
        "reprovisionPolicy": { "updateHubAssignment": true, "migrateDeviceData": false },
        "allocationPolicy": "custom",
        "iotHubs": ["hub.test", "other.test"],
        "customAllocationDefinition": { "webhookUrl": "https://f.example/x?code=1", "apiVersion": "2021-10-01" },
        "credentialPolicyName": "fleet",
    });
    let mut expected = sent.clone();
    expected["etag"] = json!("\"e1\"");
    expected["createdDateTimeUtc"] = json!("2026-01-31T12:00:00.0000000Z");
    expected["lastUpdatedDateTimeUtc"] = json!("2026-01-31T12:00:00.0000000Z");
    let stored = enrollment(read(&sent).unwrap());
    let answered = enrollment_document(&stored, Keys::Shown, &unreadable, VERSION);
    assert_eq!(answered, expected);
    // What was answered can be sent again.
    let again = read(&answered).unwrap();
    assert_eq!(again.etag.as_deref(), Some("e1"));
    let again = enrollment_document(&enrollment(again), Keys::Shown, &unreadable, VERSION);
    assert_eq!(again, expected);
    // Newer versions have another name for the policy.
    let newer = enrollment_document(&stored, Keys::Shown, &unreadable, "2026-11-01");
    assert_eq!(newer["certificatePolicyName"], "fleet");
    assert_eq!(newer.get("credentialPolicyName"), None);
    let stored = enrollment(read(&newer).unwrap());
    let again = enrollment_document(&stored, Keys::Shown, &unreadable, VERSION);
    assert_eq!(again, expected);
}

#[test]
fn the_credential_policy_has_one_value_by_whatever_name() {
    let names = |names: Value| {
        let mut sent = json!({ "registrationId": "r", "attestation": { "type": "symmetricKey" } });
        let members = names.as_object().unwrap().clone();
        sent.as_object_mut().unwrap().extend(members);
        match read(&sent) {
            Ok(input) => input
                .terms
                .credential_policy
                .map(|policy| policy.as_str().to_owned())
                .unwrap_or_default(),
            Err(error) => error.to_string(),
        }
    };
    for (sent, expected) in [
        (json!({}), ""),
        (json!({ "certificatePolicyName": "fleet" }), "fleet"),
        (
            json!({ "credentialPolicyName": null, "certificatePolicyName": "fleet" }),
            "fleet",
        ),
        (
            json!({ "credentialPolicyName": "fleet", "certificatePolicyName": "fleet" }),
            "fleet",
        ),
        (
            json!({ "credentialPolicyName": "fleet", "certificatePolicyName": "other" }),
            "certificatePolicyName: it is another name for credentialPolicyName, which says something else",
        ),
    ] {
        assert_eq!(names(sent), expected);
    }
}

#[test]
fn the_least_enrollment_has_the_documented_defaults() {
    let sent = json!({ "registrationId": "r", "attestation": { "type": "symmetricKey" } });
    let input = read(&sent).unwrap();
    assert_eq!(input.terms, Terms::default());
    let answered = enrollment_document(&enrollment(input), Keys::Hidden, &unreadable, VERSION);
    assert_eq!(
        answered,
        json!({
            "registrationId": "r", "attestation": { "type": "symmetricKey" }, "provisioningStatus": "enabled",
            "capabilities": { "iotEdge": false }, "etag": "\"e1\"",
            "createdDateTimeUtc": "2026-01-31T12:00:00.0000000Z", "lastUpdatedDateTimeUtc": "2026-01-31T12:00:00.0000000Z",
        })
    );
}

#[test]
fn members_that_are_null_or_not_known_are_ignored() {
    let sent = json!({
        "registrationId": "r", "deviceId": null, "registrationState": 7, "createdDateTimeUtc": [], "other": {},
        "attestation": {
            "type": "TPM", "tpm": { "endorsementKey": "AAEC", "storageRootKey": null }, "x509": null,
            "symmetricKey": null,
        },
        "initialTwin": {
            "tags": { "a": 1, "$version": 3, "$metadata": {} }, "properties": { "desired": null },
        },
        "iotHubs": null, "allocationPolicy": null, "customAllocationDefinition": null,
    });
    let input = read(&sent).unwrap();
    assert_eq!(
        Value::Object(input.terms.initial_twin.tags.clone()),
        json!({ "a": 1 })
    );
    let answered = enrollment_document(&enrollment(input), Keys::Hidden, &unreadable, VERSION);
    assert_eq!(
        answered["attestation"],
        json!({ "type": "tpm", "tpm": { "endorsementKey": "AAEC" } })
    );
}

#[test]
fn what_is_wrong_is_named_and_secrets_are_not_shown() {
    let with = |member: &str, value: Value| {
        let mut body = json!({ "registrationId": "r", "attestation": { "type": "symmetricKey" } });
        body[member] = value;
        refused(&body)
    };
    let cases = [
        (
            with("registrationId", json!(1)),
            "registrationId must be a string, not a number",
        ),
        (with("attestation", Value::Null), "attestation is missing"),
        (
            with("attestation", json!({})),
            "attestation.type is missing",
        ),
        (
            with("attestation", json!({ "type": "none" })),
            "attestation.type: it must be tpm, x509 or symmetricKey",
        ),
        (
            with("attestation", json!({ "type": "tpm" })),
            "attestation.tpm is missing",
        ),
        (
            with(
                "attestation",
                json!({ "type": "tpm", "tpm": { "endorsementKey": "*" } }),
            ),
            "attestation.tpm.endorsementKey: it must be the public key of a TPM in base64",
        ),
        (
            with(
                "attestation",
                json!({ "type": "x509", "x509": { "clientCertificates": { "primary": { "certificate": "?" } } } }),
            ),
            "attestation.x509.clientCertificates.primary.certificate: it must be one certificate, as PEM or as DER in base64",
        ),
        (
            with("attestation", json!({ "type": "x509", "x509": {} })),
            "attestation.x509: it must have one of clientCertificates, signingCertificates and caReferences, with a primary or secondary",
        ),
        (
            with(
                "attestation",
                json!({ "type": "x509", "x509": {
                    "clientCertificates": { "primary": { "certificate": "MAA=" } },
                    "caReferences": { "primary": "root" },
                } }),
            ),
            "attestation.x509: it must have only one of clientCertificates, signingCertificates and caReferences",
        ),
        (
            with("provisioningStatus", json!("on")),
            "provisioningStatus: it must be enabled or disabled",
        ),
        (
            with("capabilities", json!({ "iotEdge": "yes" })),
            "capabilities.iotEdge must be a boolean, not a string",
        ),
        (
            with("iotHubs", json!(["hub.test", 1])),
            "iotHubs[1] must be a string, not a number",
        ),
        (
            with(
                "customAllocationDefinition",
                json!({ "webhookUrl": "https://x.test" }),
            ),
            "customAllocationDefinition.apiVersion is missing",
        ),
        (
            with("initialTwin", json!({ "tags": [] })),
            "initialTwin.tags must be an object, not an array",
        ),
    ];
    for (found, expected) in cases {
        assert_eq!(found, expected);
    }
    let text = with(
        "attestation",
        json!({ "type": "symmetricKey", "symmetricKey": { "primaryKey": "secret!" } }),
    );
    assert!(
        text.starts_with("attestation.symmetricKey.primaryKey: "),
        "{text}"
    );
    assert!(!text.contains("secret"), "{text}");
    assert_eq!(
        refused(&json!([])),
        "the body must be an object, not an array"
    );
}

#[test]
fn certificates_are_taken_in_every_form_that_clients_send() {
    let der = [0x30, 1, 2, 3];
    let pem = pem(&der);
    assert_eq!(
        pem,
        "-----BEGIN CERTIFICATE-----\nMAECAw==\n-----END CERTIFICATE-----\n"
    );
    let base64_of_pem = {
        use base64::Engine as _;
        base64::engine::general_purpose::STANDARD.encode(&pem)
    };
    for text in [
        pem.as_str(),
        "MAECAw==",
        "MAEC\nAw==\r\n",
        base64_of_pem.as_str(),
        "-----BEGIN CERTIFICATE-----\\nMAECAw==\\n-----END CERTIFICATE-----",
        "-----BEGIN CERTIFICATE-----MAECAw==-----END CERTIFICATE-----",
        &format!("subject=x\n{pem}{pem}"),
    ] {
        assert_eq!(certificate_bytes(text).as_deref(), Some(&der[..]), "{text}");
    }
    for text in [
        "",
        "no",
        "-----BEGIN CERTIFICATE-----",
        "-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----",
    ] {
        assert_eq!(certificate_bytes(text), None, "{text}");
    }
}

#[test]
fn answers_about_certificates_can_be_sent_back() {
    let sent = json!({
        "registrationId": "r",
        "attestation": { "type": "x509", "x509": { "clientCertificates": {
            "primary": { "certificate": "MAECAw==" }, "secondary": { "certificate": "MQECAw==" },
        } } },
    });
    let stored = enrollment(read(&sent).unwrap());
    let shown = enrollment_document(&stored, Keys::Shown, &described, VERSION);
    let slots = &shown["attestation"]["x509"]["clientCertificates"];
    assert!(
        slots["primary"]["certificate"]
            .as_str()
            .unwrap()
            .starts_with("-----BEGIN")
    );
    let hidden = enrollment_document(&stored, Keys::Hidden, &described, VERSION);
    let slots = &hidden["attestation"]["x509"]["clientCertificates"];
    assert_eq!(
        slots["secondary"],
        json!({ "info": {
            "subjectName": "CN=d1", "sha1Thumbprint": "AB31", "sha256Thumbprint": "CD", "issuerName": "CN=ca",
            "notBeforeUtc": "2026-01-31T12:00:00.0000000Z", "notAfterUtc": "2026-01-31T12:00:00.0000000Z", "serialNumber": "01",
            "version": 3,
        } })
    );
    let AttestationInput::ClientCertificates(slots) = read(&hidden).unwrap().attestation else {
        panic!("another kind");
    };
    let known = |thumbprint: &str| {
        Some(CertificateInput::Known {
            sha1_thumbprint: thumbprint.to_owned(),
        })
    };
    assert_eq!(
        (slots.primary, slots.secondary),
        (known("AB30"), known("AB31"))
    );
}

#[test]
fn a_group_is_read_and_written() {
    let sent = json!({
        "enrollmentGroupId": "g-1", "allocationPolicy": "GeoLatency",
        "attestation": { "type": "x509", "x509": { "caReferences": { "primary": "root", "secondary": "" } } },
    });
    let input = EnrollmentGroupInput::parse(sent.to_string().as_bytes()).unwrap();
    assert_eq!(input.terms.allocation, Some(AllocationPolicy::GeoLatency));
    assert_eq!(input.terms.status, Status::Enabled);
    let AttestationInput::AuthorityReferences(names) = input.attestation else {
        panic!("another kind");
    };
    let group = EnrollmentGroup {
        id: EnrollmentGroupId::parse("g-1").unwrap(),
        attestation: Attestation::AuthorityReferences(names),
        terms: input.terms,
        etag: Etag("e".to_owned()),
        created: MOMENT,
        updated: MOMENT,
        rolled_in: None,
    };
    let answered = enrollment_group_document(&group, Keys::Hidden, &unreadable, VERSION);
    assert_eq!(
        answered["attestation"],
        json!({ "type": "x509", "x509": { "caReferences": { "primary": "root" } } })
    );
    assert_eq!(answered["allocationPolicy"], "geoLatency");
}

#[test]
fn bulk_operations_keep_what_is_wrong_with_one_enrollment_to_it() {
    let body = json!({
        "mode": "updateIfMatchEtag",
        "enrollments": [
            { "registrationId": "a", "etag": "\"e1\"", "attestation": { "type": "symmetricKey" } },
            { "registrationId": "b", "attestation": { "type": 3 } },
        ],
    });
    let bulk = BulkInput::<EnrollmentInput>::parse(body.to_string().as_bytes()).unwrap();
    assert_eq!(bulk.mode, BulkMode::UpdateIfMatch);
    assert_eq!(bulk.items[0].etag.as_deref(), Some("e1"));
    assert!(matches!(bulk.items[0].document, Ok(Some(_))));
    let error = bulk.items[1].document.as_ref().err().unwrap();
    assert_eq!(
        error.to_string(),
        "enrollments[1].attestation.type must be a string, not a number"
    );
    let refused = |body: Value| {
        let result = BulkInput::<EnrollmentGroupInput>::parse(body.to_string().as_bytes());
        result.err().unwrap().to_string()
    };
    assert_eq!(refused(json!({})), "mode is missing");
    assert_eq!(
        refused(json!({ "mode": "delete", "enrollments": [] })),
        "enrollmentGroups is missing"
    );
    assert_eq!(
        refused(json!({ "mode": "delete", "enrollmentGroups": [] })),
        "enrollmentGroups: it must have 1 to 10 elements"
    );
    let eleven: Vec<_> = (0..11)
        .map(|n| json!({ "enrollmentGroupId": n.to_string() }))
        .collect();
    assert_eq!(
        refused(json!({ "mode": "delete", "enrollmentGroups": eleven })),
        "enrollmentGroups: it must have 1 to 10 elements"
    );
    let problem = BulkProblem {
        id: "b".to_owned(),
        code: 400_004,
        text: "no".to_owned(),
    };
    assert_eq!(
        bulk_result("registrationId", &[problem]),
        json!({ "isSuccessful": false, "errors": [{ "registrationId": "b", "errorCode": 400_004, "errorStatus": "no" }] })
    );
    assert_eq!(
        bulk_result("registrationId", &[]),
        json!({ "isSuccessful": true, "errors": [] })
    );
}

fn query(text: &str) -> Result<EnrollmentQuery, QueryError> {
    EnrollmentQuery::parse_text(text, Collection::Enrollments)
}

#[test]
fn queries_of_the_clients_want_everything() {
    for text in [
        "*",
        "SELECT *",
        "select * from enrollments",
        " SELECT * FROM Enrollments ; ",
    ] {
        assert!(query(text).unwrap().is_all(), "{text}");
    }
    for text in [
        "SELECT * FROM enrollmentGroups",
        "SELECT * FROM enrollments",
    ] {
        let query = EnrollmentQuery::parse_text(text, Collection::EnrollmentGroups);
        assert!(query.unwrap().is_all(), "{text}");
    }
}

#[test]
fn conditions_choose_documents_by_their_members() {
    let document = json!({
        "registrationId": "Sensor-1", "provisioningStatus": "enabled", "capabilities": { "iotEdge": false },
        "initialTwin": { "tags": { "floor": 3 } },
    });
    let yes = [
        "provisioningStatus = 'enabled'",
        "registrationId = 'sensor-1'",
        "enrollments.provisioningStatus = \"enabled\" AND capabilities.iotEdge = false",
        "provisioningStatus = 'disabled' OR initialTwin.tags.floor >= 3",
        "NOT provisioningStatus = 'disabled'",
        "provisioningStatus <> 'disabled' and (deviceId != 'x' or deviceId = 'y')",
        "initialTwin.tags.floor in [1, 3]",
    ];
    for condition in yes {
        let query = query(&format!("SELECT * FROM enrollments WHERE {condition}")).unwrap();
        assert!(query.wants(&document), "{condition}");
    }
    let no = [
        "provisioningStatus = 'Enabled'",
        "deviceId = 'x'",
        "initialTwin.tags.floor = '3'",
        "initialTwin.tags.floor < 3",
        "provisioningStatus in ['a', 'it''s']",
    ];
    for condition in no {
        let query = query(&format!("SELECT * WHERE {condition}")).unwrap();
        assert!(!query.wants(&document), "{condition}");
    }
}

#[test]
fn queries_that_are_none_are_refused() {
    let bad = [
        "",
        "SELECT deviceId FROM enrollments",
        "SELECT * FROM devices",
        "SELECT * FROM enrollments ORDER BY etag",
        "SELECT * WHERE",
        "SELECT * WHERE a",
        "SELECT * WHERE a = ",
        "SELECT * WHERE a = b",
        "SELECT * WHERE a = 'x",
        "SELECT * WHERE (a = 1",
        "SELECT * WHERE a = 1 b",
        "SELECT * WHERE a..b = 1",
        "SELECT * WHERE a in []",
        "SELECT * WHERE ä% = 1",
    ];
    for text in bad {
        assert!(query(text).is_err(), "{text}");
    }
    assert!(query(&format!("SELECT * WHERE {}a = 1", "NOT ".repeat(100))).is_err());
    assert!(query(&"*".repeat(5000)).is_err());
    let body = json!({ "query": 1 }).to_string();
    let error = EnrollmentQuery::parse(body.as_bytes(), Collection::Enrollments).unwrap_err();
    assert_eq!(error.to_string(), "query must be a string, not a number");
}
