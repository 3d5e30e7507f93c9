//! The events of one partition for one reader: read as far as its credit goes, then waited for.

use std::collections::VecDeque;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use futures_util::future::BoxFuture;
use hub_domain::HubNo;
use hub_domain::limits::EVENT_READ_AHEAD_BYTES_MAX;
use hub_engine::{
    Caller, Engine, Error, ErrorKind, LogRecord, PartitionState, Position, ReadLimit,
};
use tokio::sync::watch;

use super::super::credentials::context;
use super::selector::Start;

/// Most events of one read, however much credit there is.
const READ_RECORDS_MAX: usize = 256;

/// Whether the reader wants to know how far its partition has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RuntimeMetric {
    /// Not asked for.
    Off,
    /// With each event, as `com.microsoft:enable-receiver-runtime-metric` asks.
    On,
}

/// Where a partition is read, and by whom.
pub(crate) struct EventStream {
    caller: Caller,
    hub: HubNo,
    partition: u16,
    metric: RuntimeMetric,
    from: From,
    state: State,
    ready: VecDeque<LogRecord>,
    newest: Option<PartitionState>,
}

#[derive(Clone, Copy)]
enum From {
    Start(Start),
    Position(Position),
}

enum State {
    Idle,
    Reading(BoxFuture<'static, Result<Page, Error>>),
    Waiting(BoxFuture<'static, bool>),
}

struct Page {
    records: Vec<LogRecord>,
    newest: Option<PartitionState>,
    /// Where the next read begins.
    next: Position,
    head: watch::Receiver<u64>,
}

impl EventStream {
    pub(crate) const fn new(
        caller: Caller,
        hub: HubNo,
        partition: u16,
        start: Start,
        metric: RuntimeMetric,
    ) -> Self {
        Self {
            caller,
            hub,
            partition,
            metric,
            from: From::Start(start),
            state: State::Idle,
            ready: VecDeque::new(),
            newest: None,
        }
    }

    /// Whether the reader wants to know how far its partition has come.
    pub(crate) const fn metric(&self) -> RuntimeMetric {
        self.metric
    }

    /// The next event that was read.
    pub(crate) fn next(&mut self) -> Option<LogRecord> {
        let next = self.ready.pop_front();
        if self.ready.is_empty() {
            self.ready = VecDeque::new();
        }
        next
    }

    /// Puts an event back that could not be sent.
    pub(crate) fn put_back(&mut self, record: LogRecord) {
        self.ready.push_front(record);
    }

    /// What the partition held when the last events were read; only where that was asked for.
    pub(crate) const fn newest(&self) -> Option<PartitionState> {
        self.newest
    }

    /// Ready when [`EventStream::next`] has an event. Reads no more than `credit` events.
    ///
    /// # Errors
    /// When the log cannot be read or is gone.
    pub(crate) fn poll_ready(
        &mut self,
        engine: &Arc<Engine>,
        credit: usize,
        task: &mut Context<'_>,
    ) -> Poll<Result<(), Error>> {
        loop {
            if !self.ready.is_empty() {
                return Poll::Ready(Ok(()));
            }
            match &mut self.state {
                State::Idle if credit == 0 && matches!(self.from, From::Position(_)) => {
                    return Poll::Pending;
                }
                State::Idle => self.state = State::Reading(self.read(engine, credit)),
                State::Reading(read) => {
                    let page = ready!(read.as_mut().poll(task));
                    self.state = State::Idle;
                    self.take(page?);
                }
                State::Waiting(wait) => {
                    let is_alive = ready!(wait.as_mut().poll(task));
                    self.state = State::Idle;
                    if !is_alive {
                        let text = "the hub's events are gone";
                        return Poll::Ready(Err(Error::new(ErrorKind::NotFound, text)));
                    }
                }
            }
        }
    }

    fn take(&mut self, page: Page) {
        self.from = From::Position(page.next);
        self.newest = page.newest;
        if page.records.is_empty() {
            let mut head = page.head;
            self.state = State::Waiting(Box::pin(async move { head.changed().await.is_ok() }));
        } else {
            self.ready = page.records.into();
        }
    }

    fn read(&self, engine: &Arc<Engine>, credit: usize) -> BoxFuture<'static, Result<Page, Error>> {
        let (engine, hub, partition) = (Arc::clone(engine), self.hub, self.partition);
        let ctx = context(&engine, self.caller.clone());
        let metric = self.metric;
        let limit = ReadLimit {
            records: credit.clamp(1, READ_RECORDS_MAX),
            bytes: EVENT_READ_AHEAD_BYTES_MAX,
        };
        let from = self.from;
        Box::pin(async move {
            let events = &engine.events;
            let head = events
                .telemetry_head(hub)
                .ok_or_else(|| Error::new(ErrorKind::NotFound, "the hub does not exist"))?;
            // Whatever becomes durable from here on changes this receiver, so nothing is missed between read and wait.
            let mut head = head;
            head.borrow_and_update();
            let from = match from {
                From::Position(position) => position,
                From::Start(Start::Beginning) => Position::Start,
                From::Start(Start::Sequence(sequence)) => Position::Sequence(sequence),
                From::Start(Start::Time(moment)) => Position::Time(moment),
                // The end is where it is when the reader comes, not when it first has credit.
                From::Start(Start::End) => {
                    let state = events.partition(&ctx, hub, partition).await?;
                    return Ok(Page {
                        records: Vec::new(),
                        newest: Some(state),
                        next: Position::Sequence(state.next),
                        head,
                    });
                }
            };
            let records = events.telemetry(&ctx, hub, partition, from, limit).await?;
            let newest = match metric {
                RuntimeMetric::Off => None,
                RuntimeMetric::On => Some(events.partition(&ctx, hub, partition).await?),
            };
            let next = records
                .last()
                .map_or(from, |last| Position::Sequence(last.sequence + 1));
            Ok(Page {
                records,
                newest,
                next,
                head,
            })
        })
    }
}
