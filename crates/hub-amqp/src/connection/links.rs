//! Attach and detach.

use std::collections::VecDeque;

use super::link::{Link, LinkState, NAME_BYTES_MAX};
use super::{
    Accept, AmqpError, AttachRequest, CommandError, Connection, Credit, DetachCause, Detached,
    Event, Fault, LinkId, SessionId, Step, Violation, connection_fault,
};
use crate::error::condition;
use crate::performative::{self, Attach, Performative, Role, Symbols};

impl Connection {
    /// The session of a link.
    #[must_use]
    pub fn session(&self, link: LinkId) -> Option<SessionId> {
        let channel = self.links.get(link)?.session;
        let session = self.sessions.get(usize::from(channel))?;
        session.as_deref().map(|session| session.id)
    }

    /// Which end of a link this side is.
    #[must_use]
    pub fn role(&self, link: LinkId) -> Option<Role> {
        self.links.get(link).map(|link| link.role)
    }

    /// What the peer asked for, while it waits for the answer.
    #[must_use]
    pub fn attach(&self, link: LinkId) -> Option<Attach<'_>> {
        let link = self.links.get(link)?;
        if link.state != LinkState::Asked {
            return None;
        }
        match Performative::decode(&link.asked) {
            Ok(Performative::Attach(attach)) => Some(*attach),
            Ok(_) | Err(_) => None,
        }
    }

    /// Attaches a link from this side. [`Event::Attached`] follows when the peer answers.
    ///
    /// # Errors
    ///
    /// The session is gone or has as many links as the peer takes, or the request does not fit into a frame.
    pub fn attach_link(
        &mut self,
        session: SessionId,
        request: &AttachRequest<'_>,
    ) -> Result<LinkId, CommandError> {
        let channel = self.open_session(session).ok_or(CommandError::NotOpen)?;
        if self.links.len() >= self.config.links_max as usize {
            return Err(CommandError::Exhausted);
        }
        let handle_out = self.free_handle(channel).ok_or(CommandError::Exhausted)?;
        let attach = Attach {
            name: request.name,
            handle: handle_out,
            role: request.role,
            sender_settle_mode: request.sender_settle_mode,
            receiver_settle_mode: request.receiver_settle_mode,
            source: request.source,
            target: request.target,
            unsettled: None,
            initial_delivery_count: (request.role == Role::Sender).then_some(0),
            max_message_size: (request.max_message_size > 0).then_some(request.max_message_size),
            offered_capabilities: Symbols::NONE,
            desired_capabilities: request.desired_capabilities,
            properties: request.properties,
        };
        self.wire
            .frame(channel, |out| attach.encode(out))
            .map_err(|_| CommandError::FrameTooLarge)?;
        let id = self.insert_link(Link {
            credit_policy: request.credit,
            max_message_size: request.max_message_size,
            ..new_link(channel, request.name, request.role, handle_out)
        });
        Ok(id)
    }

    fn free_handle(&mut self, channel: u16) -> Option<u32> {
        let max = self.config.handle_max;
        let session = self.session_slot(channel)?;
        let handle = session.handles_out.free();
        (handle <= session.handle_max.min(max)).then_some(handle)
    }

    /// Gives the link its id and its handles.
    fn insert_link(&mut self, mut link: Link) -> LinkId {
        let slot = self.links.next_slot();
        let id = LinkId {
            slot,
            generation: self.next_generation(),
        };
        link.id = id;
        if let Some(session) = self.session_slot(link.session) {
            session.handles_out.set(link.handle_out, slot);
            if let Some(handle) = link.handle_in {
                session.handles_in.set(handle, slot);
            }
        }
        self.links.insert(link);
        id
    }

    pub(super) fn take_attach<'i>(
        &mut self,
        channel: u16,
        attach: Box<Attach<'i>>,
        body: &'i [u8],
    ) -> Result<Step<'i>, Fault> {
        let session_fault = |condition, description| {
            Fault::Session(
                channel,
                Violation {
                    condition,
                    description,
                },
            )
        };
        if attach.handle > self.config.handle_max {
            return Err(connection_fault(
                condition::FRAMING_ERROR,
                "handle is above handle-max",
            ));
        }
        if attach.name.len() > NAME_BYTES_MAX {
            return Err(session_fault(
                condition::INVALID_FIELD,
                "link name is too long",
            ));
        }
        let session = self.session_slot(channel);
        if session.is_some_and(|session| session.handles_in.get(attach.handle).is_some()) {
            return Err(session_fault(
                condition::HANDLE_IN_USE,
                "handle is attached already",
            ));
        }
        if let Some(slot) = self.asked_link(channel, &attach) {
            return Ok(self.take_attach_answer(slot, attach));
        }
        if let Some(event) = self.steal(&attach) {
            return Ok(Step::Repeat(event));
        }
        if self.links.len() >= self.config.links_max as usize
            || self.asked_bytes + body.len() > self.config.partial_bytes_max
        {
            return Err(session_fault(
                condition::RESOURCE_LIMIT_EXCEEDED,
                "too many links",
            ));
        }
        let Some(handle_out) = self.free_handle(channel) else {
            return Err(session_fault(
                condition::RESOURCE_LIMIT_EXCEEDED,
                "no handle is left",
            ));
        };
        self.asked_bytes += body.len();
        let ours = attach.role.opposite();
        let link = self.insert_link(Link {
            state: LinkState::Asked,
            handle_in: Some(attach.handle),
            asked: body.into(),
            sender_settle_mode: attach.sender_settle_mode,
            receiver_settle_mode: attach.receiver_settle_mode,
            delivery_count: attach
                .initial_delivery_count
                .filter(|_| ours == Role::Receiver)
                .unwrap_or(0),
            max_message_size: attach.max_message_size.unwrap_or(0),
            ..new_link(channel, attach.name, ours, handle_out)
        });
        Ok(Step::Event(Event::Attached { link, attach }))
    }

    /// The link of ours that an attach answers.
    fn asked_link(&self, channel: u16, attach: &Attach<'_>) -> Option<u32> {
        let link = self.links.iter().find(|link| {
            link.session == channel
                && link.handle_in.is_none()
                && link.role == attach.role.opposite()
                && *link.name == *attach.name
        });
        link.map(|link| link.id.slot)
    }

    fn take_attach_answer<'i>(&mut self, slot: u32, attach: Box<Attach<'i>>) -> Step<'i> {
        let Some(link) = self.links.slot(slot) else {
            return Step::Again;
        };
        let Some(session) = self.sessions[usize::from(link.session)].as_deref_mut() else {
            return Step::Again;
        };
        session.handles_in.set(attach.handle, slot);
        link.handle_in = Some(attach.handle);
        if link.state != LinkState::AttachSent {
            return Step::Again;
        }
        link.state = LinkState::Attached;
        link.sender_settle_mode = attach.sender_settle_mode;
        link.receiver_settle_mode = attach.receiver_settle_mode;
        let is_refused = match link.role {
            Role::Sender => {
                link.max_message_size = attach.max_message_size.unwrap_or(0);
                attach.target.is_none()
            }
            Role::Receiver => {
                link.delivery_count = attach.initial_delivery_count.unwrap_or(0);
                attach.source.is_none()
            }
        };
        let link = link.id;
        if !is_refused {
            self.top_up(link);
        }
        Step::Event(Event::Attached { link, attach })
    }

    /// A name attached again takes the link away from where it was attached (part 2, section 2.6.1).
    fn steal(&mut self, attach: &Attach<'_>) -> Option<Event<'static>> {
        let role = attach.role.opposite();
        let older = self.links.iter().find(|link| {
            matches!(link.state, LinkState::Asked | LinkState::Attached)
                && link.role == role
                && *link.name == *attach.name
        })?;
        let violation = Violation {
            condition: condition::STOLEN,
            description: "the link was attached again",
        };
        let slot = older.id.slot;
        match self.fail_link(slot, violation) {
            Step::Event(event) => Some(event),
            Step::Again | Step::Starved | Step::Repeat(_) | Step::Assembled => None,
        }
    }

    /// Accepts a link that the peer attached: everything it asked for is confirmed, except what `accept` says.
    /// [`Self::receive`] has an event afterwards, without new bytes, if the peer has given credit already.
    pub fn accept(&mut self, link: LinkId, accept: &Accept<'_>) {
        let Some(link) = self.links.get_mut(link) else {
            return;
        };
        if link.state != LinkState::Asked {
            return;
        }
        let asked = std::mem::take(&mut link.asked);
        self.asked_bytes -= asked.len();
        let Ok(Performative::Attach(attach)) = Performative::decode(&asked) else {
            return;
        };
        let id = link.id;
        if let Some(mode) = accept.sender_settle_mode {
            link.sender_settle_mode = mode;
        }
        if let Some(mode) = accept.receiver_settle_mode {
            link.receiver_settle_mode = mode;
        }
        if link.role == Role::Receiver {
            link.max_message_size = accept.max_message_size;
        }
        link.credit_policy = accept.credit;
        link.state = LinkState::Attached;
        let answer = Attach {
            handle: link.handle_out,
            role: link.role,
            sender_settle_mode: link.sender_settle_mode,
            receiver_settle_mode: link.receiver_settle_mode,
            unsettled: None,
            initial_delivery_count: (link.role == Role::Sender).then_some(0),
            max_message_size: Some(accept.max_message_size).filter(|size| *size > 0),
            offered_capabilities: accept.offered_capabilities.unwrap_or(Symbols::NONE),
            desired_capabilities: Symbols::NONE,
            properties: accept.properties,
            ..*attach
        };
        let (slot, channel) = (id.slot, link.session);
        if self.wire.frame(channel, |out| answer.encode(out)).is_err() {
            self.put_refusal(slot, &attach);
            let error = AmqpError::new(
                condition::FRAME_SIZE_TOO_SMALL,
                "the attach does not fit into a frame of the peer",
            );
            self.put_detach(slot, true, Some(&error));
            self.set_state(slot, LinkState::DetachSent);
            return;
        }
        if let Some(link) = self.links.get(id)
            && link.role == Role::Sender
            && (link.credit > 0 || link.is_draining)
        {
            self.early_credit.push(id);
        }
        self.top_up(id);
    }

    /// Refuses a link that the peer attached: it gets an attach without the terminus that would be ours, and a detach
    /// with the error (part 2, section 2.6.3). Nothing follows.
    pub fn refuse(&mut self, link: LinkId, error: &AmqpError<'_>) {
        let Some(link) = self.links.get(link) else {
            return;
        };
        if link.state == LinkState::Asked {
            let slot = link.id.slot;
            self.put_asked_refusal(slot);
            self.put_detach(slot, true, Some(error));
            self.set_state(slot, LinkState::Refused);
        }
    }

    /// Answers an attach that waits, so that a detach may follow.
    fn put_asked_refusal(&mut self, slot: u32) {
        let Some(link) = self.links.slot(slot) else {
            return;
        };
        let asked = std::mem::take(&mut link.asked);
        self.asked_bytes -= asked.len();
        if let Ok(Performative::Attach(attach)) = Performative::decode(&asked) {
            self.put_refusal(slot, &attach);
        }
    }

    fn put_refusal(&mut self, slot: u32, attach: &Attach<'_>) {
        let Some(link) = self.links.slot(slot) else {
            return;
        };
        let full = Attach {
            handle: link.handle_out,
            role: link.role,
            unsettled: None,
            initial_delivery_count: (link.role == Role::Sender).then_some(0),
            max_message_size: None,
            offered_capabilities: Symbols::NONE,
            desired_capabilities: Symbols::NONE,
            properties: None,
            source: attach.source.filter(|_| link.role == Role::Receiver),
            target: attach.target.filter(|_| link.role == Role::Sender),
            ..*attach
        };
        let channel = link.session;
        if self.wire.frame(channel, |out| full.encode(out)).is_err() {
            let bare = Attach {
                source: None,
                target: None,
                ..full
            };
            // A name that fills the smallest frame leaves no room for an answer: the detach alone must do.
            let _too_large = self.wire.frame(channel, |out| bare.encode(out));
        }
    }

    /// Closes a link. [`Event::Detached`] follows when the peer answers; until then nothing else does.
    pub fn detach(&mut self, link: LinkId, error: Option<&AmqpError<'_>>) {
        let Some(link) = self.links.get(link) else {
            return;
        };
        let slot = link.id.slot;
        match link.state {
            LinkState::Asked => self.put_asked_refusal(slot),
            LinkState::AttachSent | LinkState::Attached => {}
            LinkState::DetachSent | LinkState::Refused => return,
        }
        self.put_detach(slot, true, error);
        self.set_state(slot, LinkState::DetachSent);
    }

    fn put_detach(&mut self, slot: u32, closed: bool, error: Option<&AmqpError<'_>>) {
        let Some(link) = self.links.slot(slot) else {
            return;
        };
        let handle = link.handle_out;
        self.wire.error_frame(link.session, error, |out, error| {
            performative::put_detach(out, handle, closed, error);
        });
    }

    /// Lets a link go: nothing is kept of it but its handles.
    fn set_state(&mut self, slot: u32, state: LinkState) {
        let Some(link) = self.links.slot(slot) else {
            return;
        };
        link.state = state;
        if let Some(session) = self.sessions[usize::from(link.session)].as_deref_mut() {
            session.forget(link);
        }
        link.unsettled = 0;
        link.credit = 0;
        if let Some(partial) = link.partial.take() {
            self.partial_bytes -= partial.message.len();
        }
        for queued in std::mem::take(&mut link.queue) {
            self.queued_bytes -= queued.message.len();
        }
        self.asked_bytes -= std::mem::take(&mut link.asked).len();
    }

    /// Detaches a link for a violation.
    pub(super) fn fail_link(&mut self, slot: u32, violation: Violation) -> Step<'static> {
        let Some(link) = self.links.slot(slot) else {
            return Step::Again;
        };
        let id = link.id;
        if link.state == LinkState::Asked {
            self.put_asked_refusal(slot);
        }
        self.put_detach(slot, true, Some(&Self::error_of(violation)));
        self.set_state(slot, LinkState::Refused);
        Step::Event(Event::Detached(Detached {
            link: id,
            cause: DetachCause::Violation(violation),
        }))
    }

    pub(super) fn take_detach<'i>(
        &mut self,
        channel: u16,
        handle: u32,
        closed: bool,
        error: Option<AmqpError<'i>>,
    ) -> Result<Step<'i>, Fault> {
        let slot = self.linked(channel, handle)?;
        let Some(link) = self.links.slot(slot) else {
            return Ok(Step::Again);
        };
        let cause = match link.state {
            LinkState::Asked => {
                self.put_asked_refusal(slot);
                self.put_detach(slot, closed, None);
                DetachCause::Peer { error, closed }
            }
            LinkState::Attached | LinkState::AttachSent => {
                self.put_detach(slot, closed, None);
                DetachCause::Peer { error, closed }
            }
            LinkState::DetachSent | LinkState::Refused => DetachCause::Answered,
        };
        Ok(self.remove_link(slot).map_or(Step::Again, |link| {
            Step::Event(Event::Detached(Detached { link, cause }))
        }))
    }

    /// The slot of the link that the peer calls `handle`.
    #[inline]
    pub(super) fn linked(&mut self, channel: u16, handle: u32) -> Result<u32, Fault> {
        let session = self.session_slot(channel);
        session
            .and_then(|session| session.handles_in.get(handle))
            .ok_or(Fault::Session(
                channel,
                Violation {
                    condition: condition::UNATTACHED_HANDLE,
                    description: "handle is not attached",
                },
            ))
    }

    /// Forgets a link with its handles; its id if the head knows it.
    pub(super) fn remove_link(&mut self, slot: u32) -> Option<LinkId> {
        let state = self.links.slot(slot)?.state;
        self.set_state(slot, LinkState::Refused);
        let link = self.links.remove(slot)?;
        if let Some(session) = self.session_slot(link.session) {
            session.handles_out.clear(link.handle_out);
            if let Some(handle) = link.handle_in {
                session.handles_in.clear(handle);
            }
        }
        (state != LinkState::Refused).then_some(link.id)
    }
}

fn new_link(session: u16, name: &str, role: Role, handle_out: u32) -> Link {
    Link {
        id: LinkId {
            slot: 0,
            generation: 0,
        },
        name: name.into(),
        session,
        state: LinkState::AttachSent,
        role,
        handle_out,
        handle_in: None,
        asked: Box::default(),
        sender_settle_mode: performative::SenderSettleMode::Mixed,
        receiver_settle_mode: performative::ReceiverSettleMode::First,
        delivery_count: 0,
        credit: 0,
        is_draining: false,
        credit_policy: Credit::Manual,
        max_message_size: 0,
        unsettled: 0,
        partial: None,
        queue: VecDeque::new(),
    }
}
