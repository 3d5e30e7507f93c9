//! The port that finds sessions: who is connected where, and how to reach them.
//!
//! A session owns a [`Mailbox`]. It claims its identity on the bus; the claim ends the session that
//! held the identity before. Notices are hints or requests, never the only copy of something durable.

mod local;
mod mailbox;

use std::sync::Arc;
use std::time::Duration;

use hub_domain::fault::FaultKind;
use hub_domain::{HubNo, IdentityId};

pub use local::{LocalBus, Timer};
pub use mailbox::{
    CALLS_IN_FLIGHT_MAX, Mailbox, MethodAnswer, MethodCall, MethodCallId, NOTICES_MAX, TakesMethods,
};

use crate::Reading;

/// A session's identity: the bus's address.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SessionKey {
    /// In which hub.
    pub hub: HubNo,
    /// Who.
    pub id: IdentityId,
}

/// The right to be the one session of an identity; a higher epoch took it over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Epoch(pub u64);

/// Finds sessions.
pub trait Bus: Send + Sync + 'static {
    /// Makes `mailbox` the one of `key`. The mailbox that held the key is told
    /// [`CloseReason::Superseded`].
    fn claim<'a>(&'a self, key: &'a SessionKey, mailbox: Arc<Mailbox>) -> Reading<'a, Epoch>;

    /// Gives the claim up; nothing happens when another session took it over. True when it was still held.
    fn release(&self, key: &SessionKey, epoch: Epoch) -> bool;

    /// Puts a notice into the mailbox of `key`, if one is connected. Never waits.
    fn notify(&self, key: &SessionKey, notice: Notice);

    /// Calls a method on the session of `key`: waits up to `connect` for one that takes methods, then up to `response` for its answer.
    fn call<'a>(
        &'a self,
        key: &'a SessionKey,
        request: MethodRequest,
    ) -> Reading<'a, Result<MethodAnswer, CallError>>;

    /// Says that the session of `key` may take methods by now, so that waiting calls look again.
    fn methods_changed(&self, key: &SessionKey);

    /// True while a session holds `key`.
    fn is_connected(&self, key: &SessionKey) -> bool;

    /// Connected devices of a hub; modules are not counted.
    fn connected_devices(&self, hub: HubNo) -> u64;

    /// Tells every session to close.
    fn close_all(&self, reason: CloseReason);
}

/// What a session is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// Desired properties changed: the notification text and the section's version.
    DesiredChanged {
        /// JSON with `$version` inside.
        text: bytes::Bytes,
        /// The desired section's version.
        version: u64,
    },
    /// Desired properties changed more often than the mailbox holds: read the twin.
    ReadTwin,
    /// There are cloud-to-device messages in the queue.
    MessageAvailable,
    /// A back end calls a method.
    Method(MethodCall),
    /// An injected fault takes a part of the connection: a session or link of AMQP. Other protocols have none.
    Fault(FaultKind),
    /// Close the session.
    Close(CloseReason),
}

/// Why a session has to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CloseReason {
    /// A newer connection of the same identity (400027).
    Superseded,
    /// The identity was disabled.
    Disabled,
    /// The identity was deleted.
    Deleted,
    /// Its credentials changed: it has to prove itself again.
    CredentialsChanged,
    /// The device asked for it, to test how it comes back (400029).
    FaultInjected(FaultKind),
    /// The installation is stopping.
    Shutdown,
}

/// A method call on its way to a session.
#[derive(Clone, Debug)]
pub struct MethodRequest {
    /// The method's name.
    pub name: String,
    /// The JSON payload; `None` is no payload at all.
    pub payload: Option<bytes::Bytes>,
    /// How long to wait for a session that takes methods.
    pub connect: Duration,
    /// How long to wait for its answer.
    pub response: Duration,
}

/// Why a call has no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// No session takes methods for this identity, or it went away during the call.
    #[error("the device is not connected, or takes no methods")]
    NotOnline,
    /// The session did not answer in time.
    #[error("the device did not answer in time")]
    TimedOut,
    /// As many calls as allowed are waiting for this identity's answer.
    #[error("too many method calls are waiting for this device")]
    TooManyInFlight,
}
