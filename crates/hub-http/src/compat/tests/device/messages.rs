//! Cloud-to-device messages over HTTPS.

use std::time::Duration;

use super::{ask, register, token};
use crate::testing::{Answer, Installation};

const QUEUE: &str = "/devices/d1/messages/devicebound";

struct World {
    hub: Installation,
    token: String,
}

impl World {
    async fn new() -> Self {
        let hub = Installation::new().await;
        let key = register(&hub, "d1", r#"{"deviceId":"d1"}"#).await;
        let token = token("d1", &key);
        Self { hub, token }
    }

    /// Queues a message as a back end.
    async fn send(&self, headers: &[(&str, &str)], body: &str) {
        let owner = self.hub.token("service");
        let to = ("POST", "/devices/d1/messages/deviceBound");
        let answer = ask(&self.hub, to, &owner, headers, body.to_owned()).await;
        assert_eq!(answer.status, 204, "{}", answer.text());
    }

    async fn ask(&self, method: &str, path: &str) -> Answer {
        ask(&self.hub, (method, path), &self.token, &[], "").await
    }

    async fn receive(&self) -> Answer {
        self.ask("GET", QUEUE).await
    }

    /// Receives a message; its body and lock token.
    async fn received(&self) -> (String, String) {
        let answer = self.receive().await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        let etag = answer.header("etag");
        let token = etag.strip_prefix('"').unwrap().strip_suffix('"').unwrap();
        (answer.text(), token.to_owned())
    }

    async fn settle(&self, method: &str, rest: &str) -> String {
        let answer = self.ask(method, &format!("{QUEUE}/{rest}")).await;
        if answer.status == 204 {
            "204".to_owned()
        } else {
            format!(
                "{} {}",
                answer.status.as_u16(),
                answer.header("iothub-errorcode")
            )
        }
    }
}

#[tokio::test]
async fn a_message_comes_with_all_its_properties_and_is_completed_once() {
    let world = World::new().await;
    assert_eq!(world.receive().await.status, 204);
    let headers = [
        ("iothub-messageid", "m1"),
        ("iothub-correlationid", "c1"),
        ("iothub-userid", "u1"),
        ("iothub-contenttype", "text/plain"),
        ("iothub-contentencoding", "utf-8"),
        ("iothub-ack", "full"),
        ("iothub-app-color", "red & green"),
    ];
    world.send(&headers, "hello").await;
    let answer = world.receive().await;
    assert_eq!(
        (answer.status.as_u16(), answer.text().as_str()),
        (200, "hello")
    );
    for (name, value) in headers {
        assert_eq!(answer.header(name), value, "{name}");
    }
    assert_eq!(answer.header("contenttype"), "text/plain");
    assert_eq!(answer.header("contentencoding"), "utf-8");
    assert_eq!(answer.header("iothub-deliverycount"), "0");
    assert_eq!(
        answer.header("iothub-to"),
        "/devices/d1/messages/devicebound"
    );
    for name in [
        "iothub-sequencenumber",
        "iothub-enqueuedtime",
        "iothub-expiry",
    ] {
        assert!(!answer.header(name).is_empty(), "{name}");
    }
    // It is held.
    assert_eq!(world.receive().await.status, 204);
    let token = answer.header("etag").trim_matches('"').to_owned();
    assert_eq!(world.settle("DELETE", &token).await, "204");
    assert_eq!(
        world.settle("DELETE", &token).await,
        "412 DeviceMessageLockLost"
    );
    assert_eq!(world.receive().await.status, 204);
}

#[tokio::test]
async fn a_message_is_abandoned_and_then_rejected() {
    let world = World::new().await;
    world.send(&[], "hello").await;
    let (_, first) = world.received().await;
    assert_eq!(
        world.settle("POST", &format!("{first}/abandon")).await,
        "204"
    );
    assert_eq!(
        world.settle("DELETE", &first).await,
        "412 DeviceMessageLockLost"
    );
    let answer = world.receive().await;
    assert_eq!(answer.header("iothub-deliverycount"), "1");
    let second = answer.header("etag").trim_matches('"').to_owned();
    assert_ne!(first, second);
    let reject = format!("{second}?api-version=2021-04-12&reject");
    assert_eq!(world.settle("DELETE", &reject).await, "204");
    assert_eq!(world.receive().await.status, 204);
}

#[tokio::test(start_paused = true)]
async fn a_lock_ends_after_a_minute_or_the_time_asked_for() {
    let world = World::new().await;
    world.send(&[], "hello").await;
    let (_, lost) = world.received().await;
    tokio::time::sleep(Duration::from_secs(61)).await;
    let headers = [("iothub-messagelocktimeout", "10")];
    let again = ask(&world.hub, ("GET", QUEUE), &world.token, &headers, "").await;
    assert_eq!(again.status, 200);
    assert_eq!(
        world.settle("DELETE", &lost).await,
        "412 DeviceMessageLockLost"
    );
    tokio::time::sleep(Duration::from_secs(11)).await;
    let (_, token) = world.received().await;
    assert_eq!(world.settle("DELETE", &token).await, "204");
}

#[tokio::test]
async fn what_is_no_token_or_lock_time_is_refused() {
    let world = World::new().await;
    for token in ["nonsense", "%22%22", "00000000-0000-0001-0000-000000000000"] {
        assert_eq!(
            world.settle("DELETE", token).await,
            "412 DeviceMessageLockLost"
        );
    }
    for seconds in ["x", "-1", "100000"] {
        let headers = [("iothub-messagelocktimeout", seconds)];
        let answer = ask(&world.hub, ("GET", QUEUE), &world.token, &headers, "").await;
        assert_eq!(answer.refused(), "400 ArgumentInvalid", "{seconds}");
    }
}

#[tokio::test]
async fn names_and_values_that_headers_cannot_spell_are_encoded() {
    let world = World::new().await;
    let id = hub_domain::IdentityId::parse("d1").unwrap();
    let ctx = hub_engine::OpContext {
        caller: hub_engine::Caller::Admin,
        request_id: "test".to_owned(),
        now: crate::testing::BEGINNING,
    };
    let mut draft = hub_domain::message::CloudToDeviceDraft::new(&id, "x".into(), ctx.now);
    draft.properties = vec![
        ("a b".to_owned(), Some("line\nbreak".to_owned())),
        ("plain".to_owned(), Some("\u{fc}".to_owned())),
        ("none".to_owned(), None),
    ];
    let message = hub_domain::message::CloudToDeviceMessage::parse(draft).unwrap();
    let messages = &world.hub.engine.messages;
    messages
        .send(&ctx, world.hub.hub.no, &id, message)
        .await
        .unwrap();
    let answer = world.receive().await;
    assert_eq!(answer.header("iothub-app-a%20b"), "line%0Abreak");
    assert_eq!(
        answer.headers["iothub-app-plain"].as_bytes(),
        "\u{fc}".as_bytes()
    );
    assert_eq!(answer.header("iothub-app-none"), "");
}
