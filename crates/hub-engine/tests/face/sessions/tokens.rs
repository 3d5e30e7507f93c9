//! Tokens: whose they are, what they speak for, until when.

use std::sync::Arc;
use std::time::Duration;

use hub_domain::{Hub, SymmetricKey, Timestamp};
use hub_engine::NewIdentity;

use crate::support::{Connect, Token, World, device, edge, key, session_failure};

/// A token for an identity, with what is to be wrong with it.
struct Shown<'a> {
    id: &'a str,
    resource: &'a str,
    key: SymmetricKey,
    policy: Option<&'a str>,
    expires: Timestamp,
}

impl World {
    async fn shown<'a>(&self, id: &'a str, resource: &'a str) -> Shown<'a> {
        Shown {
            id,
            resource,
            key: self.key_of(id).await,
            policy: None,
            expires: self.now().plus(Duration::from_secs(60)),
        }
    }

    async fn tries(&mut self, what: &str, shown: Shown<'_>) {
        let hub = Arc::clone(&self.hub);
        self.tries_at(hub, what, shown).await;
    }

    async fn tries_at(&mut self, hub: Arc<Hub>, what: &str, shown: Shown<'_>) {
        let token = Token {
            resource: shown.resource,
            key: shown.key,
            expires: shown.expires,
            policy: shown.policy,
        };
        self.tries_token(hub, what, shown.id, token.sign()).await;
    }

    async fn tries_token(&mut self, hub: Arc<Hub>, what: &str, id: &str, token: String) {
        let connect = Connect {
            hub,
            token,
            id,
            persistence: hub_engine::sessions::Persistence::Kept,
            model_id: None,
        };
        let line = match self.try_open(connect).await {
            Ok(_) => "connected".to_owned(),
            Err(error) => session_failure(&error),
        };
        self.say(format!("{what}: {line}"));
    }
}

fn policy_key(hub: &Hub, name: &str) -> SymmetricKey {
    hub.policy(name).unwrap().primary.clone()
}

#[tokio::test(start_paused = true)]
async fn a_token_is_signed_with_one_of_the_two_keys_of_the_identity() {
    let mut world = World::new().await;
    let view = world.given(device("d1")).await;
    world.given(device("d2")).await;
    let (_, secondary) = view.identity.authentication.keys().unwrap();
    let secondary = secondary.clone();
    let shown = world.shown("d1", "hub.test/devices/d1").await;
    world.tries("primary key", shown).await;
    let shown = Shown {
        key: secondary,
        ..world.shown("d1", "hub.test/devices/d1").await
    };
    world.tries("secondary key", shown).await;
    let shown = Shown {
        key: key(9),
        ..world.shown("d1", "hub.test/devices/d1").await
    };
    world.tries("another key", shown).await;
    let shown = Shown {
        key: world.key_of("d2").await,
        ..world.shown("d1", "hub.test/devices/d1").await
    };
    world.tries("another device's key", shown).await;
    let hub = Arc::clone(&world.hub);
    world
        .tries_token(hub, "no token", "d1", "hello".to_owned())
        .await;
    world.check(
        "primary key: connected
         secondary key: connected
         another key: NotAuthenticated: the token's signature is wrong
         another device's key: NotAuthenticated: the token's signature is wrong
         no token: NotAuthenticated: the token cannot be read",
    );
}

#[tokio::test(start_paused = true)]
async fn a_token_speaks_for_what_it_names_by_whole_segments() {
    let mut world = World::new().await;
    for text in ["d1", "d10", "d1/m1"] {
        world.given(device(text)).await;
    }
    // The key is always the right one; only the resource differs.
    for (id, resource) in [
        ("d1", "hub.test/devices/d1"),
        ("d1", "HUB.test:8883/devices/d1"),
        ("d10", "hub.test/devices/d1"),
        ("d1", "hub.test/devices/d10"),
        ("d1", "hub.test/devices/D1"),
        ("d1", "hub.test/devices"),
        ("d1", "hub.test"),
        ("d1", "hub.test/devices/d1/modules/m1"),
        ("d1", "hub.test/devices/d1/api-version=2016-11-14"),
        ("d1/m1", "hub.test/devices/d1/modules/m1"),
        ("d1/m1", "hub.test/devices/d1"),
        ("d1/m1", "hub.test/devices/d1/modules/m"),
        ("d1/m1", "hub.test/devices/d1/messages/events"),
    ] {
        let shown = world.shown(id, resource).await;
        world.tries(&format!("{id} with {resource}"), shown).await;
    }
    world.check(
        "d1 with hub.test/devices/d1: connected
         d1 with HUB.test:8883/devices/d1: connected
         d10 with hub.test/devices/d1: NotAuthenticated: the token does not speak for this identity
         d1 with hub.test/devices/d10: NotAuthenticated: the token does not speak for this identity
         d1 with hub.test/devices/D1: NotAuthenticated: the token does not speak for this identity
         d1 with hub.test/devices: connected
         d1 with hub.test: connected
         d1 with hub.test/devices/d1/modules/m1: NotAuthenticated: the token does not speak for this identity
         d1 with hub.test/devices/d1/api-version=2016-11-14: connected
         d1/m1 with hub.test/devices/d1/modules/m1: connected
         d1/m1 with hub.test/devices/d1: connected
         d1/m1 with hub.test/devices/d1/modules/m: NotAuthenticated: the token does not speak for this identity
         d1/m1 with hub.test/devices/d1/messages/events: NotAuthenticated: the token does not speak for this identity",
    );
}

#[tokio::test(start_paused = true)]
async fn a_module_proves_itself_with_its_own_key() {
    let mut world = World::new().await;
    world.given(device("d1")).await;
    world.given(device("d1/m1")).await;
    let resource = "hub.test/devices/d1/modules/m1";
    let shown = world.shown("d1/m1", resource).await;
    world.tries("its own key", shown).await;
    let shown = Shown {
        key: world.key_of("d1").await,
        ..world.shown("d1/m1", resource).await
    };
    world.tries("its device's key", shown).await;
    let shown = Shown {
        key: world.key_of("d1/m1").await,
        ..world.shown("d1", "hub.test/devices/d1").await
    };
    world.tries("the module's key for the device", shown).await;
    world.check(
        "its own key: connected
         its device's key: NotAuthenticated: the token's signature is wrong
         the module's key for the device: NotAuthenticated: the token's signature is wrong",
    );
}

#[tokio::test(start_paused = true)]
async fn a_policy_that_allows_device_connect_speaks_for_every_device_in_its_resource() {
    let mut world = World::new().await;
    world.given(device("d1")).await;
    world.given(device("d10")).await;
    let hub = Arc::clone(&world.hub);
    for (name, resource) in [
        ("device", "hub.test"),
        ("device", "hub.test/devices/d1"),
        ("device", "hub.test/devices/d10"),
        ("iothubowner", "hub.test"),
        ("Device", "hub.test"),
        ("service", "hub.test"),
        ("registryReadWrite", "hub.test"),
    ] {
        let shown = Shown {
            key: policy_key(&hub, name),
            policy: Some(name),
            ..world.shown("d1", resource).await
        };
        world.tries(&format!("{name} for {resource}"), shown).await;
    }
    let shown = Shown {
        policy: Some("nobody"),
        ..world.shown("d1", "hub.test").await
    };
    world.tries("unknown policy", shown).await;
    let shown = Shown {
        policy: Some("device"),
        ..world.shown("d1", "hub.test").await
    };
    world
        .tries("policy's name with the device's key", shown)
        .await;
    let shown = Shown {
        key: policy_key(&hub, "device"),
        ..world.shown("d1", "hub.test").await
    };
    world.tries("policy's key without its name", shown).await;
    world.check(
        "device for hub.test: connected
         device for hub.test/devices/d1: connected
         device for hub.test/devices/d10: NotAuthenticated: the token does not speak for this identity
         iothubowner for hub.test: connected
         Device for hub.test: connected
         service for hub.test: NotAuthenticated: the token's policy does not allow DeviceConnect
         registryReadWrite for hub.test: NotAuthenticated: the token's policy does not allow DeviceConnect
         unknown policy: NotAuthenticated: the token's policy does not exist in this hub
         policy's name with the device's key: NotAuthenticated: the token's signature is wrong
         policy's key without its name: NotAuthenticated: the token's signature is wrong",
    );
}

#[tokio::test(start_paused = true)]
async fn a_token_ends_five_minutes_after_its_time_and_the_session_with_it() {
    let mut world = World::new().await;
    world.given(device("d1")).await;
    let now = world.now();
    let five_minutes = Duration::from_secs(300);
    for (what, expires) in [
        ("ends now", now),
        ("ended five minutes ago", now.minus(five_minutes)),
        (
            "ended a second earlier",
            now.minus(five_minutes + Duration::from_secs(1)),
        ),
        ("ended in 1970", Timestamp::from_seconds(0)),
        (
            "never ends",
            Timestamp::from_seconds(i64::from(i32::MAX) * 4),
        ),
    ] {
        let shown = Shown {
            expires,
            ..world.shown("d1", "hub.test/devices/d1").await
        };
        world.tries(what, shown).await;
    }
    world.check(
        "ends now: connected
         ended five minutes ago: connected
         ended a second earlier: NotAuthenticated: the token has expired, make a new one
         ended in 1970: NotAuthenticated: the token has expired, make a new one
         never ends: connected",
    );
    let connect = Connect {
        token: Token {
            resource: "hub.test/devices/d1",
            key: world.key_of("d1").await,
            expires: now.plus(Duration::from_secs(60)),
            policy: None,
        }
        .sign(),
        ..world.connect("d1").await
    };
    let opened = world.try_open(connect).await.unwrap();
    assert_eq!(opened.session.expires(), now.plus(Duration::from_secs(360)));
}

#[tokio::test(start_paused = true)]
async fn the_only_hub_takes_any_host_and_several_take_their_own() {
    let mut world = World::new().await;
    world.given(device("d1")).await;
    let hosts = [
        "hub.test",
        "hub.alias",
        "HUB.TEST:443",
        "other.test",
        "elsewhere.test",
    ];
    for host in hosts {
        let resource = format!("{host}/devices/d1");
        let shown = world.shown("d1", &resource).await;
        world.tries(&format!("one hub, {host}"), shown).await;
    }
    let other = world.second_hub().await;
    for host in hosts {
        let resource = format!("{host}/devices/d1");
        let shown = world.shown("d1", &resource).await;
        world.tries(&format!("two hubs, {host}"), shown).await;
    }
    let shown = world.shown("d1", "other.test/devices/d1").await;
    world.tries_at(other, "the other hub", shown).await;
    world.check(
        "one hub, hub.test: connected
         one hub, hub.alias: connected
         one hub, HUB.TEST:443: connected
         one hub, other.test: connected
         one hub, elsewhere.test: connected
         two hubs, hub.test: connected
         two hubs, hub.alias: connected
         two hubs, HUB.TEST:443: connected
         two hubs, other.test: NotAuthenticated: the token's host is not this hub
         two hubs, elsewhere.test: NotAuthenticated: the token's host is not this hub
         the other hub: NotAuthenticated: the identity is not registered in this hub",
    );
}

#[tokio::test(start_paused = true)]
async fn unknown_and_disabled_identities_are_refused_and_only_the_key_holder_learns_why() {
    let mut world = World::new().await;
    for text in ["d1", "d1/m1", "d2"] {
        world.given(device(text)).await;
    }
    world.given(edge("e1")).await;
    let connects = [
        world.connect("d1").await.token,
        world.connect("d1/m1").await.token,
    ];
    let unknown = Token {
        resource: "hub.test/devices/gone",
        key: key(1),
        expires: world.now().plus(Duration::from_secs(60)),
        policy: None,
    };
    let hub = Arc::clone(&world.hub);
    world
        .tries_token(Arc::clone(&hub), "unknown device", "gone", unknown.sign())
        .await;
    world
        .tries_token(
            Arc::clone(&hub),
            "unknown module",
            "d1/gone",
            unknown.sign(),
        )
        .await;
    world.disable("d1").await;
    let [d1, m1] = connects;
    world
        .tries_token(Arc::clone(&hub), "disabled device", "d1", d1.clone())
        .await;
    world
        .tries_token(Arc::clone(&hub), "module of a disabled device", "d1/m1", m1)
        .await;
    let shown = Shown {
        key: key(9),
        ..world.shown("d1", "hub.test/devices/d1").await
    };
    world.tries("disabled device, wrong key", shown).await;
    let by_policy = Shown {
        key: policy_key(&hub, "device"),
        policy: Some("device"),
        ..world.shown("d1", "hub.test").await
    };
    world.tries("disabled device by policy", by_policy).await;
    world.changed(device("d1")).await;
    world
        .tries_token(Arc::clone(&hub), "enabled again", "d1", d1)
        .await;
    let x509 = hub_engine::NewAuthentication::CertificateAuthority;
    let shown = world.shown("d2", "hub.test/devices/d2").await;
    world
        .changed(NewIdentity {
            authentication: x509,
            ..device("d2")
        })
        .await;
    world.tries("device with certificates", shown).await;
    world.check(
        "unknown device: NotAuthenticated: the identity is not registered in this hub
         unknown module: NotAuthenticated: the identity is not registered in this hub
         disabled device: NotAuthenticated: the device is disabled
         module of a disabled device: NotAuthenticated: the device is disabled
         disabled device, wrong key: NotAuthenticated: the token's signature is wrong
         disabled device by policy: NotAuthenticated: the device is disabled
         enabled again: connected
         device with certificates: NotAuthenticated: the identity does not use tokens",
    );
}

#[tokio::test(start_paused = true)]
async fn a_back_end_proves_itself_with_a_policy_for_the_whole_hub() {
    let mut world = World::new().await;
    let hub = Arc::clone(&world.hub);
    let now = world.now();
    let sign = |resource: &str, key: SymmetricKey, policy: Option<&str>, expires: Timestamp| {
        Token {
            resource,
            key,
            expires,
            policy,
        }
        .sign()
    };
    let later = now.plus(Duration::from_secs(60));
    let service = policy_key(&hub, "service");
    let secondary = hub.policy("service").unwrap().secondary.clone();
    for (what, token) in [
        (
            "primary key",
            sign("hub.test", service.clone(), Some("service"), later),
        ),
        (
            "secondary key",
            sign("hub.test", secondary, Some("service"), later),
        ),
        (
            "with a scheme",
            sign("https://hub.test", service.clone(), Some("service"), later),
        ),
        (
            "below the hub",
            sign("hub.test/devices", service.clone(), Some("service"), later),
        ),
        (
            "another policy's key",
            sign(
                "hub.test",
                policy_key(&hub, "device"),
                Some("service"),
                later,
            ),
        ),
        ("no policy", sign("hub.test", service.clone(), None, later)),
        (
            "unknown policy",
            sign("hub.test", service.clone(), Some("x"), later),
        ),
        (
            "at the end of the skew",
            sign(
                "hub.test",
                service.clone(),
                Some("service"),
                now.minus(Duration::from_secs(300)),
            ),
        ),
        (
            "after the skew",
            sign(
                "hub.test",
                service,
                Some("service"),
                now.minus(Duration::from_secs(301)),
            ),
        ),
    ] {
        let line = match world.engine.access.authenticate_policy(&hub, &token, now) {
            Ok(caller) => format!("{caller:?}"),
            Err(error) => session_failure(&error),
        };
        world.say(format!("{what}: {line}"));
    }
    world.check(
        r#"primary key: Policy { hub: HubNo(1), name: "service", permissions: Permissions(4) }
         secondary key: Policy { hub: HubNo(1), name: "service", permissions: Permissions(4) }
         with a scheme: Policy { hub: HubNo(1), name: "service", permissions: Permissions(4) }
         below the hub: NotAuthenticated: the token does not speak for the hub
         another policy's key: NotAuthenticated: the token's signature is wrong
         no policy: NotAuthenticated: the token names no policy
         unknown policy: NotAuthenticated: the token's policy does not exist in this hub
         at the end of the skew: Policy { hub: HubNo(1), name: "service", permissions: Permissions(4) }
         after the skew: NotAuthenticated: the token has expired, make a new one"#,
    );
}
