//! Deliveries that leave, and what the peer says about them.

use super::link::{Link, LinkState, Queued, Tag};
use super::session::{Sent, Session, clamp, find, shrink};
use super::wire::{Plain, Wire};
use super::{
    Connection, CreditEvent, DeliveryId, Event, Fault, LinkId, Outgoing, SendError, Settled,
    Settlement, Step,
};
use crate::performative::{
    Disposition, Flow, LinkFlow, Outcome, Role, SenderSettleMode, State, Transfer,
};

impl Connection {
    /// Deliveries that would leave at once if they were sent on this link.
    #[must_use]
    pub fn sendable(&self, link: LinkId) -> u32 {
        let Some(link) = self.links.get(link) else {
            return 0;
        };
        let session = self.sessions.get(usize::from(link.session));
        let Some(session) = session.and_then(Option::as_deref) else {
            return 0;
        };
        if link.role == Role::Receiver
            || link.state != LinkState::Attached
            || !link.queue.is_empty()
            || session.outgoing_left == 0
        {
            return 0;
        }
        let sent = u32::try_from(session.sent.len()).unwrap_or(u32::MAX);
        let room = self.config.unsettled_max.saturating_sub(sent);
        link.credit.min(room)
    }

    /// Sends a message. Without credit or window it waits in a queue with a bound.
    ///
    /// # Errors
    ///
    /// The link cannot send, its queue is full, or the message is too large.
    pub fn send(
        &mut self,
        link: LinkId,
        outgoing: &Outgoing<'_>,
        message: &[u8],
    ) -> Result<(), SendError> {
        let tag = match outgoing.tag {
            None => None,
            Some([]) => return Err(SendError::Tag),
            Some(tag) => Some(Tag::new(tag).ok_or(SendError::Tag)?),
        };
        let (queued_max, bytes_max) = (self.config.queued_max, self.config.queued_bytes_max);
        let unsettled_max = self.config.unsettled_max as usize;
        let of = self.links.get_mut(link).ok_or(SendError::NoLink)?;
        if of.role == Role::Receiver || of.state != LinkState::Attached {
            return Err(SendError::NoLink);
        }
        let session = self.sessions[usize::from(of.session)].as_deref_mut();
        let session = session.ok_or(SendError::NoLink)?;
        let size = u64::try_from(message.len()).unwrap_or(u64::MAX);
        if of.max_message_size > 0 && size > of.max_message_size {
            return Err(SendError::MessageTooLarge {
                size,
                size_max: of.max_message_size,
            });
        }
        let leaves = of.queue.is_empty() && of.credit > 0 && session.outgoing_left > 0;
        let waits = !leaves
            && (of.queue.len() >= queued_max || self.queued_bytes + message.len() > bytes_max);
        if waits || session.sent.len() + session.queued as usize >= unsettled_max {
            return Err(SendError::Full);
        }
        let mut queued = Queued {
            id: None,
            token: outgoing.token,
            tag,
            message_format: outgoing.message_format,
            settlement: match of.sender_settle_mode {
                SenderSettleMode::Unsettled => Settlement::Unsettled,
                SenderSettleMode::Settled => Settlement::Settled,
                SenderSettleMode::Mixed => outgoing.settlement,
            },
            message: Vec::new(),
            at: 0,
        };
        let mut left = message;
        if leaves {
            left = put_parts(&mut self.wire, session, of, &mut queued, message);
            if left.is_empty() {
                return Ok(());
            }
        }
        queued.message = left.to_vec();
        queued.at = 0;
        self.queued_bytes += left.len();
        session.queued += 1;
        of.queue.push_back(queued);
        Ok(())
    }

    /// Sends what waits on a link, as far as credit and window go.
    fn send_queued(&mut self, channel: u16, slot: u32) {
        let Some(session) = self.sessions[usize::from(channel)].as_deref_mut() else {
            return;
        };
        let Some(link) = self.links.slot(slot) else {
            return;
        };
        if link.state != LinkState::Attached {
            return;
        }
        while let Some(mut queued) = link.queue.pop_front() {
            let may_begin = queued.id.is_some() || link.credit > 0;
            if !may_begin || session.outgoing_left == 0 {
                link.queue.push_front(queued);
                return;
            }
            let message = std::mem::take(&mut queued.message);
            let unsent = &message[queued.at..];
            let left = put_parts(&mut self.wire, session, link, &mut queued, unsent).len();
            if left > 0 {
                queued.at = message.len() - left;
                queued.message = message;
                link.queue.push_front(queued);
                return;
            }
            session.queued -= 1;
            self.queued_bytes -= message.len();
        }
        shrink(&mut link.queue);
    }

    pub(super) fn take_flow<'i>(&mut self, channel: u16, flow: &Flow) -> Result<Step<'i>, Fault> {
        let slot = match &flow.link {
            Some(link) => Some(self.linked(channel, link.handle)?),
            None => None,
        };
        let Some(session) = self.sessions[usize::from(channel)].as_deref_mut() else {
            return Ok(Step::Again);
        };
        let was_shut = session.outgoing_left == 0;
        session.take_windows(flow);
        if was_shut && session.outgoing_left > 0 {
            self.window_opened = Some(session.id);
        }
        let event = match (slot, &flow.link) {
            (Some(slot), Some(link)) => self.take_link_flow(slot, link),
            (_, _) => None,
        };
        self.send_all_queued(channel);
        if flow.echo {
            self.echo(channel, slot);
        }
        // What the queue has used is not for the head.
        let event = event.map(|event| CreditEvent {
            credit: self.links.get(event.link).map_or(0, |link| link.credit),
            ..event
        });
        Ok(event.map_or(Step::Again, |event| Step::Event(Event::Credit(event))))
    }

    fn send_all_queued(&mut self, channel: u16) {
        let Some(session) = self.session_slot(channel) else {
            return;
        };
        if session.queued == 0 || session.outgoing_left == 0 {
            return;
        }
        let slots: Vec<u32> = session.handles_out.iter().collect();
        for slot in slots {
            self.send_queued(channel, slot);
        }
    }

    fn echo(&mut self, channel: u16, slot: Option<u32>) {
        let link = slot.and_then(|slot| self.links.slot(slot));
        let link = link.filter(|link| link.state == LinkState::Attached);
        if let Some(session) = self.sessions[usize::from(channel)].as_deref_mut() {
            session.put_flow(&mut self.wire, self.config.incoming_window, link.as_deref());
        }
    }

    fn take_link_flow(&mut self, slot: u32, flow: &LinkFlow) -> Option<CreditEvent> {
        let link = self.links.slot(slot)?;
        // A receiver may give credit before it has heard that the link is accepted.
        let is_early = link.state == LinkState::Asked && link.role == Role::Sender;
        if link.state != LinkState::Attached && !is_early {
            return None;
        }
        match link.role {
            Role::Sender => {
                // A receiver that has not seen our attach counts from its beginning, which is 0.
                let count = flow.delivery_count.unwrap_or(0);
                let under_way = link.delivery_count.wrapping_sub(count);
                link.credit = flow.link_credit.unwrap_or(0).saturating_sub(under_way);
                link.is_draining = flow.drain;
            }
            Role::Receiver => {
                // A sender may give back credit, and never takes more than it has.
                let count = flow.delivery_count?;
                let returned = count.wrapping_sub(link.delivery_count);
                if returned == 0 || returned > link.credit {
                    return None;
                }
                link.delivery_count = count;
                link.credit -= returned;
                link.is_draining = false;
            }
        }
        (!is_early).then(|| credit_event(link))
    }

    /// Gives back the credit of a link on which the peer asked to drain, if it did.
    pub fn drained(&mut self, link: LinkId) {
        let Some(of) = self.links.get_mut(link) else {
            return;
        };
        if of.role == Role::Receiver || !of.is_draining || !of.queue.is_empty() {
            return;
        }
        of.delivery_count = of.delivery_count.wrapping_add(of.credit);
        of.credit = 0;
        self.put_link_flow(link);
        if let Some(of) = self.links.get_mut(link) {
            of.is_draining = false;
        }
    }

    pub(super) fn take_disposition<'i>(
        &mut self,
        channel: u16,
        disposition: &Disposition<'i>,
    ) -> Result<Step<'i>, Fault> {
        let range = (disposition.first, disposition.last);
        if disposition.role == Role::Sender {
            if disposition.settled {
                self.forget_received(channel, range);
            }
            return Ok(Step::Again);
        }
        let outcome = match disposition.state {
            Some(State::Terminal(outcome)) => Some(outcome),
            Some(State::Received | State::Other) | None => None,
        };
        if !disposition.settled && outcome.is_none() {
            return Ok(Step::Again);
        }
        Ok(self.next_settled(channel, range, disposition.settled, outcome))
    }

    /// Tells one delivery of the range, and remembers where to go on.
    fn next_settled<'i>(
        &mut self,
        channel: u16,
        (first, last): (u32, u32),
        settled: bool,
        outcome: Option<Outcome<'i>>,
    ) -> Step<'i> {
        let Some(session) = self.sessions[usize::from(channel)].as_deref_mut() else {
            return Step::Again;
        };
        let first = session.cursor.take().unwrap_or(first);
        let (mut from, mut to) = clamp(&session.sent, first, last, |entry| entry.id);
        while from < to {
            let entry = session.sent[from];
            if settled {
                session.sent.remove(from);
                to -= 1;
                if let Some(link) = self.links.get_mut(entry.link) {
                    link.unsettled -= 1;
                }
            } else {
                session.sent[from].told = outcome.as_ref().map(Plain::of);
                from += 1;
            }
            if entry.told.is_some() {
                continue;
            }
            let event = Event::Settled(Settled {
                link: entry.link,
                id: DeliveryId(entry.id),
                token: entry.token,
                outcome,
                awaits_confirmation: !settled,
            });
            if from == to {
                shrink(&mut session.sent);
                return Step::Event(event);
            }
            session.cursor = Some(entry.id.wrapping_add(1));
            return Step::Repeat(event);
        }
        shrink(&mut session.sent);
        Step::Again
    }

    /// Settles a delivery that was sent, after an outcome that awaits confirmation.
    pub fn confirm(&mut self, link: LinkId, delivery: DeliveryId) {
        let Some(of) = self.links.get_mut(link) else {
            return;
        };
        let Some(session) = self.sessions[usize::from(of.session)].as_deref_mut() else {
            return;
        };
        let Some(at) = find(&session.sent, delivery.0, |entry| entry.id) else {
            return;
        };
        let entry = session.sent[at];
        let Some(told) = entry.told.filter(|_| entry.link == link) else {
            return;
        };
        session.sent.remove(at);
        shrink(&mut session.sent);
        of.unsettled -= 1;
        let channel = of.session;
        self.wire
            .disposition(channel, Role::Sender, delivery.0, true, &told.outcome());
    }
}

pub(super) fn credit_event(link: &Link) -> CreditEvent {
    CreditEvent {
        link: link.id,
        credit: link.credit,
        drain: link.is_draining,
    }
}

/// Writes as much of a delivery as the window takes, and returns what is left.
fn put_parts<'m>(
    wire: &mut Wire,
    session: &mut Session,
    link: &mut Link,
    queued: &mut Queued,
    message: &'m [u8],
) -> &'m [u8] {
    let id = match queued.id {
        Some(id) => id,
        None => begin_delivery(session, link, queued),
    };
    let id_bytes = id.to_be_bytes();
    let transfer = Transfer {
        handle: link.handle_out,
        delivery_id: Some(id),
        delivery_tag: Some(queued.tag.as_ref().map_or(&id_bytes, Tag::bytes)),
        message_format: Some(queued.message_format),
        settled: queued.settlement == Settlement::Settled,
        more: false,
        aborted: false,
    };
    let mut left = message;
    loop {
        let taken = wire.transfer(session.channel(), &transfer, left);
        left = &left[taken..];
        session.next_outgoing_id = session.next_outgoing_id.wrapping_add(1);
        session.outgoing_left -= 1;
        if left.is_empty() || session.outgoing_left == 0 {
            return left;
        }
    }
}

/// Gives a delivery its number, which must be in the order of first frames, because rhea expects every next one.
fn begin_delivery(session: &mut Session, link: &mut Link, queued: &mut Queued) -> u32 {
    let id = session.next_delivery_id;
    session.next_delivery_id = id.wrapping_add(1);
    queued.id = Some(id);
    link.credit -= 1;
    link.delivery_count = link.delivery_count.wrapping_add(1);
    if queued.settlement == Settlement::Unsettled {
        session.sent.push_back(Sent {
            id,
            link: link.id,
            token: queued.token,
            told: None,
        });
        link.unsettled += 1;
    }
    id
}
