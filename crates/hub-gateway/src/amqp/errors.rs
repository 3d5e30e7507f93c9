//! The error conditions of the vendor, and which of them an engine's error becomes.
//!
//! `AmqpErrorMapper.cs` of the C# SDK, `amqp_common_errors.ts` of the Node SDK, "AMQP support" documentation.

use std::fmt::Write as _;

use hub_amqp::{AmqpError, Connection, DeliveryId, LinkId, MapBuf, Outcome, Value, condition};
use hub_domain::ErrorCode;
use hub_domain::fault::FaultKind;
use hub_engine::{CloseReason, Engine, Error, ErrorKind, Origin};

/// Bad input.
pub(super) const ARGUMENT_ERROR: &str = "com.microsoft:argument-error";
/// Another connection took the identity (409002).
pub(super) const LINK_CREATION_CONFLICT: &str = "com.microsoft:link-creation-conflict";
/// A settlement that comes too late (412002).
const MESSAGE_LOCK_LOST: &str = "com.microsoft:message-lock-lost";
const PRECONDITION_FAILED: &str = "com.microsoft:precondition-failed";
const DEVICE_ALREADY_EXISTS: &str = "com.microsoft:device-already-exists";
pub(super) const THROTTLED: &str = "com.microsoft:device-container-throttled";
const TIMEOUT: &str = "com.microsoft:timeout";
/// Where the C# client looks for the tracking id.
pub(super) const TRACKING_ID: &str = "com.microsoft:tracking-id";

/// What a peer is told when something is refused, with an id that finds it in the log.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) condition: &'static str,
    pub(super) text: String,
    tracking: String,
    info: MapBuf,
}

impl Refusal {
    pub(super) fn new(engine: &Engine, condition: &'static str, text: impl Into<String>) -> Self {
        let mut bytes = [0; 16];
        engine.environment().fill_random(&mut bytes);
        let mut tracking = String::with_capacity(32);
        for byte in bytes {
            write!(tracking, "{byte:02x}").expect("a string takes every text");
        }
        Self {
            condition,
            text: text.into(),
            tracking,
            info: MapBuf::new(),
        }
    }

    /// Adds what programs read of it.
    pub(super) fn with_info(self, info: MapBuf) -> Self {
        Self { info, ..self }
    }

    /// Of an operation that failed. Failures of the hub itself are logged here, once.
    pub(super) fn of(engine: &Engine, error: &Error) -> Self {
        let refusal = Self::new(engine, condition_of(error), error.message());
        match error.origin() {
            Origin::Hub => tracing::error!(
                error = error as &dyn std::error::Error,
                tracking = refusal.tracking,
                "an operation over amqp failed"
            ),
            Origin::Request | Origin::HubForNow => {
                tracing::debug!(%error, tracking = refusal.tracking, "refused over amqp");
            }
        }
        refusal
    }

    /// Why the engine ended a session.
    pub(super) fn of_close(engine: &Engine, reason: CloseReason) -> Self {
        let (condition, text) = match reason {
            CloseReason::Superseded => (
                LINK_CREATION_CONFLICT,
                "a newer connection of the same identity took its place (409002)",
            ),
            CloseReason::Disabled => (condition::UNAUTHORIZED_ACCESS, "the device is disabled"),
            CloseReason::Deleted => (condition::NOT_FOUND, "the identity was deleted"),
            CloseReason::CredentialsChanged => (
                condition::UNAUTHORIZED_ACCESS,
                "the identity's credentials changed",
            ),
            CloseReason::FaultInjected(kind) => (
                condition_of_fault(kind),
                "the device asked for this fault (400029)",
            ),
            CloseReason::Shutdown => (condition::CONNECTION_FORCED, "the hub is stopping"),
        };
        Self::new(engine, condition, text)
    }

    /// Hands the error to `tell` in the form of the protocol.
    pub(super) fn tell<T>(&self, tell: impl FnOnce(&AmqpError<'_>) -> T) -> T {
        let text = format!("{} TrackingId:{}", self.text, self.tracking);
        let info = self.info.clone();
        let info = info.symbol(TRACKING_ID, Value::String(&self.tracking));
        tell(&AmqpError {
            condition: self.condition,
            description: Some(&text),
            info: Some(info.as_map()),
        })
    }

    /// Refuses a link.
    pub(super) fn refuse(&self, amqp: &mut Connection, link: LinkId) {
        self.tell(|error| amqp.refuse(link, error));
    }

    /// Ends a link.
    pub(super) fn detach(&self, amqp: &mut Connection, link: LinkId) {
        self.tell(|error| amqp.detach(link, Some(error)));
    }

    /// Rejects a delivery.
    pub(super) fn reject(&self, amqp: &mut Connection, link: LinkId, delivery: DeliveryId) {
        self.tell(|error| amqp.settle(link, delivery, &Outcome::Rejected(Some(*error))));
    }
}

/// The client library of Node comes again after `amqp:link:detach-forced` and gives up after `amqp:connection:forced`.
const fn condition_of_fault(kind: FaultKind) -> &'static str {
    match kind {
        FaultKind::KillAmqpSession | FaultKind::KillLink(_) => condition::DETACH_FORCED,
        FaultKind::KillTcp
        | FaultKind::ShutDownMqtt
        | FaultKind::ShutDownAmqp
        | FaultKind::KillAmqpConnection
        | FaultKind::Throttling
        | FaultKind::MessageQuota
        | FaultKind::Authentication => condition::CONNECTION_FORCED,
    }
}

fn condition_of(error: &Error) -> &'static str {
    if error.code() == ErrorCode::DeviceMessageLockLost {
        return MESSAGE_LOCK_LOST;
    }
    match error.kind() {
        ErrorKind::NotFound => condition::NOT_FOUND,
        ErrorKind::AlreadyExists => DEVICE_ALREADY_EXISTS,
        ErrorKind::PreconditionFailed => PRECONDITION_FAILED,
        ErrorKind::Invalid | ErrorKind::BadDeviceAnswer => ARGUMENT_ERROR,
        ErrorKind::TooLarge => condition::MESSAGE_SIZE_EXCEEDED,
        ErrorKind::NotAuthenticated | ErrorKind::NotAllowed => condition::UNAUTHORIZED_ACCESS,
        ErrorKind::Throttled => THROTTLED,
        ErrorKind::QuotaExceeded => condition::RESOURCE_LIMIT_EXCEEDED,
        ErrorKind::DeviceOffline | ErrorKind::TimedOut | ErrorKind::Unavailable => TIMEOUT,
        ErrorKind::Internal => condition::INTERNAL_ERROR,
    }
}

/// The status that a reply on `$cbs` and `$management` carries.
pub(super) fn status_of(error: &Error) -> i32 {
    match error.kind() {
        // A token that cannot be believed is 401 whatever is wrong with it.
        ErrorKind::NotAuthenticated | ErrorKind::NotAllowed => 401,
        ErrorKind::NotFound => 404,
        ErrorKind::Invalid | ErrorKind::TooLarge => 400,
        ErrorKind::AlreadyExists
        | ErrorKind::PreconditionFailed
        | ErrorKind::Throttled
        | ErrorKind::QuotaExceeded
        | ErrorKind::DeviceOffline
        | ErrorKind::TimedOut
        | ErrorKind::BadDeviceAnswer
        | ErrorKind::Unavailable
        | ErrorKind::Internal => i32::from(error.code().http_status()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_a_condition_and_a_status() {
        for kind in ErrorKind::ALL {
            let error = Error::new(kind, "x");
            assert!(condition_of(&error).contains(':'), "{kind:?}");
            assert!((400..600).contains(&status_of(&error)), "{kind:?}");
        }
        let lost = Error::new(ErrorKind::PreconditionFailed, "x")
            .with_code(ErrorCode::DeviceMessageLockLost);
        assert_eq!(condition_of(&lost), "com.microsoft:message-lock-lost");
    }
}
