//! Who may do what. Walks the list of operations, so that a new one is tested here too.

use hub_api::native::{BASE_PATH, Needs, OPERATIONS, Operation, Verb};
use hub_domain::access::DEFAULT_POLICIES;
use hub_domain::provisioning::{ServicePermission, ServicePermissions, ServicePolicyName};
use hub_domain::sas::sign_token;
use hub_domain::{Permission, Permissions, Timestamp};
use hub_provisioning::NewServicePolicy;

use super::{Ask, refused, with_device};
use crate::testing::{Answer, BEGINNING, Installation, token_of};

/// A well-formed call, so that only the caller can be what is wrong. Streams are asked to end at once.
pub(super) async fn call(
    installation: &Installation,
    operation: &Operation,
    authorization: Option<String>,
) -> Answer {
    let values: Vec<&str> = operation
        .path_parameters()
        .map(|name| match name {
            "hub" => "hub",
            "device" => "d1",
            "module" => "m1",
            "file" => "d1/a",
            "certificate" => "c1",
            "delivery" => "00000000-0000-0000-0000-000000000000",
            "queue" => "feedback",
            "batch" => "00000000-0000-0000-0000-000000000000",
            "route" => "r1",
            "enrichment" => "k1",
            "policy" => "provisioningserviceowner",
            "host" => "hub.test",
            "range" => "10.0.0.0/8",
            "region" => "eu",
            "registration" => "r1",
            "group" => "g1",
            "issuer" => "i1",
            "credentialPolicy" => "p1",
            other => panic!("a parameter without a value: {other}"),
        })
        .collect();
    let path = operation.path_of(&values);
    let query = if operation.path.ends_with("/events") {
        "?follow=false"
    } else {
        ""
    };
    let path = format!("{}{query}", path.strip_prefix(BASE_PATH).unwrap());
    Ask::with(operation.verb.as_str(), &path, authorization)
        .send(installation, body(operation))
        .await
}

fn body(operation: &Operation) -> &'static str {
    match operation.request {
        None => "",
        Some("NewHub") => r#"{"name":"other","hostName":"other.test"}"#,
        Some("NewCertificate") => r#"{"name":"c1","certificate":"AAAA"}"#,
        Some("CertificateReplacement" | "CertificateProof") => r#"{"certificate":"AAAA"}"#,
        Some("DeviceSettings" | "ModuleSettings") if operation.verb == Verb::Put => "{}",
        Some("DeviceSettings") => r#"{"deviceId":"d2"}"#,
        Some("ModuleSettings") => r#"{"moduleId":"m2"}"#,
        Some("Route") => r#"{"name":"r1","source":"DeviceMessages"}"#,
        Some("FallbackRoute") => r#"{"isEnabled":true}"#,
        Some("Enrichment") => r#"{"key":"k1","value":"x"}"#,
        Some("RoutingTest") => "{}",
        Some("TwinChange") => r#"{"tags":{}}"#,
        Some("MethodCall") => r#"{"methodName":"m"}"#,
        Some("NewMessage" | "HubSettingsChange") => "{}",
        Some("ProvisioningServiceChange" | "LinkedHubChange") => "{}",
        Some("NewLinkedHub") => r#"{"connectionString":""}"#,
        Some("NewServicePolicy") => r#"{"name":"p2","permissions":["ServiceConfig"]}"#,
        Some("ServicePolicyChange") => "{}",
        Some("AddressRanges" | "Latencies") => r#"{"items":[]}"#,
        Some("RegionName") => r#"{"region":"eu"}"#,
        Some("LatencyValue") => r#"{"microseconds":1}"#,
        Some("EnrollmentSettings") => {
            r#"{"registrationId":"r1","attestation":{"type":"symmetricKey"}}"#
        }
        Some("EnrollmentGroupSettings") => {
            r#"{"enrollmentGroupId":"g1","attestation":{"type":"symmetricKey"}}"#
        }
        Some("KeyRoll") => r#"{"slot":"swap"}"#,
        Some("IdentityKeyRoll") => r#"{"slot":"swap","identities":[{"deviceId":"d1"}]}"#,
        Some("KeyRollTarget") => r#"{"slot":"swap","of":"enrollments"}"#,
        Some("AllocationRequest") => r#"{"registrationId":"r1"}"#,
        Some("NewIssuer") => r#"{"name":"i1"}"#,
        Some("CredentialPolicySettings") => r#"{"name":"p1","issuer":"i1"}"#,
        Some(other) => panic!("a request without a body: {other}"),
    }
}

fn name(operation: &Operation) -> &'static str {
    operation.id.as_str()
}

#[tokio::test]
async fn no_operation_answers_without_a_caller() {
    let installation = with_device().await;
    for operation in OPERATIONS {
        let answer = call(&installation, operation, None).await;
        assert_eq!(
            refused(&answer),
            "401 IotHubUnauthorized",
            "{}",
            name(operation)
        );
        assert_eq!(answer.header("www-authenticate"), "Bearer");
    }
}

#[tokio::test]
async fn no_operation_answers_to_a_wrong_proof() {
    let installation = with_device().await;
    let owner = installation.hub.policy("iothubowner").unwrap();
    let expired = sign_token(
        "hub.test",
        &owner.primary,
        BEGINNING.minus(std::time::Duration::from_secs(600)),
        Some("iothubowner"),
    );
    let other = installation.add_hub("other").await;
    let proofs = [
        "Bearer local-admin-token2".to_owned(),
        "Bearer".to_owned(),
        "Basic dXNlcjpwYXNz".to_owned(),
        "SharedAccessSignature nonsense".to_owned(),
        token_of(&installation.hub, "nobody", &owner.primary),
        token_of(
            &installation.hub,
            "iothubowner",
            &hub_domain::SymmetricKey::from_bytes(&[1; 32]).unwrap(),
        ),
        expired,
    ];
    for operation in OPERATIONS {
        for proof in &proofs {
            let answer = call(&installation, operation, Some(proof.clone())).await;
            assert_eq!(
                answer.status,
                401,
                "{} {proof}: {}",
                name(operation),
                answer.text()
            );
        }
        let of_other = token_of(
            &other,
            "iothubowner",
            &other.policy("iothubowner").unwrap().primary,
        );
        if operation.path.contains("{hub}") {
            let answer = call(&installation, operation, Some(of_other)).await;
            assert_eq!(
                answer.status,
                401,
                "another hub's token: {}",
                name(operation)
            );
        }
    }
}

#[tokio::test(start_paused = true)]
async fn every_operation_answers_exactly_the_policies_that_may() {
    let installation = with_device().await;
    for operation in OPERATIONS {
        for (policy, permissions) in DEFAULT_POLICIES {
            let held = Permissions::of(permissions);
            let may = match operation.needs {
                Needs::Admin | Needs::Service(_) | Needs::AnyOfService(_) => false,
                Needs::AnyPolicy => true,
                // Counts are for whoever reads devices in one way or the other.
                Needs::Permission(_) if name(operation) == "getStatistics" => {
                    held.allows(Permission::RegistryRead) || held.allows(Permission::ServiceConnect)
                }
                Needs::Permission(needed) => Permission::ALL
                    .into_iter()
                    .any(|permission| permission.as_str() == needed && held.allows(permission)),
            };
            let answer = call(&installation, operation, Some(installation.token(policy))).await;
            if may {
                assert!(
                    !matches!(answer.status.as_u16(), 401 | 403),
                    "{policy} {}: {}",
                    name(operation),
                    answer.text()
                );
            } else {
                assert_eq!(
                    refused(&answer),
                    "403 GenericForbidden",
                    "{policy} {}",
                    name(operation)
                );
            }
            restore(&installation).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn operations_of_the_service_answer_exactly_its_policies_that_may() {
    for operation in OPERATIONS {
        for permission in ServicePermission::ALL {
            // A new one each time: some operations take the policy itself away.
            let installation = with_device().await;
            let held = ServicePermissions::of(&[permission]);
            let token = token_of_service(&installation, held).await;
            let answer = call(&installation, operation, Some(token)).await;
            let text = format!("{permission:?} {}: {}", name(operation), answer.text());
            let allows = |name: &str| {
                let needed = ServicePermission::parse(name);
                needed.is_some_and(|one| held.allows(one))
            };
            match operation.needs {
                Needs::Service(needed) if allows(needed) => {
                    // The owner may more than this policy.
                    let is_owners = operation.path.contains("{policy}");
                    let refused = matches!(answer.status.as_u16(), 401 | 403);
                    assert_eq!(refused, is_owners, "{text}");
                }
                Needs::AnyOfService(needed) if needed.iter().any(|one| allows(one)) => {
                    assert_eq!(answer.status, 200, "{text}");
                }
                Needs::Service(_) | Needs::AnyOfService(_) => {
                    assert_eq!(refused(&answer), "403 GenericForbidden", "{text}");
                }
                Needs::Admin | Needs::AnyPolicy | Needs::Permission(_) => {
                    assert_eq!(answer.status, 401, "{text}");
                }
            }
        }
    }
}

/// A token of a policy of the service that may this.
pub(super) async fn token_of_service(
    installation: &Installation,
    held: ServicePermissions,
) -> String {
    let ctx = hub_provisioning::Context {
        caller: hub_provisioning::Caller::Admin,
        request_id: "test".to_owned(),
        now: BEGINNING,
    };
    let policy = NewServicePolicy {
        name: ServicePolicyName::parse("small").unwrap(),
        permissions: held,
        primary: None,
        secondary: None,
    };
    let service = &installation.provisioning.service;
    let policy = service.create_policy(&ctx, policy).await.unwrap();
    let expiry = Timestamp::from_seconds(4_000_000_000);
    sign_token("hub.test", &policy.primary, expiry, Some("small"))
}

/// Puts back what an allowed deletion took.
async fn restore(installation: &Installation) {
    for (path, body) in [
        ("/hubs/hub/devices", r#"{"deviceId":"d1"}"#),
        ("/hubs/hub/devices/d1/modules", r#"{"moduleId":"m1"}"#),
    ] {
        let answer = Ask::with("POST", path, Some(installation.token("iothubowner")))
            .send(installation, body)
            .await;
        assert!(
            matches!(answer.status.as_u16(), 201 | 409),
            "{}",
            answer.text()
        );
    }
}

#[tokio::test]
async fn a_device_key_opens_nothing() {
    let installation = with_device().await;
    let device = super::ask(
        &installation,
        "GET",
        "/hubs/hub/devices/d1",
        serde_json::Value::Null,
    )
    .await
    .ok();
    let key = device["authentication"]["symmetricKey"]["primaryKey"]
        .as_str()
        .unwrap();
    let key = hub_domain::SymmetricKey::parse(key).unwrap();
    let token = sign_token(
        "hub.test/devices/d1",
        &key,
        Timestamp::from_seconds(4_000_000_000),
        None,
    );
    let answer = Ask::with("GET", "/hubs/hub/devices/d1", Some(token))
        .send(&installation, "")
        .await;
    assert_eq!(refused(&answer), "401 IotHubUnauthorized");
}

#[tokio::test]
async fn only_the_administrator_learns_which_hubs_there_are() {
    let installation = with_device().await;
    let answer = Ask::admin("GET", "/hubs/none")
        .send(&installation, "")
        .await;
    assert_eq!(refused(&answer), "404 GenericNotFound");
    let answer = Ask::with("GET", "/hubs/none", Some(installation.token("iothubowner")))
        .send(&installation, "")
        .await;
    assert_eq!(refused(&answer), "401 IotHubUnauthorized");
}
