//! Telemetry: each partition read at its own position, in turns.

use std::sync::Arc;

use hub_api::native::{EventSource, Notice, NoticeKind, StartPosition};
use hub_domain::partition::partition_of;
use hub_domain::{DeviceId, ErrorCode, Hub};
use hub_engine::{Engine, Error, ErrorKind, OpContext, Position, ReadLimit};
use tokio::sync::watch;
use tokio::sync::watch::error::RecvError;

use super::record::event_of;
use super::request::{AtEnd, EventRequest};
use super::stream::{Lines, Page};

/// What one read of a partition gives at most; a chunk of lines has about half as much again.
const PAGE: ReadLimit = ReadLimit {
    records: 256,
    bytes: 256 * 1024,
};

pub(super) struct Reader {
    hub: Arc<Hub>,
    device: Option<DeviceId>,
    /// The only kind of message that is wanted, if not all.
    only: Option<EventSource>,
    cursors: Vec<Cursor>,
    turn: usize,
    head: watch::Receiver<u64>,
}

/// Where the reading of one partition stands.
struct Cursor {
    partition: u16,
    position: Position,
    /// The sequence number that must come next, once one is known.
    expected: Option<u64>,
    /// The first sequence number that is not wanted.
    until: Option<u64>,
}

impl Reader {
    pub(super) async fn open(
        engine: &Engine,
        ctx: &OpContext,
        hub: &Arc<Hub>,
        request: &EventRequest,
    ) -> Result<Self, Error> {
        let gone = || Error::new(ErrorKind::NotFound, "the hub does not exist");
        let head = engine.events.telemetry_head(hub.no).ok_or_else(gone)?;
        let mut cursors = Vec::new();
        for partition in partitions(hub, request)? {
            let state = engine.events.partition(ctx, hub.no, partition).await?;
            let (position, expected) = match request.from {
                StartPosition::Start => (Position::Start, None),
                StartPosition::End => (Position::Sequence(state.next), Some(state.next)),
                StartPosition::Offset(offset) => (Position::Sequence(offset), Some(offset)),
                StartPosition::Time(time) => (Position::Time(time), None),
            };
            let until = match request.at_end {
                AtEnd::Follow => None,
                AtEnd::Stop => Some(state.next),
            };
            cursors.push(Cursor {
                partition,
                position,
                expected,
                until,
            });
        }
        Ok(Self {
            hub: Arc::clone(hub),
            device: request.device.clone(),
            only: Some(request.source).filter(|source| *source != EventSource::Telemetry),
            cursors,
            turn: 0,
            head,
        })
    }

    /// Reads a page of the next partition that has one.
    pub(super) async fn read(
        &mut self,
        engine: &Engine,
        ctx: &OpContext,
        lines: &mut Lines,
    ) -> Result<Page, Error> {
        // Marked as seen before reading, so that a group that commits meanwhile wakes the next wait.
        self.head.borrow_and_update();
        for _ in 0..self.cursors.len() {
            let turn = self.turn;
            self.turn = (turn + 1) % self.cursors.len();
            let cursor = &mut self.cursors[turn];
            if cursor.is_done() {
                continue;
            }
            let records = engine
                .events
                .telemetry(ctx, self.hub.no, cursor.partition, cursor.position, PAGE)
                .await?;
            let (Some(first), Some(last)) = (records.first(), records.last()) else {
                continue;
            };
            cursor.tell_gap(first.sequence, lines);
            cursor.expected = Some(last.sequence + 1);
            cursor.position = Position::Sequence(last.sequence + 1);
            for record in &records {
                let in_range = cursor.until.is_none_or(|until| record.sequence < until);
                let wanted = self
                    .device
                    .as_ref()
                    .is_none_or(|device| record.source.device == device.as_str());
                let is_kind = self
                    .only
                    .is_none_or(|only| only == EventSource::of(record.source.message_source));
                if in_range && wanted && is_kind && !lines.is_full() {
                    lines.push_event(&event_of(cursor.partition, record));
                }
            }
            return Ok(Page::Read);
        }
        Ok(Page::End)
    }

    /// Waits for a durable group.
    pub(super) async fn changed(&mut self) -> Result<(), RecvError> {
        self.head.changed().await
    }
}

impl Cursor {
    fn is_done(&self) -> bool {
        match (self.until, self.expected) {
            (Some(0), _) => true,
            (Some(until), Some(expected)) => expected >= until,
            (Some(_), None) | (None, _) => false,
        }
    }

    fn tell_gap(&self, first: u64, lines: &mut Lines) {
        if let Some(expected) = self.expected.filter(|expected| *expected < first) {
            lines.push_notice(&Notice {
                notice: NoticeKind::BehindRetention,
                partition: Some(self.partition),
                expected_offset: Some(expected.to_string()),
                resumed_offset: Some(first.to_string()),
                error: None,
            });
        }
    }
}

/// The partitions to read: the one that was named, the one of the device, or all.
fn partitions(hub: &Hub, request: &EventRequest) -> Result<Vec<u16>, Error> {
    let of_device = request
        .device
        .as_ref()
        .map(|device| partition_of(device.as_str(), hub.partition_count));
    match (request.partition, of_device) {
        (Some(named), _) if named >= hub.partition_count => {
            let text = format!(
                "the hub has the partitions 0 to {}",
                hub.partition_count - 1
            );
            Err(Error::new(ErrorKind::NotFound, text).with_code(ErrorCode::GenericNotFound))
        }
        (Some(named), Some(of_device)) if named != of_device => {
            let text = format!("the device's messages are in partition {of_device}, not {named}");
            Err(Error::new(ErrorKind::Invalid, text))
        }
        (Some(one), _) | (None, Some(one)) => Ok(vec![one]),
        (None, None) => Ok((0..hub.partition_count).collect()),
    }
}
