//! The page at `/`: what this is and where the documents are.

use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use http::header::{
    ACCEPT, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, VARY,
    X_FRAME_OPTIONS,
};
use http::{HeaderMap, HeaderName};

use crate::AppState;

const HEADERS: [(HeaderName, &str); 5] = [
    (CACHE_CONTROL, "no-cache"),
    (
        CONTENT_SECURITY_POLICY,
        "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
    ),
    (REFERRER_POLICY, "no-referrer"),
    (VARY, "accept"),
    (X_FRAME_OPTIONS, "DENY"),
];

/// Answers with HTML to browsers and with text to everyone else.
pub(crate) async fn show(State(app): State<AppState>, headers: HeaderMap) -> Response {
    let accept = headers
        .get(ACCEPT)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let (media_type, body) = if accept.contains("text/html") {
        ("text/html; charset=utf-8", html(app.version()))
    } else {
        ("text/plain; charset=utf-8", text(app.version()))
    };
    (HEADERS, [(CONTENT_TYPE, media_type)], body).into_response()
}

fn text(version: &str) -> String {
    format!(
        "Thingstead {version}\n\
        \n\
        A self-hosted hub for devices and back ends built with the Azure IoT SDKs.\n\
        \n\
        Devices connect by MQTT over TLS, port 8883.\n\
        Back ends use the service REST at this address, with a connection string of\n\
        `thingstead hub show`. Our own REST is at /api/v1.\n\
        \n\
        Documents: README.md and the folder docs/ of the source; `thingstead --help`.\n\
        There is no web console yet.\n"
    )
}

fn html(version: &str) -> String {
    let version: String = version
        .chars()
        .filter(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '+' | ' ' | '(' | ')'))
        .collect();
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n\
        <meta name=\"viewport\" content=\"width=device-width\">\n<title>Thingstead</title>\n\
        <style>body{{font-family:system-ui,sans-serif;max-width:40em;margin:3em auto;padding:0 1em;line-height:1.5}}</style>\n\
        <h1>Thingstead {version}</h1>\n\
        <p>A self-hosted hub for devices and back ends built with the Azure IoT SDKs.</p>\n\
        <ul>\n<li>Devices connect by MQTT over TLS, port 8883.</li>\n\
        <li>Back ends use the service REST at this address, with a connection string of \
        <code>thingstead hub show</code>. Our own REST is at <code>/api/v1</code>.</li>\n\
        <li>Documents: <code>README.md</code> and the folder <code>docs/</code> of the source, and \
        <code>thingstead --help</code>.</li>\n</ul>\n\
        <p>There is no web console yet.</p>\n</html>\n"
    )
}
