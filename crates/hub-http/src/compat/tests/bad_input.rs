//! Requests that no operation takes.

use std::convert::Infallible;
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use http_body::Frame;
use http_body_util::StreamBody;

use super::super::routes::ROUTES;
use crate::HttpConfig;
use crate::testing::Installation;

#[tokio::test]
async fn unknown_paths_are_not_found() {
    let hub = Installation::new().await;
    for path in [
        "/nothing",
        "/devices/d1/nothing",
        "/devices/d1/modules/m1/x",
        "/twins",
        "/twins/",
        "/device",
        "/statistics",
        "/devices/d1/messages",
        "/api/v0/x",
        "//devices",
    ] {
        let refusal = hub.owner("GET", path, "").await.refusal();
        assert_eq!(
            refusal, "404 GenericNotFound: there is no such operation, check the path",
            "{path}"
        );
    }
}

#[tokio::test]
async fn wrong_methods_are_told_the_right_ones() {
    let hub = Installation::new().await;
    let answer = hub.owner("POST", "/devices/d1", "{}").await;
    assert_eq!(
        answer.refusal(),
        "405 GenericMethodNotAllowed: this path takes only GET, PUT, DELETE"
    );
    assert_eq!(answer.header("allow"), "GET, PUT, DELETE");
    assert_eq!(
        hub.owner("DELETE", "/twins/d1", "").await.header("allow"),
        "GET, PATCH, PUT"
    );
    assert_eq!(
        hub.owner("OPTIONS", "/devices", "").await.refused(),
        "405 GenericMethodNotAllowed"
    );
    assert_eq!(
        hub.owner("POST", "/", "").await.refused(),
        "404 GenericNotFound"
    );
}

#[tokio::test]
async fn every_route_wants_an_api_version() {
    let hub = Installation::new().await;
    for route in &ROUTES {
        let path = route
            .pattern
            .replace("{device}", "d1")
            .replace("{module}", "m1");
        let answer = hub
            .owner(route.method.as_str(), &format!("{path}?x=1"), "{}")
            .await;
        assert_eq!(
            answer.refused(),
            "400 InvalidProtocolVersion",
            "{}",
            route.pattern
        );
    }
    for good in [
        "2021-04-12",
        "2017-11-08-preview",
        "2030-01-01",
        "2020-05-31-preview.2",
    ] {
        assert_eq!(
            hub.owner("GET", &format!("/devices?Api-Version={good}"), "")
                .await
                .status,
            200,
            "{good}"
        );
    }
    for bad in [
        "",
        "1",
        "2021-4-12",
        "20210412",
        "2021-04-12x",
        "2021-04-12-%00",
        "\u{e4}",
    ] {
        let target = format!("/devices?api-version={}", bad.replace('\u{e4}', "%C3%A4"));
        assert_eq!(
            hub.owner("GET", &target, "").await.refused(),
            "400 InvalidProtocolVersion",
            "{bad}"
        );
    }
}

#[tokio::test]
async fn json_bodies_must_be_called_json() {
    let hub = Installation::new().await;
    let put = async |name: &str, value: &str| {
        let mut request = hub
            .request("PUT", "/devices/d1")
            .header("authorization", hub.token("iothubowner"));
        let headers = request.headers_mut().unwrap();
        headers.remove("content-type");
        headers.insert("if-match", "*".parse().unwrap());
        headers.insert(
            http::HeaderName::try_from(name).unwrap(),
            value.parse().unwrap(),
        );
        hub.send(request, "{}").await
    };
    hub.owner("PUT", "/devices/d1", "{}").await.ok();
    for good in [
        "application/json",
        "Application/JSON; Charset=UTF-8",
        "application/json;charset=\"utf-8\"",
    ] {
        put("content-type", good).await.ok();
    }
    put("x-none", "").await.ok();
    put("content-encoding", "identity").await.ok();
    put("content-encoding", " UTF-8").await.ok();
    for bad in [
        "text/plain",
        "application/xml",
        "application/json; charset=utf-16",
        "",
    ] {
        assert_eq!(
            put("content-type", bad).await.refused(),
            "415 GenericUnsupportedMediaType",
            "{bad}"
        );
    }
    assert_eq!(
        put("content-encoding", "gzip").await.refused(),
        "415 GenericUnsupportedMediaType"
    );
}

#[tokio::test]
async fn bodies_that_are_no_json_are_refused_with_the_place() {
    let hub = Installation::new().await;
    for (method, path) in [
        ("PUT", "/devices/d1"),
        ("PUT", "/devices/d1/modules/m1"),
        ("PATCH", "/twins/d1"),
        ("PUT", "/twins/d1"),
        ("POST", "/twins/d1/methods"),
    ] {
        let refusal = hub.owner(method, path, "{\"a\":1,}").await.refusal();
        assert_eq!(
            refusal, "400 DeserializationError: the body is not valid JSON at line 1 column 8",
            "{path}"
        );
        assert_eq!(
            hub.owner(method, path, "").await.refused(),
            "400 DeserializationError",
            "{path}"
        );
        let refusal = hub.owner(method, path, "[]").await.refusal();
        assert_eq!(
            refusal, "400 DeserializationError: the body must be an object, not an array",
            "{path}"
        );
    }
}

#[tokio::test]
async fn a_body_may_be_exactly_as_large_as_allowed() {
    let hub = Installation::with(HttpConfig {
        body_bytes_max: 64,
        ..HttpConfig::default()
    })
    .await;
    let body = |bytes: usize| format!("{{\"x\":\"{}\"}}", "y".repeat(bytes - 8));
    assert_eq!(body(64).len(), 64);
    hub.owner("PUT", "/devices/d1", &body(64)).await.ok();
    let refusal = hub.owner("PUT", "/devices/d2", &body(65)).await.refusal();
    assert_eq!(
        refusal,
        "413 GenericRequestEntityTooLarge: the body has more than 64 bytes"
    );
    let chunks = futures_util::stream::repeat_with(|| {
        Ok::<_, Infallible>(Frame::data(Bytes::from_static(&[b' '; 16])))
    });
    let request = hub
        .request("PUT", "/devices/d2")
        .header("authorization", hub.token("iothubowner"));
    let endless = hub.send(request, Body::new(StreamBody::new(chunks))).await;
    assert_eq!(endless.refused(), "413 GenericRequestEntityTooLarge");
}

#[tokio::test(start_paused = true)]
async fn a_body_that_does_not_come_is_given_up() {
    let hub = Installation::with(HttpConfig {
        request_timeout: Duration::from_secs(3),
        ..HttpConfig::default()
    })
    .await;
    let never = futures_util::stream::pending::<Result<Frame<Bytes>, Infallible>>();
    let request = hub
        .request("PUT", "/devices/d1")
        .header("authorization", hub.token("iothubowner"));
    let answer = hub.send(request, Body::new(StreamBody::new(never))).await;
    assert_eq!(
        answer.refusal(),
        "400 RequestTimedOut: the body took too long to arrive"
    );
    let broken =
        futures_util::stream::iter([Err::<Frame<Bytes>, _>(std::io::Error::other("gone"))]);
    let request = hub
        .request("PUT", "/devices/d1")
        .header("authorization", hub.token("iothubowner"));
    let answer = hub.send(request, Body::new(StreamBody::new(broken))).await;
    assert_eq!(answer.refused(), "400 RequestCanceled");
}

#[tokio::test]
async fn no_body_is_read_for_a_caller_who_may_not() {
    let hub = Installation::new().await;
    let never = futures_util::stream::pending::<Result<Frame<Bytes>, Infallible>>();
    let request = hub
        .request("PUT", "/devices/d1")
        .header("authorization", hub.token("registryRead"));
    let answer = hub.send(request, Body::new(StreamBody::new(never))).await;
    assert_eq!(answer.refused(), "401 IotHubUnauthorizedAccess");
}
