//! Connects on several threads at once, and against changes of the registry.

use std::sync::Arc;
use std::time::Duration;

use hub_domain::Status;
use hub_engine::sessions::{Credential, OpenRequest, Persistence};
use hub_engine::{IfMatch, NewIdentity, Notice, Session};

use crate::support::{World, device, id};

/// Longer than any notice takes; whoever waits so long waits forever.
const SOON: Duration = Duration::from_secs(20);

impl World {
    /// Begins a connect of `d1` on whichever thread is free.
    async fn begin_open(&self) -> tokio::task::JoinHandle<Option<Session>> {
        let (engine, hub, now) = (self.engine.clone(), Arc::clone(&self.hub), self.now());
        let token = self.connect("d1").await.token;
        tokio::spawn(async move {
            let request = OpenRequest {
                hub,
                id: id("d1"),
                credential: Credential::Token(&token),
                model_id: None,
                persistence: Persistence::Kept,
            };
            let opened = engine.sessions.open(now, request).await;
            opened.ok().map(|opened| opened.session)
        })
    }
}

async fn is_closed_soon(session: &Session) -> bool {
    let closed = async {
        loop {
            if let Notice::Close(_) =
                std::future::poll_fn(|context| session.poll_notice(context)).await
            {
                return;
            }
        }
    };
    tokio::time::timeout(SOON, closed).await.is_ok()
}

fn is_closed(session: &Session) -> bool {
    let context = &mut std::task::Context::from_waker(std::task::Waker::noop());
    matches!(
        session.poll_notice(context),
        std::task::Poll::Ready(Notice::Close(_))
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_that_connect_at_once_one_stays() {
    let mut world = World::new().await;
    world.given(device("d1")).await;
    for _ in 0..50 {
        let mut opening = Vec::new();
        for _ in 0..8 {
            opening.push(world.begin_open().await);
        }
        let mut sessions = Vec::new();
        for opened in opening {
            sessions.push(opened.await.unwrap().unwrap());
        }
        let (closed, open): (Vec<_>, Vec<_>) = sessions.into_iter().partition(is_closed);
        assert_eq!((closed.len(), open.len()), (7, 1));
        drop(closed);
        let view = world
            .engine
            .registry
            .fetch(&world.owner(), world.hub.no, &id("d1"))
            .await
            .unwrap();
        assert!(
            view.activity.connected,
            "the ends of the others are not its end"
        );
        drop(open);
        let view = world
            .engine
            .registry
            .fetch(&world.owner(), world.hub.no, &id("d1"))
            .await
            .unwrap();
        assert!(!view.activity.connected);
    }
    world.say_connected_count().await;
    world.check("0 connected");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_session_of_a_disabled_device_stays_open() {
    let mut world = World::running().await;
    world.given(device("d1")).await;
    for _ in 0..50 {
        let mut opening = Vec::new();
        for _ in 0..3 {
            opening.push(world.begin_open().await);
        }
        world.disable("d1").await;
        for _ in 0..3 {
            opening.push(world.begin_open().await);
        }
        for opened in opening {
            if let Some(session) = opened.await.unwrap() {
                assert!(is_closed_soon(&session).await, "the device is disabled");
            }
        }
        let enabled = NewIdentity {
            status: Status::Enabled,
            ..device("d1")
        };
        world
            .engine
            .registry
            .replace(&world.owner(), world.hub.no, enabled, IfMatch::Any)
            .await
            .unwrap();
    }
    world.say_connected_count().await;
    world.check("0 connected");
}
