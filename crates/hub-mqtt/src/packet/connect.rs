//! CONNECT and CONNACK.

use crate::keep_alive::KeepAlive;
use crate::packet::QoS;

/// A client's request for a connection (section 3.1). The protocol name and level are those of 3.1.1.
///
/// There is no `Debug` output of the password: it is a credential.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Connect<'a> {
    /// Identifies the client; empty only together with `clean_session`.
    pub client_id: &'a str,
    /// Forget the earlier session and do not keep this one.
    pub clean_session: bool,
    /// The longest silence that the client intends.
    pub keep_alive: KeepAlive,
    /// What to publish in the client's name when it goes without DISCONNECT.
    pub will: Option<Will<'a>>,
    /// User name.
    pub user_name: Option<&'a str>,
    /// Password; never without a user name.
    pub password: Option<&'a [u8]>,
}

impl core::fmt::Debug for Connect<'_> {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        formatter
            .debug_struct("Connect")
            .field("client_id", &self.client_id)
            .field("clean_session", &self.clean_session)
            .field("keep_alive", &self.keep_alive)
            .field("will", &self.will)
            .field("user_name", &self.user_name)
            .field("password", &self.password.map(|_| "..."))
            .finish()
    }
}

/// The message that is published when a client goes without DISCONNECT (section 3.1.2.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Will<'a> {
    /// Topic name, without wildcards.
    pub topic: &'a str,
    /// Payload.
    pub payload: &'a [u8],
    /// Quality of service with which it is published.
    pub qos: QoS,
    /// Publish it retained.
    pub retain: bool,
}

/// A server's answer to CONNECT (section 3.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConnAck {
    /// Return code 0.
    Accepted {
        /// The server remembers a session of this client ([MQTT-3.2.2-1] to [MQTT-3.2.2-3]).
        session_present: bool,
    },
    /// Any other return code; the server closes the connection after it ([MQTT-3.2.2-5]).
    Refused(Refusal),
}

/// Why a server refuses a connection: the CONNACK return codes but 0 (section 3.2.2.3, table 3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Refusal {
    /// The protocol level is not supported.
    ProtocolVersion = 1,
    /// The client id is not allowed.
    Identifier = 2,
    /// MQTT is not available.
    ServerUnavailable = 3,
    /// User name or password are malformed.
    BadUserNameOrPassword = 4,
    /// The client may not connect.
    NotAuthorized = 5,
}

impl Refusal {
    /// The return code on the wire.
    #[must_use]
    pub const fn code(self) -> u8 {
        self as u8
    }

    pub(crate) const fn from_code(code: u8) -> Option<Self> {
        match code {
            1 => Some(Self::ProtocolVersion),
            2 => Some(Self::Identifier),
            3 => Some(Self::ServerUnavailable),
            4 => Some(Self::BadUserNameOrPassword),
            5 => Some(Self::NotAuthorized),
            _ => None,
        }
    }
}
