//! An AMQP connection: one future that reads, answers, delivers and writes, as that of MQTT.
//!
//! Everything it may wait for is polled in one place ([`Connection::poll`]). It is open from the first byte on and holds a
//! place among the unauthenticated until a first credential was believed.

mod attach;
mod devices;
mod done;
mod notices;
mod provisioning;
mod receive;

use std::cell::RefCell;
use std::collections::HashMap;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures_util::future::BoxFuture;
use hub_amqp::{AmqpError, LinkId, Phase, SessionId, condition};
use hub_domain::limits::{CONNECTION_INBOUND_BYTES_MAX, CONNECTION_INBOUND_MESSAGES_MAX};
use hub_domain::{Hub, Timestamp};
use tokio::io::{AsyncRead as _, AsyncReadExt as _, AsyncWrite as _, AsyncWriteExt as _, ReadBuf};
use tokio::time::{Instant, Sleep};

use super::Amqp;
use super::credentials::Credentials;
use super::device::{DeviceState, Devices};
use super::errors::Refusal;
use super::events::link::Turn;
use super::links::Link;
use super::provisioning::Stage;
use super::work::Works;
use crate::admission::Place;
use crate::counters::CloseCause;
use crate::transport::Transport;

/// Bytes that wait for a slow reader; above it nothing more is taken for or from it.
const UNSENT_BYTES_MAX: usize = 256 * 1024;
/// Bytes read at once. One buffer per thread.
const READ_BYTES: usize = 64 * 1024;
/// Turns per poll, so that one busy connection does not hold a thread.
const TURNS_PER_POLL: usize = 8;
/// How long a closing connection has to take its last bytes.
const GOODBYE: Duration = Duration::from_secs(1);
/// The longest a timer is set to.
const TIMER_MAX: Duration = Duration::from_secs(24 * 3_600);

/// Deadlines that are looked after in one poll.
const DUE_PER_POLL: usize = 4;
/// How much later than a deadline its timer may be set to: it is not set anew with each packet.
const TIMER_TOLERANCE: Duration = Duration::from_millis(20);

thread_local! {
    static READ_BUFFER: RefCell<Vec<u8>> = RefCell::new(vec![0; READ_BYTES]);
    static SCRATCH: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// What a connection begins with.
pub(super) struct ConnectionStart {
    pub(super) stream: Transport,
    pub(super) peer: SocketAddr,
    pub(super) place: Place,
    /// How long it may stay unauthenticated.
    pub(super) time_max: Duration,
}

/// A connection.
pub(super) struct Connection {
    head: Arc<Amqp>,
    stream: Transport,
    peer: SocketAddr,
    place: Option<Place>,
    admitted_until: Instant,
    amqp: hub_amqp::Connection,
    /// The hub that the connection names.
    hub: Option<Arc<Hub>>,
    credentials: Credentials,
    /// The sessions of the protocol, which the peer begins.
    sessions: Vec<SessionId>,
    links: HashMap<LinkId, Link>,
    /// The links on which events, feedback and notifications are read.
    readers: Vec<LinkId>,
    devices: Devices,
    /// How far it is with the provisioning service, when it came to that.
    registration: Option<Stage>,
    /// Whether a link of a registration was refused before.
    has_refused_registration: bool,
    works: Works,
    /// The beginning of a frame whose end has not come yet.
    partial: Vec<u8>,
    /// Bytes to send, and how many of them are sent.
    unsent: Vec<u8>,
    sent: usize,
    /// A wait for room in a hub's log.
    room: Option<BoxFuture<'static, ()>>,
    stopping: BoxFuture<'static, ()>,
    timer: Pin<Box<Sleep>>,
}

impl Connection {
    pub(super) fn new(head: &Arc<Amqp>, start: ConnectionStart) -> Self {
        let now = Instant::now();
        let admitted_until = now + start.time_max;
        Self {
            amqp: hub_amqp::Connection::server(Arc::clone(&head.config), now.into_std()),
            stopping: head.stopping(),
            head: Arc::clone(head),
            stream: start.stream,
            peer: start.peer,
            place: Some(start.place),
            admitted_until,
            hub: None,
            credentials: Credentials::default(),
            sessions: Vec::new(),
            links: HashMap::new(),
            readers: Vec::new(),
            devices: Devices::default(),
            registration: None,
            has_refused_registration: false,
            works: Works::default(),
            partial: Vec::new(),
            unsent: Vec::new(),
            sent: 0,
            room: None,
            timer: Box::pin(tokio::time::sleep_until(admitted_until)),
        }
    }

    /// Serves the connection to its end.
    pub(super) async fn run(mut self: Box<Self>) -> CloseCause {
        let cause = poll_fn(|context| self.poll(context)).await;
        tracing::debug!(peer = %self.peer, cause = cause.as_str(), "amqp connection ended");
        // Sessions end before the goodbye, which may take its time.
        self.devices = Devices::default();
        self.links = HashMap::new();
        if cause == CloseCause::FaultInjected && self.amqp.phase() == Phase::Open {
            // Without a word.
            return cause;
        }
        // Boxed, so that an idle connection has no room for it.
        let goodbye = Box::pin(tokio::time::timeout(GOODBYE, self.goodbye()));
        drop(goodbye.await);
        cause
    }

    /// Writes the last bytes and waits until the peer has hung up: it must read why before the socket is reset.
    async fn goodbye(&mut self) -> std::io::Result<()> {
        self.stream.write_all(&self.unsent[self.sent..]).await?;
        let rest = std::mem::take(self.amqp.output(Instant::now().into_std()));
        self.stream.write_all(&rest).await?;
        self.stream.flush().await?;
        let mut read = [0; 1_024];
        while self.stream.read(&mut read).await? > 0 {}
        self.stream.shutdown().await
    }

    /// Does whatever can be done, until nothing can. Ready when the connection has to end.
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<CloseCause> {
        match self.poll_work(context) {
            Ok(()) => Poll::Pending,
            Err(cause) => Poll::Ready(cause),
        }
    }

    fn poll_work(&mut self, context: &mut Context<'_>) -> Result<(), CloseCause> {
        if self.stopping.as_mut().poll(context).is_ready() {
            let text = "the hub is stopping";
            return Err(self.close(condition::CONNECTION_FORCED, text, CloseCause::Shutdown));
        }
        for _ in 0..TURNS_PER_POLL {
            self.poll_done(context)?;
            self.poll_notices(context)?;
            let more = self.poll_readers(context);
            self.poll_timer(context)?;
            let held_back = self.is_reader_slow();
            self.poll_write(context)?;
            let eased = held_back && !self.is_reader_slow();
            let read = self.poll_read(context)?;
            // What was held back for a slow reader, or for its turn, or was just begun, has no wake-up of its own.
            let begun = self.works.is_fresh() && !self.is_reader_slow();
            if read.is_pending() && !eased && !more && !begun {
                self.rest();
                return Ok(());
            }
        }
        // There may be more to do: let others have a turn first.
        context.waker().wake_by_ref();
        self.poll_done(context)?;
        self.poll_write(context)
    }

    /// Gives the buffers back: an idle connection has none.
    fn rest(&mut self) {
        if self.unsent.is_empty() {
            self.unsent = Vec::new();
            let output = self.amqp.output(Instant::now().into_std());
            if output.is_empty() {
                *output = Vec::new();
            }
        }
    }

    fn now(&self) -> Timestamp {
        self.head.engine.environment().now()
    }

    /// Says why, and gives the cause to end with.
    fn close(&mut self, condition: &'static str, text: &str, cause: CloseCause) -> CloseCause {
        let refusal = Refusal::new(&self.head.engine, condition, text);
        self.close_with(&refusal, cause)
    }

    fn close_with(&mut self, refusal: &Refusal, cause: CloseCause) -> CloseCause {
        tracing::debug!(peer = %self.peer, condition = refusal.condition, text = refusal.text, "amqp connection closed");
        self.close_sessions(refusal);
        refusal.tell(|error| self.amqp.close(Some(error)));
        cause
    }

    /// Ends the sessions with the error as well: the Node client learns from that at once, and from a close only when its
    /// own detaches have timed out (`amqp.js` of azure-iot-amqp-base).
    ///
    /// `amqp:connection:forced` is no reason for it to come again, `amqp:link:detach-forced` is
    /// (`amqp_common_errors.js`).
    fn close_sessions(&mut self, refusal: &Refusal) {
        let condition = match refusal.condition {
            condition::CONNECTION_FORCED => condition::DETACH_FORCED,
            other => other,
        };
        for session in std::mem::take(&mut self.sessions) {
            refusal.tell(|error| {
                let error = AmqpError {
                    condition,
                    ..*error
                };
                self.amqp.end(session, Some(&error));
            });
        }
    }

    /// One timer for the engine's heartbeats, the wait for a first credential, and the ends of credentials.
    fn poll_timer(&mut self, context: &mut Context<'_>) -> Result<(), CloseCause> {
        for _ in 0..DUE_PER_POLL {
            let (next, now) = (self.next_deadline(), Instant::now());
            if next > now {
                let set = self.timer.deadline();
                if self.timer.is_elapsed() || next + TIMER_TOLERANCE < set {
                    self.timer.as_mut().reset(next);
                }
                if self.timer.as_mut().poll(context).is_pending() {
                    return Ok(());
                }
                continue;
            }
            if let Some(hub_amqp::Event::Ended(_)) = self.amqp.on_time(now.into_std()) {
                return Err(CloseCause::KeepAlive);
            }
            if !self.credentials.is_authenticated() && now >= self.admitted_until {
                let text = "no credential was shown in time";
                let condition = condition::UNAUTHORIZED_ACCESS;
                return Err(self.close(condition, text, CloseCause::HandshakeTimeout));
            }
            if self.registration_end().is_some_and(|end| now >= end) {
                let text = "no registration was asked for";
                let condition = condition::CONNECTION_FORCED;
                return Err(self.close(condition, text, CloseCause::KeepAlive));
            }
            self.expire()?;
        }
        context.waker().wake_by_ref();
        Ok(())
    }

    /// The next moment at which something is due. A timer that fires too early does nothing.
    fn next_deadline(&self) -> Instant {
        let now = Instant::now();
        let mut next = now + TIMER_MAX;
        if let Some(deadline) = self.amqp.next_deadline() {
            next = next.min(Instant::from_std(deadline));
        }
        if !self.credentials.is_authenticated() {
            next = next.min(self.admitted_until);
        }
        if let Some(end) = self.registration_end() {
            next = next.min(end);
        }
        let clock = self.now();
        let sessions = self
            .devices
            .iter()
            .filter_map(|device| match &device.state {
                DeviceState::Open(open) => Some(open.session.expires()),
                DeviceState::Opening(_) => None,
            });
        let expiry = sessions.chain(self.credentials.next_expiry()).min();
        if let Some(expiry) = expiry {
            next = next.min(now + expiry.since(clock).min(TIMER_MAX));
        }
        next
    }

    /// Lets readers of events have their turns; true when there is more for one of them.
    fn poll_readers(&mut self, context: &mut Context<'_>) -> bool {
        let mut more = false;
        let mut at = 0;
        while at < self.readers.len() && !self.is_reader_slow() {
            let link = self.readers[at];
            let amqp = &mut self.amqp;
            let turn = match self.links.get_mut(&link) {
                Some(Link::Events(events)) => SCRATCH.with_borrow_mut(|scratch| {
                    events.poll_turn(&self.head.engine, amqp, link, scratch, context)
                }),
                Some(Link::Queue(queue)) => queue.poll_turn(amqp, link, context),
                Some(_) | None => {
                    self.readers.swap_remove(at);
                    continue;
                }
            };
            at += 1;
            match turn {
                Turn::Waits => {}
                Turn::More => more = true,
                Turn::Ends(refusal) => {
                    refusal.detach(&mut self.amqp, link);
                    self.links.remove(&link);
                }
            }
        }
        more
    }

    fn is_reader_slow(&mut self) -> bool {
        let queued = self.amqp.output(Instant::now().into_std()).len();
        self.unsent.len() - self.sent + queued > UNSENT_BYTES_MAX
    }

    fn poll_write(&mut self, context: &mut Context<'_>) -> Result<(), CloseCause> {
        loop {
            if self.sent == self.unsent.len() {
                self.sent = 0;
                self.unsent.clear();
                // A connection that has much to say keeps both buffers until it rests.
                let output = self.amqp.output(Instant::now().into_std());
                std::mem::swap(&mut self.unsent, output);
            }
            if self.unsent.is_empty() {
                break;
            }
            match Pin::new(&mut self.stream).poll_write(context, &self.unsent[self.sent..]) {
                Poll::Ready(Ok(0) | Err(_)) => return Err(CloseCause::SocketClosed),
                Poll::Ready(Ok(count)) => self.sent += count,
                Poll::Pending => return Ok(()),
            }
        }
        match Pin::new(&mut self.stream).poll_flush(context) {
            Poll::Ready(Ok(())) | Poll::Pending => Ok(()),
            Poll::Ready(Err(_)) => Err(CloseCause::SocketClosed),
        }
    }

    /// Reads once, unless too much is unanswered already. Pending when there is nothing to read or it must wait.
    fn poll_read(&mut self, context: &mut Context<'_>) -> Result<Poll<()>, CloseCause> {
        if self.must_not_read(context) {
            return Ok(Poll::Pending);
        }
        READ_BUFFER.with_borrow_mut(|shared| {
            let mut buffer = ReadBuf::new(shared);
            match Pin::new(&mut self.stream).poll_read(context, &mut buffer) {
                Poll::Pending => return Ok(Poll::Pending),
                Poll::Ready(Err(_)) => return Err(CloseCause::SocketClosed),
                Poll::Ready(Ok(())) if buffer.filled().is_empty() => {
                    return Err(CloseCause::SocketClosed);
                }
                Poll::Ready(Ok(())) => {}
            }
            self.receive(buffer.filled()).map(Poll::Ready)
        })
    }

    /// Back pressure: what is unanswered, unsent, or waiting for the log is bounded. Each has its own wake-up.
    fn must_not_read(&mut self, context: &mut Context<'_>) -> bool {
        let (messages, bytes) = self.works.load();
        if messages >= CONNECTION_INBOUND_MESSAGES_MAX
            || bytes >= CONNECTION_INBOUND_BYTES_MAX
            || self.is_reader_slow()
        {
            return true;
        }
        self.poll_room(context).is_pending()
    }

    fn poll_room(&mut self, context: &mut Context<'_>) -> Poll<()> {
        if self.room.is_none() {
            let full = self.devices.iter().find_map(|device| match &device.state {
                DeviceState::Open(open) if open.session.is_log_full() => Some(device.hub.no),
                DeviceState::Open(_) | DeviceState::Opening(_) => None,
            });
            if let Some(hub) = full {
                let engine = Arc::clone(&self.head.engine);
                self.room = Some(Box::pin(async move { engine.telemetry.room(hub).await }));
            }
        }
        if let Some(room) = &mut self.room {
            ready!(room.as_mut().poll(context));
            self.room = None;
        }
        Poll::Ready(())
    }
}
