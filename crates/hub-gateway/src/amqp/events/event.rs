//! Records of the log as Event Hubs events ("Read device-to-cloud messages from the built-in endpoint").

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::Arc;

use hub_amqp::{MapBuf, MapWriter, MessageId, MessageWriter, Properties, Value};
use hub_domain::Timestamp;
use hub_domain::message::{SystemProperty, properties};
use hub_engine::{LogRecord, PartitionState, RecordFlags, TelemetrySource};

use super::management::{PartitionReport, sequence};

/// Application properties of a message up to which each name is looked for in all others.
const FEW: usize = 16;

/// What is known of the partition while an event is sent, for readers that asked.
pub(crate) struct Metric {
    pub(crate) newest: PartitionState,
    pub(crate) now: Timestamp,
}

/// The properties of a record, sorted by where they stand in AMQP.
#[derive(Default)]
struct Places<'a> {
    message_id: Option<Cow<'a, str>>,
    correlation_id: Option<Cow<'a, str>>,
    user_id: Option<Cow<'a, str>>,
    to: Option<Cow<'a, str>>,
    content_type: Option<Cow<'a, str>>,
    content_encoding: Option<Cow<'a, str>>,
    expiry: Option<Timestamp>,
    annotations: Vec<(&'static str, Cow<'a, str>)>,
    /// Of a name given twice, the last counts.
    application: Vec<(Cow<'a, str>, Option<Cow<'a, str>>)>,
}

/// Writes events. What follows from sender and property bag alone is written once for messages that share them, as
/// neighbors in the log mostly do.
#[derive(Default)]
pub(crate) struct EventWriter {
    batch: Option<BatchPart>,
    bag: Option<BagPart>,
}

/// What the messages of a batch share.
struct BatchPart {
    source: Arc<TelemetrySource>,
    enqueued: Timestamp,
    /// Annotations, those of each message left out.
    annotations: MapBuf,
}

/// What a property bag becomes.
struct BagPart {
    flags: RecordFlags,
    /// A copy: the record's own bytes would keep its whole group in memory.
    bag: Box<[u8]>,
    annotations: MapBuf,
    /// Properties and application properties.
    sections: Vec<u8>,
}

impl EventWriter {
    /// Appends the message of `record`.
    pub(crate) fn write(&mut self, out: &mut Vec<u8>, record: &LogRecord, metric: Option<&Metric>) {
        let batch = match &mut self.batch {
            Some(batch) if batch.is_of(record) => batch,
            other => other.insert(BatchPart::of(record)),
        };
        let bag = match &mut self.bag {
            Some(bag) if bag.is_of(record) => bag,
            other => other.insert(BagPart::of(record)),
        };
        let mut writer = MessageWriter::new(out);
        if let Some(metric) = metric {
            writer.delivery_annotations(|map| write_metric(map, metric));
        }
        writer
            .message_annotations(|map| {
                let mut digits = [0; DIGITS_MAX];
                map.symbol(
                    "x-opt-sequence-number",
                    Value::Long(sequence(record.sequence)),
                )
                .symbol(
                    "x-opt-offset",
                    Value::String(decimal(record.sequence, &mut digits)),
                )
                .pairs(batch.annotations.as_map())
                .pairs(bag.annotations.as_map());
            })
            .written(&bag.sections)
            .data(&record.body);
    }
}

/// Figures of the largest number of 64 bits.
const DIGITS_MAX: usize = 20;

/// A number as text, without an allocation: it is written for every event.
fn decimal(number: u64, digits: &mut [u8; DIGITS_MAX]) -> &str {
    let mut rest = number;
    let mut at = DIGITS_MAX;
    loop {
        at -= 1;
        digits[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            return std::str::from_utf8(&digits[at..]).expect("invariant: figures are text");
        }
    }
}

impl BatchPart {
    fn is_of(&self, record: &LogRecord) -> bool {
        Arc::ptr_eq(&self.source, &record.source) && self.enqueued == record.enqueued
    }

    fn of(record: &LogRecord) -> Self {
        let source = &record.source;
        let enqueued = Value::Timestamp(record.enqueued.millis());
        let mut annotations = MapBuf::new()
            .symbol("x-opt-enqueued-time", enqueued)
            .symbol("iothub-connection-device-id", Value::String(&source.device));
        for (name, text) in [
            ("iothub-connection-module-id", &source.module),
            ("iothub-connection-auth-generation-id", &source.generation),
            ("iothub-connection-auth-method", &source.auth_method),
        ] {
            if !text.is_empty() {
                annotations = annotations.symbol(name, Value::String(text));
            }
        }
        annotations = annotations.symbol("iothub-enqueuedtime", enqueued).symbol(
            "iothub-message-source",
            Value::String(source.message_source.message_source()),
        );
        if !source.model_id.is_empty() {
            annotations = annotations.symbol("dt-dataschema", Value::String(&source.model_id));
        }
        Self {
            source: Arc::clone(source),
            enqueued: record.enqueued,
            annotations,
        }
    }
}

impl BagPart {
    fn is_of(&self, record: &LogRecord) -> bool {
        self.flags == record.flags && *self.bag == *record.bag
    }

    fn of(record: &LogRecord) -> Self {
        let places = Places::of(record);
        let mut annotations = MapBuf::new();
        for (name, value) in &places.annotations {
            annotations = annotations.symbol(name, Value::String(value));
        }
        let mut sections = Vec::new();
        let mut writer = MessageWriter::new(&mut sections);
        if let Some(properties) = places.properties() {
            writer.properties(&properties);
        }
        if !places.application.is_empty() {
            writer.application_properties(|map| {
                for (key, value) in &places.application {
                    map.string(key, value.as_deref().map_or(Value::Null, Value::String));
                }
            });
        }
        Self {
            flags: record.flags,
            bag: (*record.bag).into(),
            annotations,
            sections,
        }
    }
}

fn write_metric(map: &mut MapWriter<'_>, metric: &Metric) {
    let report = PartitionReport::from(metric.newest);
    let offset = report.last_sequence_number.to_string();
    map.symbol(
        "last_enqueued_sequence_number",
        Value::Long(report.last_sequence_number),
    )
    .symbol("last_enqueued_offset", Value::String(&offset))
    .symbol(
        "last_enqueued_time_utc",
        Value::Timestamp(report.last_enqueued.millis()),
    )
    .symbol(
        "runtime_info_retrieval_time_utc",
        Value::Timestamp(metric.now.millis()),
    );
}

impl<'a> Places<'a> {
    /// A bag that cannot be read was not let in; what there is of it is shown.
    fn of(record: &'a LogRecord) -> Self {
        let mut places = Self::default();
        for (key, value) in properties(&record.bag).map_while(Result::ok) {
            let system = key
                .starts_with("$.")
                .then(|| SystemProperty::from_mqtt_name(&key));
            match system.flatten() {
                Some(property) => places.take_system(property, value),
                None => places.put(key, value),
            }
        }
        let flagged = [
            (RecordFlags::RETAIN, "mqtt-retain", "true"),
            (RecordFlags::DUP, "mqtt-dup", "true"),
            (RecordFlags::WILL, "iothub-MessageType", "Will"),
        ];
        for (flag, name, text) in flagged {
            if record.flags.has(flag) {
                places.put(Cow::Borrowed(name), Some(Cow::Borrowed(text)));
            }
        }
        places.drop_repeated();
        places
    }

    fn put(&mut self, key: Cow<'a, str>, value: Option<Cow<'a, str>>) {
        self.application.push((key, value));
    }

    /// Keys of a map are unique. A bag may hold tens of thousands, so they are not compared each with each.
    fn drop_repeated(&mut self) {
        let names = &self.application;
        let is_repeated = |at: usize| names[at + 1..].iter().any(|(key, _)| *key == names[at].0);
        if names.len() <= FEW && !(0..names.len()).any(is_repeated) {
            return;
        }
        let mut seen = BTreeSet::new();
        let mut keep: Vec<bool> = self
            .application
            .iter()
            .rev()
            .map(|(key, _)| seen.insert(&**key))
            .collect();
        if seen.len() < keep.len() {
            self.application.retain(|_| keep.pop() == Some(true));
        }
    }

    fn take_system(&mut self, property: SystemProperty, value: Option<Cow<'a, str>>) {
        let Some(text) = value else { return };
        match property {
            SystemProperty::MessageId => self.message_id = Some(text),
            SystemProperty::CorrelationId => self.correlation_id = Some(text),
            SystemProperty::UserId => self.user_id = Some(text),
            SystemProperty::To => self.to = Some(text),
            SystemProperty::ContentType => self.content_type = Some(text),
            SystemProperty::ContentEncoding => self.content_encoding = Some(text),
            SystemProperty::Expiry => self.expiry = Timestamp::parse_rfc3339(&text).ok(),
            SystemProperty::CreationTime | SystemProperty::OutputName | SystemProperty::Ack => {
                self.put(Cow::Borrowed(property.json_name()), Some(text));
            }
            SystemProperty::InterfaceId
            | SystemProperty::Component
            | SystemProperty::TraceId
            | SystemProperty::TraceContext => {
                self.annotations
                    .retain(|(name, _)| *name != property.json_name());
                self.annotations.push((property.json_name(), text));
            }
            // Who sent it is not the sender's to say.
            SystemProperty::ConnectionDeviceId | SystemProperty::ConnectionModuleId => {}
        }
    }

    fn properties(&self) -> Option<Properties<'_>> {
        let properties = Properties {
            message_id: self.message_id.as_deref().map(MessageId::String),
            correlation_id: self.correlation_id.as_deref().map(MessageId::String),
            user_id: self.user_id.as_deref().map(str::as_bytes),
            to: self.to.as_deref(),
            content_type: self.content_type.as_deref(),
            content_encoding: self.content_encoding.as_deref(),
            absolute_expiry_time: self.expiry.map(Timestamp::millis),
            ..Properties::default()
        };
        (properties != Properties::default()).then_some(properties)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use bytes::Bytes;
    use hub_amqp::{Body, Sections};
    use hub_engine::TelemetrySource;

    use super::super::super::text::text_of;
    use super::*;

    fn record(bag: &'static str) -> LogRecord {
        LogRecord {
            sequence: 7,
            enqueued: Timestamp::from_micros(1_500_900),
            source: Arc::new(TelemetrySource {
                device: "d1".into(),
                module: "m1".into(),
                generation: "g".into(),
                auth_method: "{}".into(),
                model_id: "dtmi:a;1".into(),
                ..TelemetrySource::default()
            }),
            flags: RecordFlags::WILL,
            bag: Bytes::from_static(bag.as_bytes()),
            body: Bytes::from_static(b"body"),
        }
    }

    fn pairs(map: hub_amqp::Map<'_>) -> String {
        let shown = map.iter().map(|(key, value)| {
            let kind = match value {
                Value::Long(_) => "long ",
                Value::Timestamp(_) => "time ",
                _ => "",
            };
            let value = text_of(value).unwrap_or_else(|| "null".into());
            format!("{}={kind}{value}", key.as_str().unwrap())
        });
        shown.collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn an_event_has_every_property_at_its_place_with_its_type() {
        let mut out = Vec::new();
        let record = record(
            "%24.mid=1&%24.uid=u&%24.ct=application%2Fjson&$.sub=c&%24.on=o&%24.cdid=other&a%20b=%C3%A4&x=1&null&x=2",
        );
        EventWriter::default().write(&mut out, &record, None);
        let sections = Sections::parse(&out).unwrap();
        assert_eq!(
            pairs(sections.message_annotations),
            "x-opt-sequence-number=long 7\nx-opt-offset=7\n\
             x-opt-enqueued-time=time 1970-01-01T00:00:01.5000000Z\n\
             iothub-connection-device-id=d1\niothub-connection-module-id=m1\n\
             iothub-connection-auth-generation-id=g\niothub-connection-auth-method={}\n\
             iothub-enqueuedtime=time 1970-01-01T00:00:01.5000000Z\n\
             iothub-message-source=Telemetry\ndt-dataschema=dtmi:a;1\ndt-subject=c"
        );
        let properties = sections.properties.unwrap();
        assert_eq!(properties.message_id, Some(MessageId::String("1")));
        assert_eq!(properties.user_id, Some(b"u".as_slice()));
        assert_eq!(properties.content_type, Some("application/json"));
        assert_eq!(
            pairs(sections.application_properties),
            "iothub-outputname=o\na b=ä\nnull=null\nx=2\niothub-MessageType=Will"
        );
        let Body::Data(_) = sections.body else {
            panic!("{:?}", sections.body)
        };
        assert_eq!(sections.body.single_data(), Some(b"body".as_slice()));
    }

    #[test]
    fn an_event_is_the_same_whatever_was_written_before_it() {
        let mut writer = EventWriter::default();
        let bags = ["%24.mid=1&$.sub=c&x=1", "%24.mid=1&$.sub=c&x=1", "x=2", ""];
        let first = record("");
        for (number, bag) in (7..).zip(bags) {
            for (flags, enqueued) in [(RecordFlags::WILL, 1), (RecordFlags::default(), 2)] {
                let other = LogRecord {
                    sequence: number,
                    enqueued: Timestamp::from_seconds(enqueued),
                    source: Arc::clone(&first.source),
                    flags,
                    ..record(bag)
                };
                let (mut alone, mut behind) = (Vec::new(), Vec::new());
                EventWriter::default().write(&mut alone, &other, None);
                writer.write(&mut behind, &other, None);
                assert_eq!(alone, behind, "{bag}");
            }
        }
        let mut moved = record("");
        Arc::make_mut(&mut moved.source).device = "d2".into();
        let mut out = Vec::new();
        writer.write(&mut out, &moved, None);
        assert!(pairs(Sections::parse(&out).unwrap().message_annotations).contains("device-id=d2"));
    }

    #[test]
    fn numbers_are_written_as_they_are_printed() {
        for number in [0, 9, 10, 1_234_567_890, u64::MAX] {
            let mut digits = [0; DIGITS_MAX];
            assert_eq!(decimal(number, &mut digits), number.to_string());
        }
    }

    #[test]
    fn sections_without_content_are_absent() {
        let mut out = Vec::new();
        let record = LogRecord {
            flags: RecordFlags::default(),
            ..record("")
        };
        let metric = Metric {
            newest: PartitionState {
                first: 0,
                next: 9,
                last_enqueued: Timestamp::from_seconds(1),
            },
            now: Timestamp::from_seconds(2),
        };
        EventWriter::default().write(&mut out, &record, Some(&metric));
        let sections = Sections::parse(&out).unwrap();
        assert!(sections.properties.is_none());
        assert!(sections.application_properties.is_empty());
        assert_eq!(
            pairs(sections.delivery_annotations),
            "last_enqueued_sequence_number=long 8\nlast_enqueued_offset=8\n\
             last_enqueued_time_utc=time 1970-01-01T00:00:01.0000000Z\n\
             runtime_info_retrieval_time_utc=time 1970-01-01T00:00:02.0000000Z"
        );
    }
}
