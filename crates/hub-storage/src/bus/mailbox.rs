//! The queue of one session: allocates nothing while empty, bounded, woken without a channel.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use tokio::sync::oneshot;

use super::{CallError, CloseReason, Notice};

/// Notices a mailbox holds; above it desired patches collapse and method calls are refused.
pub const NOTICES_MAX: usize = 32;
/// Method calls that may wait for one session's answer.
pub const CALLS_IN_FLIGHT_MAX: usize = 64;

/// Where a session receives. One per session, shared with the bus.
#[derive(Debug, Default)]
pub struct Mailbox(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    queue: VecDeque<Notice>,
    calls: HashMap<MethodCallId, oneshot::Sender<MethodAnswer>>,
    call_count: u32,
    close: Option<CloseReason>,
    waker: Option<Waker>,
    message_available: bool,
    read_twin: bool,
    takes_methods: bool,
    ended: bool,
}

/// Names a call within its session; printed in hexadecimal as the `$rid` of MQTT.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct MethodCallId(pub u32);

/// A call as the session sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MethodCall {
    /// To be named in the answer.
    pub id: MethodCallId,
    /// The method's name.
    pub name: String,
    /// The JSON payload; `None` is no payload at all.
    pub payload: Option<Bytes>,
}

/// A device's answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MethodAnswer {
    /// The device's own number.
    pub status: i32,
    /// JSON, or empty.
    pub payload: Bytes,
}

impl Mailbox {
    /// An empty mailbox.
    pub fn new() -> Self {
        Self::default()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next notice: closing first, then calls and patches in order, then the hints.
    pub fn poll_next(&self, context: &mut Context<'_>) -> Poll<Notice> {
        let mut state = self.state();
        if let Some(reason) = state.close {
            return Poll::Ready(Notice::Close(reason));
        }
        if let Some(notice) = state.queue.pop_front() {
            if state.queue.is_empty() {
                state.queue = VecDeque::new();
            }
            return Poll::Ready(notice);
        }
        if std::mem::take(&mut state.read_twin) {
            return Poll::Ready(Notice::ReadTwin);
        }
        if std::mem::take(&mut state.message_available) {
            return Poll::Ready(Notice::MessageAvailable);
        }
        state.wait(context);
        Poll::Pending
    }

    /// Only whether the session has to close, for one that cannot take anything else at the moment.
    pub fn poll_close(&self, context: &mut Context<'_>) -> Poll<CloseReason> {
        let mut state = self.state();
        if let Some(reason) = state.close {
            return Poll::Ready(reason);
        }
        state.wait(context);
        Poll::Pending
    }

    /// Puts a notice in. Hints and the close reason take no room; when the queue is full, desired patches
    /// become [`Notice::ReadTwin`]. Calls go through [`Mailbox::call`].
    pub fn put(&self, notice: Notice) {
        let mut state = self.state();
        match notice {
            Notice::Close(reason) => {
                state.close.get_or_insert(reason);
            }
            Notice::MessageAvailable => state.message_available = true,
            Notice::ReadTwin => state.collapse_desired(),
            Notice::DesiredChanged { .. } if state.read_twin => return,
            Notice::DesiredChanged { .. } if state.queue.len() >= NOTICES_MAX => {
                state.collapse_desired()
            }
            Notice::Fault(_) if state.queue.len() >= NOTICES_MAX => return,
            Notice::DesiredChanged { .. } | Notice::Method(_) | Notice::Fault(_) => {
                state.queue.push_back(notice);
            }
        }
        let waker = state.waker.take();
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Puts a call in and returns where its answer will arrive.
    ///
    /// # Errors
    /// When the session takes no methods, is ending, or has too many calls or notices waiting.
    pub fn call(
        &self,
        name: String,
        payload: Option<Bytes>,
    ) -> Result<(MethodCallId, oneshot::Receiver<MethodAnswer>), CallError> {
        let mut state = self.state();
        if !state.takes_methods || state.ended || state.close.is_some() {
            return Err(CallError::NotOnline);
        }
        if state.calls.len() >= CALLS_IN_FLIGHT_MAX || state.queue.len() >= NOTICES_MAX {
            return Err(CallError::TooManyInFlight);
        }
        let id = MethodCallId(state.call_count);
        state.call_count = state.call_count.wrapping_add(1);
        let (sender, receiver) = oneshot::channel();
        state.calls.insert(id, sender);
        drop(state);
        self.put(Notice::Method(MethodCall { id, name, payload }));
        Ok((id, receiver))
    }

    /// Hands a device's answer to its caller. Late and unknown answers are ignored; false then.
    pub fn answer(&self, id: MethodCallId, answer: MethodAnswer) -> bool {
        let sender = {
            let mut state = self.state();
            let sender = state.calls.remove(&id);
            if state.calls.is_empty() {
                state.calls = HashMap::new();
            }
            sender
        };
        sender.is_some_and(|sender| sender.send(answer).is_ok())
    }

    /// Forgets a call whose caller gave up.
    pub fn forget(&self, id: MethodCallId) {
        let mut state = self.state();
        state.calls.remove(&id);
        if state.calls.is_empty() {
            state.calls = HashMap::new();
        }
        state
            .queue
            .retain(|notice| !matches!(notice, Notice::Method(call) if call.id == id));
    }

    /// Says whether the session takes methods.
    pub fn set_takes_methods(&self, takes: TakesMethods) {
        self.state().takes_methods = takes == TakesMethods::Yes;
    }

    /// True while the session takes methods.
    pub fn takes_methods(&self) -> bool {
        let state = self.state();
        state.takes_methods && !state.ended && state.close.is_none()
    }

    /// Ends the mailbox: waiting callers learn that the session is gone.
    pub fn end(&self) {
        let mut state = self.state();
        state.ended = true;
        state.calls = HashMap::new();
        state.queue = VecDeque::new();
        state.waker = None;
    }
}

/// Whether a session takes methods.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TakesMethods {
    /// It subscribed.
    Yes,
    /// It did not, or no longer.
    No,
}

impl State {
    fn wait(&mut self, context: &Context<'_>) {
        if !self
            .waker
            .as_ref()
            .is_some_and(|waker| waker.will_wake(context.waker()))
        {
            self.waker = Some(context.waker().clone());
        }
    }

    fn collapse_desired(&mut self) {
        self.queue
            .retain(|queued| !matches!(queued, Notice::DesiredChanged { .. }));
        self.read_twin = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn next(mailbox: &Mailbox) -> Option<Notice> {
        match mailbox.poll_next(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(notice) => Some(notice),
            Poll::Pending => None,
        }
    }

    fn desired(version: u64) -> Notice {
        Notice::DesiredChanged {
            text: Bytes::from_static(b"{}"),
            version,
        }
    }

    #[test]
    fn patches_collapse_when_the_mailbox_is_full() {
        let mailbox = Mailbox::new();
        for version in 0..=NOTICES_MAX as u64 {
            mailbox.put(desired(version));
        }
        mailbox.put(desired(99));
        assert_eq!(next(&mailbox), Some(Notice::ReadTwin));
        assert_eq!(next(&mailbox), None);
        mailbox.put(desired(100));
        assert_eq!(next(&mailbox), Some(desired(100)));
    }

    #[test]
    fn who_takes_nothing_else_still_hears_of_closing() {
        let mailbox = Mailbox::new();
        let context = &mut Context::from_waker(Waker::noop());
        mailbox.put(desired(1));
        assert!(mailbox.poll_close(context).is_pending());
        mailbox.put(Notice::Close(CloseReason::Deleted));
        assert_eq!(
            mailbox.poll_close(context),
            Poll::Ready(CloseReason::Deleted)
        );
    }

    #[test]
    fn closing_comes_first_and_stays() {
        let mailbox = Mailbox::new();
        mailbox.put(desired(1));
        mailbox.put(Notice::Close(CloseReason::Disabled));
        mailbox.put(Notice::Close(CloseReason::Superseded));
        assert_eq!(next(&mailbox), Some(Notice::Close(CloseReason::Disabled)));
        assert_eq!(next(&mailbox), Some(Notice::Close(CloseReason::Disabled)));
    }

    #[test]
    fn calls_are_refused_until_subscribed_and_bounded() {
        let mailbox = Mailbox::new();
        assert_eq!(
            mailbox.call("m".into(), None).err(),
            Some(CallError::NotOnline)
        );
        mailbox.set_takes_methods(TakesMethods::Yes);
        let mut receivers = Vec::new();
        for _ in 0..CALLS_IN_FLIGHT_MAX {
            receivers.push(mailbox.call("m".into(), None).unwrap());
            next(&mailbox).unwrap();
        }
        assert_eq!(
            mailbox.call("m".into(), None).err(),
            Some(CallError::TooManyInFlight)
        );
        let (id, receiver) = receivers.remove(0);
        assert!(mailbox.answer(
            id,
            MethodAnswer {
                status: 200,
                payload: Bytes::new()
            }
        ));
        assert_eq!(receiver.blocking_recv().unwrap().status, 200);
        assert!(
            !mailbox.answer(
                id,
                MethodAnswer {
                    status: 200,
                    payload: Bytes::new()
                }
            ),
            "answered twice"
        );
        mailbox.end();
        assert!(
            receivers.remove(0).1.blocking_recv().is_err(),
            "the caller learns that the session is gone"
        );
    }

    #[test]
    fn hints_take_no_room_and_come_once() {
        let mailbox = Mailbox::new();
        mailbox.put(Notice::MessageAvailable);
        mailbox.put(Notice::MessageAvailable);
        assert_eq!(next(&mailbox), Some(Notice::MessageAvailable));
        assert_eq!(next(&mailbox), None);
    }
}
