//! Begin and end.

use super::session::SessionState;
use super::{
    AmqpError, CommandError, Connection, DetachCause, Detached, Event, Fault, LATE_FRAMES_MAX,
    Phase, SessionEnded, SessionId, Step, Violation, connection_fault,
};
use crate::connection::session::{OUTGOING_WINDOW, Session};
use crate::error::condition;
use crate::performative::{self, Begin};

impl Connection {
    /// Client: begins a session.
    ///
    /// # Errors
    ///
    /// The connection is not open, or has as many sessions as the peer takes.
    pub fn begin(&mut self) -> Result<SessionId, CommandError> {
        if self.phase() != Phase::Open {
            return Err(CommandError::NotOpen);
        }
        let channel = self.free_channel(0).ok_or(CommandError::Exhausted)?;
        let id = self.insert_session(channel);
        self.put_begin(channel, None);
        Ok(id)
    }

    /// `wanted` if it is free, else the lowest channel that is.
    fn free_channel(&self, wanted: u16) -> Option<u16> {
        let is_free = |channel: u16| {
            let session = self.sessions.get(usize::from(channel));
            session.is_none_or(Option::is_none)
        };
        let max = self.peer_channel_max.min(self.config.channel_max);
        if wanted <= max && is_free(wanted) {
            return Some(wanted);
        }
        (0..=max).find(|channel| is_free(*channel))
    }

    fn insert_session(&mut self, channel: u16) -> SessionId {
        let id = SessionId {
            slot: channel,
            generation: self.next_generation(),
        };
        let at = usize::from(channel);
        if self.sessions.len() <= at {
            self.sessions.reserve_exact(at + 1 - self.sessions.len());
            self.sessions.resize_with(at + 1, || None);
        }
        let session = Session::new(id, self.config.incoming_window);
        self.sessions[at] = Some(Box::new(session));
        id
    }

    fn put_begin(&mut self, channel: u16, remote_channel: Option<u16>) {
        let begin = Begin {
            remote_channel,
            next_outgoing_id: 0,
            incoming_window: self.config.incoming_window,
            outgoing_window: OUTGOING_WINDOW,
            handle_max: self.config.handle_max,
        };
        self.wire.small_frame(channel, |out| begin.encode(out));
    }

    pub(super) fn take_begin<'i>(
        &mut self,
        channel: u16,
        begin: &Begin,
    ) -> Result<Step<'i>, Fault> {
        if channel > self.config.channel_max {
            return Err(connection_fault(
                condition::FRAMING_ERROR,
                "channel is above channel-max",
            ));
        }
        if self.session_of(channel).is_some() {
            return Err(connection_fault(
                condition::ILLEGAL_STATE,
                "channel has a session already",
            ));
        }
        let ours = match begin.remote_channel {
            Some(ours) if self.is_begin_sent(ours) => ours,
            Some(_) => {
                return Err(connection_fault(
                    condition::INVALID_FIELD,
                    "begin answers a session that was not begun",
                ));
            }
            None => self.answer_begin(channel)?,
        };
        let at = usize::from(channel);
        if self.channels.len() <= at {
            self.channels.reserve_exact(at + 1 - self.channels.len());
            self.channels.resize(at + 1, 0);
        }
        self.channels[at] = ours + 1;
        let Some(session) = self.session_slot(ours) else {
            return Ok(Step::Again);
        };
        session.channel_in = Some(channel);
        session.next_incoming_id = begin.next_outgoing_id;
        session.outgoing_left = begin.incoming_window;
        session.handle_max = begin.handle_max;
        if session.state == SessionState::BeginSent {
            session.state = SessionState::Begun;
        }
        Ok(Step::Event(Event::SessionBegan(session.id)))
    }

    /// A session that this side has begun and perhaps ended again.
    fn is_begin_sent(&self, channel: u16) -> bool {
        let session = self.sessions.get(usize::from(channel));
        let session = session.and_then(Option::as_deref);
        session.is_some_and(|session| session.channel_in.is_none())
    }

    /// The same channel in both directions where it can be: nothing demands it, and traces read better.
    fn answer_begin(&mut self, channel: u16) -> Result<u16, Fault> {
        let Some(ours) = self.free_channel(channel) else {
            return Err(connection_fault(
                condition::NOT_ALLOWED,
                "no channel is left for another session",
            ));
        };
        self.insert_session(ours);
        self.put_begin(ours, Some(channel));
        Ok(ours)
    }

    /// Our channel of the session on a channel of the peer.
    #[inline]
    pub(super) fn session_of(&self, channel: u16) -> Option<u16> {
        self.channels.get(usize::from(channel))?.checked_sub(1)
    }

    #[inline]
    pub(super) fn session_slot(&mut self, channel: u16) -> Option<&mut Session> {
        self.sessions.get_mut(usize::from(channel))?.as_deref_mut()
    }

    pub(super) fn is_begun(&self, channel: u16) -> bool {
        let session = self.sessions.get(usize::from(channel));
        let session = session.and_then(Option::as_deref);
        session.is_some_and(|session| session.state == SessionState::Begun)
    }

    /// The channel of a session that is open.
    pub(super) fn open_session(&self, id: SessionId) -> Option<u16> {
        let session = self.sessions.get(usize::from(id.slot))?.as_deref()?;
        (session.id == id && session.state == SessionState::Begun).then_some(id.slot)
    }

    /// Ends a session and all its links. The events of both follow when the peer answers.
    pub fn end(&mut self, session: SessionId, error: Option<&AmqpError<'_>>) {
        let Some(channel) = self.open_session(session) else {
            return;
        };
        self.put_end(channel, error);
        if let Some(session) = self.session_slot(channel) {
            session.state = SessionState::EndSent;
        }
    }

    fn put_end(&mut self, channel: u16, error: Option<&AmqpError<'_>>) {
        self.wire.error_frame(channel, error, |out, error| {
            performative::put_error(out, performative::END, error);
        });
    }

    /// Ends a session for a violation; its links are told one by one before it.
    pub(super) fn fail_session(&mut self, channel: u16, violation: Violation) {
        self.put_end(channel, Some(&Self::error_of(violation)));
        if let Some(session) = self.session_slot(channel) {
            session.state = SessionState::Failed;
        }
        self.failing = Some((channel, violation));
    }

    pub(super) fn tell_failing(&mut self, channel: u16, violation: Violation) -> Event<'static> {
        if let Some(event) = self.detach_one(channel) {
            return event;
        }
        self.failing = None;
        let generation = self
            .session_slot(channel)
            .map_or(0, |session| session.id.generation);
        Event::SessionEnded(SessionEnded {
            session: SessionId {
                slot: channel,
                generation,
            },
            error: None,
            violation: Some(violation),
        })
    }

    pub(super) fn take_end<'i>(
        &mut self,
        ours: u16,
        channel: u16,
        error: Option<AmqpError<'i>>,
    ) -> Step<'i> {
        if let Some(event) = self.detach_one(ours) {
            return Step::Repeat(event);
        }
        let Some(session) = self.sessions[usize::from(ours)].take() else {
            return Step::Again;
        };
        self.channels[usize::from(channel)] = 0;
        self.ended_channels = self.ended_channels.max(u32::from(channel) + 1);
        self.late_frames_left = LATE_FRAMES_MAX;
        while matches!(self.sessions.last(), Some(None)) {
            self.sessions.pop();
        }
        if self.sessions.is_empty() {
            self.sessions = Vec::new();
            self.channels = Vec::new();
        }
        if session.state == SessionState::Failed {
            return Step::Again;
        }
        if session.state == SessionState::Begun {
            self.put_end(session.channel(), None);
        }
        Step::Event(Event::SessionEnded(SessionEnded {
            session: session.id,
            error,
            violation: None,
        }))
    }

    /// Forgets one link of a session that ends, and tells it if the head knows it.
    fn detach_one(&mut self, channel: u16) -> Option<Event<'static>> {
        for _ in 0..=self.links.len() {
            let session = self.session_slot(channel)?;
            // A link that was not answered yet has no handle of ours, one that we ask for none of the peer's.
            let slot = session
                .handles_in
                .last()
                .or_else(|| session.handles_out.last())?;
            if let Some(link) = self.remove_link(slot) {
                return Some(Event::Detached(Detached {
                    link,
                    cause: DetachCause::SessionEnd,
                }));
            }
        }
        None
    }
}
