//! How errors of the engine look on this face.

use std::fmt::Write as _;

use axum::body::Body;
use hub_domain::ErrorCode;
use hub_engine::{Error, ErrorKind};

use super::super::refusal::Refusal;
use crate::testing::{Answer, BEGINNING, Installation};

#[tokio::test]
async fn every_kind_of_error_has_its_status_and_code() {
    let mut table = String::new();
    for kind in ErrorKind::ALL {
        let refusal = Refusal::from(Error::new(kind, "text; more").with_source("private"));
        let mut response = refusal.render("r1", BEGINNING);
        response
            .headers_mut()
            .insert("x-ms-request-id", "r1".parse().unwrap());
        let answer = Answer::read(response.map(Body::new)).await;
        assert!(!answer.text().contains("private"));
        writeln!(table, "{kind:?}: {}", answer.refusal()).unwrap();
    }
    let expected = "\
NotFound: 404 GenericNotFound: text, more
AlreadyExists: 409 GenericConflict: text, more
PreconditionFailed: 412 PreconditionFailed: text, more
Invalid: 400 ArgumentInvalid: text, more
TooLarge: 413 MessageTooLarge: text, more
NotAuthenticated: 401 IotHubUnauthorized: text, more
NotAllowed: 401 IotHubUnauthorizedAccess: text, more
Throttled: 429 ThrottlingException: text, more
QuotaExceeded: 403 IotHubQuotaExceeded: text, more
DeviceOffline: 404 DeviceNotOnline: text, more
TimedOut: 504 GatewayTimeout: text, more
BadDeviceAnswer: 502 GenericBadGateway: text, more
Unavailable: 503 ServiceUnavailable: text, more
Internal: 500 ServerError: text, more
";
    assert_eq!(table, expected);
}

#[test]
fn every_code_can_be_rendered() {
    for code in ErrorCode::ALL {
        let response = Refusal::new(*code, "text").render("r1", BEGINNING);
        assert_eq!(response.status().as_u16(), code.http_status());
        assert_eq!(response.headers()["iothub-errorcode"], code.name());
    }
}

#[tokio::test]
async fn every_answer_names_its_request() {
    let hub = Installation::new().await;
    let first = hub.owner("GET", "/devices", "").await;
    let second = hub.owner("GET", "/nothing", "").await;
    let id = first.header("x-ms-request-id");
    assert_eq!(
        id.split('-').map(str::len).collect::<Vec<_>>(),
        [8, 4, 4, 4, 12]
    );
    assert_ne!(id, second.header("x-ms-request-id"));
    assert_eq!(
        (
            first.header("server"),
            second.header("x-content-type-options")
        ),
        ("thingstead", "nosniff")
    );
}

#[tokio::test]
async fn the_root_says_what_this_is_to_browsers_and_to_others() {
    let hub = Installation::new().await;
    let page = hub
        .send(
            hub.request("GET", "/").header("accept", "text/html,*/*"),
            "",
        )
        .await;
    assert_eq!(
        (page.status.as_u16(), page.header("content-type")),
        (200, "text/html; charset=utf-8")
    );
    assert!(page.text().contains("<h1>Thingstead 0.0.0</h1>") && page.text().contains("docs/"));
    assert!(
        page.header("content-security-policy")
            .starts_with("default-src 'none'")
    );
    let text = hub.send(hub.request("GET", "/"), "").await;
    assert_eq!(text.header("content-type"), "text/plain; charset=utf-8");
    assert!(text.text().starts_with("Thingstead 0.0.0\n") && text.text().contains("README.md"));
}
