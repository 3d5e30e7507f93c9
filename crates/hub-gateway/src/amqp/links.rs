//! The links of a connection: what each is for, and what a peer asked for when it attached one.

use std::sync::Arc;

use hub_amqp::{Attach, LinkId, ReceiverSettleMode, Role, SessionId};
use hub_domain::{Hub, Permission};
use hub_engine::{Caller, Error};

use super::credentials::Credentials;
use super::device::{DeviceLink, DeviceNo};
use super::events::link::EventLink;
use super::events::stream::RuntimeMetric;
use super::provisioning::Versions;
use super::service::queue::QueueLink;

/// The hub settles what it receives together with its outcome, whatever mode the peer asked for: uamqp asks for the other
/// one and then takes no outcome that is not settled (`link.c` of azure-uamqp-c).
pub(super) const SETTLES_FIRST: Option<ReceiverSettleMode> = Some(ReceiverSettleMode::First);

/// What a link is for.
pub(super) enum Link {
    /// The peer puts tokens.
    CbsRequests,
    /// The hub answers them.
    CbsReplies(ReplyEnd),
    /// The peer asks about the event log.
    ManagementRequests(Box<Authorized>),
    /// The hub answers.
    ManagementReplies(ReplyEnd),
    /// The peer reads events.
    Events(Box<EventLink>),
    /// The peer sends to devices.
    Messages(Box<Authorized>),
    /// The peer takes feedback or file notifications.
    Queue(Box<QueueLink>),
    /// Something of a device.
    Device(DeviceNo, DeviceLink),
    /// A device asks to be registered.
    Registrations(Box<Versions>),
    /// The service replies.
    RegistrationReplies(ReplyEnd),
}

/// A link on which the hub answers: requests name it by its address or by its session.
pub(super) struct ReplyEnd {
    pub(super) session: Option<SessionId>,
    pub(super) address: Option<Box<str>>,
}

impl ReplyEnd {
    pub(super) fn of(asked: &Asked) -> Self {
        Self {
            session: asked.session,
            address: asked.own_address.clone(),
        }
    }

    /// How well this link fits a request; the highest wins.
    pub(super) fn fit(&self, session: Option<SessionId>, reply_to: Option<&str>) -> u8 {
        let by_address = reply_to.is_some() && self.address.as_deref() == reply_to;
        let by_session = session.is_some() && self.session == session;
        2 * u8::from(by_address) + u8::from(by_session)
    }
}

/// On whose behalf a link of a back end works, and what has to stay proved for that.
pub(super) struct Authorized {
    pub(super) hub: Arc<Hub>,
    pub(super) caller: Caller,
    path: Vec<String>,
}

impl Authorized {
    /// Checks that the connection may do what back ends do at `path`.
    pub(super) fn check(
        credentials: &Credentials,
        hub: Arc<Hub>,
        path: Vec<String>,
    ) -> Result<Self, Error> {
        let caller = credentials.caller(hub.no, &path, Permission::ServiceConnect)?;
        Ok(Self { hub, caller, path })
    }

    /// Checks again, after a token ended.
    pub(super) fn is_still_proved(&self, credentials: &Credentials) -> bool {
        credentials
            .caller(self.hub.no, &self.path, Permission::ServiceConnect)
            .is_ok()
    }
}

/// What a peer asked for, outliving the frame.
#[derive(Clone)]
pub(super) struct Asked {
    pub(super) link: LinkId,
    pub(super) session: Option<SessionId>,
    /// Which end the peer is.
    pub(super) role: Role,
    /// The hub's end of the link.
    pub(super) address: Box<str>,
    /// The peer's end.
    pub(super) own_address: Option<Box<str>>,
    /// Where to begin to read.
    pub(super) selector: Box<str>,
    /// The owner level of a reader.
    pub(super) epoch: Option<i64>,
    pub(super) metric: RuntimeMetric,
    pub(super) model_id: Option<Box<str>>,
    /// Of the client.
    pub(super) versions: Versions,
}

/// Names the filter that says where to begin; also its descriptor.
const SELECTOR_FILTER: &str = "apache.org:selector-filter:string";
/// The owner level of a reader.
const EPOCH: &str = "com.microsoft:epoch";
/// The model that a device announces.
const MODEL_ID: &str = "com.microsoft:model-id";
/// A reader wants to know how far its partition has come.
pub(super) const RUNTIME_METRIC: &str = "com.microsoft:enable-receiver-runtime-metric";

impl Asked {
    pub(super) fn of(link: LinkId, session: Option<SessionId>, attach: &Attach<'_>) -> Self {
        let source = attach.source.as_ref().and_then(|source| source.address());
        let target = attach.target.as_ref().and_then(|target| target.address());
        let (address, own_address) = match attach.role {
            Role::Sender => (target, source),
            Role::Receiver => (source, target),
        };
        let filter = attach.source.as_ref().and_then(|source| source.filter);
        let selector = filter
            .and_then(|filter| filter.get(SELECTOR_FILTER))
            .and_then(|value| value.undescribed().as_str());
        let property = |name: &str| attach.properties.and_then(|map| map.get(name));
        let metric = if attach.desired_capabilities.contains(RUNTIME_METRIC) {
            RuntimeMetric::On
        } else {
            RuntimeMetric::Off
        };
        Self {
            link,
            session,
            role: attach.role,
            address: address.unwrap_or_default().into(),
            own_address: own_address.map(Into::into),
            selector: selector.unwrap_or_default().into(),
            epoch: property(EPOCH).and_then(|value| value.as_i64()),
            metric,
            model_id: property(MODEL_ID)
                .and_then(|value| value.as_str())
                .map(Into::into),
            versions: Versions::of(property),
        }
    }
}
