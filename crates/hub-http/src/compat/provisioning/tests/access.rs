//! Who may do what. Walks the table of routes, so that a new one is tested here too.

use std::time::Duration;

use hub_domain::provisioning::{
    OWNER_POLICY, ProvisioningLimits, ServicePermission, ServicePermissions, ServicePolicyName,
};
use hub_domain::quota::Rate;
use hub_domain::sas::sign_token;
use hub_domain::{SymmetricKey, Timestamp};
use hub_provisioning::NewServicePolicy;
use serde_json::Value;

use super::super::routes::ROUTES;
use super::{LATER, admin, ask, key, refused, token};
use crate::testing::Installation;

fn target(pattern: &str) -> String {
    pattern.replace("{id}", "r1")
}

#[tokio::test]
async fn no_route_answers_without_a_caller() {
    let installation = Installation::new().await;
    for route in &ROUTES {
        let request = installation.request(route.method.as_str(), &target(route.pattern));
        let answer = installation.send(request, "{}").await;
        assert_eq!(refused(&answer), "401 401002", "{route:?}");
        assert_eq!(answer.header("www-authenticate"), "SharedAccessSignature");
    }
}

#[tokio::test]
async fn a_back_end_that_asks_too_often_is_told_when_to_ask_again() {
    let installation = Installation::limited(ProvisioningLimits {
        operations: Some(Rate {
            count: 2,
            per: Duration::from_secs(3_600),
        }),
        ..ProvisioningLimits::NONE
    })
    .await;
    let target = "/enrollments/r1?api-version=2021-10-01";
    for _ in 0..2 {
        let answer = ask(&installation, "GET", target, Value::Null).await;
        assert_eq!(refused(&answer), "404 404201");
    }
    // Who may not ask takes nothing.
    let request = installation.request("GET", target);
    let answer = installation.send(request, "").await;
    assert_eq!(refused(&answer), "401 401002");
    let answer = ask(&installation, "GET", target, Value::Null).await;
    assert_eq!(refused(&answer), "429 429001");
    let seconds: u64 = answer.header("retry-after").parse().unwrap();
    assert!((1_500..=1_801).contains(&seconds), "{seconds}");
}

/// A policy for each permission, named like it.
async fn with_policies(installation: &Installation) {
    for permission in ServicePermission::ALL {
        let policy = NewServicePolicy {
            name: ServicePolicyName::parse(permission.as_str()).unwrap(),
            permissions: ServicePermissions::of(&[permission]),
            primary: None,
            secondary: None,
        };
        let service = &installation.provisioning.service;
        service.create_policy(&admin(), policy).await.unwrap();
    }
}

#[tokio::test]
async fn every_route_answers_exactly_the_policies_that_have_its_permission() {
    let installation = Installation::new().await;
    with_policies(&installation).await;
    for route in &ROUTES {
        for permission in ServicePermission::ALL {
            let held = ServicePermissions::of(&[permission]);
            let request = installation.request(route.method.as_str(), &target(route.pattern));
            let request =
                request.header("authorization", token(&installation, permission.as_str()));
            let answer = installation.send(request, "{}").await;
            if held.allows(route.permission) {
                assert!(
                    !matches!(answer.status.as_u16(), 401 | 403),
                    "{permission:?} {route:?}: {}",
                    answer.text()
                );
            } else {
                assert_eq!(refused(&answer), "403 403001", "{permission:?} {route:?}");
            }
        }
    }
}

#[tokio::test]
async fn tokens_that_prove_nothing_are_refused_and_never_shown() {
    let installation = Installation::new().await;
    installation.add_hub("other").await;
    let key = &key(&installation, OWNER_POLICY);
    let wrong = SymmetricKey::from_bytes(&[7; 32]).unwrap();
    let owner = |resource: &str, key, expiry| sign_token(resource, key, expiry, Some(OWNER_POLICY));
    let cases = [
        "nonsense".to_owned(),
        "Bearer local-admin-token".to_owned(),
        owner("hub.test", &wrong, LATER),
        owner("elsewhere.test", key, LATER),
        owner("hub.test/devices/d1", key, LATER),
        owner("hub.test", key, Timestamp::from_seconds(1_700_000_000)),
        sign_token("hub.test", key, LATER, Some("nobody")),
        sign_token("hub.test", key, LATER, None),
        installation.token("iothubowner"),
    ];
    for case in cases {
        let request = installation
            .request("GET", "/enrollments/r1")
            .header("authorization", &case);
        let answer = installation.send(request, "").await;
        assert_eq!(refused(&answer), "401 401002", "{case}");
        let signature = case
            .split("sig=")
            .nth(1)
            .and_then(|rest| rest.split('&').next());
        assert!(!signature.is_some_and(|signature| answer.text().contains(signature)));
    }
    for host in ["hub.test", "other.test", "OTHER.test:443"] {
        let request = installation
            .request("GET", "/enrollments/r1")
            .header("authorization", owner(host, key, LATER));
        let answer = installation.send(request, "").await;
        assert_eq!(refused(&answer), "404 404201", "{host}");
    }
}
