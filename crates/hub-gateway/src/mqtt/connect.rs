//! CONNECT: from the first packet to an open session, or a CONNACK that says no.

use std::net::SocketAddr;
use std::sync::Arc;

use hub_domain::message::telemetry_size;
use hub_domain::sas::SasToken;
use hub_domain::{HostName, IdentityId};
use hub_engine::sessions::{Credential, OpenRequest, Opened, Persistence};
use hub_engine::{Engine, Error, ErrorKind};
use hub_mqtt::{
    ConnAck, Connect, Refusal, Role, ServerInbound, ServerSession, Window, decode, encode,
};
use percent_encoding::percent_decode_str;
use rustls::pki_types::CertificateDer;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::connection::DELIVERIES_MAX;
use super::connection::{Connection, ConnectionStart, Will};
use super::provisioning;
use super::topics::{Topics, will_bag};
use super::{Mqtt, Open};
use crate::counters::CloseCause;
use crate::transport::Transport;

/// The longest CONNECT. A will may take most of it; who is not authenticated yet gets no more memory than this.
const CONNECT_BYTES_MAX: usize = 64 * 1024;

/// Reads CONNECT, opens the session and answers. The caller bounds the time.
pub(super) async fn open(
    head: &Arc<Mqtt>,
    mut stream: Transport,
    peer: SocketAddr,
) -> Result<Open, CloseCause> {
    let window = Window::new(DELIVERIES_MAX).expect("invariant: the window is not zero");
    let mut mqtt = ServerSession::new(window);
    let (first, used) = read_packet(&mut stream).await?;
    let connect = match decode(&first, CONNECT_BYTES_MAX, Role::Server) {
        Ok(Some((packet, _))) => match mqtt.receive(packet) {
            Ok(ServerInbound::Connect(connect)) => connect,
            Ok(_) | Err(_) => return Err(CloseCause::ProtocolViolation),
        },
        Ok(None) | Err(_) => return Err(CloseCause::ProtocolViolation),
    };
    let early = &first[used..];
    if let Some(desk) = &head.desk
        && let Some(name) = connect
            .user_name
            .and_then(provisioning::UserName::recognize)
    {
        let admitted = match name {
            Ok(name) => {
                provisioning::admit(desk, name, &connect, stream.certificates(), peer).await
            }
            Err(reason) => Err(Refused::new(Refusal::BadUserNameOrPassword, reason)),
        };
        let registrar = match admitted {
            Ok(registrar) => registrar,
            Err(refused) => return Err(refuse(stream, peer, connect.client_id, &refused).await),
        };
        begin(
            &mut stream,
            ConnAck::Accepted {
                session_present: false,
            },
        )
        .await?;
        tracing::debug!(%peer, registration_id = connect.client_id, "mqtt connection of a registration opened");
        let start = (stream, peer);
        let connection =
            provisioning::Connection::new(head, desk, registrar, start, early.to_vec());
        return Ok(Open::Registration(Box::new(connection)));
    }
    let engine = &head.engine;
    match accept(engine, stream.certificates(), &connect).await {
        Ok(accepted) => {
            let Opened { session, resumed } = accepted.opened;
            begin(
                &mut stream,
                ConnAck::Accepted {
                    session_present: resumed,
                },
            )
            .await?;
            tracing::debug!(%peer, id = %session.id(), "mqtt session opened");
            Ok(Open::Session(Box::new(Connection::new(
                engine,
                ConnectionStart {
                    provisioning: head.provisioning.clone(),
                    stream,
                    peer,
                    mqtt,
                    session,
                    topics: accepted.topics,
                    will: accepted.will,
                    keep_alive: connect.keep_alive,
                    early: early.to_vec(),
                },
            ))))
        }
        Err(refused) => Err(refuse(stream, peer, connect.client_id, &refused).await),
    }
}

async fn begin(stream: &mut Transport, connack: ConnAck) -> Result<(), CloseCause> {
    stream.authenticated();
    answer(stream, connack).await
}

async fn refuse(
    mut stream: Transport,
    peer: SocketAddr,
    client_id: &str,
    refused: &Refused,
) -> CloseCause {
    tracing::info!(%peer, client_id, reason = %refused.reason, "mqtt connection refused");
    if let Err(cause) = answer(&mut stream, ConnAck::Refused(refused.code)).await {
        return cause;
    }
    drop(stream.shutdown().await);
    CloseCause::Refused
}

/// Reads until the first packet is whole. Answers a client of another MQTT version with the CONNACK it can read.
async fn read_packet(stream: &mut Transport) -> Result<(Vec<u8>, usize), CloseCause> {
    let mut received = Vec::with_capacity(1_024);
    loop {
        match stream.read_buf(&mut received).await {
            Ok(0) | Err(_) => return Err(CloseCause::SocketClosed),
            Ok(_) => {}
        }
        match decode(&received, CONNECT_BYTES_MAX, Role::Server) {
            Ok(Some((_, used))) => return Ok((received, used)),
            Ok(None) => {}
            Err(error) => {
                if let Some(refusal) = error.refusal() {
                    answer(stream, ConnAck::Refused(refusal)).await?;
                    drop(stream.shutdown().await);
                    return Err(CloseCause::Refused);
                }
                return Err(CloseCause::ProtocolViolation);
            }
        }
    }
}

async fn answer(stream: &mut Transport, connack: ConnAck) -> Result<(), CloseCause> {
    let mut bytes = Vec::new();
    encode::connack(connack, &mut bytes);
    stream
        .write_all(&bytes)
        .await
        .map_err(|_| CloseCause::SocketClosed)?;
    stream.flush().await.map_err(|_| CloseCause::SocketClosed)
}

struct Accepted {
    opened: Opened,
    topics: Topics,
    will: Option<Will>,
}

/// Why somebody is not let in, and what CONNACK says of it.
pub(super) struct Refused {
    code: Refusal,
    reason: String,
}

impl Refused {
    pub(super) fn new(code: Refusal, reason: impl ToString) -> Self {
        Self {
            code,
            reason: reason.to_string(),
        }
    }
}

impl From<Error> for Refused {
    fn from(error: Error) -> Self {
        let code = refusal_of(error.kind());
        if error.kind() == ErrorKind::Internal {
            tracing::error!(
                error = &error as &dyn std::error::Error,
                "a session cannot be opened"
            );
        }
        Self::new(code, error)
    }
}

/// What CONNACK says of a failure.
pub(super) const fn refusal_of(kind: ErrorKind) -> Refusal {
    match kind {
        ErrorKind::Unavailable
        | ErrorKind::Throttled
        | ErrorKind::QuotaExceeded
        | ErrorKind::TimedOut
        | ErrorKind::Internal => Refusal::ServerUnavailable,
        ErrorKind::Invalid | ErrorKind::TooLarge => Refusal::BadUserNameOrPassword,
        ErrorKind::NotFound
        | ErrorKind::AlreadyExists
        | ErrorKind::PreconditionFailed
        | ErrorKind::NotAuthenticated
        | ErrorKind::NotAllowed
        | ErrorKind::DeviceOffline
        | ErrorKind::BadDeviceAnswer => Refusal::NotAuthorized,
    }
}

async fn accept(
    engine: &Arc<Engine>,
    certificates: &[CertificateDer<'_>],
    connect: &Connect<'_>,
) -> Result<Accepted, Refused> {
    let bad = |reason: &str| Refused::new(Refusal::BadUserNameOrPassword, reason);
    let user_name = UserName::parse(connect.user_name.unwrap_or_default()).map_err(bad)?;
    if connect.client_id != user_name.id.to_string() {
        return Err(Refused::new(
            Refusal::Identifier,
            "client id and user name disagree",
        ));
    }
    let hub = engine.hubs.by_host(Some(&user_name.host));
    let hub =
        hub.ok_or_else(|| Refused::new(Refusal::NotAuthorized, "no hub has this host name"))?;
    let credential = credential(connect.password, certificates)?;
    let topics = Topics::new(&user_name.id);
    let will = match connect.will {
        None => None,
        Some(will) => {
            let bag = will_bag(&topics, will.topic)
                .map_err(|error| Refused::new(Refusal::NotAuthorized, error))?;
            // Nobody can be told later that the will cannot be stored.
            telemetry_size(bag, will.payload.len())
                .map_err(|error| Refused::new(Refusal::NotAuthorized, error))?;
            Some(Will {
                bag: bag.into(),
                payload: will.payload.into(),
                retain: will.retain,
            })
        }
    };
    let request = OpenRequest {
        hub,
        id: user_name.id,
        credential,
        model_id: user_name.model_id.as_deref(),
        persistence: if connect.clean_session {
            Persistence::Transient
        } else {
            Persistence::Kept
        },
    };
    let opened = engine
        .sessions
        .open(engine.environment().now(), request)
        .await?;
    Ok(Accepted {
        opened,
        topics,
        will,
    })
}

/// A token decides, whatever certificate the TLS connection has: SDKs with tokens present none, and a device that has
/// both means what it says.
fn credential<'a>(
    password: Option<&'a [u8]>,
    certificates: &'a [CertificateDer<'a>],
) -> Result<Credential<'a>, Refused> {
    let bad = |reason: &str| Refused::new(Refusal::BadUserNameOrPassword, reason);
    match password {
        None => Ok(Credential::Certificate(certificates)),
        // Some clients cannot leave the password out.
        Some([]) if !certificates.is_empty() => Ok(Credential::Certificate(certificates)),
        Some(token) => {
            let token = std::str::from_utf8(token).map_err(|_| bad("the token is not text"))?;
            SasToken::parse(token)
                .map_err(|error| Refused::new(Refusal::BadUserNameOrPassword, error))?;
            Ok(Credential::Token(token))
        }
    }
}

/// `{host}/{device}[/{module}][/?api-version=…&model-id=…]`; ids are not percent-coded.
#[derive(Debug)]
struct UserName {
    host: HostName,
    id: IdentityId,
    model_id: Option<String>,
}

impl UserName {
    fn parse(text: &str) -> Result<Self, &'static str> {
        const FORM: &str = "the user name is not {host}/{device}/?api-version={date}";
        let (host, rest) = text.split_once('/').ok_or(FORM)?;
        // Ids hold no slash, so the first "/?" ends them.
        let (id, query) = match rest.split_once("/?") {
            Some((id, query)) => (id, query),
            None => (rest.strip_suffix('/').unwrap_or(rest), ""),
        };
        let model_id = query
            .split('&')
            .find_map(|part| part.strip_prefix("model-id="));
        let model_id = match model_id {
            None => None,
            Some(raw) => Some(
                percent_decode_str(raw)
                    .decode_utf8()
                    .map_err(|_| FORM)?
                    .into_owned(),
            ),
        };
        Ok(Self {
            host: HostName::parse(host).map_err(|_| FORM)?,
            id: IdentityId::parse(id).map_err(|_| FORM)?,
            model_id,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str) -> String {
        match UserName::parse(text) {
            Ok(name) => format!(
                "{} {} {}",
                name.host,
                name.id,
                name.model_id.as_deref().unwrap_or("-")
            ),
            Err(_) => "refused".to_owned(),
        }
    }

    #[test]
    fn user_names_of_the_official_clients() {
        // Seen from azure-iot-device 2.14.0 (Python) and azure-iot-device 1.18.4 (Node).
        assert_eq!(
            check(
                "localhost/d1/?api-version=2019-10-01&DeviceClientType=azure-iot-device-iothub-py%2F2.14.0%28Linux%29"
            ),
            "localhost d1 -"
        );
        assert_eq!(
            check(
                "localhost:18883/d1/?api-version=2021-04-12&DeviceClientType=azure-iot-device%2F1.18.4%20(node v20)"
            ),
            "localhost d1 -"
        );
        assert_eq!(
            check("h/d1/m1/?api-version=2020-09-30&model-id=dtmi%3Aa%3Bb%3B1"),
            "h d1/m1 dtmi:a;b;1"
        );
        assert_eq!(check("h/d1"), "h d1 -");
        assert_eq!(check("h/d?1/?api-version=x"), "h d?1 -");
    }

    #[test]
    fn other_user_names_are_refused() {
        for bad in ["", "h", "h/", "h//", "/d1", "h/d1/m1/x", "h/d 1"] {
            assert_eq!(check(bad), "refused", "{bad:?}");
        }
    }
}
