//! Who may do what. Walks the table of routes, so that a new one is tested here too.

use hub_domain::SymmetricKey;
use hub_domain::sas::sign_token;

use super::super::super::device::routes::{DEVICE_ROUTES, DeviceRoute, Speaker};
use super::super::super::routes::ROUTES;
use super::{ask, register, token};
use crate::testing::{Answer, BEGINNING, Installation, token_of};

struct World {
    hub: Installation,
    /// Keys of `d1`, `d1/modules/m1`, `d2`.
    device: SymmetricKey,
    module: SymmetricKey,
    other: SymmetricKey,
}

async fn world() -> World {
    let hub = Installation::new().await;
    let device = register(&hub, "d1", r#"{"deviceId":"d1"}"#).await;
    let module = register(
        &hub,
        "d1/modules/m1",
        r#"{"deviceId":"d1","moduleId":"m1"}"#,
    )
    .await;
    let other = register(&hub, "d2", r#"{"deviceId":"d2"}"#).await;
    World {
        hub,
        device,
        module,
        other,
    }
}

fn target(route: &DeviceRoute) -> String {
    route
        .pattern
        .replace("{device}", "d1")
        .replace("{module}", "m1")
        .replace("{token}", "token")
}

/// The path below `/devices/` of whoever may ask.
fn speaker(route: &DeviceRoute) -> &'static str {
    match route.speaker {
        Speaker::Identity if route.pattern.contains("{module}") => "d1/modules/m1",
        Speaker::CallingModule => "d1/modules/m1",
        Speaker::Identity | Speaker::Device => "d1",
    }
}

async fn with(world: &World, route: &DeviceRoute, token: &str) -> Answer {
    let headers: &[_] = match route.speaker {
        Speaker::CallingModule => &[("x-ms-edge-moduleId", "d1/m1")],
        Speaker::Identity | Speaker::Device => &[],
    };
    let target = target(route);
    ask(
        &world.hub,
        (route.method.as_str(), &target),
        token,
        headers,
        "{}",
    )
    .await
}

fn name(route: &DeviceRoute) -> String {
    format!("{} {}", route.method, route.pattern)
}

/// True when back ends have the same path.
fn is_shared(route: &DeviceRoute) -> bool {
    ROUTES
        .iter()
        .any(|service| service.method == route.method && service.pattern == route.pattern)
}

#[tokio::test]
async fn no_route_answers_without_a_credential() {
    let world = world().await;
    for route in &DEVICE_ROUTES {
        let request = world.hub.request(route.method.as_str(), &target(route));
        let answer = world.hub.send(request, "{}").await;
        assert_eq!(
            answer.refused(),
            "401 IotHubUnauthorized",
            "{}",
            name(route)
        );
    }
}

#[tokio::test]
async fn every_route_answers_the_identity_and_policies_that_may_connect_as_it() {
    for route in &DEVICE_ROUTES {
        // Some of them remove what others need.
        let world = world().await;
        let speaker = speaker(route);
        let key = if speaker == "d1" {
            &world.device
        } else {
            &world.module
        };
        let answer = with(&world, route, &token(speaker, key)).await;
        assert_ne!(answer.status, 401, "{}: {}", name(route), answer.text());
        if !is_shared(route) {
            let answer = with(&world, route, &world.hub.token("device")).await;
            assert_ne!(answer.status, 401, "{}: {}", name(route), answer.text());
        }
    }
}

#[tokio::test]
async fn no_route_answers_a_credential_that_is_not_the_identitys() {
    let world = world().await;
    let wrong = SymmetricKey::from_bytes(&[9; 32]).unwrap();
    for route in &DEVICE_ROUTES {
        let speaker = speaker(route);
        let key = if speaker == "d1" {
            &world.device
        } else {
            &world.module
        };
        let expired = sign_token(
            &format!("hub.test/devices/{speaker}"),
            key,
            BEGINNING.minus(std::time::Duration::from_secs(600)),
            None,
        );
        let mut tokens = vec![
            token(speaker, &wrong),
            // Another device's key, and another device's own token.
            token(speaker, &world.other),
            token("d2", &world.other),
            expired,
        ];
        if speaker != "d1" {
            tokens.push(token("d1", &world.device));
            tokens.push(token(speaker, &world.device));
        }
        if !is_shared(route) {
            for policy in ["service", "registryRead", "registryReadWrite"] {
                tokens.push(world.hub.token(policy));
            }
            tokens.push(token_of(&world.hub.hub, "device", &wrong));
        }
        for token in tokens {
            let answer = with(&world, route, &token).await;
            assert_eq!(
                answer.status,
                401,
                "{} {token}: {}",
                name(route),
                answer.text()
            );
        }
    }
}

#[tokio::test]
async fn a_disabled_device_and_its_modules_are_refused() {
    let world = world().await;
    let disabled = r#"{"deviceId":"d1","status":"disabled"}"#;
    world
        .hub
        .guarded("PUT", "/devices/d1", "*", disabled)
        .await
        .ok();
    for route in &DEVICE_ROUTES {
        let speaker = speaker(route);
        let key = if speaker == "d1" {
            &world.device
        } else {
            &world.module
        };
        let answer = with(&world, route, &token(speaker, key)).await;
        assert_eq!(answer.refused(), "403 DeviceDisabled", "{}", name(route));
    }
}

#[tokio::test]
async fn a_device_that_is_not_registered_is_not_told_from_one_with_another_key() {
    let world = world().await;
    let answer = ask(
        &world.hub,
        ("POST", "/devices/d9/messages/events"),
        &token("d9", &world.other),
        &[],
        "x",
    )
    .await;
    assert_eq!(answer.refused(), "401 IotHubUnauthorized");
}
