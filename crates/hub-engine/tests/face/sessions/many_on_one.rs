//! Sessions of a connection that many identities share: checked before, renewed, ended with it.

use std::time::Duration;

use hub_engine::sessions::{Credential, Delivery, Persistence, Subscription};

use crate::support::{Connect, Token, World, device, id, key, session_failure};

impl World {
    async fn proved(&self, text: &str, token: &str) -> String {
        let sessions = &self.engine.sessions;
        let credential = Credential::Token(token);
        match sessions
            .prove(self.now(), &self.hub, &id(text), &credential)
            .await
        {
            Ok(proved) => format!("until +{}s", proved.expires().since(self.now()).as_secs()),
            Err(error) => session_failure(&error),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_credential_is_checked_without_ending_the_open_session() {
    let mut world = World::new().await;
    world.given(device("d1")).await;
    let open = world.open("d1").await;
    let good = world.connect("d1").await.token;
    let other = Token {
        resource: "hub.test/devices/d1",
        key: key(9),
        expires: world.now().plus(Duration::from_secs(60)),
        policy: None,
    };
    let lines = [
        world.proved("d1", &good).await,
        world.proved("d1", &other.sign()).await,
        world.proved("d2", &good).await,
    ];
    for line in lines {
        world.say(line);
    }
    world.say_notices("the open session", &open);
    world.check(
        "until +86700s
         NotAuthenticated: the token's signature is wrong
         NotAuthenticated: the identity is not registered in this hub
         the open session is told nothing",
    );
}

#[tokio::test(start_paused = true)]
async fn a_newer_token_moves_the_end_of_a_session() {
    let mut world = World::new().await;
    world.given(device("d1")).await;
    let mut open = world.open("d1").await;
    let before = open.session.expires();
    world.pass(Duration::from_secs(60)).await;
    let token = world.connect("d1").await.token;
    let credential = Credential::Token(&token);
    let sessions = &world.engine.sessions;
    let proved = sessions
        .prove(world.now(), &world.hub, &id("d1"), &credential)
        .await
        .unwrap();
    open.session.renew(proved).unwrap();
    assert_eq!(
        open.session.expires().since(before),
        Duration::from_secs(60)
    );
    world.remove("d1").await;
    world.given(device("d1")).await;
    let token = world.connect("d1").await.token;
    let credential = Credential::Token(&token);
    let sessions = &world.engine.sessions;
    let successor = sessions
        .prove(world.now(), &world.hub, &id("d1"), &credential)
        .await
        .unwrap();
    let error = open.session.renew(successor).unwrap_err();
    world.say(session_failure(&error));
    world.check("NotAuthenticated: the identity was replaced meanwhile, connect again");
}

#[tokio::test(start_paused = true)]
async fn a_session_of_a_connection_leaves_what_is_kept_alone() {
    let mut world = World::new().await;
    world.given(device("d1")).await;
    let mut kept = world.open("d1").await;
    kept.session
        .subscribe(&[(Subscription::Methods, Delivery::AtMostOnce)])
        .await
        .unwrap();
    drop(kept);
    let connect = Connect {
        persistence: Persistence::Connection,
        ..world.connect("d1").await
    };
    let mut shared = world.try_open(connect).await.unwrap();
    assert!(!shared.resumed);
    assert!(!shared.session.subscriptions().has(Subscription::Methods));
    shared
        .session
        .subscribe(&[(Subscription::Desired, Delivery::AtMostOnce)])
        .await
        .unwrap();
    drop(shared);
    let again = world.open("d1").await;
    assert!(again.resumed);
    assert!(again.session.subscriptions().has(Subscription::Methods));
    assert!(!again.session.subscriptions().has(Subscription::Desired));
    world.check("");
}

#[tokio::test(start_paused = true)]
async fn a_model_may_be_announced_on_an_open_session() {
    let mut world = World::new().await;
    world.given(device("d1")).await;
    let mut open = world.open("d1").await;
    open.session.announce_model("dtmi:a;1").await.unwrap();
    open.session.announce_model("dtmi:a;1").await.unwrap();
    let error = open
        .session
        .announce_model(&"x".repeat(4_097))
        .await
        .unwrap_err();
    world.say(session_failure(&error));
    let view = world
        .engine
        .twins
        .fetch(&world.owner(), world.hub.no, &id("d1"))
        .await
        .unwrap();
    assert_eq!(view.twin.model_id.as_deref(), Some("dtmi:a;1"));
    world.check("Invalid: the model id is too long");
}

#[tokio::test(start_paused = true)]
async fn a_policy_is_proved_by_its_key_itself_or_by_a_token_for_a_part_of_the_hub() {
    let mut world = World::new().await;
    let policy = world.hub.policy("service").unwrap();
    let access = &world.engine.access;
    let tries = [
        ("service", policy.primary.to_base64()),
        ("SERVICE", policy.secondary.to_base64()),
        ("device", policy.primary.to_base64()),
        ("nobody", policy.primary.to_base64()),
        ("service", "no key".to_owned()),
    ];
    let mut lines: Vec<String> = Vec::new();
    for (name, key) in tries {
        lines.push(
            match access.authenticate_policy_key(&world.hub, name, &key) {
                Ok(_) => format!("{name}: proved"),
                Err(error) => format!("{name}: {}", session_failure(&error)),
            },
        );
    }
    let token = Token {
        resource: "sb://hub.test/hub/consumergroups/$default",
        key: policy.primary.clone(),
        expires: world.now().plus(Duration::from_secs(60)),
        policy: Some("service"),
    };
    let proof = access
        .authenticate_policy_token(&world.hub, &token.sign(), world.now())
        .unwrap();
    lines.push(proof.resource.segments().join("/"));
    for line in lines {
        world.say(line);
    }
    world.check(
        "service: proved
         SERVICE: proved
         device: NotAuthenticated: the key is not the policy's
         nobody: NotAuthenticated: the policy does not exist in this hub
         service: NotAuthenticated: the key cannot be read
         hub/consumergroups/$default",
    );
}
