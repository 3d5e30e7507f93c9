//! Routes, the fallback route, enrichments, and trying them out.

use serde_json::{Value, json};

use super::{Ask, ask, refused, with_device};
use crate::testing::{Answer, Installation};

const ROUTING: &str = "/hubs/hub/routing";
const ROUTES: &str = "/hubs/hub/routes";
const FALLBACK: &str = "/hubs/hub/routing/fallback";

fn route(name: &str, condition: &str) -> Value {
    json!({
        "name": name, "source": "DeviceMessages", "condition": condition, "endpointNames": ["events"],
        "isEnabled": true,
    })
}

async fn created(installation: &Installation, route: &Value) -> Answer {
    ask(installation, "POST", ROUTES, route.clone()).await
}

#[tokio::test]
async fn a_new_hub_has_its_fallback_route_alone() {
    let installation = with_device().await;
    let routing = ask(&installation, "GET", ROUTING, Value::Null).await.ok();
    assert_eq!(
        routing,
        json!({
            "routes": [], "fallbackRoute": { "condition": "true", "isEnabled": true }, "enrichments": [],
            "counts": { "orphaned": 0, "tooLarge": 0, "lost": 0 },
        })
    );
}

#[tokio::test]
async fn routes_are_created_shown_replaced_and_deleted() {
    let installation = with_device().await;
    let short = json!({ "name": "Hot", "source": "devicemessages" });
    let answer = created(&installation, &short).await;
    assert_eq!(
        (answer.status.as_u16(), answer.json()),
        (201, route("Hot", "true"))
    );
    assert_eq!(
        refused(&created(&installation, &route("hot", "true")).await),
        "409 GenericConflict"
    );
    created(&installation, &route("cold", "level = 'cold'")).await;

    let list = ask(&installation, "GET", ROUTES, Value::Null).await.ok();
    assert_eq!(
        list["items"],
        json!([route("Hot", "true"), route("cold", "level = 'cold'")])
    );

    let changed = route("Hot", "level = 'hot'");
    let put = ask(
        &installation,
        "PUT",
        "/hubs/hub/routes/hot",
        changed.clone(),
    )
    .await;
    assert_eq!(put.ok(), changed);
    let shown = ask(&installation, "GET", "/hubs/hub/routes/HOT", Value::Null).await;
    assert_eq!(shown.ok(), changed);
    let other = ask(&installation, "PUT", "/hubs/hub/routes/cold", changed).await;
    assert_eq!(refused(&other), "400 ArgumentInvalid");

    for status in [204, 404] {
        let gone = ask(&installation, "DELETE", "/hubs/hub/routes/hot", Value::Null).await;
        assert_eq!(gone.status, status, "{}", gone.text());
    }
    let missing = ask(&installation, "GET", "/hubs/hub/routes/hot", Value::Null).await;
    assert_eq!(refused(&missing), "404 GenericNotFound");
}

#[tokio::test]
async fn what_cannot_be_meant_is_refused() {
    let installation = with_device().await;
    let wrong = [
        route("a b", "true"),
        route("r", "level ="),
        json!({ "name": "r", "source": "Nothing" }),
        json!({ "name": "r", "source": "DeviceMessages", "endpointNames": ["kafka"] }),
        json!({ "name": "r", "source": "DeviceMessages", "endpointNames": [] }),
        json!({ "name": "r", "source": "DeviceMessages", "typo": 1 }),
        json!({ "source": "DeviceMessages" }),
    ];
    for route in wrong {
        let answer = created(&installation, &route).await;
        assert_eq!(refused(&answer), "400 ArgumentInvalid", "{route}");
    }
    let fallback = json!({ "condition": "=", "isEnabled": true });
    let answer = ask(&installation, "PUT", FALLBACK, fallback).await;
    assert_eq!(refused(&answer), "400 ArgumentInvalid");
}

#[tokio::test]
async fn the_fallback_route_is_set() {
    let installation = with_device().await;
    let off = json!({ "condition": "level = 'x'", "isEnabled": false });
    assert_eq!(
        ask(&installation, "PUT", FALLBACK, off.clone()).await.ok(),
        off
    );
    let routing = ask(&installation, "GET", ROUTING, Value::Null).await.ok();
    assert_eq!(routing["fallbackRoute"], off);
}

#[tokio::test]
async fn enrichments_are_put_and_deleted() {
    let installation = with_device().await;
    let path = "/hubs/hub/routing/enrichments/site";
    let site = json!({ "key": "site", "value": "$twin.tags.site", "endpointNames": ["events"] });
    assert_eq!(
        ask(&installation, "PUT", path, site.clone()).await.ok(),
        site
    );
    let routing = ask(&installation, "GET", ROUTING, Value::Null).await.ok();
    assert_eq!(routing["enrichments"], json!([site]));
    for wrong in [
        json!({ "key": "other", "value": "x" }),
        json!({ "key": "site", "value": "$twin.status" }),
        json!({ "key": "site", "value": "" }),
    ] {
        let answer = ask(&installation, "PUT", path, wrong).await;
        assert_eq!(refused(&answer), "400 ArgumentInvalid");
    }
    for status in [204, 404] {
        let gone = ask(&installation, "DELETE", path, Value::Null).await;
        assert_eq!(gone.status, status, "{}", gone.text());
    }
}

#[tokio::test]
async fn a_message_is_tried_with_a_route_a_condition_or_all_of_a_source() {
    let installation = with_device().await;
    created(&installation, &route("hot", "level = 'hot'")).await;
    let test = async |body: Value| {
        let answer = ask(&installation, "POST", "/hubs/hub/routing/test", body).await;
        answer.ok()
    };
    let hot = json!({ "appProperties": { "level": "hot" } });
    assert_eq!(
        test(json!({ "route": "hot", "message": hot })).await,
        json!({ "result": "true", "routes": [] })
    );
    assert_eq!(test(json!({ "route": "hot" })).await["result"], "undefined");
    let by_twin = json!({ "condition": "$twin.tags.a = 1", "twin": { "tags": { "a": 2 } } });
    assert_eq!(test(by_twin).await["result"], "false");
    assert_eq!(
        test(json!({ "message": hot })).await,
        json!({ "result": "true", "routes": ["hot"] })
    );
    assert_eq!(test(json!({})).await["routes"], json!(["$fallback"]));
    assert_eq!(
        test(json!({ "source": "TwinChangeEvents" })).await,
        json!({ "result": "false", "routes": [] })
    );
    for (wrong, expected) in [
        (json!({ "route": "none" }), "404 GenericNotFound"),
        (
            json!({ "route": "hot", "condition": "true" }),
            "400 ArgumentInvalid",
        ),
        (json!({ "condition": "=" }), "400 ArgumentInvalid"),
        (json!({ "source": "Nothing" }), "400 ArgumentInvalid"),
    ] {
        let answer = ask(&installation, "POST", "/hubs/hub/routing/test", wrong).await;
        assert_eq!(refused(&answer), expected);
    }
}

/// The names of what is asked for are said to nobody who may not ask; the walk over all operations is in `access`.
#[tokio::test]
async fn without_a_credential_nothing_is_said_of_routes() {
    let installation = with_device().await;
    created(&installation, &route("hot", "true")).await;
    for path in [
        "/hubs/hub/routes/hot",
        "/hubs/hub/routes/none",
        "/hubs/none/routes",
    ] {
        let answer = Ask::with("GET", path, None).send(&installation, "").await;
        assert_eq!(refused(&answer), "401 IotHubUnauthorized", "{path}");
        assert!(!answer.text().contains("hot"));
    }
    let device = Some(installation.token("device"));
    let answer = Ask::with("GET", "/hubs/hub/routes/none", device)
        .send(&installation, "")
        .await;
    assert_eq!(refused(&answer), "403 GenericForbidden");
}
