//! The Event Hubs-compatible endpoint: `$management` and the readers of partitions.

mod event;
pub(super) mod link;
pub(super) mod management;
pub(super) mod readers;
pub(super) mod selector;
pub(super) mod stream;

use std::sync::Arc;

use hub_amqp::{ArrayBuf, MapBuf, MapWriter, MessageWriter, Sections, Value, condition};
use hub_domain::Hub;
use hub_engine::{Engine, Error, ErrorKind};

use super::addresses::PartitionAddress;
use super::errors::{ARGUMENT_ERROR, Refusal};
use super::links::{Asked, Authorized};
use super::reply::{OwnedId, reply_to};
use event::EventWriter;
use link::EventLink;
use management::{Answer, KIND_HUB, KIND_PARTITION, PartitionReport, Question};
use readers::{Place, ReaderRefused, Readers};
use selector::Start;
use stream::EventStream;

/// What a reader needs to be let in.
pub(super) struct Attaching<'a> {
    pub(super) engine: &'a Arc<Engine>,
    pub(super) readers: &'a Arc<Readers>,
    pub(super) asked: &'a Asked,
    pub(super) address: &'a PartitionAddress,
}

/// Lets a reader in.
pub(super) fn attach(
    attaching: &Attaching<'_>,
    authorized: Authorized,
) -> Result<EventLink, Refusal> {
    let Attaching {
        engine,
        readers,
        asked,
        address,
    } = attaching;
    let hub = &authorized.hub;
    if !hub.name.as_str().eq_ignore_ascii_case(&address.entity) {
        let text = "the hub has no event hub of this name";
        return Err(Refusal::new(engine, condition::NOT_FOUND, text));
    }
    let partition = management::parse_partition(&address.partition)
        .ok()
        .filter(|partition| *partition < hub.partition_count)
        .ok_or_else(|| {
            let text = format!(
                "the hub has the partitions 0 to {}",
                hub.partition_count - 1
            );
            Refusal::new(engine, condition::NOT_FOUND, text)
        })?;
    let start = Start::parse(&asked.selector)
        .map_err(|error| Refusal::new(engine, ARGUMENT_ERROR, error.to_string()))?;
    let place = Place {
        hub: hub.no,
        group: address.group.clone(),
        partition,
    };
    let reader = readers.enter(place, asked.epoch).map_err(|refused| {
        let condition = match refused {
            ReaderRefused::LowerEpoch(_) | ReaderRefused::NoEpoch(_) => condition::STOLEN,
            ReaderRefused::TooMany => condition::RESOURCE_LIMIT_EXCEEDED,
        };
        Refusal::new(engine, condition, refused.to_string())
    })?;
    let stream = EventStream::new(
        authorized.caller.clone(),
        hub.no,
        partition,
        start,
        asked.metric,
    );
    Ok(EventLink {
        authorized,
        reader,
        stream,
        writer: EventWriter::default(),
        is_draining: false,
    })
}

/// The path that a token must cover to read this partition.
pub(super) fn partition_path(address: &PartitionAddress) -> Vec<String> {
    [
        &*address.entity,
        "consumergroups",
        &address.group.to_string(),
        "partitions",
        &address.partition,
    ]
    .map(str::to_owned)
    .to_vec()
}

/// The error that sends a reader from the hub's own address to its event hub, which is here as well.
pub(super) fn redirect(engine: &Engine, hub: &Hub, port: u16, rest: &str) -> Refusal {
    let text = format!(
        "the events of this hub are at sb://{}/{}",
        hub.host, hub.name
    );
    let address = format!("amqps://{}:{port}/{}/{rest}", hub.host, hub.name);
    let info = MapBuf::new()
        .symbol("hostname", Value::String(hub.host.as_str()))
        .symbol("network-host", Value::String(hub.host.as_str()))
        .symbol("port", Value::Int(i32::from(port)))
        .symbol("address", Value::String(&address));
    Refusal::new(engine, condition::LINK_REDIRECT, text).with_info(info)
}

/// A question as it came.
pub(super) struct Asking {
    pub(super) id: Option<OwnedId>,
    pub(super) reply_to: Option<Box<str>>,
    pub(super) question: Result<Question, Error>,
}

impl Asking {
    /// Reads a question. One that cannot be read is answered as a bad one.
    pub(super) fn parse(message: &[u8]) -> Self {
        let Ok(sections) = Sections::parse(message) else {
            return Self {
                id: None,
                reply_to: None,
                question: Err(bad("the request is not a message")),
            };
        };
        let properties = sections.properties.unwrap_or_default();
        let text = |name: &str| {
            let value = sections.application_properties.get(name)?;
            super::text::text_of(value).map(|text| text.into_owned())
        };
        let question = match (text("operation"), text("name"), text("type")) {
            (Some(operation), Some(name), Some(kind)) => Ok(Question {
                operation,
                name,
                kind,
                partition: text("partition"),
            }),
            (_, _, _) => Err(bad("the request needs operation, name and type")),
        };
        Self {
            id: properties.message_id.map(OwnedId::of),
            reply_to: properties.reply_to.map(Into::into),
            question,
        }
    }
}

fn bad(text: &str) -> Error {
    Error::new(ErrorKind::Invalid, text)
}

/// Appends the reply to a question.
pub(super) fn write_answer(
    out: &mut Vec<u8>,
    id: Option<&OwnedId>,
    result: &Result<Answer, Error>,
) {
    let (status, text) = match result {
        Ok(_) => (200, "OK"),
        Err(error) => (super::errors::status_of(error), error.message()),
    };
    let mut writer = MessageWriter::new(out);
    writer
        .properties(&reply_to(id))
        .application_properties(|map: &mut MapWriter<'_>| {
            map.string("status-code", Value::Int(status))
                .string("status-description", Value::String(text));
        });
    match result {
        Ok(Answer::Hub(hub)) => {
            let ids: Vec<String> = (0..hub.partition_count)
                .map(|partition| partition.to_string())
                .collect();
            let ids = ArrayBuf::strings(ids.iter().map(String::as_str));
            let body = MapBuf::new()
                .string("name", Value::String(hub.name.as_str()))
                .string("type", Value::String(KIND_HUB))
                .string("created_at", Value::Timestamp(hub.created.millis()))
                .string(
                    "partition_count",
                    Value::Int(i32::from(hub.partition_count)),
                )
                .string("partition_ids", Value::Array(ids.as_array()));
            writer.value(Value::Map(body.as_map()));
        }
        Ok(Answer::Partition {
            hub,
            partition,
            state,
        }) => {
            let report = PartitionReport::from(*state);
            let partition = partition.to_string();
            let offset = report.last_sequence_number.to_string();
            let last_enqueued = Value::Timestamp(report.last_enqueued.millis());
            let body = MapBuf::new()
                .string("name", Value::String(hub.name.as_str()))
                .string("type", Value::String(KIND_PARTITION))
                .string("partition", Value::String(&partition))
                .string(
                    "begin_sequence_number",
                    Value::Long(report.begin_sequence_number),
                )
                .string(
                    "last_enqueued_sequence_number",
                    Value::Long(report.last_sequence_number),
                )
                .string("last_enqueued_offset", Value::String(&offset))
                .string("last_enqueued_time_utc", last_enqueued)
                .string("is_partition_empty", Value::Bool(report.is_empty));
            writer.value(Value::Map(body.as_map()));
        }
        Err(_) => {
            writer.value(Value::Null);
        }
    }
}
