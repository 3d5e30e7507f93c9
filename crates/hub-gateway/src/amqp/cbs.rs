//! `$cbs`: tokens put on a connection ("Claims-based security", `ClaimsBasedSecurityAgent` of the Node SDK, `cbs.py`).

use hub_amqp::{Body, MessageWriter, Sections, Value};

use super::reply::{OwnedId, reply_to};

/// Largest request: a token and its audience.
pub(super) const REQUEST_BYTES_MAX: u64 = 64 * 1024;
/// Requests of one link that may be under way.
pub(super) const REQUESTS_MAX: u32 = 32;

/// What is asked on `$cbs`.
pub(super) struct PutToken {
    pub(super) id: Option<OwnedId>,
    pub(super) reply_to: Option<Box<str>>,
    /// Audience and token, or why the request is none.
    pub(super) asked: Result<(Box<str>, Box<str>), &'static str>,
}

impl PutToken {
    /// Reads a request. One that cannot be read is answered as a bad one.
    pub(super) fn parse(message: &[u8]) -> Self {
        let Ok(sections) = Sections::parse(message) else {
            return Self {
                id: None,
                reply_to: None,
                asked: Err("the request is not a message"),
            };
        };
        let properties = sections.properties.unwrap_or_default();
        Self {
            id: properties.message_id.map(OwnedId::of),
            reply_to: properties.reply_to.map(Into::into),
            asked: asked(&sections),
        }
    }
}

fn asked(sections: &Sections<'_>) -> Result<(Box<str>, Box<str>), &'static str> {
    let text = |name: &str| {
        let value = sections.application_properties.get(name)?;
        value.as_str()
    };
    let operation = text("operation").ok_or("the request has no operation")?;
    if !operation.eq_ignore_ascii_case("put-token") {
        return Err("the operation must be put-token");
    }
    let kind = text("type").ok_or("the request has no type")?;
    if !kind.to_ascii_lowercase().ends_with(":sastoken") {
        return Err("the type must be servicebus.windows.net:sastoken");
    }
    let audience = text("name").ok_or("the request has no name")?;
    let token = match sections.body {
        Body::Value(Value::String(token) | Value::Symbol(token)) => token,
        Body::Value(Value::Binary(token)) => std::str::from_utf8(token).unwrap_or_default(),
        Body::Data(_) => sections
            .body
            .single_data()
            .and_then(|data| std::str::from_utf8(data).ok())
            .unwrap_or_default(),
        Body::Value(_) | Body::Empty | Body::Sequences(_) => "",
    };
    if token.is_empty() {
        return Err("the request has no token");
    }
    Ok((audience.into(), token.into()))
}

/// Appends a reply. Node takes no other status than 200 for success, and both must be of type int.
pub(super) fn write_reply(out: &mut Vec<u8>, id: Option<&OwnedId>, status: i32, text: &str) {
    MessageWriter::new(out)
        .properties(&reply_to(id))
        .application_properties(|map| {
            map.string("status-code", Value::Int(status))
                .string("status-description", Value::String(text));
        })
        .value(Value::Null);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(kind: &str, token: Value<'_>) -> Vec<u8> {
        let mut out = Vec::new();
        let id = OwnedId::Ulong(7);
        MessageWriter::new(&mut out)
            .properties(&hub_amqp::Properties {
                message_id: Some(id.as_id()),
                reply_to: Some("cbs"),
                ..hub_amqp::Properties::default()
            })
            .application_properties(|map| {
                map.string("operation", Value::String("put-token"))
                    .string("type", Value::String(kind))
                    .string("name", Value::String("h.test/devices/d1"));
            })
            .value(token);
        out
    }

    #[test]
    fn a_request_names_audience_and_token() {
        let kind = "servicebus.windows.net:sastoken";
        let put = PutToken::parse(&request(kind, Value::String("SharedAccessSignature x")));
        assert_eq!(put.id, Some(OwnedId::Ulong(7)));
        assert_eq!(put.reply_to.as_deref(), Some("cbs"));
        let (audience, token) = put.asked.unwrap();
        assert_eq!(&*audience, "h.test/devices/d1");
        assert_eq!(&*token, "SharedAccessSignature x");
    }

    #[test]
    fn what_is_no_request_says_why() {
        let kind = "servicebus.windows.net:sastoken";
        let why = |message: &[u8]| PutToken::parse(message).asked.unwrap_err();
        assert_eq!(why(b"\xff"), "the request is not a message");
        assert_eq!(why(b""), "the request has no operation");
        assert_eq!(
            why(&request("jwt", Value::String("x"))),
            "the type must be servicebus.windows.net:sastoken"
        );
        assert_eq!(why(&request(kind, Value::Null)), "the request has no token");
    }
}
