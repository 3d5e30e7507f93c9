//! The links of devices, and the sessions that they open and end.

use std::sync::Arc;
use std::time::Duration;

use hub_amqp::{LinkId, condition};
use hub_domain::{ErrorCode, Hub, IdentityId};
use hub_engine::sessions::{Credential, OpenRequest, Opened, Persistence};
use hub_engine::{Engine, Error};
use rustls::pki_types::CertificateDer;
use tokio::time::Instant;

use super::super::addresses::DeviceAddress;
use super::super::device::{DeviceLink, DeviceNo, DeviceState, Waiting};
use super::super::errors::Refusal;
use super::super::links::{Asked, Link};
use super::super::work::Done;
use super::Connection;
use crate::counters::CloseCause;

/// How long links of a device wait for the end of its injected fault before they are refused.
const FAULT_WAIT_MAX: Duration = Duration::from_secs(60);
/// How often it is looked whether the fault is over.
const FAULT_LOOK_EVERY: Duration = Duration::from_millis(100);

impl Connection {
    pub(super) fn attach_device(
        &mut self,
        asked: &Asked,
        id: IdentityId,
        address: DeviceAddress,
    ) -> Result<(), Refusal> {
        let Some(of) = DeviceLink::of(address, asked.role, &id) else {
            let text = "the address has no link in this direction";
            return Err(self.refusal(condition::NOT_ALLOWED, text));
        };
        let hub = self.hub_of(&asked.address)?;
        let waiting = Waiting {
            link: asked.link,
            of,
            model_id: asked.model_id.clone(),
        };
        if let Some(device) = self.devices.of(hub.no, &id) {
            device.link_count += 1;
            let no = device.no;
            self.links.insert(asked.link, Link::Device(no, of));
            match &mut device.state {
                DeviceState::Opening(links) => links.push(waiting),
                DeviceState::Open(_) => self.accept_device(no, waiting),
            }
            return Ok(());
        }
        self.open_session(asked.link, hub, id, waiting)
    }

    /// The first link of an identity opens its session.
    fn open_session(
        &mut self,
        link: LinkId,
        hub: Arc<Hub>,
        id: IdentityId,
        waiting: Waiting,
    ) -> Result<(), Refusal> {
        let shown = match self.credentials.token_of(&hub, &id) {
            Ok(token) => Shown::Token(token.into()),
            Err(error) => match self.stream.certificates() {
                [] => return Err(self.failed(&error)),
                certificates => Shown::Certificates(certificates.to_vec()),
            },
        };
        let of = waiting.of;
        let model_id = waiting.model_id.clone();
        let device = self.devices.add(Arc::clone(&hub), id.clone(), waiting);
        self.links.insert(link, Link::Device(device, of));
        let engine = Arc::clone(&self.head.engine);
        self.works.push(1, 0, async move {
            let result = open_after_fault(&engine, (hub, id), &shown, model_id.as_deref()).await;
            Done::Opened { device, result }
        });
        Ok(())
    }

    /// Accepts a link of a device that is connected.
    pub(super) fn accept_device(&mut self, device: DeviceNo, waiting: Waiting) {
        let Some(open) = self.devices.open(device) else {
            return;
        };
        open.add(waiting.link, waiting.of);
        if let Some(model_id) = waiting.model_id.filter(|id| !id.is_empty()) {
            let noted = open.session.announce_model(&model_id);
            self.works
                .push(1, 0, async move { Done::Noted(noted.await) });
        }
        self.amqp.accept(waiting.link, &waiting.of.accept());
    }

    /// Forgets a link that is gone; the last one of a device ends its session.
    pub(super) fn detached(&mut self, link: LinkId) {
        self.forget_waiting(link);
        let Some(Link::Device(no, _)) = self.links.remove(&link) else {
            return;
        };
        let Some(device) = self.devices.get(no) else {
            return;
        };
        device.link_count -= 1;
        match &mut device.state {
            DeviceState::Opening(waiting) => waiting.retain(|waiting| waiting.link != link),
            DeviceState::Open(open) => open.remove(link),
        }
        if device.link_count == 0 {
            self.devices.remove(no);
        }
    }

    /// Ends a device's session and links. A connection that served nothing else is closed.
    pub(super) fn end_device(
        &mut self,
        no: DeviceNo,
        refusal: &Refusal,
        cause: CloseCause,
    ) -> Result<(), CloseCause> {
        let Some(device) = self.devices.remove(no) else {
            return Ok(());
        };
        tracing::debug!(peer = %self.peer, id = %device.id, condition = refusal.condition, "amqp session ended");
        let waiting: Vec<LinkId> = match &device.state {
            DeviceState::Opening(waiting) => waiting.iter().map(|waiting| waiting.link).collect(),
            DeviceState::Open(_) => Vec::new(),
        };
        let gone: Vec<LinkId> = self
            .links
            .iter()
            .filter(|(_, link)| matches!(link, Link::Device(of, _) if *of == no))
            .map(|(link, _)| *link)
            .collect();
        for link in &gone {
            self.links.remove(link);
        }
        if self.is_idle() && waiting.is_empty() {
            // The end of the session says it of every link. A detach before it would have azure-iot-amqp-base (Node) wait
            // for the answer to one of its own, which a closed connection never gives.
            return Err(self.close_with(refusal, cause));
        }
        for link in gone {
            if waiting.contains(&link) {
                refusal.refuse(&mut self.amqp, link);
            } else {
                refusal.detach(&mut self.amqp, link);
            }
        }
        Ok(())
    }

    /// True when only the links for tokens are left.
    fn is_idle(&self) -> bool {
        self.devices.is_empty()
            && self
                .links
                .values()
                .all(|link| matches!(link, Link::CbsRequests | Link::CbsReplies(_)))
    }
}

/// Opens a session; while an injected fault of the device holds, its links wait. Node, refused several links at once,
/// comes again only after 45 s, and refused by the end of its session it comes again without a pause.
async fn open_after_fault(
    engine: &Engine,
    (hub, id): (Arc<Hub>, IdentityId),
    shown: &Shown,
    model_id: Option<&str>,
) -> Result<Opened, Error> {
    let waits_until = Instant::now() + FAULT_WAIT_MAX;
    loop {
        let request = OpenRequest {
            hub: Arc::clone(&hub),
            id: id.clone(),
            credential: shown.credential(),
            model_id,
            persistence: Persistence::Connection,
        };
        let now = engine.environment().now();
        match engine.sessions.open(now, request).await {
            Err(error)
                if error.code() == ErrorCode::ConnectionRejectedOnFaultInjection
                    && Instant::now() < waits_until =>
            {
                tokio::time::sleep(FAULT_LOOK_EVERY).await;
            }
            result => return result,
        }
    }
}

/// What a device shows to open its session. A token decides where there is one.
pub(super) enum Shown {
    Token(Box<str>),
    Certificates(Vec<CertificateDer<'static>>),
}

impl Shown {
    pub(super) fn credential(&self) -> Credential<'_> {
        match self {
            Self::Token(token) => Credential::Token(token),
            Self::Certificates(certificates) => Credential::Certificate(certificates),
        }
    }
}
