//! From the engine's notices to messages, and from a device's messages to the engine's verbs.

use std::task::{Context, Poll};

use futures_util::future::BoxFuture;
use hub_amqp::{Outcome, condition};
use hub_domain::fault::{FaultKind, FaultLink};
use hub_engine::sessions::{Delivery, Subscription};
use hub_engine::{CloseReason, Error, ErrorKind, MessageNo, Notice};

use super::super::device::messages::FETCH_MAX;
use super::super::device::{
    DeviceLink, DeviceNo, DeviceState, Settle, Settlement, TwinAnswer, methods, twin,
};
use super::super::errors::{ARGUMENT_ERROR, Refusal};
use super::super::links::Link;
use super::super::work::{Done, Request};
use super::Connection;
use super::receive::Arrived;
use crate::counters::CloseCause;

/// Twin reads of one device that wait for its patches.
const READS_WAITING_MAX: usize = 64;

impl Connection {
    /// Takes what the hub has for each device, unless the peer reads too slowly; closing is always taken.
    pub(super) fn poll_notices(&mut self, context: &mut Context<'_>) -> Result<(), CloseCause> {
        let slow = self.is_reader_slow();
        let mut ended = Vec::new();
        let mut faults = Vec::new();
        for device in self.devices.iter_mut() {
            let DeviceState::Open(open) = &mut device.state else {
                continue;
            };
            if slow {
                if let Poll::Ready(reason) = open.session.poll_close(context) {
                    ended.push((device.no, reason));
                }
                continue;
            }
            while let Poll::Ready(notice) = open.session.poll_notice(context) {
                match notice {
                    Notice::Close(reason) => {
                        ended.push((device.no, reason));
                        break;
                    }
                    Notice::DesiredChanged { text, .. } => {
                        let wants = open.session.subscriptions().has(Subscription::Desired);
                        if let Some(link) = open.twin.filter(|_| wants) {
                            twin::notify(&mut self.amqp, link, &text);
                        }
                    }
                    Notice::ReadTwin => {
                        if open.session.subscriptions().has(Subscription::Desired) {
                            let (no, read) = (device.no, open.session.twin_to_tell());
                            self.works.push(1, 0, async move {
                                let text = read.await.ok().map(|twin| twin::desired_text(&twin));
                                Done::Desired { device: no, text }
                            });
                        }
                    }
                    Notice::MessageAvailable => open.messages_wanted = true,
                    Notice::Fault(kind) => faults.push((device.no, kind)),
                    Notice::Method(call) => {
                        if let Some(link) = open.calls {
                            methods::call(&mut self.amqp, link, &call, &open.call_suffix);
                        }
                    }
                }
            }
        }
        for (device, kind) in faults {
            self.inject(device, kind);
        }
        for (device, reason) in ended {
            if let CloseReason::FaultInjected(kind) = reason {
                return Err(self.fail_as_asked(kind));
            }
            let refusal = Refusal::of_close(&self.head.engine, reason);
            self.end_device(device, &refusal, cause_of(reason))?;
        }
        if !slow {
            self.fetch_messages();
        }
        Ok(())
    }

    /// Ends the connection in the way that the device asked for.
    fn fail_as_asked(&mut self, kind: FaultKind) -> CloseCause {
        match kind {
            // Without a word.
            FaultKind::KillTcp => {}
            FaultKind::ShutDownAmqp => {
                let reason = CloseReason::FaultInjected(kind);
                let refusal = Refusal::of_close(&self.head.engine, reason);
                self.close_sessions(&refusal);
                self.amqp.close(None);
            }
            FaultKind::ShutDownMqtt
            | FaultKind::KillAmqpConnection
            | FaultKind::KillAmqpSession
            | FaultKind::KillLink(_)
            | FaultKind::Throttling
            | FaultKind::MessageQuota
            | FaultKind::Authentication => {
                let reason = CloseReason::FaultInjected(kind);
                let refusal = Refusal::of_close(&self.head.engine, reason);
                return self.close_with(&refusal, CloseCause::FaultInjected);
            }
        }
        CloseCause::FaultInjected
    }

    /// Takes the part of the connection that the device asked for.
    fn inject(&mut self, device: DeviceNo, kind: FaultKind) {
        let is_hit = |link: &Link| match (kind, link) {
            (FaultKind::KillLink(FaultLink::CbsRequests), Link::CbsRequests)
            | (FaultKind::KillLink(FaultLink::CbsAnswers), Link::CbsReplies(_)) => true,
            (FaultKind::KillLink(wanted), Link::Device(of, link)) => {
                *of == device && wanted == fault_link(*link)
            }
            (FaultKind::KillAmqpSession, Link::Device(of, _)) => *of == device,
            (_, _) => false,
        };
        let hit = self.links.iter().filter(|(_, link)| is_hit(link));
        let hit: Vec<_> = hit.map(|(link, _)| *link).collect();
        let reason = CloseReason::FaultInjected(kind);
        let refusal = Refusal::of_close(&self.head.engine, reason);
        if kind == FaultKind::KillAmqpSession {
            let session = hit.first().and_then(|link| self.amqp.session(*link));
            if let Some(session) = session {
                refusal.tell(|error| self.amqp.end(session, Some(error)));
            }
            return;
        }
        for link in hit {
            refusal.detach(&mut self.amqp, link);
            self.detached(link);
        }
    }

    /// Fetches queued messages for the devices that have credit for them.
    fn fetch_messages(&mut self) {
        let now = self.now();
        for device in self.devices.iter_mut() {
            let DeviceState::Open(open) = &mut device.state else {
                continue;
            };
            let Some(link) = open.messages else { continue };
            if !open.messages_wanted || open.is_fetching {
                continue;
            }
            let credit = self.amqp.sendable(link).min(FETCH_MAX);
            if credit == 0 {
                continue;
            }
            open.messages_wanted = false;
            open.is_fetching = true;
            let max = usize::try_from(credit).unwrap_or(1);
            let (no, next) = (device.no, open.session.next_messages(now, max));
            self.works.push(0, 0, async move {
                Done::Fetched {
                    device: no,
                    result: next.await,
                }
            });
        }
    }

    /// Takes a request or an answer of a device.
    pub(super) fn take_from_device(&mut self, no: DeviceNo, of: DeviceLink, arrived: &Arrived) {
        match of {
            DeviceLink::TwinRequests => self.take_twin_request(no, arrived),
            DeviceLink::MethodAnswers => self.take_method_answer(no, arrived),
            // The hub sends on these; telemetry was taken before.
            DeviceLink::Telemetry
            | DeviceLink::Messages
            | DeviceLink::Inputs
            | DeviceLink::MethodCalls
            | DeviceLink::TwinAnswers => {}
        }
    }

    fn take_method_answer(&mut self, no: DeviceNo, arrived: &Arrived) {
        let now = self.now();
        let Some(open) = self.devices.open(no) else {
            return;
        };
        let refused = match methods::parse(&arrived.message, &open.call_suffix) {
            Err(text) => Some(Refusal::new(
                &self.head.engine,
                condition::DECODE_ERROR,
                text,
            )),
            // A late answer is ignored.
            Ok(answer) => open
                .session
                .answer_method(now, answer.call, answer.status, &answer.payload)
                .err()
                .map(|error| Refusal::new(&self.head.engine, ARGUMENT_ERROR, error.message())),
        };
        match refused {
            None => self
                .amqp
                .settle(arrived.link, arrived.delivery, &Outcome::Accepted),
            Some(refusal) => refusal.reject(&mut self.amqp, arrived.link, arrived.delivery),
        }
    }

    fn take_twin_request(&mut self, no: DeviceNo, arrived: &Arrived) {
        let now = self.now();
        let Some(open) = self.devices.open(no) else {
            return;
        };
        let (id, asked) = twin::parse(&arrived.message);
        let request = Request {
            link: arrived.link,
            delivery: arrived.delivery,
            session: None,
            id,
            reply_to: None,
        };
        let answer = match asked {
            Ok(twin::TwinRequest::Get) if open.patches == 0 => {
                self.read_twin(no, request);
                return;
            }
            // A read must see the patches before it.
            Ok(twin::TwinRequest::Get) if open.reads.len() < READS_WAITING_MAX => {
                open.reads.push_back(request);
                return;
            }
            Ok(twin::TwinRequest::Get) => {
                let text = "too many twin reads wait for the patches before them";
                TwinAnswer::Failed(Error::new(ErrorKind::Throttled, text))
            }
            Ok(twin::TwinRequest::Patch { patch, version }) => {
                open.patches += 1;
                let patched = open.session.patch_reported(now, patch, version);
                self.works.push(1, arrived.message.len(), async move {
                    let answer = match patched.await {
                        Ok(version) => TwinAnswer::Patched(version),
                        Err(error) => TwinAnswer::Failed(error),
                    };
                    Done::Patched {
                        device: no,
                        request,
                        answer,
                    }
                });
                return;
            }
            Ok(twin::TwinRequest::Subscribe) => {
                open.subscribe(Subscription::Desired, Delivery::AtMostOnce);
                TwinAnswer::Done
            }
            Ok(twin::TwinRequest::Unsubscribe) => {
                open.unsubscribe(Subscription::Desired);
                TwinAnswer::Done
            }
            Err(error) => TwinAnswer::Failed(error),
        };
        self.answer_twin(no, &request, &answer);
    }

    fn read_twin(&mut self, no: DeviceNo, request: Request) {
        let now = self.now();
        let Some(open) = self.devices.open(no) else {
            return;
        };
        let read = open.session.twin(now);
        self.works.push(1, 0, async move {
            let answer = match read.await {
                Ok(twin) => TwinAnswer::of(&twin),
                Err(error) => TwinAnswer::Failed(error),
            };
            Done::Twin {
                device: no,
                request,
                answer,
            }
        });
    }

    /// One patch less is under way; the last one lets the reads behind it begin.
    pub(super) fn patch_done(&mut self, no: DeviceNo) {
        let Some(open) = self.devices.open(no) else {
            return;
        };
        open.patches -= 1;
        if open.patches > 0 {
            return;
        }
        for request in std::mem::take(&mut open.reads) {
            self.read_twin(no, request);
        }
    }

    /// What became of a message that was sent.
    pub(super) fn settled(&mut self, settle: Settle, token: u64, outcome: Settlement) {
        let now = self.now();
        let settled = match self.links.get_mut(&settle.link) {
            Some(Link::Queue(queue)) => queue.settle(token, outcome),
            Some(Link::Device(no, DeviceLink::Messages)) => {
                let message = MessageNo(token);
                self.devices.open(*no).map(|open| {
                    open.unsettled.retain(|sent| *sent != message);
                    let settlement = match outcome {
                        Settlement::Complete => open.session.complete_message(now, message),
                        Settlement::Reject => open.session.reject_message(message),
                        Settlement::Abandon => open.session.abandon_message(now, message),
                    };
                    let settled: BoxFuture<'static, _> = Box::pin(settlement);
                    settled
                })
            }
            Some(_) | None => None,
        };
        match settled {
            Some(settled) => self.works.push(1, 0, async move {
                let result = settled.await;
                Done::Settled { settle, result }
            }),
            None if settle.awaits_confirmation => self.amqp.confirm(settle.link, settle.delivery),
            None => {}
        }
    }
}

const fn fault_link(link: DeviceLink) -> FaultLink {
    match link {
        DeviceLink::Telemetry => FaultLink::Telemetry,
        DeviceLink::Messages | DeviceLink::Inputs => FaultLink::Messages,
        DeviceLink::MethodCalls => FaultLink::MethodCalls,
        DeviceLink::MethodAnswers => FaultLink::MethodAnswers,
        DeviceLink::TwinRequests => FaultLink::TwinRequests,
        DeviceLink::TwinAnswers => FaultLink::TwinAnswers,
    }
}

/// Why a session that the engine ends is counted as ended.
const fn cause_of(reason: CloseReason) -> CloseCause {
    match reason {
        CloseReason::Superseded => CloseCause::Superseded,
        CloseReason::Disabled | CloseReason::Deleted | CloseReason::CredentialsChanged => {
            CloseCause::IdentityChanged
        }
        CloseReason::FaultInjected(_) => CloseCause::FaultInjected,
        CloseReason::Shutdown => CloseCause::Shutdown,
    }
}
