//! Twins over AMQP: requests and answers on a pair of links.
//!
//! `amqp_twin_client.ts` of the Node SDK, `iothubtransport_amqp_twin_messenger.c`, `AmqpIotTwin` of the C# SDK.

use hub_amqp::{Connection, LinkId, MessageWriter, Sections, Value};
use hub_domain::limits::TWIN_REPORTED_BYTES_MAX;
use hub_domain::twin::{SectionView, Twin, device_view};
use hub_engine::{Error, ErrorKind};
use serde_json::{Map, Value as Json};

use super::super::reply::{OwnedId, reply_to, send};
use super::super::telemetry::body_of;

/// A reported patch's text may be longer than the section it makes: whitespace, nulls and escapes. This bounds it.
const PATCH_TEXT_BYTES_MAX: usize = 4 * TWIN_REPORTED_BYTES_MAX;
const REPORTED: &str = "/properties/reported";
const DESIRED: &str = "/notifications/twin/properties/desired";

/// What a device asks of its twin.
#[derive(Debug)]
pub(crate) enum TwinRequest {
    /// All of it.
    Get,
    /// Merge into the reported section, perhaps only at a version.
    Patch {
        patch: Map<String, Json>,
        version: Option<u64>,
    },
    /// Tell of changes.
    Subscribe,
    /// Tell no more.
    Unsubscribe,
}

/// What it is answered.
pub(crate) enum TwinAnswer {
    /// The twin as the device reads it.
    Document(String),
    /// The reported section has this version.
    Patched(u64),
    /// As asked.
    Done,
    /// Not done.
    Failed(Error),
}

/// Reads a request, with the id that its answer echoes.
pub(crate) fn parse(message: &[u8]) -> (Option<OwnedId>, Result<TwinRequest, Error>) {
    let invalid = |text: &str| Error::new(ErrorKind::Invalid, text);
    let Ok(sections) = Sections::parse(message) else {
        return (None, Err(invalid("the request is not a message")));
    };
    let properties = sections.properties.unwrap_or_default();
    let id = properties.correlation_id.map(OwnedId::of);
    let annotation = |name: &str| sections.message_annotations.get(name);
    let text = |name: &str| annotation(name).and_then(|value| value.as_str());
    let resource = text("resource").unwrap_or_default().trim_end_matches('/');
    let operation = text("operation").unwrap_or_default().to_ascii_uppercase();
    let request = match (&*operation, resource) {
        ("GET", _) => Ok(TwinRequest::Get),
        ("PATCH", resource) if resource.eq_ignore_ascii_case(REPORTED) => parse_patch(&sections)
            .map(|patch| TwinRequest::Patch {
                patch,
                version: annotation("version")
                    .and_then(|value| value.as_i64())
                    .and_then(|version| u64::try_from(version).ok()),
            }),
        ("PUT", resource) if resource.eq_ignore_ascii_case(DESIRED) => Ok(TwinRequest::Subscribe),
        ("DELETE", resource) if resource.eq_ignore_ascii_case(DESIRED) => {
            Ok(TwinRequest::Unsubscribe)
        }
        (_, _) => Err(invalid("twins have no such operation on such a resource")),
    };
    (id, request)
}

fn parse_patch(sections: &Sections<'_>) -> Result<Map<String, Json>, Error> {
    let invalid = || Error::new(ErrorKind::Invalid, "a reported patch must be a JSON object");
    let body = body_of(&sections.body).ok_or_else(invalid)?;
    if body.len() > PATCH_TEXT_BYTES_MAX {
        let text = format!("a reported patch has more than {PATCH_TEXT_BYTES_MAX} bytes");
        return Err(Error::new(ErrorKind::TooLarge, text));
    }
    serde_json::from_slice(&body).map_err(|error| invalid().with_source(error))
}

impl TwinAnswer {
    /// The answer to a read.
    pub(crate) fn of(twin: &Twin) -> Self {
        Self::Document(device_view(twin))
    }
}

/// Sends an answer. C reads the status only as an int; Node parses the body of a failure as JSON.
pub(crate) fn answer(
    amqp: &mut Connection,
    link: LinkId,
    id: Option<&OwnedId>,
    answer: &TwinAnswer,
) {
    let (status, version, body) = match answer {
        TwinAnswer::Document(text) => (200, None, text.clone()),
        TwinAnswer::Patched(version) => (204, Some(*version), String::new()),
        TwinAnswer::Done => (200, None, String::new()),
        TwinAnswer::Failed(error) => {
            let body = serde_json::json!({
                "errorCode": error.code().number(),
                "message": error.message(),
            });
            let status = i32::from(error.code().http_status());
            (status, None, body.to_string())
        }
    };
    let mut message = Vec::new();
    MessageWriter::new(&mut message)
        .message_annotations(|map| {
            map.symbol("status", Value::Int(status));
            if let Some(version) = version {
                let version = i64::try_from(version).unwrap_or(i64::MAX);
                map.symbol("version", Value::Long(version));
            }
        })
        .properties(&reply_to(id))
        .data(body.as_bytes());
    send(amqp, link, &message);
}

/// Sends a change of the desired section: no correlation id, which tells it from an answer.
pub(crate) fn notify(amqp: &mut Connection, link: LinkId, text: &[u8]) {
    let mut message = Vec::new();
    MessageWriter::new(&mut message)
        .message_annotations(|map| {
            map.symbol("resource", Value::String(DESIRED));
        })
        .data(text);
    send(amqp, link, &message);
}

/// The whole desired section, for a device that missed patches.
pub(crate) fn desired_text(twin: &Twin) -> Vec<u8> {
    let desired = &twin.back_end.desired;
    serde_json::to_vec(&SectionView::without_metadata(desired)).unwrap_or_default()
}
