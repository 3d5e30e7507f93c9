//! The opening handshake of WebSockets (RFC 6455, section 4.2), and what is handed over after it.
//!
//! Devices reach MQTT and AMQP on the port of HTTPS at `/$iothub/websocket`, where the subprotocol says
//! which of the two, and Event Hubs clients reach AMQP at `/$servicebus/websocket`. Who connects is asked by
//! the protocol inside, so this face asks for no token.

use std::sync::{Arc, Mutex, PoisonError};

use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::{
    ALLOW, CONNECTION, CONTENT_TYPE, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY,
    SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION, UPGRADE,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Version};
use hyper::upgrade::OnUpgrade;
use percent_encoding::percent_decode_str;
use sha1::{Digest as _, Sha1};

/// What RFC 6455, section 1.3, appends to the client's key.
const ACCEPT_SUFFIX: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
/// The only version there is.
const VERSION: HeaderValue = HeaderValue::from_static("13");
/// The key's length before base64.
const KEY_BYTES: usize = 16;

/// What is spoken over a WebSocket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subprotocol {
    /// MQTT 3.1.1, `mqtt`.
    Mqtt,
    /// AMQP 1.0, `AMQPWSB10`.
    Amqp,
}

/// A stream whose HTTP ended with the opening of a WebSocket.
pub struct Upgraded<S> {
    /// The stream that HTTP was served on.
    pub stream: S,
    /// Bytes that the client sent behind its handshake.
    pub early: Bytes,
    /// What both sides agreed to speak.
    pub subprotocol: Subprotocol,
}

/// An address at which WebSockets are opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Door {
    /// Devices, modules and services.
    Hub,
    /// Readers of events.
    EventHubs,
}

impl Door {
    /// The door at `path`. Clients differ in the last slash, and some percent-code the `$`.
    pub(crate) fn at(path: &str) -> Option<Self> {
        // Most requests are none, and this is asked of all.
        if !path.starts_with("/$") && !path.starts_with("/%24") {
            return None;
        }
        let path = percent_decode_str(path).decode_utf8().ok()?;
        let path = path.strip_suffix('/').unwrap_or(&path);
        if path.eq_ignore_ascii_case("/$iothub/websocket") {
            Some(Self::Hub)
        } else if path.eq_ignore_ascii_case("/$servicebus/websocket") {
            Some(Self::EventHubs)
        } else {
            None
        }
    }

    const fn speaks(self, subprotocol: Subprotocol) -> bool {
        match (self, subprotocol) {
            (Self::Hub, Subprotocol::Mqtt | Subprotocol::Amqp)
            | (Self::EventHubs, Subprotocol::Amqp) => true,
            (Self::EventHubs, Subprotocol::Mqtt) => false,
        }
    }

    const fn offer(self) -> &'static str {
        match self {
            Self::Hub => "ask for the subprotocol mqtt or AMQPWSB10",
            Self::EventHubs => "ask for the subprotocol AMQPWSB10",
        }
    }
}

/// Where a connection's upgrade is left by the request that asked for it.
#[derive(Clone, Default)]
pub(crate) struct Handover(Arc<Mutex<Option<Pending>>>);

/// An upgrade that takes place once the answer is sent.
pub(crate) struct Pending {
    pub(crate) upgrade: OnUpgrade,
    pub(crate) subprotocol: Subprotocol,
}

impl Handover {
    fn leave(&self, pending: Pending) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(pending);
    }

    pub(crate) fn take(&self) -> Option<Pending> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// Answers a request at a door: 101 and the way is free, or why not.
pub(crate) fn open(door: Door, mut request: Request) -> Response {
    let accepted = match check(door, &request) {
        Ok(accepted) => accepted,
        Err(refused) => return refused.render(request.version()),
    };
    let Some(handover) = request.extensions_mut().remove::<Handover>() else {
        return Refused::NoUpgrade.render(request.version());
    };
    handover.leave(Pending {
        upgrade: hyper::upgrade::on(&mut request),
        subprotocol: accepted.subprotocol,
    });
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(SEC_WEBSOCKET_ACCEPT, accepted.accept);
    headers.insert(SEC_WEBSOCKET_PROTOCOL, accepted.spelling);
    response
}

#[derive(Debug)]
struct Accepted {
    subprotocol: Subprotocol,
    /// The subprotocol as the client wrote it: clients compare letter by letter.
    spelling: HeaderValue,
    accept: HeaderValue,
}

/// Why no WebSocket is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Refused {
    WrongMethod,
    NoUpgrade,
    WrongVersion,
    BadKey,
    NoSubprotocol(Door),
}

fn check(door: Door, request: &Request) -> Result<Accepted, Refused> {
    let headers = request.headers();
    if request.method() != Method::GET {
        return Err(Refused::WrongMethod);
    }
    // HTTP/2 has another way, which no client of these doors needs; a handshake offers it HTTP/1.1.
    let asks = request.version() == Version::HTTP_11
        && tokens(headers, &CONNECTION).any(|token| token.eq_ignore_ascii_case("upgrade"))
        && tokens(headers, &UPGRADE).any(|token| token.eq_ignore_ascii_case("websocket"));
    if !asks {
        return Err(Refused::NoUpgrade);
    }
    if headers.get(SEC_WEBSOCKET_VERSION) != Some(&VERSION) {
        return Err(Refused::WrongVersion);
    }
    let key = headers.get(SEC_WEBSOCKET_KEY).ok_or(Refused::BadKey)?;
    if STANDARD.decode(key).map(|key| key.len()) != Ok(KEY_BYTES) {
        return Err(Refused::BadKey);
    }
    let (subprotocol, spelling) = tokens(headers, &SEC_WEBSOCKET_PROTOCOL)
        .find_map(|token| Some((subprotocol(token)?, token)))
        .filter(|(subprotocol, _)| door.speaks(*subprotocol))
        .ok_or(Refused::NoSubprotocol(door))?;
    let digest = Sha1::new()
        .chain_update(key)
        .chain_update(ACCEPT_SUFFIX)
        .finalize();
    Ok(Accepted {
        subprotocol,
        spelling: ascii(spelling),
        accept: ascii(&STANDARD.encode(digest)),
    })
}

/// A header of text that is known to be ASCII: base64, or a token that came in a header.
fn ascii(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).expect("invariant: base64 and tokens are ASCII")
}

/// The C SDK writes `MQTT`, the others `mqtt`.
fn subprotocol(token: &str) -> Option<Subprotocol> {
    if token.eq_ignore_ascii_case("mqtt") {
        Some(Subprotocol::Mqtt)
    } else if token.eq_ignore_ascii_case("AMQPWSB10") {
        Some(Subprotocol::Amqp)
    } else {
        None
    }
}

/// The values of a list header, over all its lines.
fn tokens<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a str> {
    headers
        .get_all(name)
        .into_iter()
        .filter_map(|line| line.to_str().ok())
        .flat_map(|line| line.split(','))
        .map(str::trim)
}

impl Refused {
    const fn status(self) -> StatusCode {
        match self {
            Self::WrongMethod => StatusCode::METHOD_NOT_ALLOWED,
            Self::NoUpgrade | Self::WrongVersion => StatusCode::UPGRADE_REQUIRED,
            Self::BadKey | Self::NoSubprotocol(_) => StatusCode::BAD_REQUEST,
        }
    }

    const fn text(self) -> &'static str {
        match self {
            Self::WrongMethod => "a websocket is opened with GET",
            Self::NoUpgrade => "this address is for websockets over HTTP/1.1",
            Self::WrongVersion => "websockets have version 13",
            Self::BadKey => "Sec-WebSocket-Key is not 16 bytes in base64",
            Self::NoSubprotocol(door) => door.offer(),
        }
    }

    fn render(self, version: Version) -> Response {
        let mut response = Response::new(Body::from(self.text()));
        *response.status_mut() = self.status();
        let headers = response.headers_mut();
        headers.insert(
            CONTENT_TYPE,
            HeaderValue::from_static("text/plain; charset=utf-8"),
        );
        match self {
            Self::WrongMethod => {
                headers.insert(ALLOW, HeaderValue::from_static("GET"));
            }
            Self::NoUpgrade | Self::WrongVersion => {
                headers.insert(SEC_WEBSOCKET_VERSION, VERSION);
                // HTTP/2 forbids both headers (RFC 9113, section 8.2.2).
                if version == Version::HTTP_11 {
                    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
                    headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
                }
            }
            Self::BadKey | Self::NoSubprotocol(_) => {}
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doors_are_found_whatever_the_spelling() {
        for path in [
            "/$iothub/websocket",
            "/$iothub/websocket/",
            "/%24iothub/websocket",
            "/$IoTHub/WebSocket",
        ] {
            assert_eq!(Door::at(path), Some(Door::Hub), "{path}");
        }
        assert_eq!(Door::at("/$servicebus/websocket/"), Some(Door::EventHubs));
        for path in [
            "/",
            "/$iothub",
            "/$iothub/websocket/x",
            "/devices/$iothub/websocket",
            "/%24%ff",
        ] {
            assert_eq!(Door::at(path), None, "{path}");
        }
    }

    /// The handshake of RFC 6455, section 1.3, with these changes.
    fn request(changes: &[(&'static str, Option<&'static str>)]) -> Request {
        let mut request = Request::new(Body::empty());
        let mut headers = vec![
            ("connection", "keep-alive, Upgrade"),
            ("upgrade", "websocket"),
            ("sec-websocket-version", "13"),
            ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
            ("sec-websocket-protocol", "chat, mqtt"),
        ];
        for (name, value) in changes {
            headers.retain(|(header, _)| header != name);
            headers.extend(value.map(|value| (*name, value)));
        }
        for (name, value) in headers {
            let value = HeaderValue::from_static(value);
            request.headers_mut().append(name, value);
        }
        request
    }

    #[test]
    fn the_first_known_subprotocol_is_taken_in_the_spelling_of_the_client() {
        let taken = |door, offer| {
            check(door, &request(&[("sec-websocket-protocol", Some(offer))]))
                .map(|accepted| accepted.spelling)
                .ok()
        };
        let spelled = |text| Some(HeaderValue::from_static(text));
        assert_eq!(taken(Door::Hub, "chat, mqtt"), spelled("mqtt"));
        assert_eq!(taken(Door::Hub, "MQTT"), spelled("MQTT"));
        assert_eq!(taken(Door::Hub, "AMQPWSB10,mqtt"), spelled("AMQPWSB10"));
        assert_eq!(taken(Door::EventHubs, "AMQPWSB10"), spelled("AMQPWSB10"));
        assert_eq!(taken(Door::EventHubs, "mqtt"), None);
        assert_eq!(taken(Door::Hub, "chat"), None);
    }

    #[test]
    fn the_key_is_answered_as_the_rfc_shows() {
        let accepted = check(Door::Hub, &request(&[])).unwrap();
        assert_eq!(accepted.accept, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }

    #[test]
    fn what_is_no_handshake_is_refused() {
        let refused = |name, value| check(Door::Hub, &request(&[(name, value)])).unwrap_err();
        assert_eq!(refused("upgrade", None), Refused::NoUpgrade);
        assert_eq!(refused("connection", Some("close")), Refused::NoUpgrade);
        let version = "sec-websocket-version";
        assert_eq!(refused(version, Some("8")), Refused::WrongVersion);
        assert_eq!(refused("sec-websocket-key", None), Refused::BadKey);
        assert_eq!(refused("sec-websocket-key", Some("YQ==")), Refused::BadKey);
        assert_eq!(
            refused("sec-websocket-protocol", None),
            Refused::NoSubprotocol(Door::Hub)
        );
        let mut post = request(&[]);
        *post.method_mut() = Method::POST;
        assert_eq!(check(Door::Hub, &post).unwrap_err(), Refused::WrongMethod);
    }
}
