//! Devices as a head drives them.

use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use hub_domain::sas::sign_token;
use hub_domain::twin::device_view;
use hub_domain::{Hub, SymmetricKey, Timestamp};
use hub_engine::methods::MethodCall;
use hub_engine::sessions::{Credential, OpenRequest, Opened, Persistence};
use hub_engine::{Error, IdentityView, Notice, Session, TwinView};

use super::text;
use super::{World, failure, id};

/// A connected device.
pub(crate) struct Device {
    pub(crate) session: Session,
    pub(crate) resumed: bool,
}

/// What a device shows when it connects.
pub(crate) struct Connect<'a> {
    pub(crate) hub: Arc<Hub>,
    pub(crate) id: &'a str,
    pub(crate) token: String,
    pub(crate) persistence: Persistence,
    pub(crate) model_id: Option<&'a str>,
}

/// A token to be signed.
pub(crate) struct Token<'a> {
    pub(crate) resource: &'a str,
    pub(crate) key: SymmetricKey,
    pub(crate) expires: Timestamp,
    pub(crate) policy: Option<&'a str>,
}

impl Token<'_> {
    pub(crate) fn sign(&self) -> String {
        sign_token(self.resource, &self.key, self.expires, self.policy)
    }
}

/// The path of an identity's own tokens.
fn resource(host: &str, identity: &str) -> String {
    match identity.split_once('/') {
        None => format!("{host}/devices/{identity}"),
        Some((device, module)) => format!("{host}/devices/{device}/modules/{module}"),
    }
}

impl World {
    /// Creates an identity without saying so.
    pub(crate) async fn given(&self, new: hub_engine::NewIdentity) -> IdentityView {
        self.engine
            .registry
            .create(&self.owner(), self.hub.no, new)
            .await
            .unwrap()
    }

    /// The first key of an identity.
    pub(crate) async fn key_of(&self, identity: &str) -> SymmetricKey {
        let view = self
            .engine
            .registry
            .fetch(&self.owner(), self.hub.no, &id(identity))
            .await
            .unwrap();
        view.identity.authentication.keys().unwrap().0.clone()
    }

    /// A good connect of an identity that exists; its token lives a day.
    pub(crate) async fn connect<'a>(&self, identity: &'a str) -> Connect<'a> {
        let token = Token {
            resource: &resource("hub.test", identity),
            key: self.key_of(identity).await,
            expires: self.now().plus(Duration::from_secs(24 * 3_600)),
            policy: None,
        };
        Connect {
            hub: Arc::clone(&self.hub),
            id: identity,
            token: token.sign(),
            persistence: Persistence::Kept,
            model_id: None,
        }
    }

    pub(crate) async fn try_open(&self, connect: Connect<'_>) -> Result<Device, Error> {
        let request = OpenRequest {
            hub: connect.hub,
            id: id(connect.id),
            credential: Credential::Token(&connect.token),
            model_id: connect.model_id,
            persistence: connect.persistence,
        };
        let Opened { session, resumed } = self.engine.sessions.open(self.now(), request).await?;
        Ok(Device { session, resumed })
    }

    /// Opens a session that is kept.
    pub(crate) async fn open(&self, identity: &str) -> Device {
        self.try_open(self.connect(identity).await).await.unwrap()
    }

    /// Opens a session that ends with its connection.
    pub(crate) async fn open_transient(&self, identity: &str) -> Device {
        let connect = Connect {
            persistence: Persistence::Transient,
            ..self.connect(identity).await
        };
        self.try_open(connect).await.unwrap()
    }

    /// Says what the device is told.
    pub(crate) fn say_notices(&mut self, name: &str, device: &Device) {
        let notices = device.notices();
        if notices.is_empty() {
            self.say(format!("{name} is told nothing"));
        }
        for notice in notices {
            self.say(format!("{name} is told {}", text::notice(&notice)));
        }
    }

    pub(crate) fn say_identity(&mut self, what: &str, result: Result<IdentityView, Error>) {
        let line = match result {
            Ok(view) => text::identity(self, &view),
            Err(error) => failure(&error),
        };
        self.say(format!("{what}: {line}"));
    }

    pub(crate) fn say_twin(&mut self, what: &str, result: Result<TwinView, Error>) {
        let line = match result {
            Ok(view) => text::twin(&view),
            Err(error) => failure(&error),
        };
        self.say(format!("{what}: {line}"));
    }

    /// Says the twin as the device reads it.
    pub(crate) async fn say_device_view(&mut self, name: &str, device: &Device) {
        let line = match device.session.twin(self.now()).await {
            Ok(twin) => device_view(&twin),
            Err(error) => failure(&error),
        };
        self.say(format!("{name} reads {line}"));
    }

    /// Says the queued messages that the device is handed, and notes them as sent.
    pub(crate) async fn say_messages(&mut self, name: &str, device: &mut Device, max: usize) {
        let next = device.session.next_messages(self.now(), max).await.unwrap();
        if next.is_empty() {
            self.say(format!("{name} gets nothing"));
        }
        for stored in next {
            let sent = device.session.note_sent(stored.no);
            let body = String::from_utf8_lossy(&stored.message.body).into_owned();
            self.say(format!("{name} gets {body}, sent before: {sent:?}"));
        }
    }
}

impl Device {
    /// Everything the device is told by now; a close ends the list.
    pub(crate) fn notices(&self) -> Vec<Notice> {
        let mut notices = Vec::new();
        while let Poll::Ready(notice) = self
            .session
            .poll_notice(&mut Context::from_waker(Waker::noop()))
        {
            let is_close = matches!(notice, Notice::Close(_));
            notices.push(notice);
            if is_close {
                break;
            }
        }
        notices
    }

    /// The calls among the notices.
    pub(crate) fn calls(&self) -> Vec<MethodCall> {
        let calls = self
            .notices()
            .into_iter()
            .filter_map(|notice| match notice {
                Notice::Method(call) => Some(call),
                Notice::DesiredChanged { .. }
                | Notice::ReadTwin
                | Notice::MessageAvailable
                | Notice::Fault(_)
                | Notice::Close(_) => None,
            });
        calls.collect()
    }
}
