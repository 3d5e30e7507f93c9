//! Links that come and go.

use std::sync::Arc;

use hub_amqp::{Accept, Credit, LinkId, Role, condition};
use hub_domain::{HostName, Hub, ServiceBoundKind};
use hub_engine::{Error, ErrorKind};

use super::super::addresses::{Address, PartitionAddress, ServiceAddress, authority};
use super::super::cbs;
use super::super::device::{DeviceNo, DeviceState};
use super::super::errors::Refusal;
use super::super::events::{self, Attaching};
use super::super::links::{Asked, Authorized, Link, ReplyEnd, SETTLES_FIRST};
use super::super::service::{self, queue::QueueLink};
use super::Connection;
use crate::counters::CloseCause;

/// Links of a connection that showed no credential yet: those for tokens, or all of a device with a certificate.
const UNAUTHENTICATED_LINKS_MAX: usize = 8;
/// Questions of one `$management` link that may be under way, and their size.
const QUESTIONS_MAX: u32 = 32;
const QUESTION_BYTES_MAX: u64 = 64 * 1024;

impl Connection {
    /// Accepts or refuses a link, at once or when the session that it needs is open.
    pub(super) fn attach(&mut self, mut asked: Asked) {
        asked.session = self.amqp.session(asked.link);
        if let Err(refusal) = self.try_attach(&asked) {
            tracing::debug!(peer = %self.peer, address = asked.address, text = refusal.text, "amqp link refused");
            refusal.refuse(&mut self.amqp, asked.link);
        }
    }

    fn try_attach(&mut self, asked: &Asked) -> Result<(), Refusal> {
        if !self.credentials.is_authenticated() && self.links.len() >= UNAUTHENTICATED_LINKS_MAX {
            let text = "no credential was shown yet";
            return Err(self.refusal(condition::RESOURCE_LIMIT_EXCEEDED, text));
        }
        let address = Address::parse(&asked.address)
            .map_err(|error| self.refusal(condition::NOT_FOUND, &error.to_string()))?;
        if self.registration.is_some() && !matches!(address, Address::Registration(_)) {
            let text = "a connection that registers a device serves no hub";
            return Err(self.refusal(condition::NOT_ALLOWED, text));
        }
        match address {
            Address::Cbs => self.attach_cbs(asked),
            Address::Management { entity } => self.attach_management(asked, entity)?,
            Address::Partition(address) => self.attach_reader(asked, &address)?,
            Address::HubEvents { rest } => return Err(self.redirect(asked, &rest)),
            Address::Device(id, address) => self.attach_device(asked, id, address)?,
            Address::Service(address) => self.attach_service(asked, address)?,
            Address::Registration(name) => self.attach_registration(asked, name)?,
        }
        Ok(())
    }

    pub(super) fn refusal(&self, condition: &'static str, text: &str) -> Refusal {
        Refusal::new(&self.head.engine, condition, text)
    }

    pub(super) fn failed(&self, error: &Error) -> Refusal {
        Refusal::of(&self.head.engine, error)
    }

    /// The hub that a link means: the connection's, or that of its address, or of what was proved.
    pub(super) fn hub_of(&self, address: &str) -> Result<Arc<Hub>, Refusal> {
        let named = || {
            let host = HostName::parse(authority(address)?).ok()?;
            self.head.engine.hubs.by_host(Some(&host))
        };
        let hub = self.hub.clone().or_else(named);
        hub.or_else(|| self.credentials.hub().cloned())
            .ok_or_else(|| self.refusal(condition::NOT_FOUND, "no hub has this host name"))
    }

    fn authorize(&self, asked: &Asked, path: Vec<String>) -> Result<Authorized, Refusal> {
        let hub = self.hub_of(&asked.address)?;
        Authorized::check(&self.credentials, hub, path).map_err(|error| self.failed(&error))
    }

    fn add(&mut self, asked: &Asked, link: Link, accept: &Accept<'_>) {
        self.links.insert(asked.link, link);
        self.amqp.accept(asked.link, accept);
    }

    fn attach_cbs(&mut self, asked: &Asked) {
        match asked.role {
            Role::Sender => {
                let accept = Accept {
                    credit: Credit::Window(cbs::REQUESTS_MAX),
                    receiver_settle_mode: SETTLES_FIRST,
                    max_message_size: cbs::REQUEST_BYTES_MAX,
                    ..Accept::default()
                };
                self.add(asked, Link::CbsRequests, &accept);
            }
            Role::Receiver => {
                let link = Link::CbsReplies(ReplyEnd::of(asked));
                self.add(asked, link, &Accept::default());
            }
        }
    }

    fn attach_management(&mut self, asked: &Asked, entity: Option<String>) -> Result<(), Refusal> {
        // Whoever may read anything of the log may ask about it; the question names the entity.
        let hub = self.hub_of(&asked.address)?;
        let entity = entity.unwrap_or_else(|| hub.name.to_string());
        let deep = ["consumergroups", "$default", "partitions", "0"].map(str::to_owned);
        let paths = [
            vec![entity.clone(), "$management".to_owned()],
            std::iter::once(entity).chain(deep).collect(),
        ];
        let mut authorized = Err(Error::new(
            ErrorKind::NotAuthenticated,
            "no token speaks for it",
        ));
        for path in paths {
            authorized = Authorized::check(&self.credentials, Arc::clone(&hub), path);
            if authorized.is_ok() {
                break;
            }
        }
        let authorized = authorized.map_err(|error| self.failed(&error))?;
        match asked.role {
            Role::Sender => {
                let accept = Accept {
                    credit: Credit::Window(QUESTIONS_MAX),
                    receiver_settle_mode: SETTLES_FIRST,
                    max_message_size: QUESTION_BYTES_MAX,
                    ..Accept::default()
                };
                let link = Link::ManagementRequests(Box::new(authorized));
                self.add(asked, link, &accept);
            }
            Role::Receiver => {
                let link = Link::ManagementReplies(ReplyEnd::of(asked));
                self.add(asked, link, &Accept::default());
            }
        }
        Ok(())
    }

    fn attach_reader(&mut self, asked: &Asked, address: &PartitionAddress) -> Result<(), Refusal> {
        let authorized = self.authorize(asked, events::partition_path(address))?;
        if asked.role == Role::Sender {
            let text = "events are sent by devices, not to partitions";
            return Err(self.refusal(condition::NOT_ALLOWED, text));
        }
        let attaching = Attaching {
            engine: &self.head.engine,
            readers: &self.head.readers,
            asked,
            address,
        };
        let reader = events::attach(&attaching, authorized)?;
        let accept = Accept {
            // Clients of Event Hubs do not settle events.
            sender_settle_mode: Some(hub_amqp::SenderSettleMode::Settled),
            offered_capabilities: reader.offered(),
            ..Accept::default()
        };
        self.readers.push(asked.link);
        self.add(asked, Link::Events(Box::new(reader)), &accept);
        Ok(())
    }

    fn redirect(&self, asked: &Asked, rest: &str) -> Refusal {
        let path = ["messages", "events"].map(str::to_owned).to_vec();
        match self.authorize(asked, path) {
            Ok(authorized) => {
                let engine = &self.head.engine;
                events::redirect(engine, &authorized.hub, self.head.port, rest)
            }
            Err(refusal) => refusal,
        }
    }

    fn attach_service(&mut self, asked: &Asked, address: ServiceAddress) -> Result<(), Refusal> {
        let path: &[&str] = match address {
            ServiceAddress::Messages => &["messages", "devicebound"],
            ServiceAddress::Feedback => &["messages", "servicebound", "feedback"],
            ServiceAddress::FileNotifications => &["messages", "servicebound", "filenotifications"],
        };
        let path = path.iter().map(|segment| (*segment).to_owned()).collect();
        let authorized = self.authorize(asked, path)?;
        match (address, asked.role) {
            (ServiceAddress::Messages, Role::Sender) => {
                let accept = Accept {
                    credit: Credit::Window(service::SEND_WINDOW),
                    receiver_settle_mode: SETTLES_FIRST,
                    max_message_size: service::MESSAGE_BYTES_MAX,
                    ..Accept::default()
                };
                self.add(asked, Link::Messages(Box::new(authorized)), &accept);
                Ok(())
            }
            (ServiceAddress::Feedback, Role::Receiver) => {
                self.attach_queue(asked, authorized, ServiceBoundKind::Feedback);
                Ok(())
            }
            (ServiceAddress::FileNotifications, Role::Receiver) => {
                self.attach_queue(asked, authorized, ServiceBoundKind::FileNotification);
                Ok(())
            }
            (ServiceAddress::Messages, Role::Receiver)
            | (ServiceAddress::Feedback | ServiceAddress::FileNotifications, Role::Sender) => {
                let text = "the address has no link in this direction";
                Err(self.refusal(condition::NOT_ALLOWED, text))
            }
        }
    }

    fn attach_queue(&mut self, asked: &Asked, authorized: Authorized, kind: ServiceBoundKind) {
        let queue = QueueLink::new(&self.head.engine, authorized, kind);
        let accept = Accept {
            // A record is done when the peer says so, whatever mode it asked for.
            sender_settle_mode: Some(hub_amqp::SenderSettleMode::Unsettled),
            ..Accept::default()
        };
        self.readers.push(asked.link);
        self.add(asked, Link::Queue(Box::new(queue)), &accept);
    }

    /// Ends what no credential speaks for any more.
    pub(super) fn expire(&mut self) -> Result<(), CloseCause> {
        let now = self.now();
        let text = "the token has expired, put a newer one in time";
        let ended: Vec<DeviceNo> = self
            .devices
            .iter()
            .filter(|device| match &device.state {
                DeviceState::Open(open) => open.session.expires() <= now,
                DeviceState::Opening(_) => false,
            })
            .map(|device| device.no)
            .collect();
        let any = self.credentials.expire(now) || !ended.is_empty();
        if !any {
            return Ok(());
        }
        let refusal = self.refusal(condition::UNAUTHORIZED_ACCESS, text);
        for device in ended {
            self.end_device(device, &refusal, CloseCause::TokenExpired)?;
        }
        let credentials = &self.credentials;
        let gone: Vec<LinkId> = self
            .links
            .iter()
            .filter(|(_, link)| !is_proved(link, credentials))
            .map(|(link, _)| *link)
            .collect();
        for link in gone {
            self.links.remove(&link);
            refusal.detach(&mut self.amqp, link);
        }
        if self.credentials.is_empty() && self.devices.is_empty() {
            return Err(self.close_with(&refusal, CloseCause::TokenExpired));
        }
        Ok(())
    }
}

fn is_proved(link: &Link, credentials: &super::Credentials) -> bool {
    match link {
        Link::ManagementRequests(authorized) | Link::Messages(authorized) => {
            authorized.is_still_proved(credentials)
        }
        Link::Queue(queue) => queue.authorized.is_still_proved(credentials),
        Link::Events(events) => events.authorized.is_still_proved(credentials),
        Link::CbsRequests
        | Link::CbsReplies(_)
        | Link::ManagementReplies(_)
        | Link::Device(_, _)
        // Each of their requests is checked.
        | Link::Registrations(_)
        | Link::RegistrationReplies(_) => true,
    }
}
