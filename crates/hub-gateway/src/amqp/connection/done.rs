//! Work that is done: replies, outcomes, sessions that were opened.

use std::sync::Arc;
use std::task::{Context, Poll};

use hub_amqp::{DeliveryId, LinkId, Outcome, SaslOutcome};
use hub_domain::{HubNo, IdentityId};
use hub_engine::sessions::{Credential, Opened, Proved};
use hub_engine::{Error, ErrorKind, Origin, StoredMessage};

use super::super::cbs;
use super::super::credentials::Grant;
use super::super::device::{DeviceNo, DeviceState, OpenDevice, TwinAnswer, messages, twin};
use super::super::errors::{Refusal, status_of};
use super::super::events;
use super::super::links::{Link, ReplyEnd};
use super::super::reply::send;
use super::super::work::{Done, Request};
use super::{Connection, SCRATCH};
use crate::counters::CloseCause;

impl Connection {
    /// Takes what is done, unless the peer reads too slowly to be told.
    pub(super) fn poll_done(&mut self, context: &mut Context<'_>) -> Result<(), CloseCause> {
        while !self.is_reader_slow() {
            match self.works.poll_done(context) {
                Poll::Ready(done) => self.finish(done)?,
                Poll::Pending => return Ok(()),
            }
        }
        Ok(())
    }

    fn finish(&mut self, done: Done) -> Result<(), CloseCause> {
        match done {
            Done::Plain(result) => self.finish_plain(result),
            Done::Admitted(result) => self.finish_admission(result),
            Done::Challenged(result) => self.finish_challenge(result),
            Done::Registered { request, answer } => {
                self.finish_registration(&request, &answer);
                Ok(())
            }
            Done::Token { request, result } => self.finish_token(&request, result),
            Done::Management { request, result } => {
                let mut message = Vec::new();
                events::write_answer(&mut message, request.id.as_ref(), &result);
                self.reply(&request, &message, |link| match link {
                    Link::ManagementReplies(end) => Some(end),
                    _ => None,
                });
                Ok(())
            }
            Done::Opened { device, result } => self.finish_open(device, result),
            Done::Renewed { device, result } => self.finish_renewal(device, result),
            Done::Stored { deliveries, result } => self.finish_stored(deliveries, result),
            Done::Sent {
                link,
                delivery,
                result,
            } => {
                self.finish_sent(link, delivery, result);
                Ok(())
            }
            Done::Twin {
                device,
                request,
                answer,
            } => self.finish_twin(device, &request, &answer),
            Done::Patched {
                device,
                request,
                answer,
            } => {
                self.finish_twin(device, &request, &answer)?;
                self.patch_done(device);
                Ok(())
            }
            Done::Desired { device, text } => {
                if let (Some(open), Some(text)) = (self.devices.open(device), text)
                    && let Some(link) = open.twin
                {
                    twin::notify(&mut self.amqp, link, &text);
                }
                Ok(())
            }
            Done::Fetched { device, result } => self.deliver(device, result),
            Done::Settled { settle, result } => {
                durable(&result)?;
                if settle.awaits_confirmation {
                    self.amqp.confirm(settle.link, settle.delivery);
                }
                Ok(())
            }
            Done::Noted(result) => durable(&result),
        }
    }

    /// Telemetry is accepted when it is durable.
    fn finish_stored(
        &mut self,
        deliveries: Vec<(LinkId, DeliveryId)>,
        result: Result<(), Error>,
    ) -> Result<(), CloseCause> {
        durable(&result)?;
        let refusal = result
            .err()
            .map(|error| Refusal::of(&self.head.engine, &error));
        for (link, delivery) in deliveries {
            match &refusal {
                None => self.amqp.settle(link, delivery, &Outcome::Accepted),
                Some(refusal) => refusal.reject(&mut self.amqp, link, delivery),
            }
        }
        Ok(())
    }

    fn finish_sent(&mut self, link: LinkId, delivery: DeliveryId, result: Result<(), Error>) {
        match result {
            Ok(()) => self.amqp.settle(link, delivery, &Outcome::Accepted),
            Err(error) => {
                let refusal = Refusal::of(&self.head.engine, &error);
                refusal.reject(&mut self.amqp, link, delivery);
            }
        }
    }

    fn finish_plain(&mut self, result: Result<Grant, Error>) -> Result<(), CloseCause> {
        let added = result.and_then(|grant| {
            self.hub.get_or_insert_with(|| Arc::clone(&grant.hub));
            self.credentials.add(grant)
        });
        match added {
            Ok(()) => {
                self.admitted();
                self.amqp.finish_sasl(SaslOutcome::Ok);
                Ok(())
            }
            Err(error) => {
                tracing::info!(peer = %self.peer, %error, "amqp login refused");
                self.amqp.finish_sasl(match error.kind() {
                    ErrorKind::Unavailable => SaslOutcome::SysTemp,
                    ErrorKind::Internal => SaslOutcome::Sys,
                    _ => SaslOutcome::Auth,
                });
                Err(CloseCause::Refused)
            }
        }
    }

    /// The first credential was believed: the connection is bounded by the protocol from here on.
    pub(super) fn admitted(&mut self) {
        if self.place.take().is_some() {
            self.stream.authenticated();
        }
    }

    fn finish_token(
        &mut self,
        request: &Request,
        result: Result<Grant, Error>,
    ) -> Result<(), CloseCause> {
        let hub_and_id = result
            .as_ref()
            .ok()
            .map(|grant| (grant.hub.no, grant.identity().cloned()));
        let added = result.and_then(|grant| self.credentials.add(grant));
        let mut message = Vec::new();
        let id = request.id.as_ref();
        match &added {
            Ok(()) => {
                self.admitted();
                cbs::write_reply(&mut message, id, 200, "OK");
            }
            Err(error) => {
                tracing::info!(peer = %self.peer, %error, "amqp token refused");
                if error.kind() == ErrorKind::Internal {
                    drop(Refusal::of(&self.head.engine, error));
                }
                cbs::write_reply(&mut message, id, status_of(error), error.message());
            }
        }
        self.reply(request, &message, |link| match link {
            Link::CbsReplies(end) => Some(end),
            _ => None,
        });
        if let (Ok(()), Some((hub, id))) = (added, hub_and_id) {
            self.renew(hub, id.as_ref());
        }
        Ok(())
    }

    /// Open sessions go on with the newer token: the one that it names, or all that it speaks for.
    fn renew(&mut self, hub: HubNo, id: Option<&IdentityId>) {
        let now = self.now();
        for device in self.devices.iter_mut() {
            let is_named = id.is_none_or(|id| device.id == *id);
            if device.hub.no != hub || !is_named || matches!(device.state, DeviceState::Opening(_))
            {
                continue;
            }
            let Ok(token) = self.credentials.token_of(&device.hub, &device.id) else {
                continue;
            };
            let token: Box<str> = token.into();
            let engine = Arc::clone(&self.head.engine);
            let (no, hub, id) = (device.no, Arc::clone(&device.hub), device.id.clone());
            self.works.push(1, 0, async move {
                let credential = Credential::Token(&token);
                let result = engine.sessions.prove(now, &hub, &id, &credential).await;
                Done::Renewed { device: no, result }
            });
        }
    }

    fn finish_renewal(
        &mut self,
        device: DeviceNo,
        result: Result<Proved, Error>,
    ) -> Result<(), CloseCause> {
        let Some(open) = self.devices.open(device) else {
            return Ok(());
        };
        match result.and_then(|proved| open.session.renew(proved)) {
            // A token that is older than the one in use does not shorten the session: it is what the peer put last.
            Ok(()) => Ok(()),
            Err(error) => {
                let refusal = Refusal::of(&self.head.engine, &error);
                self.end_device(device, &refusal, CloseCause::IdentityChanged)
            }
        }
    }

    /// Settles a request and sends its reply on the link that fits it best.
    pub(super) fn reply(
        &mut self,
        request: &Request,
        message: &[u8],
        end_of: impl Fn(&Link) -> Option<&ReplyEnd>,
    ) {
        self.amqp
            .settle(request.link, request.delivery, &Outcome::Accepted);
        let ends = self.links.iter().filter_map(|(link, of)| {
            let end = end_of(of)?;
            Some((end.fit(request.session, request.reply_to.as_deref()), *link))
        });
        match ends.max() {
            Some((_, link)) => send(&mut self.amqp, link, message),
            None => tracing::debug!(peer = %self.peer, "amqp request without a link for its reply"),
        }
    }

    fn finish_open(
        &mut self,
        no: DeviceNo,
        result: Result<Opened, Error>,
    ) -> Result<(), CloseCause> {
        let opened = match result {
            Ok(opened) => opened,
            Err(error) => {
                let refusal = Refusal::of(&self.head.engine, &error);
                return self.end_device(no, &refusal, CloseCause::Refused);
            }
        };
        let engine = Arc::clone(&self.head.engine);
        // Without its links it went while its session was opened.
        let Some(device) = self.devices.get(no) else {
            return Ok(());
        };
        tracing::debug!(peer = %self.peer, id = %device.id, "amqp session opened");
        if !self.credentials.is_authenticated() {
            self.credentials.accept_other();
            if self.place.take().is_some() {
                self.stream.authenticated();
            }
        }
        let open = Box::new(OpenDevice::new(&engine, opened.session));
        let state = std::mem::replace(&mut device.state, DeviceState::Open(open));
        if let DeviceState::Opening(waiting) = state {
            for waiting in waiting {
                self.accept_device(no, waiting);
            }
        }
        Ok(())
    }

    fn finish_twin(
        &mut self,
        device: DeviceNo,
        request: &Request,
        answer: &TwinAnswer,
    ) -> Result<(), CloseCause> {
        if let TwinAnswer::Failed(error) = answer {
            if error.kind() == ErrorKind::Unavailable {
                return Err(CloseCause::StorageFailed);
            }
            drop(Refusal::of(&self.head.engine, error));
        }
        self.answer_twin(device, request, answer);
        Ok(())
    }

    /// Answers where the device listens; the request itself is settled with it.
    pub(super) fn answer_twin(&mut self, no: DeviceNo, request: &Request, answer: &TwinAnswer) {
        self.amqp
            .settle(request.link, request.delivery, &Outcome::Accepted);
        if let Some(link) = self.devices.open(no).and_then(|open| open.twin) {
            twin::answer(&mut self.amqp, link, request.id.as_ref(), answer);
        }
    }

    /// Sends messages that were read from the queue.
    fn deliver(
        &mut self,
        no: DeviceNo,
        result: Result<Vec<StoredMessage>, Error>,
    ) -> Result<(), CloseCause> {
        let now = self.now();
        // A session that is gone gave back what it held.
        let Some(open) = self.devices.open(no) else {
            return Ok(());
        };
        open.is_fetching = false;
        let fetched = result.map_err(|_| CloseCause::StorageFailed)?;
        let Some(link) = open.messages else {
            for stored in fetched {
                open.session.give_back_message(stored.no);
            }
            return Ok(());
        };
        // A page that was not empty may have a successor.
        open.messages_wanted |= !fetched.is_empty();
        let amqp = &mut self.amqp;
        SCRATCH.with_borrow_mut(|scratch| {
            for stored in &fetched {
                scratch.clear();
                let tag = messages::tag(stored, now);
                messages::write(scratch, stored, tag);
                if send_message(amqp, link, (stored, &tag), scratch) {
                    open.session.note_sent(stored.no);
                    open.unsettled.push(stored.no);
                } else {
                    open.session.give_back_message(stored.no);
                }
            }
        });
        Ok(())
    }
}

fn send_message(
    amqp: &mut hub_amqp::Connection,
    link: LinkId,
    (stored, tag): (&StoredMessage, &[u8; 16]),
    message: &[u8],
) -> bool {
    let outgoing = hub_amqp::Outgoing {
        token: stored.no.0,
        tag: Some(tag),
        settlement: hub_amqp::Settlement::Unsettled,
        message_format: 0,
    };
    match amqp.send(link, &outgoing, message) {
        Ok(_) => true,
        Err(error) => {
            tracing::debug!(%error, "a message waits for its device");
            false
        }
    }
}

/// What cannot be made durable ends the connection: nothing more of it could be acknowledged.
fn durable(result: &Result<(), Error>) -> Result<(), CloseCause> {
    match result {
        Ok(()) => Ok(()),
        Err(error) => match error.origin() {
            Origin::Hub | Origin::HubForNow => {
                tracing::debug!(%error, "a message could not be made durable");
                Err(CloseCause::StorageFailed)
            }
            Origin::Request => {
                tracing::debug!(%error, "not done");
                Ok(())
            }
        },
    }
}
