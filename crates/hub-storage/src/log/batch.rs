//! The encoding of telemetry: one batch per connection and socket read, many messages in it.
//!
//! A batch is what a connection hands over at once: its source (who sent it, encoded once per
//! session) and its messages back to back. A committer joins batches into a group without looking
//! inside. This is a disk format.
//!
//! ```text
//! batch   := first u64, enqueued i64, partition u16, count u32, source_len u32, records_len u32, source, records
//! record  := flags u8, bag_len u32, body_len u32, bag, body      (integers little-endian)
//! source  := 5 × (len u16, text): device, module, generation, auth method, model id; message source u8
//! ```

use std::sync::Arc;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use hub_domain::Timestamp;
use hub_domain::routing::Source;

use crate::StoreError;

/// Bytes of a batch's head.
pub const BATCH_HEAD_BYTES: usize = 8 + 8 + 2 + 4 + 4 + 4;
const RECORD_HEAD_BYTES: usize = 1 + 4 + 4;

/// Who sent the messages of a batch, and what they are. Encoded once per session.
///
/// What is no telemetry (a twin that changed, a device that connected) is a record as any other: its body is JSON, and
/// its bag has the system properties content type, content encoding, correlation id and user id, and the application
/// properties of "Non-telemetry event schemas" (`hubName`, `deviceId`, `opType`, …). Who made the record is the hub:
/// there is no authentication method, and no generation when the identity is gone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TelemetrySource {
    /// The device.
    pub device: String,
    /// The module; empty for a device.
    pub module: String,
    /// The identity's generation id (`iothub-connection-auth-generation-id`); empty when it is not known.
    pub generation: String,
    /// `iothub-connection-auth-method`, a JSON text; empty when the hub itself made the message.
    pub auth_method: String,
    /// The announced model id (`dt-dataschema`); empty when there is none.
    pub model_id: String,
    /// What the messages are (`iothub-message-source`).
    pub message_source: Source,
}

impl TelemetrySource {
    /// The encoded form. Parts longer than 65,535 bytes are cut, which ids and model ids never are.
    pub fn encode(&self) -> Bytes {
        let parts = [
            &self.device,
            &self.module,
            &self.generation,
            &self.auth_method,
            &self.model_id,
        ];
        let mut out = BytesMut::with_capacity(parts.iter().map(|p| p.len() + 2).sum::<usize>() + 1);
        for part in parts {
            let length = u16::try_from(part.len()).unwrap_or(u16::MAX);
            out.put_u16_le(length);
            out.put_slice(&part.as_bytes()[..usize::from(length)]);
        }
        out.put_u8(self.message_source.number());
        out.freeze()
    }

    /// Reads the encoded form.
    ///
    /// # Errors
    /// When the bytes are not such a form.
    pub fn decode(mut bytes: &[u8]) -> Result<Self, StoreError> {
        let mut part = || -> Option<String> {
            let length = usize::from(bytes.try_get_u16_le().ok()?);
            let text = bytes.get(..length)?;
            bytes.advance(length);
            String::from_utf8(text.to_vec()).ok()
        };
        let source = (|| {
            Some(Self {
                device: part()?,
                module: part()?,
                generation: part()?,
                auth_method: part()?,
                model_id: part()?,
                message_source: Source::default(),
            })
        })();
        let message_source = bytes.first().map_or(Some(Source::default()), |number| {
            Source::from_number(*number)
        });
        source
            .zip(message_source)
            .map(|(source, message_source)| Self {
                message_source,
                ..source
            })
            .ok_or_else(|| StoreError::internal("a telemetry source in the log cannot be read"))
    }
}

/// What the protocol said of a message beyond bag and body.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RecordFlags(pub u8);

impl RecordFlags {
    /// Published with the retain flag (application property `mqtt-retain`).
    pub const RETAIN: Self = Self(1);
    /// Published with the duplicate flag.
    pub const DUP: Self = Self(2);
    /// A will message (application property `iothub-MessageType` = `Will`).
    pub const WILL: Self = Self(4);

    /// True when all of `other` is set.
    pub const fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Both sets together.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// Collects the messages of one socket read. Allocates once per batch.
#[derive(Debug, Default)]
pub struct BatchWriter {
    records: Vec<u8>,
    count: u32,
}

impl BatchWriter {
    /// An empty batch.
    pub const fn new() -> Self {
        Self {
            records: Vec::new(),
            count: 0,
        }
    }

    /// Adds a message: its property bag as received and its body.
    pub fn push(&mut self, flags: RecordFlags, bag: &[u8], body: &[u8]) {
        self.records
            .reserve(RECORD_HEAD_BYTES + bag.len() + body.len());
        self.records.put_u8(flags.0);
        self.records.put_u32_le(length_u32(bag.len()));
        self.records.put_u32_le(length_u32(body.len()));
        self.records.put_slice(bag);
        self.records.put_slice(body);
        self.count += 1;
    }

    /// Messages so far.
    pub const fn count(&self) -> u32 {
        self.count
    }

    /// Bytes so far.
    pub fn bytes(&self) -> usize {
        self.records.len()
    }

    /// True when nothing was added.
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The messages so far: flags, property bag and body of each.
    pub fn records(&self) -> impl Iterator<Item = (RecordFlags, &[u8], &[u8])> {
        let mut rest = self.records.as_slice();
        std::iter::from_fn(move || {
            let flags = RecordFlags(rest.try_get_u8().ok()?);
            let bag_bytes = rest.try_get_u32_le().ok()? as usize;
            let body_bytes = rest.try_get_u32_le().ok()? as usize;
            let (bag, after) = rest.split_at_checked(bag_bytes)?;
            let (body, after) = after.split_at_checked(body_bytes)?;
            rest = after;
            Some((flags, bag, body))
        })
    }

    /// The batch as collected; the writer is empty again.
    pub fn take(&mut self, partition: u16, source: Bytes, at: Timestamp) -> AppendBatch {
        AppendBatch {
            partition,
            source,
            at,
            count: std::mem::take(&mut self.count),
            records: std::mem::take(&mut self.records),
        }
    }
}

fn length_u32(length: usize) -> u32 {
    u32::try_from(length).expect("messages are at most 256 KiB")
}

/// One connection's messages, to be appended at once.
#[derive(Debug)]
pub struct AppendBatch {
    /// Where they belong.
    pub partition: u16,
    /// Who sent them, encoded.
    pub source: Bytes,
    /// When they were received.
    pub at: Timestamp,
    /// How many there are.
    pub count: u32,
    /// The encoded messages.
    pub records: Vec<u8>,
}

impl AppendBatch {
    /// Bytes the batch takes in a group.
    pub fn size(&self) -> usize {
        BATCH_HEAD_BYTES + self.source.len() + self.records.len()
    }

    /// Appends the stored form to a group's body.
    pub fn write_to(&self, out: &mut Vec<u8>, first: u64, enqueued: Timestamp) {
        out.reserve(self.size());
        out.put_u64_le(first);
        out.put_i64_le(enqueued.micros());
        out.put_u16_le(self.partition);
        out.put_u32_le(self.count);
        out.put_u32_le(length_u32(self.source.len()));
        out.put_u32_le(length_u32(self.records.len()));
        out.put_slice(&self.source);
        out.put_slice(&self.records);
    }
}

/// A message as read back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogRecord {
    /// Its position in the partition.
    pub sequence: u64,
    /// When it was enqueued.
    pub enqueued: Timestamp,
    /// Who sent it; shared by the messages of a batch.
    pub source: Arc<TelemetrySource>,
    /// What the protocol said of it.
    pub flags: RecordFlags,
    /// The property bag as received.
    pub bag: Bytes,
    /// The body.
    pub body: Bytes,
}

/// A batch inside a group's body, its messages not yet decoded.
#[derive(Clone, Debug)]
pub struct StoredBatch {
    /// The sequence number of its first message.
    pub first: u64,
    /// The enqueued time of all its messages.
    pub enqueued: Timestamp,
    /// The partition.
    pub partition: u16,
    /// How many messages.
    pub count: u32,
    source: Bytes,
    records: Bytes,
}

impl StoredBatch {
    /// Cuts the first batch off a group's body; `None` at its end.
    ///
    /// # Errors
    /// When the bytes are cut short.
    pub fn read(group: &mut Bytes) -> Result<Option<Self>, StoreError> {
        if group.is_empty() {
            return Ok(None);
        }
        if group.len() < BATCH_HEAD_BYTES {
            return Err(cut_short());
        }
        let first = group.get_u64_le();
        let enqueued = Timestamp::from_micros(group.get_i64_le());
        let partition = group.get_u16_le();
        let count = group.get_u32_le();
        let source_bytes = group.get_u32_le() as usize;
        let records_bytes = group.get_u32_le() as usize;
        if group.len() < source_bytes.saturating_add(records_bytes) {
            return Err(cut_short());
        }
        let source = group.split_to(source_bytes);
        let records = group.split_to(records_bytes);
        Ok(Some(Self {
            first,
            enqueued,
            partition,
            count,
            source,
            records,
        }))
    }

    /// Decodes the messages with a sequence number of at least `from` into `out`, at most `max`.
    ///
    /// # Errors
    /// When the bytes are cut short.
    pub fn decode(
        &self,
        from: u64,
        max: usize,
        out: &mut Vec<LogRecord>,
    ) -> Result<(), StoreError> {
        let source = Arc::new(TelemetrySource::decode(&self.source)?);
        let mut records = self.records.clone();
        for sequence in (self.first..).take(self.count as usize) {
            if records.len() < RECORD_HEAD_BYTES {
                return Err(cut_short());
            }
            let flags = RecordFlags(records.get_u8());
            let bag_bytes = records.get_u32_le() as usize;
            let body_bytes = records.get_u32_le() as usize;
            if records.len() < bag_bytes.saturating_add(body_bytes) {
                return Err(cut_short());
            }
            let bag = records.split_to(bag_bytes);
            let body = records.split_to(body_bytes);
            if sequence >= from && out.len() < max {
                out.push(LogRecord {
                    sequence,
                    enqueued: self.enqueued,
                    source: Arc::clone(&source),
                    flags,
                    bag,
                    body,
                });
            }
        }
        Ok(())
    }
}

fn cut_short() -> StoreError {
    StoreError::internal("a group in the message log is cut short")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_gives_back_its_batches() {
        let source = TelemetrySource {
            device: "d1".into(),
            generation: "7".into(),
            message_source: Source::TwinChangeEvents,
            ..TelemetrySource::default()
        };
        let mut writer = BatchWriter::new();
        writer.push(RecordFlags::RETAIN, b"a=1", b"one");
        writer.push(RecordFlags::default(), b"", b"");
        let batch = writer.take(3, source.encode(), Timestamp::from_seconds(9));
        assert!(writer.is_empty());
        let mut group = Vec::new();
        batch.write_to(&mut group, 40, Timestamp::from_seconds(10));
        assert_eq!(group.len(), batch.size());

        let mut bytes = Bytes::from(group);
        let stored = StoredBatch::read(&mut bytes).unwrap().unwrap();
        assert_eq!((stored.first, stored.partition, stored.count), (40, 3, 2));
        let mut records = Vec::new();
        stored.decode(41, 10, &mut records).unwrap();
        assert_eq!(records.len(), 1);
        assert_eq!(records[0].sequence, 41);
        assert_eq!(*records[0].source, source);
        assert!(StoredBatch::read(&mut bytes).unwrap().is_none());
    }

    #[test]
    fn bytes_that_are_cut_short_are_an_error() {
        let mut writer = BatchWriter::new();
        writer.push(RecordFlags::default(), b"a=1", b"body");
        let mut group = Vec::new();
        writer
            .take(
                0,
                TelemetrySource::default().encode(),
                Timestamp::from_micros(0),
            )
            .write_to(&mut group, 0, Timestamp::from_micros(0));
        for length in 1..group.len() {
            let mut bytes = Bytes::copy_from_slice(&group[..length]);
            assert!(StoredBatch::read(&mut bytes).is_err(), "{length}");
        }
    }
}
