//! Fault injection: telemetry that asks the hub to harm its sender's own connection.
//!
//! The vendor's end-to-end suites test reconnection with it. Names from `ErrorInjection.cs` and
//! `FaultInjectionConstants.cs` (C#), `error_injection.js` (Node) and `ErrorInjectionHelper.java`.

use std::time::Duration;

use crate::message::PropertyBag;

/// The longest delay and the longest duration that are honored.
pub const FAULT_SECONDS_MAX: u64 = 600;

const TYPE: &str = "AzIoTHub_FaultOperationType";
const CLOSE_REASON: &str = "AzIoTHub_FaultOperationCloseReason";
const DELAY: &str = "AzIoTHub_FaultOperationDelayInSecs";
const DURATION: &str = "AzIoTHub_FaultOperationDurationInSecs";
/// How each of the names begins; no client encodes these characters.
const MARK: &[u8] = b"AzIoTHub_Fault";

/// Whether devices may ask for faults.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FaultInjection {
    /// Such messages are telemetry like any other.
    #[default]
    Off,
    /// They are obeyed.
    On,
}

/// What is to happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FaultKind {
    /// The socket is dropped without a word.
    KillTcp,
    /// The MQTT connection is closed.
    ShutDownMqtt,
    /// The AMQP connection is closed in order.
    ShutDownAmqp,
    /// The AMQP connection is closed with an error.
    KillAmqpConnection,
    /// The AMQP session is ended with an error.
    KillAmqpSession,
    /// A link is detached with an error.
    KillLink(FaultLink),
    /// Sends are refused as throttled.
    Throttling,
    /// Sends are refused as over the quota.
    MessageQuota,
    /// Sends and connects are refused as not authorized.
    Authentication,
}

/// The AMQP link that a fault takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FaultLink {
    /// Requests to `$cbs`.
    CbsRequests,
    /// Answers of `$cbs`.
    CbsAnswers,
    /// Telemetry.
    Telemetry,
    /// Cloud-to-device messages.
    Messages,
    /// Twin requests.
    TwinRequests,
    /// Twin answers.
    TwinAnswers,
    /// Method calls.
    MethodCalls,
    /// Method answers.
    MethodAnswers,
}

/// A fault as a message asked for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FaultRequest {
    /// What.
    pub kind: FaultKind,
    /// A text for the log.
    pub close_reason: String,
    /// How long to wait first.
    pub delay: Duration,
    /// How long it stays: connects (or sends) are refused meanwhile.
    pub duration: Duration,
}

impl FaultKind {
    const NAMES: [(&'static str, Self); 16] = [
        ("KillTcp", Self::KillTcp),
        ("ShutDownMqtt", Self::ShutDownMqtt),
        ("ShutDownAmqp", Self::ShutDownAmqp),
        ("KillAmqpConnection", Self::KillAmqpConnection),
        ("KillAmqpSession", Self::KillAmqpSession),
        ("KillAmqpCBSLinkReq", Self::KillLink(FaultLink::CbsRequests)),
        ("KillAmqpCBSLinkResp", Self::KillLink(FaultLink::CbsAnswers)),
        ("KillAmqpD2CLink", Self::KillLink(FaultLink::Telemetry)),
        ("KillAmqpC2DLink", Self::KillLink(FaultLink::Messages)),
        (
            "KillAmqpTwinLinkReq",
            Self::KillLink(FaultLink::TwinRequests),
        ),
        (
            "KillAmqpTwinLinkResp",
            Self::KillLink(FaultLink::TwinAnswers),
        ),
        (
            "KillAmqpMethodReqLink",
            Self::KillLink(FaultLink::MethodCalls),
        ),
        (
            "KillAmqpMethodRespLink",
            Self::KillLink(FaultLink::MethodAnswers),
        ),
        ("InvokeThrottling", Self::Throttling),
        ("InvokeMaxMessageQuota", Self::MessageQuota),
        ("InvokeAuthError", Self::Authentication),
    ];

    /// The spelling in a message.
    pub fn as_str(self) -> &'static str {
        Self::NAMES
            .iter()
            .find(|(_, kind)| *kind == self)
            .map_or("", |(name, _)| name)
    }

    fn parse(text: &str) -> Option<Self> {
        Self::NAMES
            .iter()
            .find(|(name, _)| name.eq_ignore_ascii_case(text))
            .map(|(_, kind)| *kind)
    }
}

impl FaultRequest {
    /// Whether a property bag may ask for a fault: a look that costs little, for every message has one.
    pub fn may_be(raw_bag: &[u8]) -> bool {
        raw_bag.windows(MARK.len()).any(|window| window == MARK)
    }

    /// The fault that a property bag asks for; `None` for ordinary messages and unknown faults. Seconds beyond
    /// [`FAULT_SECONDS_MAX`] count as so many, unreadable ones as zero.
    pub fn parse(raw_bag: &[u8]) -> Option<Self> {
        if !Self::may_be(raw_bag) {
            return None;
        }
        let bag = PropertyBag::decode(raw_bag).ok()?;
        let value = |name: &str| {
            bag.entries
                .iter()
                .find(|(key, _)| key == name)
                .and_then(|(_, value)| value.as_deref())
        };
        let seconds = |name| {
            let seconds: u64 = value(name).and_then(|text| text.parse().ok()).unwrap_or(0);
            Duration::from_secs(seconds.min(FAULT_SECONDS_MAX))
        };
        Some(Self {
            kind: FaultKind::parse(value(TYPE)?)?,
            close_reason: value(CLOSE_REASON).unwrap_or_default().to_owned(),
            delay: seconds(DELAY),
            duration: seconds(DURATION),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_is_read_from_its_properties() {
        let bag = b"AzIoTHub_FaultOperationType=KillAmqpTwinLinkReq&AzIoTHub_FaultOperationCloseReason=%20boom\
            &AzIoTHub_FaultOperationDelayInSecs=2&AzIoTHub_FaultOperationDurationInSecs=99999";
        let fault = FaultRequest::parse(bag).unwrap();
        assert_eq!(fault.kind, FaultKind::KillLink(FaultLink::TwinRequests));
        assert_eq!(fault.kind.as_str(), "KillAmqpTwinLinkReq");
        assert_eq!(fault.close_reason, " boom");
        assert_eq!(fault.delay, Duration::from_secs(2));
        assert_eq!(fault.duration, Duration::from_secs(FAULT_SECONDS_MAX));
    }

    #[test]
    fn ordinary_and_unknown_messages_ask_for_none() {
        for bag in [
            &b"a=b"[..],
            b"",
            b"AzIoTHub_FaultOperationType=Explode",
            b"AzIoTHub_FaultOperationDelayInSecs=1",
        ] {
            assert_eq!(FaultRequest::parse(bag), None);
        }
    }
}
