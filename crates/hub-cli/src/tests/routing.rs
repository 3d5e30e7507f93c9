//! `route` and `enrichment`.

use serde_json::{Value, json};

use super::script::Exchange;
use super::{Outcome, run};

const ROUTES: &str = "/api/v1/hubs/hub/routes";

fn route(condition: &str, is_enabled: bool) -> Value {
    json!({
        "name": "hot", "source": "DeviceMessages", "condition": condition, "endpointNames": ["events"],
        "isEnabled": is_enabled,
    })
}

fn routing(fallback: bool) -> Value {
    json!({
        "routes": [route("level = 'hot'", true)],
        "fallbackRoute": { "condition": "true", "isEnabled": fallback },
        "enrichments": [{ "key": "site", "value": "$twin.tags.site", "endpointNames": ["events"] }],
        "counts": { "orphaned": 3, "tooLarge": 0, "lost": 0 },
    })
}

/// The body of what was asked, and what stands before it.
fn parts(asked: &str) -> (&str, Value) {
    let (head, body) = asked.split_once(" {").unwrap();
    (head, serde_json::from_str(&format!("{{{body}")).unwrap())
}

#[tokio::test]
async fn a_route_is_created_with_what_was_typed_and_with_what_was_not() {
    let created = Exchange::json(201, &route("true", true));
    let (outcome, asked) = run(
        &["route", "create", "-n", "hot", "-t", "DeviceMessages"],
        vec![created],
    )
    .await;
    assert!(outcome.printed().contains("DeviceMessages"));
    assert_eq!(
        parts(&asked[0]),
        (format!("POST {ROUTES}").as_str(), route("true", true))
    );

    let created = Exchange::json(201, &route("level = 'hot'", false));
    let line = [
        "route",
        "create",
        "--route-name",
        "hot",
        "--source-type",
        "DeviceMessages",
        "--condition",
        "level = 'hot'",
        "--enabled",
        "false",
        "-o",
        "json",
    ];
    let (outcome, asked) = run(&line, vec![created]).await;
    let printed: Value = serde_json::from_str(&outcome.printed()).unwrap();
    assert_eq!(printed, route("level = 'hot'", false));
    assert_eq!(parts(&asked[0]).1, route("level = 'hot'", false));
}

#[tokio::test]
async fn an_update_changes_what_was_typed_alone() {
    let former = Exchange::json(200, &route("level = 'hot'", true));
    let replaced = Exchange::json(200, &route("level = 'hot'", false));
    let line = ["route", "update", "-n", "hot", "-e", "false"];
    let (outcome, asked) = run(&line, vec![former, replaced]).await;
    outcome.printed();
    assert_eq!(asked[0], format!("GET {ROUTES}/hot"));
    let expected = (format!("PUT {ROUTES}/hot"), route("level = 'hot'", false));
    let (head, body) = parts(&asked[1]);
    assert_eq!((head.to_owned(), body), expected);
}

#[tokio::test]
async fn routes_are_shown_listed_and_deleted() {
    let one = Exchange::json(200, &route("true", true));
    let (outcome, asked) = run(&["route", "show", "-n", "hot"], vec![one]).await;
    assert!(outcome.printed().contains("hot"));
    assert_eq!(asked, [format!("GET {ROUTES}/hot")]);

    let all = Exchange::json(200, &routing(true));
    let (outcome, asked) = run(&["route", "list"], vec![all]).await;
    let printed = outcome.printed();
    for expected in ["hot", "level = 'hot'", "fallback"] {
        assert!(printed.contains(expected), "{printed}");
    }
    assert_eq!(asked, ["GET /api/v1/hubs/hub/routing"]);

    let gone = Exchange::text(204, "");
    let (outcome, asked) = run(&["route", "delete", "-n", "hot"], vec![gone]).await;
    assert_eq!(outcome.printed(), "");
    assert_eq!(asked, [format!("DELETE {ROUTES}/hot")]);

    let missing = Exchange::refusal(404, "GenericNotFound");
    let (outcome, _) = run(&["route", "show", "-n", "cold"], vec![missing]).await;
    assert!(
        matches!(&outcome, Outcome::Failed(1, text) if text.contains("GenericNotFound")),
        "{outcome:?}"
    );
}

#[tokio::test]
async fn the_fallback_route_is_shown_and_set() {
    let (outcome, asked) = run(
        &["route", "fallback"],
        vec![Exchange::json(200, &routing(true))],
    )
    .await;
    assert!(outcome.printed().contains("yes"));
    assert_eq!(asked.len(), 1, "nothing to change");

    let set = Exchange::json(200, &json!({ "condition": "true", "isEnabled": false }));
    let line = ["route", "fallback", "--enabled", "false"];
    let (outcome, asked) = run(&line, vec![Exchange::json(200, &routing(true)), set]).await;
    assert!(outcome.printed().contains("no"));
    let (head, body) = parts(&asked[1]);
    assert_eq!(head, "PUT /api/v1/hubs/hub/routing/fallback");
    assert_eq!(body, json!({ "condition": "true", "isEnabled": false }));
}

#[tokio::test]
async fn a_message_is_tried() {
    let result = Exchange::json(200, &json!({ "result": "true", "routes": ["hot"] }));
    let line = [
        "route",
        "test",
        "-n",
        "hot",
        "--body",
        "{}",
        "--app-properties",
        r#"{"level":"hot"}"#,
        "--system-properties",
        r#"{"contentType":"application/json"}"#,
        "--twin",
        r#"{"tags":{"a":1}}"#,
    ];
    let (outcome, asked) = run(&line, vec![result]).await;
    assert_eq!(outcome.printed(), "taken by: hot\n");
    let (head, body) = parts(&asked[0]);
    assert_eq!(head, "POST /api/v1/hubs/hub/routing/test");
    assert_eq!(body["route"], "hot");
    assert_eq!(body["message"]["appProperties"], json!({ "level": "hot" }));
    assert_eq!(
        body["message"]["systemProperties"],
        json!({ "contentType": "application/json" })
    );
    assert_eq!(body["twin"]["tags"], json!({ "a": 1 }));

    let line = ["route", "test", "--app-properties", "level=hot"];
    let (outcome, asked) = run(&line, vec![]).await;
    assert!(
        matches!(&outcome, Outcome::Failed(2, text) if text.contains("--app-properties")),
        "{outcome:?}"
    );
    assert!(asked.is_empty());
}

#[tokio::test]
async fn enrichments_are_put_listed_and_deleted() {
    let site = json!({ "key": "site", "value": "$twin.tags.site", "endpointNames": ["events"] });
    for verb in ["create", "update"] {
        let line = ["enrichment", verb, "-k", "site", "-v", "$twin.tags.site"];
        let (outcome, asked) = run(&line, vec![Exchange::json(200, &site)]).await;
        assert!(outcome.printed().contains("$twin.tags.site"));
        let (head, body) = parts(&asked[0]);
        assert_eq!(head, "PUT /api/v1/hubs/hub/routing/enrichments/site");
        assert_eq!(body, site);
    }
    let (outcome, asked) = run(
        &["enrichment", "list"],
        vec![Exchange::json(200, &routing(true))],
    )
    .await;
    assert!(outcome.printed().contains("site"));
    assert_eq!(asked, ["GET /api/v1/hubs/hub/routing"]);
    let (outcome, asked) = run(
        &["enrichment", "delete", "-k", "site"],
        vec![Exchange::text(204, "")],
    )
    .await;
    assert_eq!(outcome.printed(), "");
    assert_eq!(asked, ["DELETE /api/v1/hubs/hub/routing/enrichments/site"]);
}
