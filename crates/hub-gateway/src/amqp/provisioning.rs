//! A device that registers over AMQP: what it asks and how it is answered.
//!
//! `amqp.ts` of the Node provisioning transport, `ProvisioningTransportHandlerAmqp.cs`, `prov_transport_amqp_common.c`.

pub(super) mod tpm;

use std::sync::Arc;

use hub_amqp::{
    Accept, AmqpError, Connection, Credit, DeliveryId, LinkId, MapBuf, MessageWriter, Outcome,
    Sections, Value, condition,
};
use hub_domain::limits::{PROVISIONING_PACKET_BYTES_MAX, PROVISIONING_REQUESTS_MAX};
use hub_engine::ErrorKind;
use tokio::time::Instant;

use super::addresses::Address;
use super::errors::{ARGUMENT_ERROR, THROTTLED, TRACKING_ID};
use super::links::{Asked, SETTLES_FIRST};
use super::reply::{OwnedId, reply_to};
use super::telemetry::body_of;
use crate::provisioning::{Admitted, Answer, Name, Request, is_transient};

/// Links of one connection: the pair that clients use, and one to spare.
pub(super) const LINKS_MAX: usize = 4;

/// What a device asks, and of which operation.
const OPERATION_TYPE: &str = "iotdps-operation-type";
const OPERATION_ID: &str = "iotdps-operation-id";
/// Node reads the first, C# the second.
const RETRY_AFTER: [&str; 2] = ["retry-after", "Retry-After"];
/// What a link's attach says of its client, and is told back.
const API_VERSION: &str = "com.microsoft:api-version";
const CLIENT_VERSION: &str = "com.microsoft:client-version";

/// How far a connection is with the provisioning service.
pub(super) enum Stage {
    /// SASL TPM goes on.
    Proving(Box<tpm::Exchange>),
    /// The certificate of the TLS connection is looked at, and these links wait for that.
    Opening { name: Name, waiting: Vec<Asked> },
    /// The device was let in.
    Open(Registrar),
}

/// A device that was let in.
pub(super) struct Registrar {
    pub(super) admitted: Arc<Admitted>,
    pub(super) last_request: Instant,
}

/// What SASL PLAIN says, when its user name is not one of a hub; then the password is a token.
pub(super) fn parse_plain(response: &[u8]) -> Option<(Name, &str)> {
    let text = std::str::from_utf8(response).ok()?;
    let mut parts = text.split('\0');
    let (Some(_), Some(name), Some(password), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return None;
    };
    match Address::parse(name) {
        Ok(Address::Registration(name)) => Some((name, password)),
        Ok(_) | Err(_) => None,
    }
}

/// What a link's attach said of its client.
#[derive(Clone, Debug, Default)]
pub(super) struct Versions {
    pub(super) api: Option<Box<str>>,
    client: Option<Box<str>>,
}

impl Versions {
    /// Reads the properties of an attach.
    pub(super) fn of<'a>(property: impl Fn(&str) -> Option<Value<'a>>) -> Self {
        let text = |name: &str| {
            property(name)
                .and_then(|value| value.as_str())
                .map(Into::into)
        };
        Self {
            api: text(API_VERSION),
            client: text(CLIENT_VERSION),
        }
    }

    /// The same, to be told back.
    pub(super) fn properties(&self) -> MapBuf {
        let pairs = [(API_VERSION, &self.api), (CLIENT_VERSION, &self.client)];
        let mut map = MapBuf::new();
        for (name, value) in pairs {
            if let Some(value) = value {
                map = map.symbol(name, Value::String(value));
            }
        }
        map
    }
}

/// How a link on which requests come is accepted.
pub(super) fn accept_requests() -> Accept<'static> {
    Accept {
        credit: Credit::Window(
            u32::try_from(PROVISIONING_REQUESTS_MAX).expect("invariant: a few requests"),
        ),
        receiver_settle_mode: SETTLES_FIRST,
        max_message_size: PROVISIONING_PACKET_BYTES_MAX as u64,
        ..Accept::default()
    }
}

/// Reads a request, with the id that its reply repeats.
pub(super) fn parse(message: &[u8], versions: &Versions) -> (Option<OwnedId>, Request) {
    let Ok(sections) = Sections::parse(message) else {
        return (None, Request::Malformed("the request is not a message"));
    };
    let properties = sections.properties.unwrap_or_default();
    let id = properties.correlation_id.map(OwnedId::of);
    let request = operation(&sections, versions).unwrap_or_else(Request::Malformed);
    (id, request)
}

fn operation(sections: &Sections<'_>, versions: &Versions) -> Result<Request, &'static str> {
    let text = |name: &str| {
        let value = sections.application_properties.get(name)?;
        value.as_str()
    };
    match text(OPERATION_TYPE) {
        Some("iotdps-register") => {
            let body = body_of(&sections.body).ok_or("the body has no bytes")?;
            Ok(Request::Register {
                body: body.into_owned(),
                api_version: versions.api.clone(),
            })
        }
        // Whatever its body says: C# sends the name of the operation, Node an empty text.
        Some("iotdps-get-operationstatus") => {
            let operation = text(OPERATION_ID).ok_or("iotdps-operation-id is missing")?;
            Ok(Request::Status {
                operation: operation.into(),
            })
        }
        Some("iotdps-get-registration") => Ok(Request::Lookup),
        Some(_) => Err("iotdps-operation-type is none that the service has"),
        None => Err("iotdps-operation-type is missing"),
    }
}

/// Appends the reply to a request.
pub(super) fn write_reply(out: &mut Vec<u8>, id: Option<&OwnedId>, answer: &Answer) {
    let mut writer = MessageWriter::new(out);
    writer.properties(&reply_to(id));
    if let Some(seconds) = answer.retry_after_seconds {
        writer.application_properties(|map| {
            for name in RETRY_AFTER {
                map.string(name, retry_after(seconds));
            }
        });
    }
    writer.data(answer.document.as_bytes());
}

/// Rejects a request. C# reads the description as the error document, Node the condition.
pub(super) fn reject(
    amqp: &mut Connection,
    (link, delivery): (LinkId, DeliveryId),
    (kind, tracking): (ErrorKind, &str),
    answer: &Answer,
) {
    let mut info = MapBuf::new().symbol(TRACKING_ID, Value::String(tracking));
    if let Some(seconds) = answer.retry_after_seconds {
        for name in RETRY_AFTER {
            info = info.symbol(name, retry_after(seconds));
        }
    }
    let error = AmqpError {
        condition: condition_of(kind),
        description: Some(&answer.document),
        info: Some(info.as_map()),
    };
    amqp.settle(link, delivery, &Outcome::Rejected(Some(error)));
}

fn retry_after(seconds: u64) -> Value<'static> {
    Value::Int(i32::try_from(seconds).unwrap_or(i32::MAX))
}

/// Node tries again after `amqp:internal-error` and throttling only (`amqp.ts`), so all that passes is one of them.
pub(super) const fn condition_of(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::Throttled => THROTTLED,
        kind if is_transient(kind) => condition::INTERNAL_ERROR,
        ErrorKind::NotFound => condition::NOT_FOUND,
        ErrorKind::NotAuthenticated | ErrorKind::NotAllowed => condition::UNAUTHORIZED_ACCESS,
        ErrorKind::TooLarge => condition::MESSAGE_SIZE_EXCEEDED,
        ErrorKind::QuotaExceeded => condition::RESOURCE_LIMIT_EXCEEDED,
        ErrorKind::AlreadyExists | ErrorKind::PreconditionFailed => condition::PRECONDITION_FAILED,
        ErrorKind::Invalid
        | ErrorKind::DeviceOffline
        | ErrorKind::TimedOut
        | ErrorKind::BadDeviceAnswer
        | ErrorKind::Unavailable
        | ErrorKind::Internal => ARGUMENT_ERROR,
    }
}

#[cfg(test)]
mod tests {
    use hub_amqp::{MessageId, Properties};
    use hub_domain::provisioning::RegistrationId;

    use super::*;

    fn name(id_scope: &str, id: &str) -> Name {
        Name {
            id_scope: id_scope.into(),
            id: RegistrationId::parse(id).unwrap(),
        }
    }

    #[test]
    fn a_login_names_scope_and_registration() {
        let of = |text: &'static str| parse_plain(text.as_bytes());
        assert_eq!(
            of("\x000ne0/registrations/d1\0SharedAccessSignature x"),
            Some((name("0ne0", "d1"), "SharedAccessSignature x"))
        );
        assert_eq!(
            of("a\x000ne0/registrations/A:b\0"),
            Some((name("0ne0", "A:b"), ""))
        );
        for other in [
            "",
            "\0d1@sas.hub\0x",
            "\0device@sas.root.hub\0x",
            "\x000ne0/registrations/d1\0x\0y",
            "\x000ne0/registrations/d 1\0x",
            "\x000ne0/registrations\0x",
        ] {
            assert_eq!(of(other), None, "{other:?}");
        }
    }

    #[test]
    fn a_registration_is_the_same_in_any_case() {
        assert_eq!(name("0NE0", "D1"), name("0ne0", "d1"));
        assert_ne!(name("0ne0", "d1"), name("0ne1", "d1"));
        assert_ne!(name("0ne0", "d1"), name("0ne0", "d2"));
    }

    fn asked(properties: &[(&str, Value<'_>)], body: &[u8]) -> (Option<OwnedId>, Request) {
        let mut message = Vec::new();
        MessageWriter::new(&mut message)
            .properties(&Properties {
                correlation_id: Some(MessageId::String("c")),
                ..Properties::default()
            })
            .application_properties(|map| {
                for (name, value) in properties {
                    map.string(name, *value);
                }
            })
            .data(body);
        let versions = Versions {
            api: Some("2019-03-31".into()),
            client: None,
        };
        parse(&message, &versions)
    }

    #[test]
    fn operations_of_the_official_clients() {
        let id = Some(OwnedId::String("c".into()));
        let register = [
            (OPERATION_TYPE, Value::String("iotdps-register")),
            ("iotdps-forceRegistration", Value::Bool(false)),
        ];
        let request = Request::Register {
            body: b"{}".to_vec(),
            api_version: Some("2019-03-31".into()),
        };
        assert_eq!(asked(&register, b"{}"), (id.clone(), request));
        let status = [
            (OPERATION_TYPE, Value::String("iotdps-get-operationstatus")),
            (OPERATION_ID, Value::String("5.x")),
        ];
        let request = Request::Status {
            operation: "5.x".into(),
        };
        assert_eq!(asked(&status, b""), (id.clone(), request));
        let lookup = [(OPERATION_TYPE, Value::String("iotdps-get-registration"))];
        assert_eq!(asked(&lookup, b""), (id, Request::Lookup));
    }

    #[test]
    fn what_is_no_operation_says_why() {
        let why = |properties: &[(&str, Value<'_>)]| match asked(properties, b"").1 {
            Request::Malformed(text) => text,
            other => panic!("{other:?}"),
        };
        assert_eq!(why(&[]), "iotdps-operation-type is missing");
        assert_eq!(
            why(&[(OPERATION_TYPE, Value::String("x"))]),
            "iotdps-operation-type is none that the service has"
        );
        assert_eq!(
            why(&[(OPERATION_TYPE, Value::String("iotdps-get-operationstatus"))]),
            "iotdps-operation-id is missing"
        );
        let (id, request) = parse(b"\xff", &Versions::default());
        assert_eq!(id, None);
        assert_eq!(request, Request::Malformed("the request is not a message"));
    }

    #[test]
    fn what_passes_has_a_condition_after_which_clients_try_again() {
        for kind in ErrorKind::ALL {
            let condition = condition_of(kind);
            let is_tried_again = [condition::INTERNAL_ERROR, THROTTLED].contains(&condition);
            assert_eq!(is_tried_again, is_transient(kind), "{kind:?}");
        }
    }
}
