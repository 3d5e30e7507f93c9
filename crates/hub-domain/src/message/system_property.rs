//! System properties and how each protocol spells them.

/// A property that the protocol defines, not the sender.
///
/// Spellings: MQTT names from "Communicate with an IoT hub using MQTT" and the device SDKs' topic
/// encoders (`mqtt_topic_iothub.py`, `mqtt_twin_client.ts`), headers from `common_rest.js`/`http.ts`
/// of the Node SDK, JSON names from "Message routing query syntax", AMQP places from "AMQP support".
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SystemProperty {
    /// The sender's id of the message.
    MessageId,
    /// The id of the message that this one answers.
    CorrelationId,
    /// Who made the message.
    UserId,
    /// Where it goes.
    To,
    /// The media type of the body.
    ContentType,
    /// The character or content encoding of the body.
    ContentEncoding,
    /// When it ends.
    Expiry,
    /// When its sender made it.
    CreationTime,
    /// The interface of security messages.
    InterfaceId,
    /// The component of the device's model.
    Component,
    /// The output of a module.
    OutputName,
    /// The device that sent it, on module inputs.
    ConnectionDeviceId,
    /// The module that sent it, on module inputs.
    ConnectionModuleId,
    /// Distributed tracing: id.
    TraceId,
    /// Distributed tracing: context.
    TraceContext,
    /// Which feedback its sender wants.
    Ack,
}

/// The row of one property: MQTT name, HTTP header, JSON name.
struct Spelling(&'static str, &'static str, &'static str);

impl SystemProperty {
    /// Every property.
    pub const ALL: [Self; 16] = [
        Self::MessageId,
        Self::CorrelationId,
        Self::UserId,
        Self::To,
        Self::ContentType,
        Self::ContentEncoding,
        Self::Expiry,
        Self::CreationTime,
        Self::InterfaceId,
        Self::Component,
        Self::OutputName,
        Self::ConnectionDeviceId,
        Self::ConnectionModuleId,
        Self::TraceId,
        Self::TraceContext,
        Self::Ack,
    ];

    /// The key in an MQTT property bag, decoded.
    pub const fn mqtt_name(self) -> &'static str {
        self.spelling().0
    }

    /// The HTTP header.
    pub const fn http_header(self) -> &'static str {
        self.spelling().1
    }

    /// The name in service JSON and routing queries (`$messageId` without the `$`).
    pub const fn json_name(self) -> &'static str {
        self.spelling().2
    }

    /// The property with that key in an MQTT property bag, decoded. Case matters.
    pub fn from_mqtt_name(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|property| property.mqtt_name() == name)
    }

    /// The property of that HTTP header, without regard to case.
    pub fn from_http_header(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|property| property.http_header().eq_ignore_ascii_case(name))
    }

    const fn spelling(self) -> Spelling {
        match self {
            Self::MessageId => Spelling("$.mid", "iothub-messageid", "messageId"),
            Self::CorrelationId => Spelling("$.cid", "iothub-correlationid", "correlationId"),
            Self::UserId => Spelling("$.uid", "iothub-userid", "userId"),
            Self::To => Spelling("$.to", "iothub-to", "to"),
            Self::ContentType => Spelling("$.ct", "iothub-contenttype", "contentType"),
            Self::ContentEncoding => Spelling("$.ce", "iothub-contentencoding", "contentEncoding"),
            Self::Expiry => Spelling("$.exp", "iothub-expiry", "expiryTimeUtc"),
            Self::CreationTime => Spelling(
                "$.ctime",
                "iothub-creation-time-utc",
                "iothub-creation-time-utc",
            ),
            Self::InterfaceId => Spelling("$.ifid", "iothub-interface-id", "iothub-interface-id"),
            Self::Component => Spelling("$.sub", "dt-subject", "dt-subject"),
            Self::OutputName => Spelling("$.on", "iothub-outputname", "iothub-outputname"),
            Self::ConnectionDeviceId => Spelling(
                "$.cdid",
                "iothub-connection-device-id",
                "iothub-connection-device-id",
            ),
            Self::ConnectionModuleId => Spelling(
                "$.cmid",
                "iothub-connection-module-id",
                "iothub-connection-module-id",
            ),
            Self::TraceId => Spelling("$.diagid", "iothub-diag-id", "Diagnostic-Id"),
            Self::TraceContext => Spelling(
                "$.diagctx",
                "iothub-diag-correlation-context",
                "Correlation-Context",
            ),
            Self::Ack => Spelling("iothub-ack", "iothub-ack", "iothub-ack"),
        }
    }
}
