//! Deliveries that arrive, their settlement and their credit.

use super::link::{Link, LinkState, Partial, Tag};
use super::session::{Received, find, shrink};
use super::{
    Connection, Credit, Delivery, DeliveryId, Event, Fault, LinkId, Settlement, Step, Violation,
};
use crate::error::condition;
use crate::performative::{Outcome, ReceiverSettleMode, Role, Transfer};

/// The first part of a delivery, or all of it.
struct Arriving<'i> {
    id: u32,
    tag: &'i [u8],
    message_format: u32,
    settlement: Settlement,
}

fn link_fault(link: &Link, condition: &'static str, description: &'static str) -> Fault {
    Fault::Link(
        link.id.slot,
        Violation {
            condition,
            description,
        },
    )
}

const fn settlement(settled: bool) -> Settlement {
    if settled {
        Settlement::Settled
    } else {
        Settlement::Unsettled
    }
}

impl Connection {
    pub(super) fn take_transfer<'i>(
        &mut self,
        channel: u16,
        transfer: &Transfer<'i>,
        payload: &'i [u8],
    ) -> Result<Step<'i>, Fault> {
        self.count_transfer(channel)?;
        let slot = self.linked(channel, transfer.handle)?;
        let Some(link) = self.links.slot(slot) else {
            return Ok(Step::Again);
        };
        match link.state {
            LinkState::Attached => {}
            LinkState::DetachSent | LinkState::Refused => return Ok(Step::Again),
            LinkState::Asked | LinkState::AttachSent => {
                return Err(link_fault(
                    link,
                    condition::TRANSFER_LIMIT_EXCEEDED,
                    "transfer without credit",
                ));
            }
        }
        if link.role == Role::Sender {
            return Err(link_fault(
                link,
                condition::NOT_ALLOWED,
                "transfer from a receiver",
            ));
        }
        if link.partial.is_some() {
            return self.take_part(slot, transfer, payload);
        }
        let arriving = begin_delivery(link, transfer)?;
        if transfer.aborted {
            let id = link.id;
            self.top_up(id);
            return Ok(Step::Again);
        }
        if transfer.more {
            return self.keep_first_part(slot, &arriving, payload);
        }
        check_size(link, payload.len())?;
        let link = link.id;
        self.end_delivery(link, arriving.id, arriving.settlement)?;
        Ok(Step::Event(Event::Delivery(Delivery {
            link,
            id: DeliveryId(arriving.id),
            tag: arriving.tag,
            message_format: arriving.message_format,
            settlement: arriving.settlement,
            message: payload,
        })))
    }

    /// Takes one transfer off the session's window, and opens it again when half is used.
    fn count_transfer(&mut self, channel: u16) -> Result<(), Fault> {
        let window = self.config.incoming_window;
        let Some(session) = self.sessions[usize::from(channel)].as_deref_mut() else {
            return Ok(());
        };
        let Some(left) = session.incoming_left.checked_sub(1) else {
            return Err(Fault::Session(
                channel,
                Violation {
                    condition: condition::WINDOW_VIOLATION,
                    description: "more transfers than the window allows",
                },
            ));
        };
        session.incoming_left = left;
        session.next_incoming_id = session.next_incoming_id.wrapping_add(1);
        if left <= window / 2 {
            session.put_flow(&mut self.wire, window, None);
        }
        Ok(())
    }

    fn keep_first_part<'i>(
        &mut self,
        slot: u32,
        arriving: &Arriving<'i>,
        payload: &'i [u8],
    ) -> Result<Step<'i>, Fault> {
        let Some(link) = self.links.slot(slot) else {
            return Ok(Step::Again);
        };
        let Some(tag) = Tag::new(arriving.tag) else {
            return Ok(Step::Again);
        };
        link.partial = Some(Box::new(Partial {
            id: arriving.id,
            tag,
            message_format: arriving.message_format,
            settlement: arriving.settlement,
            message: Vec::new(),
        }));
        self.add_part(slot, payload)?;
        Ok(Step::Again)
    }

    /// Takes a part of a delivery that has begun.
    fn take_part<'i>(
        &mut self,
        slot: u32,
        transfer: &Transfer<'i>,
        payload: &'i [u8],
    ) -> Result<Step<'i>, Fault> {
        let Some(link) = self.links.slot(slot) else {
            return Ok(Step::Again);
        };
        let Some(partial) = link.partial.as_mut() else {
            return Ok(Step::Again);
        };
        if transfer.delivery_id.is_some_and(|id| id != partial.id) {
            return Err(link_fault(
                link,
                condition::NOT_ALLOWED,
                "a delivery began before the last one ended",
            ));
        }
        if transfer.settled {
            partial.settlement = Settlement::Settled;
        }
        if !transfer.aborted {
            self.add_part(slot, payload)?;
            if transfer.more {
                return Ok(Step::Again);
            }
        }
        let Some(link) = self.links.slot(slot) else {
            return Ok(Step::Again);
        };
        let Some(partial) = link.partial.take() else {
            return Ok(Step::Again);
        };
        let link = link.id;
        self.partial_bytes -= partial.message.len();
        if transfer.aborted {
            self.top_up(link);
            return Ok(Step::Again);
        }
        self.end_delivery(link, partial.id, partial.settlement)?;
        self.assembled = Some((link, partial));
        Ok(Step::Assembled)
    }

    fn add_part(&mut self, slot: u32, payload: &[u8]) -> Result<(), Fault> {
        let Some(link) = self.links.slot(slot) else {
            return Ok(());
        };
        let so_far = link
            .partial
            .as_ref()
            .map_or(0, |partial| partial.message.len());
        check_size(link, so_far + payload.len())?;
        if self.partial_bytes + payload.len() > self.config.partial_bytes_max {
            return Err(link_fault(
                link,
                condition::RESOURCE_LIMIT_EXCEEDED,
                "too many bytes of unfinished deliveries",
            ));
        }
        if let Some(partial) = link.partial.as_mut() {
            partial.message.extend_from_slice(payload);
            self.partial_bytes += payload.len();
        }
        Ok(())
    }

    /// A delivery is whole: it is remembered until it is settled, or makes room for the next one.
    fn end_delivery(&mut self, link: LinkId, id: u32, settlement: Settlement) -> Result<(), Fault> {
        if settlement == Settlement::Settled {
            self.top_up(link);
            return Ok(());
        }
        let unsettled_max = self.config.unsettled_max as usize;
        let Some(of) = self.links.get_mut(link) else {
            return Ok(());
        };
        let Some(session) = self.sessions[usize::from(of.session)].as_deref_mut() else {
            return Ok(());
        };
        if session.received.len() >= unsettled_max {
            return Err(link_fault(
                of,
                condition::RESOURCE_LIMIT_EXCEEDED,
                "too many unsettled deliveries",
            ));
        }
        let entry = Received {
            id,
            link,
            is_told: false,
        };
        if session.note_received(entry).is_err() {
            return Err(Fault::Session(
                of.session,
                Violation {
                    condition: condition::INVALID_FIELD,
                    description: "delivery-id is in use",
                },
            ));
        }
        of.unsettled += 1;
        Ok(())
    }

    /// Settles a delivery that arrived. Equal outcomes of consecutive deliveries leave in one frame.
    pub fn settle(&mut self, link: LinkId, delivery: DeliveryId, outcome: &Outcome<'_>) {
        let Some(of) = self.links.get_mut(link) else {
            return;
        };
        let Some(session) = self.sessions[usize::from(of.session)].as_deref_mut() else {
            return;
        };
        let Some(at) = find(&session.received, delivery.0, |entry| entry.id) else {
            return;
        };
        let entry = &mut session.received[at];
        if entry.link != link || entry.is_told {
            return;
        }
        let settles = of.receiver_settle_mode == ReceiverSettleMode::First;
        let channel = of.session;
        if settles {
            session.received.remove(at);
            shrink(&mut session.received);
            of.unsettled -= 1;
        } else {
            entry.is_told = true;
        }
        self.wire
            .disposition(channel, Role::Receiver, delivery.0, settles, outcome);
        self.top_up(link);
    }

    /// The sender has settled a range: its deliveries are forgotten, whether we had told an outcome or not.
    pub(super) fn forget_received(&mut self, channel: u16, range: (u32, u32)) {
        let Some(session) = self.sessions[usize::from(channel)].as_deref_mut() else {
            return;
        };
        let (from, to) =
            super::session::clamp(&session.received, range.0, range.1, |entry| entry.id);
        let mut last = None;
        for entry in session.received.drain(from..to) {
            if let Some(link) = self.links.get_mut(entry.link) {
                link.unsettled -= 1;
            }
            last = Some(entry.link);
        }
        shrink(&mut session.received);
        // Links that share a range get their credit with their next delivery.
        if let Some(link) = last {
            self.top_up(link);
        }
    }

    /// Lets the peer send `credit` more deliveries on a link, no more and no fewer.
    pub fn grant(&mut self, link: LinkId, credit: u32) {
        let Some(link) = self.links.get_mut(link) else {
            return;
        };
        if link.role == Role::Receiver && link.state == LinkState::Attached {
            link.credit = credit;
            link.is_draining = false;
            let id = link.id;
            self.put_link_flow(id);
        }
    }

    /// Asks the peer to send at once what it has and then to give back its credit, which [`Event::Credit`] tells.
    pub fn drain(&mut self, link: LinkId) {
        let Some(link) = self.links.get_mut(link) else {
            return;
        };
        if link.role == Role::Receiver && link.state == LinkState::Attached {
            link.is_draining = true;
            let id = link.id;
            self.put_link_flow(id);
        }
    }

    /// Gives the peer back the credit that it has used, if the head asked for that.
    pub(super) fn top_up(&mut self, link: LinkId) {
        let Some(link) = self.links.get_mut(link) else {
            return;
        };
        if let Some(credit) = link.top_up() {
            link.credit = credit;
            let id = link.id;
            self.put_link_flow(id);
        }
    }

    pub(super) fn put_link_flow(&mut self, link: LinkId) {
        let Some(link) = self.links.get(link) else {
            return;
        };
        if let Some(session) = self.sessions[usize::from(link.session)].as_deref_mut() {
            session.put_flow(&mut self.wire, self.config.incoming_window, Some(link));
        }
    }

    /// How a link gets its credit from now on: the head may stop a peer that sends faster than it can store.
    pub fn set_credit(&mut self, link: LinkId, credit: Credit) {
        let Some(of) = self.links.get_mut(link) else {
            return;
        };
        of.credit_policy = credit;
        self.top_up(link);
    }
}

/// Takes one delivery off the credit of a link.
fn begin_delivery<'i>(link: &mut Link, transfer: &Transfer<'i>) -> Result<Arriving<'i>, Fault> {
    let Some(id) = transfer.delivery_id else {
        return Err(link_fault(
            link,
            condition::NOT_ALLOWED,
            "transfer without a delivery id",
        ));
    };
    let Some(credit) = link.credit.checked_sub(1) else {
        return Err(link_fault(
            link,
            condition::TRANSFER_LIMIT_EXCEEDED,
            "transfer without credit",
        ));
    };
    link.credit = credit;
    link.delivery_count = link.delivery_count.wrapping_add(1);
    Ok(Arriving {
        id,
        tag: transfer.delivery_tag.unwrap_or_default(),
        message_format: transfer.message_format.unwrap_or(0),
        settlement: settlement(transfer.settled),
    })
}

fn check_size(link: &Link, size: usize) -> Result<(), Fault> {
    let size = u64::try_from(size).unwrap_or(u64::MAX);
    if link.max_message_size > 0 && size > link.max_message_size {
        return Err(link_fault(
            link,
            condition::MESSAGE_SIZE_EXCEEDED,
            "message is above max-message-size",
        ));
    }
    Ok(())
}
