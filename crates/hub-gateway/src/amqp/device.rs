//! The devices of a connection: one session per identity, opened with its first link and ended with its last.

pub(super) mod messages;
pub(super) mod methods;
pub(super) mod twin;

use std::collections::VecDeque;
use std::sync::Arc;

use hub_amqp::{Accept, Credit, DeliveryId, LinkId, Role, SenderSettleMode};
use hub_domain::{Hub, HubNo, IdentityId};
use hub_engine::sessions::{Delivery, Subscription};
use hub_engine::{Engine, MessageNo, Session};

pub(super) use twin::TwinAnswer;

use super::addresses::DeviceAddress;
use super::links::SETTLES_FIRST;
use super::telemetry;
use super::work::Request;

/// Telemetry messages of one link that may be under way.
const TELEMETRY_WINDOW: u32 = 200;
/// Answers and requests of one link that may be under way.
const REQUESTS_WINDOW: u32 = 64;
/// Largest answer or request: 128 KiB, and what AMQP adds to it.
const REQUEST_BYTES_MAX: u64 = 128 * 1024 + 32 * 1024;

/// Names a device within its connection; never used for another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct DeviceNo(u64);

/// What a link of a device is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum DeviceLink {
    /// Telemetry comes.
    Telemetry,
    /// Cloud-to-device messages go.
    Messages,
    /// Routed inputs of a module go.
    Inputs,
    /// Method calls go.
    MethodCalls,
    /// Their answers come.
    MethodAnswers,
    /// Twin requests come.
    TwinRequests,
    /// Their answers go, and changes of the desired section.
    TwinAnswers,
}

impl DeviceLink {
    /// What a peer with this role means at an address; `None` when it can do nothing there.
    pub(super) const fn of(address: DeviceAddress, peer: Role, id: &IdentityId) -> Option<Self> {
        match (address, peer) {
            (DeviceAddress::Events, Role::Sender) => Some(Self::Telemetry),
            (DeviceAddress::Events, Role::Receiver) if id.module.is_some() => Some(Self::Inputs),
            (DeviceAddress::Events, Role::Receiver) | (DeviceAddress::Messages, Role::Sender) => {
                None
            }
            (DeviceAddress::Messages, Role::Receiver) => Some(Self::Messages),
            (DeviceAddress::Methods, Role::Sender) => Some(Self::MethodAnswers),
            (DeviceAddress::Methods, Role::Receiver) => Some(Self::MethodCalls),
            (DeviceAddress::Twin, Role::Sender) => Some(Self::TwinRequests),
            (DeviceAddress::Twin, Role::Receiver) => Some(Self::TwinAnswers),
        }
    }

    /// How the hub accepts the link.
    pub(super) fn accept(self) -> Accept<'static> {
        match self {
            Self::Telemetry => Accept {
                credit: Credit::Window(TELEMETRY_WINDOW),
                receiver_settle_mode: SETTLES_FIRST,
                max_message_size: telemetry::MESSAGE_BYTES_MAX,
                ..Accept::default()
            },
            Self::MethodAnswers | Self::TwinRequests => Accept {
                credit: Credit::Window(REQUESTS_WINDOW),
                receiver_settle_mode: SETTLES_FIRST,
                max_message_size: REQUEST_BYTES_MAX,
                ..Accept::default()
            },
            // A message is done when the device says so, whatever mode it asked for.
            Self::Messages => Accept {
                sender_settle_mode: Some(SenderSettleMode::Unsettled),
                ..Accept::default()
            },
            Self::Inputs | Self::MethodCalls | Self::TwinAnswers => Accept::default(),
        }
    }
}

/// What a peer says of a message that it was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Settlement {
    Complete,
    Reject,
    Abandon,
}

/// A message whose outcome the device told.
#[derive(Clone, Copy, Debug)]
pub(super) struct Settle {
    pub(super) link: LinkId,
    pub(super) delivery: DeliveryId,
    /// The device waits until the hub has settled as well.
    pub(super) awaits_confirmation: bool,
}

/// A link that waits for its device's session.
pub(super) struct Waiting {
    pub(super) link: LinkId,
    pub(super) of: DeviceLink,
    pub(super) model_id: Option<Box<str>>,
}

/// One device or module of a connection.
pub(super) struct Device {
    pub(super) no: DeviceNo,
    pub(super) hub: Arc<Hub>,
    pub(super) id: IdentityId,
    pub(super) state: DeviceState,
    /// Links that are attached or wait.
    pub(super) link_count: u32,
}

pub(super) enum DeviceState {
    /// Its credential is checked.
    Opening(Vec<Waiting>),
    /// It is connected.
    Open(Box<OpenDevice>),
}

/// A connected device.
pub(super) struct OpenDevice {
    pub(super) session: Session,
    /// The link for each thing that the hub sends; the newest one where there are several.
    pub(super) messages: Option<LinkId>,
    pub(super) calls: Option<LinkId>,
    pub(super) twin: Option<LinkId>,
    /// There may be messages that were not fetched yet.
    pub(super) messages_wanted: bool,
    pub(super) is_fetching: bool,
    /// Messages that were sent on the link and have no outcome yet.
    pub(super) unsettled: Vec<MessageNo>,
    /// Patches that are not durable yet: a read must see them.
    pub(super) patches: u32,
    pub(super) reads: VecDeque<Request>,
    /// What the correlation ids of this session's method calls end with.
    pub(super) call_suffix: [u8; 12],
}

impl OpenDevice {
    pub(super) fn new(engine: &Engine, session: Session) -> Self {
        let mut call_suffix = [0; 12];
        engine.environment().fill_random(&mut call_suffix);
        Self {
            session,
            messages: None,
            calls: None,
            twin: None,
            messages_wanted: false,
            is_fetching: false,
            unsettled: Vec::new(),
            patches: 0,
            reads: VecDeque::new(),
            call_suffix,
        }
    }

    /// Notes a link that was accepted.
    pub(super) fn add(&mut self, link: LinkId, of: DeviceLink) {
        match of {
            DeviceLink::Messages => {
                self.messages = Some(link);
                self.subscribe(Subscription::Messages, Delivery::AtLeastOnce);
            }
            DeviceLink::MethodCalls => {
                self.calls = Some(link);
                self.subscribe(Subscription::Methods, Delivery::AtMostOnce);
            }
            DeviceLink::TwinAnswers => self.twin = Some(link),
            DeviceLink::Telemetry
            | DeviceLink::Inputs
            | DeviceLink::MethodAnswers
            | DeviceLink::TwinRequests => {}
        }
    }

    /// Forgets a link that is gone.
    pub(super) fn remove(&mut self, link: LinkId) {
        let is = |held: &mut Option<LinkId>| held.take_if(|held| *held == link).is_some();
        if is(&mut self.messages) {
            self.unsubscribe(Subscription::Messages);
            // Nobody tells their outcome any more: the next link gets them again.
            for message in std::mem::take(&mut self.unsettled) {
                self.session.give_back_message(message);
            }
        }
        if is(&mut self.calls) {
            self.unsubscribe(Subscription::Methods);
        }
        if is(&mut self.twin) {
            self.unsubscribe(Subscription::Desired);
        }
    }

    /// Nothing of a session that ends with its connection is stored, so there is nothing to wait for.
    pub(super) fn subscribe(&mut self, subscription: Subscription, delivery: Delivery) {
        drop(self.session.subscribe(&[(subscription, delivery)]));
    }

    pub(super) fn unsubscribe(&mut self, subscription: Subscription) {
        drop(self.session.unsubscribe(&[subscription]));
    }
}

/// All devices of a connection, in the order of their numbers.
#[derive(Default)]
pub(super) struct Devices {
    list: Vec<Device>,
    next: u64,
}

impl Devices {
    pub(super) const fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Device> {
        self.list.iter_mut()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Device> {
        self.list.iter()
    }

    pub(super) fn of(&mut self, hub: HubNo, id: &IdentityId) -> Option<&mut Device> {
        let is = |device: &&mut Device| device.id == *id && device.hub.no == hub;
        self.list.iter_mut().find(is)
    }

    pub(super) fn get(&mut self, no: DeviceNo) -> Option<&mut Device> {
        let at = self
            .list
            .binary_search_by_key(&no, |device| device.no)
            .ok()?;
        Some(&mut self.list[at])
    }

    /// The device, once its session is open.
    pub(super) fn open(&mut self, no: DeviceNo) -> Option<&mut OpenDevice> {
        match &mut self.get(no)?.state {
            DeviceState::Open(open) => Some(open),
            DeviceState::Opening(_) => None,
        }
    }

    /// Adds a device whose session is being opened for its first link.
    pub(super) fn add(&mut self, hub: Arc<Hub>, id: IdentityId, first: Waiting) -> DeviceNo {
        let no = DeviceNo(self.next);
        self.next += 1;
        self.list.push(Device {
            no,
            hub,
            id,
            state: DeviceState::Opening(vec![first]),
            link_count: 1,
        });
        no
    }

    pub(super) fn remove(&mut self, no: DeviceNo) -> Option<Device> {
        let at = self
            .list
            .binary_search_by_key(&no, |device| device.no)
            .ok()?;
        let removed = self.list.remove(at);
        if self.list.is_empty() {
            self.list = Vec::new();
        }
        Some(removed)
    }
}
