//! Who may do what. Walks the table of routes, so that a new one is tested here too.

use std::time::Duration;

use hub_domain::access::DEFAULT_POLICIES;
use hub_domain::{HubNo, Permissions, SymmetricKey, Timestamp};

use super::super::routes::ROUTES;
use crate::testing::{Answer, Installation, token_of};

fn target(pattern: &str) -> String {
    pattern
        .replace("{device}", "d1")
        .replace("{module}", "m1")
        .replace("{token}", "00000000-0000-0000-0000-000000000000")
}

async fn with_token(hub: &Installation, token: &str) -> Answer {
    hub.send(
        hub.request("GET", "/devices")
            .header("authorization", token),
        "",
    )
    .await
}

#[tokio::test]
async fn no_route_answers_without_a_caller() {
    let hub = Installation::new().await;
    for route in &ROUTES {
        let request = hub.request(route.method.as_str(), &target(route.pattern));
        let answer = hub.send(request, "{}").await;
        assert_eq!(
            answer.refused(),
            "401 IotHubUnauthorized",
            "{} {}",
            route.method,
            route.pattern
        );
        assert_eq!(answer.header("www-authenticate"), "SharedAccessSignature");
    }
}

#[tokio::test]
async fn every_route_answers_exactly_the_policies_that_have_its_permission() {
    let hub = Installation::new().await;
    for route in &ROUTES {
        assert!(!route.permissions.is_empty());
        for (policy, permissions) in DEFAULT_POLICIES {
            let held = Permissions::of(permissions);
            let allowed = route
                .permissions
                .iter()
                .any(|permission| held.allows(*permission));
            let request = hub.request(route.method.as_str(), &target(route.pattern));
            let answer = hub
                .send(request.header("authorization", hub.token(policy)), "{}")
                .await;
            let refused = answer.status == 401;
            assert_eq!(
                refused, !allowed,
                "{policy} {} {}",
                route.method, route.pattern
            );
            if refused {
                assert_eq!(answer.refused(), "401 IotHubUnauthorizedAccess");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn tokens_that_prove_nothing_are_refused_and_never_shown() {
    let hub = Installation::new().await;
    let owner = hub.token("iothubowner");
    let wrong_key = SymmetricKey::from_bytes(&[7; 32]).unwrap();
    let key = hub.hub.policy("iothubowner").unwrap().primary.clone();
    let device = hub_domain::sas::sign_token(
        "hub.test/devices/d1",
        &key,
        Timestamp::from_seconds(4_000_000_000),
        None,
    );
    let part = hub_domain::sas::sign_token(
        "hub.test/devices/d1",
        &key,
        Timestamp::from_seconds(4_000_000_000),
        Some("iothubowner"),
    );
    let old = hub_domain::sas::sign_token(
        "hub.test",
        &key,
        Timestamp::from_seconds(1_700_000_000),
        Some("iothubowner"),
    );
    let cases = [
        String::new(),
        "Bearer abc".to_owned(),
        "SharedAccessSignature".to_owned(),
        owner.replace("iothubowner", "nobody"),
        owner.replace("iothubowner", "service"),
        owner.replace("hub.test", "hub.other"),
        token_of(&hub.hub, "iothubowner", &wrong_key),
        device,
        part,
        old,
    ];
    for token in cases {
        let answer = with_token(&hub, &token).await;
        assert_eq!(answer.refused(), "401 IotHubUnauthorized", "{token}");
        for secret in token.split(['=', '&']).filter(|part| part.len() > 20) {
            assert!(!answer.text().contains(secret), "{}", answer.text());
        }
    }
    assert_eq!(with_token(&hub, &owner).await.status, 200);
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(with_token(&hub, &owner).await.status, 200);
}

#[tokio::test]
async fn a_header_of_odd_bytes_is_no_token() {
    let hub = Installation::new().await;
    let odd = http::HeaderValue::from_bytes(b"SharedAccessSignature \xff").unwrap();
    let answer = hub
        .send(
            hub.request("GET", "/devices").header("authorization", odd),
            "",
        )
        .await;
    assert_eq!(answer.refused(), "401 IotHubUnauthorized");
}

#[tokio::test]
async fn the_second_key_of_a_policy_is_as_good_as_the_first() {
    let hub = Installation::new().await;
    let token = token_of(
        &hub.hub,
        "service",
        &hub.hub.policy("service").unwrap().secondary,
    );
    assert_eq!(
        with_token(&hub, &token).await.refused(),
        "401 IotHubUnauthorizedAccess"
    );
    let token = token_of(
        &hub.hub,
        "registryRead",
        &hub.hub.policy("registryRead").unwrap().secondary,
    );
    assert_eq!(with_token(&hub, &token).await.status, 200);
}

#[tokio::test]
async fn with_one_hub_any_host_means_it() {
    let hub = Installation::new().await;
    for host in [
        "hub.test",
        "HUB.test:8443",
        "localhost",
        "127.0.0.1:443",
        "[::1]:443",
    ] {
        let mut request = hub
            .request("GET", "/devices")
            .header("authorization", hub.token("registryRead"));
        request
            .headers_mut()
            .unwrap()
            .insert("host", host.parse().unwrap());
        assert_eq!(hub.send(request, "").await.status, 200, "{host}");
    }
}

#[tokio::test]
async fn with_several_hubs_the_host_names_one_and_keys_do_not_cross() {
    let hub = Installation::new().await;
    let other = hub.add_hub("other").await;
    assert_ne!(other.no, HubNo(1));
    let on_host = async |host: &str, token: &str| {
        let mut request = hub
            .request("GET", "/devices")
            .header("authorization", token);
        request
            .headers_mut()
            .unwrap()
            .insert("host", host.parse().unwrap());
        hub.send(request, "").await
    };
    let others = token_of(
        &other,
        "iothubowner",
        &other.policy("iothubowner").unwrap().primary,
    );
    assert_eq!(
        on_host("hub.test", &hub.token("iothubowner")).await.status,
        200
    );
    assert_eq!(on_host("Other.Test:443", &others).await.status, 200);
    assert_eq!(
        on_host("hub.test", &others).await.refused(),
        "401 IotHubUnauthorized"
    );
    assert_eq!(
        on_host("unknown.test", &others).await.refused(),
        "401 IotHubNotFound"
    );
    assert_eq!(
        on_host("a b", &others).await.refused(),
        "400 GenericBadRequest"
    );
}
