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
use axum::routing::get;
use http::Request;
use hub_engine::Engine;
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;
use tower::ServiceExt as _;

use crate::connection::{Closing, InFlight, StallGuard, TrackedBody};
use crate::request::Peer;
use crate::spelling::{HeaderSpelling, SpellingReader};
use crate::{AdminToken, AppState, HttpConfig, compat, native, page, request};

/// How often an idle HTTP/2 connection is asked whether it is still there.
const PING_INTERVAL: Duration = Duration::from_secs(30);

/// Serves HTTP on accepted streams. A clone shares everything.
#[derive(Clone)]
pub struct HttpService {
    app: AppState,
    router: Router,
}

impl HttpService {
    /// The service over `engine`. `admin_token` opens `/api/v1`; `version` is shown to people.
    pub fn new(
        engine: Arc<Engine>,
        admin_token: AdminToken,
        version: impl Into<String>,
        config: HttpConfig,
    ) -> Self {
        let app = AppState::new(engine, admin_token, version.into(), config);
        let router = router(&app);
        Self { app, router }
    }

    /// Serves HTTP/1.1 or HTTP/2, whichever the client speaks, until the client leaves, a bound of
    /// [`HttpConfig`] is passed, or `shutdown` completes and the requests in progress are answered.
    ///
    /// `sni` is the name that the client dialed; it finds the hub when a request has no host.
    /// Dropping the future closes the connection.
    pub async fn serve<S>(
        &self,
        stream: S,
        peer: SocketAddr,
        sni: Option<String>,
        shutdown: impl Future<Output = ()> + Send,
    ) where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let config = self.app.config();
        let in_flight = InFlight::new();
        let closing = watch::Sender::new(false);
        let spelling = HeaderSpelling::default();
        let context = (
            Peer::new(peer, sni),
            Closing::new(closing.subscribe()),
            spelling.clone(),
        );
        let service = connection_service(self.router.clone(), context, in_flight.clone());
        let builder = builder(config);
        let stream = StallGuard::new(stream, config.write_timeout);
        let stream = TokioIo::new(SpellingReader::new(stream, spelling));
        let mut connection = Box::pin(builder.serve_connection(stream, service));
        let mut shutdown = pin!(shutdown);
        let mut idle = pin!(in_flight.idle(config.first_request_timeout, config.idle_timeout));
        tokio::select! {
            result = connection.as_mut() => return log_end(peer, result),
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
        .nest("/api/v1", native::routes())
        .fallback(compat::handle)
        .layer(axum::middleware::from_fn_with_state(
            app.clone(),
            request::observe,
        ))
        .with_state(app.clone())
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

fn connection_service(
    router: Router,
    (peer, closing, spelling): (Peer, Closing, HeaderSpelling),
    in_flight: InFlight,
) -> impl hyper::service::Service<
    Request<Incoming>,
    Response = http::Response<TrackedBody>,
    Error = Infallible,
    Future = impl Future<Output = Result<http::Response<TrackedBody>, Infallible>> + Send,
> {
    hyper::service::service_fn(move |request: Request<Incoming>| {
        let guard = in_flight.enter();
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(peer.clone());
        request.extensions_mut().insert(closing.clone());
        request.extensions_mut().insert(spelling.clone());
        let answer = router.clone().oneshot(request);
        async move { Ok(answer.await?.map(|body| TrackedBody::new(body, guard))) }
    })
}

fn log_end(peer: SocketAddr, result: Result<(), Box<dyn std::error::Error + Send + Sync>>) {
    match result {
        Ok(()) => tracing::trace!(%peer, "connection closed"),
        Err(error) => tracing::debug!(%peer, %error, "connection failed"),
    }
}
