//! What every request has: an id, a peer, a line in the log, headers on its answer.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use http::header::{HOST, SERVER, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderName, HeaderValue};
use hub_domain::HostName;
use hub_engine::CertificateDer;
use tokio::time::Instant;

use crate::AppState;

/// Names the request in the answer, error bodies and the log.
pub(crate) const REQUEST_ID_HEADER: HeaderName = HeaderName::from_static("x-ms-request-id");

/// The id of a request: a random UUID, made by the hub.
#[derive(Clone)]
pub(crate) struct RequestId(pub(crate) Arc<str>);

/// Who is at the other end of the connection.
#[derive(Clone)]
pub(crate) struct Peer {
    /// Its address.
    pub(crate) address: SocketAddr,
    /// The name that it dialed.
    pub(crate) sni: Option<Arc<str>>,
    /// The certificates that it showed in its TLS handshake, its own first; none for most.
    pub(crate) certificates: Arc<[CertificateDer<'static>]>,
}

/// What the TLS connection says of its client.
#[derive(Clone, Debug)]
pub struct Client {
    /// Its address.
    pub address: SocketAddr,
    /// The name that it dialed; it finds the hub when a request has no host.
    pub server_name: Option<String>,
    /// The certificates that it showed, its own first, whose key it proved to hold.
    pub certificates: Vec<CertificateDer<'static>>,
}

impl Client {
    /// A client that dialed no name and showed no certificate.
    pub const fn new(address: SocketAddr) -> Self {
        Self {
            address,
            server_name: None,
            certificates: Vec::new(),
        }
    }
}

impl Peer {
    pub(crate) fn new(client: Client) -> Self {
        Self {
            address: client.address,
            sni: client.server_name.map(Arc::from),
            certificates: client.certificates.into(),
        }
    }
}

/// Gives the request its id, and logs how it ended. The query is left out of the log, for it may hold
/// what people should not paste there.
pub(crate) async fn observe(
    State(app): State<AppState>,
    mut request: Request,
    next: Next,
) -> Response {
    let start = Instant::now();
    let id = new_request_id(&app);
    let method = request.method().clone();
    let path = request.uri().path().to_owned();
    let peer = request.extensions().get::<Peer>().map(|peer| peer.address);
    request.extensions_mut().insert(id.clone());
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    if let Ok(value) = HeaderValue::from_str(&id.0) {
        headers.insert(REQUEST_ID_HEADER, value);
    }
    headers.insert(SERVER, HeaderValue::from_static("thingstead"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    tracing::debug!(
        request_id = &*id.0,
        %method,
        path,
        status = response.status().as_u16(),
        elapsed_ms = u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX),
        peer = peer.map(tracing::field::display),
        "request answered"
    );
    response
}

fn new_request_id(app: &AppState) -> RequestId {
    let mut bytes = [0; 16];
    app.engine().environment().fill_random(&mut bytes);
    // RFC 9562, section 5.4: version 4, variant 10.
    bytes[6] = (bytes[6] & 0x0f) | 0x40;
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
    let number = u128::from_be_bytes(bytes);
    let part = |shift: u32, digits: u32| (number >> shift) & ((1 << (4 * digits)) - 1);
    let text = format!(
        "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
        part(96, 8),
        part(80, 4),
        part(64, 4),
        part(48, 4),
        part(0, 12)
    );
    RequestId(Arc::from(text))
}

/// The host that a request is for: the authority of its URI, its `Host` header, or the name that the
/// client dialed. `Err` when it names one that cannot be a host.
pub(crate) fn host(
    request: &http::request::Parts,
) -> Result<Option<HostName>, hub_domain::ids::IdError> {
    let header = || {
        request
            .headers
            .get(HOST)
            .map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
    };
    let sni = || {
        request
            .extensions
            .get::<Peer>()
            .and_then(|peer| peer.sni.as_deref().map(str::to_owned))
    };
    let text = request
        .uri
        .authority()
        .map(|authority| authority.as_str().to_owned());
    text.or_else(header)
        .or_else(sni)
        .map(|text| HostName::parse(&text))
        .transpose()
}
