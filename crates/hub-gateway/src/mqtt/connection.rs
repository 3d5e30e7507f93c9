//! An open MQTT connection: one future that reads, answers, delivers and writes.
//!
//! Everything it may wait for is polled in one place ([`Connection::poll`]), so an idle connection costs
//! one task, one timer and no buffer: bytes are read into a buffer that all connections of a thread
//! share, and what is kept between polls is empty while nothing is under way.

mod certificates;
mod deliver;
mod receive;

use std::cell::RefCell;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures_util::future::BoxFuture;
use hub_domain::limits::{CONNECTION_INBOUND_BYTES_MAX, CONNECTION_INBOUND_MESSAGES_MAX};
use hub_engine::sessions::TelemetryBatch;
use hub_engine::{
    Appended, CloseReason, Engine, Error, MessageNo, RecordFlags, Session, StoredMessage,
};
use hub_mqtt::{KeepAlive, ServerSession, ZeroKeepAlive};
use hub_provisioning::Provisioning;
use tokio::io::{AsyncRead as _, AsyncWrite as _, AsyncWriteExt as _, ReadBuf};
use tokio::time::{Instant, Sleep};

use super::outstanding::Outstanding;
use super::topics::Topics;
use crate::counters::CloseCause;
use crate::transport::Transport;

/// Cloud-to-device messages sent and not yet acknowledged, per connection.
pub(super) const DELIVERIES_MAX: u16 = 16;
/// Bytes that wait for a slow reader; above it nothing more is taken for or from it.
const UNSENT_BYTES_MAX: usize = 256 * 1024;
/// Bytes read at once. One buffer per thread.
const READ_BYTES: usize = 64 * 1024;
/// Reads per poll, so that one busy connection does not hold a thread.
const READS_PER_POLL: usize = 8;
/// How long a will may take to find its routes.
const WILL_WITHIN: Duration = Duration::from_secs(30);
/// How long a closing connection has to take its last bytes.
const GOODBYE: Duration = Duration::from_secs(1);

thread_local! {
    static READ_BUFFER: RefCell<Vec<u8>> = RefCell::new(vec![0; READ_BYTES]);
}

/// The message a client left for the case that it vanishes.
pub(super) struct Will {
    pub(super) bag: Box<[u8]>,
    pub(super) payload: Box<[u8]>,
    pub(super) retain: bool,
}

/// What the handshake hands over.
pub(super) struct ConnectionStart {
    pub(super) provisioning: Option<Arc<Provisioning>>,
    pub(super) stream: Transport,
    pub(super) peer: SocketAddr,
    pub(super) mqtt: ServerSession<MessageNo>,
    pub(super) session: Session,
    pub(super) topics: Topics,
    pub(super) will: Option<Will>,
    pub(super) keep_alive: KeepAlive,
    /// Bytes that came behind CONNECT.
    pub(super) early: Vec<u8>,
}

/// An open connection.
pub(super) struct Connection {
    engine: Arc<Engine>,
    /// Issues certificates.
    provisioning: Option<Arc<Provisioning>>,
    stream: Transport,
    peer: SocketAddr,
    mqtt: ServerSession<MessageNo>,
    session: Session,
    topics: Topics,
    will: Option<Will>,
    /// The beginning of a packet whose end has not come yet.
    partial: Vec<u8>,
    /// Bytes to send, and how many of them are sent.
    unsent: Vec<u8>,
    sent: usize,
    outstanding: Outstanding,
    /// A read of the message queue that is under way.
    fetch: Option<BoxFuture<'static, Result<Vec<StoredMessage>, Error>>>,
    /// There may be messages that were not fetched yet.
    messages_wanted: bool,
    /// A wait for room in the log.
    room: Option<BoxFuture<'static, ()>>,
    /// Time without a packet after which the client is gone; `None` when it asked for no limit.
    silence_max: Option<Duration>,
    last_packet: Instant,
    /// The hub itself does not read, so the client cannot be called silent.
    is_read_paused: bool,
    expires: Instant,
    timer: Pin<Box<Sleep>>,
}

impl Connection {
    pub(super) fn new(engine: &Arc<Engine>, start: ConnectionStart) -> Self {
        let now = Instant::now();
        let until_expiry = start.session.expires().since(engine.environment().now());
        Self {
            engine: Arc::clone(engine),
            provisioning: start.provisioning,
            stream: start.stream,
            peer: start.peer,
            mqtt: start.mqtt,
            session: start.session,
            topics: start.topics,
            will: start.will,
            partial: start.early,
            unsent: Vec::new(),
            sent: 0,
            outstanding: Outstanding::default(),
            fetch: None,
            messages_wanted: false,
            room: None,
            silence_max: start
                .keep_alive
                .timeout(KeepAlive::TIMEOUT_MAX, ZeroKeepAlive::Longest),
            last_packet: now,
            is_read_paused: false,
            // Token lifetimes are bounded by what a timer takes: a year is as good as any.
            expires: now + until_expiry.min(Duration::from_secs(365 * 24 * 3600)),
            timer: Box::pin(tokio::time::sleep_until(now)),
        }
    }

    /// Serves the connection to its end.
    pub(super) async fn run(mut self: Box<Self>) -> CloseCause {
        let cause = match poll_fn(|context| self.poll_early(context)).await {
            Ok(()) => poll_fn(|context| self.poll(context)).await,
            Err(cause) => cause,
        };
        let will = self.finish(cause);
        tracing::debug!(peer = %self.peer, id = %self.session.id(), cause = cause.as_str(), "mqtt session ended");
        let goodbye = async {
            drop(self.stream.write_all(&self.unsent[self.sent..]).await);
            drop(self.stream.shutdown().await);
        };
        drop(tokio::time::timeout(GOODBYE, goodbye).await);
        if let Some(will) = will {
            // Nobody is told how it ends: whoever would be is gone.
            drop(tokio::time::timeout(WILL_WITHIN, will).await);
        }
        cause
    }

    /// Publishes the will of a client that did not say goodbye, and keeps what a later session must repeat.
    fn finish(&mut self, cause: CloseCause) -> Option<BoxFuture<'static, Result<Appended, Error>>> {
        if let Some(newest) = self
            .mqtt
            .in_flight()
            .iter()
            .map(|(_, message)| *message)
            .max()
        {
            self.session.note_unacknowledged(newest);
        }
        let will = self
            .will
            .take()
            .filter(|_| cause != CloseCause::ClientDisconnect)?;
        let flags = if will.retain {
            RecordFlags::WILL.with(RecordFlags::RETAIN)
        } else {
            RecordFlags::WILL
        };
        let mut batch = TelemetryBatch::new();
        batch.push(flags, &will.bag, &will.payload);
        let now = self.engine.environment().now();
        Some(self.session.send_telemetry(now, &mut batch))
    }

    /// Takes the packets that came together with CONNECT.
    fn poll_early(&mut self, context: &mut Context<'_>) -> Poll<Result<(), CloseCause>> {
        if self.partial.is_empty() {
            return Poll::Ready(Ok(()));
        }
        Poll::Ready(self.receive(&[], context))
    }

    /// Does whatever can be done, until nothing can. Ready when the connection has to end.
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<CloseCause> {
        match self.poll_work(context) {
            Ok(()) => Poll::Pending,
            Err(cause) => Poll::Ready(cause),
        }
    }

    fn poll_work(&mut self, context: &mut Context<'_>) -> Result<(), CloseCause> {
        self.poll_timer(context)?;
        for _ in 0..READS_PER_POLL {
            self.poll_notices(context)?;
            self.poll_answers(context)?;
            self.poll_messages(context)?;
            let held_back = self.is_reader_slow();
            self.poll_write(context)?;
            if held_back && !self.is_reader_slow() {
                // What was held back for a slow reader has no wake-up of its own.
                continue;
            }
            if self.poll_read(context)?.is_pending() {
                return Ok(());
            }
        }
        // There may be more to do: let others have a turn first.
        context.waker().wake_by_ref();
        self.poll_answers(context)?;
        self.poll_write(context)
    }

    /// One timer for silence and expiry. It is set anew when it fires, not with each packet.
    fn poll_timer(&mut self, context: &mut Context<'_>) -> Result<(), CloseCause> {
        while self.timer.as_mut().poll(context).is_ready() {
            let now = Instant::now();
            if now >= self.expires {
                return Err(CloseCause::TokenExpired);
            }
            if self.is_read_paused {
                self.last_packet = now;
            }
            let silence_end = self.silence_max.map(|silence| self.last_packet + silence);
            if silence_end.is_some_and(|end| now >= end) {
                return Err(CloseCause::KeepAlive);
            }
            let next = silence_end.map_or(self.expires, |end| end.min(self.expires));
            self.timer.as_mut().reset(next);
        }
        Ok(())
    }

    /// Sends what was answered, in order.
    fn poll_answers(&mut self, context: &mut Context<'_>) -> Result<(), CloseCause> {
        while !self.is_reader_slow() {
            match self.outstanding.poll_next(context) {
                Poll::Ready(Some(answer)) => self.queue(&answer?),
                Poll::Ready(None) | Poll::Pending => return Ok(()),
            }
        }
        Ok(())
    }

    fn queue(&mut self, bytes: &[u8]) {
        self.unsent.extend_from_slice(bytes);
    }

    fn is_reader_slow(&self) -> bool {
        self.unsent.len() - self.sent > UNSENT_BYTES_MAX
    }

    fn poll_write(&mut self, context: &mut Context<'_>) -> Result<(), CloseCause> {
        while self.sent < self.unsent.len() {
            match Pin::new(&mut self.stream).poll_write(context, &self.unsent[self.sent..]) {
                Poll::Ready(Ok(0) | Err(_)) => return Err(CloseCause::SocketClosed),
                Poll::Ready(Ok(count)) => self.sent += count,
                Poll::Pending => return Ok(()),
            }
        }
        if !self.unsent.is_empty() {
            self.unsent = Vec::new();
            self.sent = 0;
        }
        match Pin::new(&mut self.stream).poll_flush(context) {
            Poll::Ready(Ok(())) | Poll::Pending => Ok(()),
            Poll::Ready(Err(_)) => Err(CloseCause::SocketClosed),
        }
    }

    /// Reads once, unless too much is unanswered already. Pending when there is nothing to read or it must wait.
    fn poll_read(&mut self, context: &mut Context<'_>) -> Result<Poll<()>, CloseCause> {
        if self.must_not_read(context) {
            // A client that does not read its answers is not spared.
            self.is_read_paused = !self.is_reader_slow();
            return Ok(Poll::Pending);
        }
        self.is_read_paused = false;
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
            self.last_packet = Instant::now();
            self.receive(buffer.filled(), context).map(Poll::Ready)
        })
    }

    /// Back pressure: what is unanswered, unsent, or waiting for the log is bounded. Each has its own wake-up.
    fn must_not_read(&mut self, context: &mut Context<'_>) -> bool {
        let (messages, bytes) = self.outstanding.load();
        if messages >= CONNECTION_INBOUND_MESSAGES_MAX
            || bytes >= CONNECTION_INBOUND_BYTES_MAX
            || self.is_reader_slow()
        {
            return true;
        }
        self.poll_room(context).is_pending()
    }

    fn poll_room(&mut self, context: &mut Context<'_>) -> Poll<()> {
        if self.room.is_none() && self.session.is_log_full() {
            let (engine, hub) = (Arc::clone(&self.engine), self.session.hub());
            self.room = Some(Box::pin(async move { engine.telemetry.room(hub).await }));
        }
        if let Some(room) = &mut self.room {
            ready!(room.as_mut().poll(context));
            self.room = None;
        }
        Poll::Ready(())
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
