//! The service: one router for all connections, served on streams that someone else accepted.

#[cfg(test)]
mod tests;

use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use axum::routing::get;
use http::Request;
use hub_engine::Engine;
use hub_provisioning::Provisioning;
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::{Builder, upgrade};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;
use tower::ServiceExt as _;

use crate::connection::{Closing, InFlight, StallGuard, TrackedBody};
use crate::leftover::RequestBody;
use crate::request::{Client, Peer};
use crate::spelling::{HeaderSpelling, SpellingReader};
use crate::websocket::{Door, Handover, Upgraded};
use crate::{AdminToken, AppState, HttpConfig, compat, native, page, request, websocket};

/// How often an idle HTTP/2 connection is asked whether it is still there.
const PING_INTERVAL: Duration = Duration::from_secs(30);

/// Serves HTTP on accepted streams. A clone shares everything.
#[derive(Clone)]
pub struct HttpService {
    app: AppState,
    router: Router,
}

impl HttpService {
    /// The service over `engine` and `provisioning`. `admin_token` opens `/api/v1`; `version` is shown to people.
    pub fn new(
        engine: Arc<Engine>,
        provisioning: Arc<Provisioning>,
        admin_token: AdminToken,
        version: impl Into<String>,
        config: HttpConfig,
    ) -> Self {
        let app = AppState::new(engine, provisioning, admin_token, version.into(), config);
        let router = router(&app);
        Self { app, router }
    }

    /// Serves HTTP/1.1 or HTTP/2, whichever the client speaks, until the client leaves, a bound of
    /// [`HttpConfig`] is passed, or `shutdown` completes and the requests in progress are answered.
    ///
    /// Dropping the future closes the connection. A stream on which a WebSocket was opened comes back.
    pub async fn serve<S>(
        &self,
        stream: S,
        client: Client,
        shutdown: impl Future<Output = ()> + Send,
    ) -> Option<Upgraded<S>>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let config = self.app.config();
        let peer = client.address;
        let in_flight = InFlight::new();
        let closing = watch::Sender::new(false);
        let spelling = HeaderSpelling::default();
        let handover = Handover::default();
        let context = Context {
            peer: Peer::new(client),
            closing: Closing::new(closing.subscribe()),
            spelling: spelling.clone(),
            handover: handover.clone(),
        };
        let service = connection_service(self.router.clone(), context, in_flight.clone());
        let builder = builder(config);
        let stream = StallGuard::new(stream, config.write_timeout);
        let stream = TokioIo::new(SpellingReader::new(stream, spelling));
        let mut connection = Box::pin(builder.serve_connection_with_upgrades(stream, service));
        let mut shutdown = pin!(shutdown);
        let mut idle = pin!(in_flight.idle(config.first_request_timeout, config.idle_timeout));
        tokio::select! {
            result = connection.as_mut() => {
                let ended_well = result.is_ok();
                log_end(peer, result);
                if !ended_well {
                    return None;
                }
                return take_over(&handover).await;
            }
            () = shutdown.as_mut() => {}
            () = idle.as_mut() => {}
        }
        // Answers without an end would hold the connection for as long as they may.
        closing.send_replace(true);
        connection.as_mut().graceful_shutdown();
        match tokio::time::timeout(config.drain_timeout, connection).await {
            Ok(result) => log_end(peer, result),
            Err(_) => tracing::debug!(%peer, "connection closed with requests in progress"),
        }
        None
    }

    /// The routes without a connection, for tests.
    #[cfg(test)]
    pub(crate) fn router(&self) -> Router {
        self.router.clone()
    }
}

/// All routes. What no other router knows is for the compatible one, which answers in the vendor's way.
fn router(app: &AppState) -> Router {
    Router::new()
        .route("/", get(page::show).fallback(compat::handle))
        .nest("/api/v1", native::routes(app))
        .fallback(other)
        .layer(axum::middleware::from_fn_with_state(
            app.clone(),
            request::observe,
        ))
        .with_state(app.clone())
}

/// Addresses that the other routers do not know: websockets, which need no token, and the compatible face.
async fn other(app: State<AppState>, request: axum::extract::Request) -> Response {
    match Door::at(request.uri().path()) {
        Some(door) => websocket::open(door, request),
        None => compat::handle(app, request).await,
    }
}

fn builder(config: &HttpConfig) -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    // Hyper counts this from the end of one request to the end of the next one's head.
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(config.idle_timeout);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(config.streams_max)
        .keep_alive_interval(PING_INTERVAL)
        .keep_alive_timeout(PING_INTERVAL);
    builder
}

/// What every request of a connection can reach.
struct Context {
    peer: Peer,
    closing: Closing,
    spelling: HeaderSpelling,
    handover: Handover,
}

fn connection_service(
    router: Router,
    context: Context,
    in_flight: InFlight,
) -> impl hyper::service::Service<
    Request<Incoming>,
    Response = http::Response<TrackedBody>,
    Error = Infallible,
    Future = impl Future<Output = Result<http::Response<TrackedBody>, Infallible>> + Send,
> {
    hyper::service::service_fn(move |request: Request<Incoming>| {
        let guard = in_flight.enter();
        let (head, body) = request.into_parts();
        let (body, leftover) = RequestBody::split(body, &head.headers);
        let mut request = Request::from_parts(head, Body::new(body));
        let extensions = request.extensions_mut();
        extensions.insert(context.peer.clone());
        extensions.insert(context.closing.clone());
        extensions.insert(context.spelling.clone());
        extensions.insert(context.handover.clone());
        let answer = router.clone().oneshot(request);
        async move {
            let answer = answer.await?;
            leftover.drain().await;
            Ok(answer.map(|body| TrackedBody::new(body, guard)))
        }
    })
}

/// The stream under a WebSocket that a request opened, if one did.
async fn take_over<S>(handover: &Handover) -> Option<Upgraded<S>>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let pending = handover.take()?;
    let upgraded = pending.upgrade.await.ok()?;
    let parts = upgrade::downcast::<TokioIo<SpellingReader<StallGuard<S>>>>(upgraded).ok()?;
    Some(Upgraded {
        stream: parts.io.into_inner().into_inner().into_inner(),
        early: parts.read_buf,
        subprotocol: pending.subprotocol,
    })
}

fn log_end(peer: SocketAddr, result: Result<(), Box<dyn std::error::Error + Send + Sync>>) {
    match result {
        Ok(()) => tracing::trace!(%peer, "connection closed"),
        Err(error) => tracing::debug!(%peer, %error, "connection failed"),
    }
}
