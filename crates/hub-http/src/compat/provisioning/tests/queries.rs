//! Queries and their pages.

use serde_json::{Value, json};

use super::{ask, enroll, refused, register, with_headers};
use crate::testing::Installation;

/// The ids of all pages, page by page.
async fn pages(installation: &Installation, target: &str, query: &str, max: &str) -> Vec<String> {
    let mut pages = Vec::new();
    let mut continuation = String::new();
    loop {
        let mut headers = vec![("x-ms-max-item-count", max)];
        if !continuation.is_empty() {
            headers.push(("x-ms-continuation", &continuation));
        }
        let body = json!({ "query": query });
        let answer = with_headers(installation, "POST", target, &headers, body).await;
        let items = answer.ok();
        let id = |item: &Value| {
            let id = item.get("registrationId").or(item.get("enrollmentGroupId"));
            id.and_then(Value::as_str).unwrap().to_owned()
        };
        let ids: Vec<String> = items.as_array().unwrap().iter().map(id).collect();
        assert_eq!(answer.header("x-ms-max-item-count"), max);
        assert!(!answer.header("x-ms-item-type").is_empty());
        pages.push(ids.join(" "));
        let next = answer.header("x-ms-continuation").to_owned();
        if next.is_empty() {
            return pages;
        }
        continuation = next;
    }
}

#[tokio::test]
async fn queries_go_page_by_page_in_the_order_of_the_ids() {
    let installation = Installation::new().await;
    for id in ["c", "A", "b", "e", "d"] {
        enroll(&installation, id).await;
    }
    let all = "SELECT * FROM enrollments";
    let target = "/enrollments/query";
    assert_eq!(
        pages(&installation, target, all, "2").await,
        ["A b", "c d", "e"]
    );
    assert_eq!(pages(&installation, target, "*", "5").await[0], "A b c d e");
    let some = "SELECT * FROM enrollments WHERE registrationId in ['a', 'D', 'e']";
    assert_eq!(pages(&installation, target, some, "2").await, ["A d", "e"]);
    assert_eq!(
        pages(&installation, target, some, "1").await,
        ["A", "d", "e"]
    );
    let none = "SELECT * WHERE provisioningStatus = 'disabled'";
    assert_eq!(pages(&installation, target, none, "2").await, [""]);
    let body = json!({ "query": "*" });
    let answer = ask(&installation, "POST", target, body.clone()).await;
    assert_eq!(answer.header("x-ms-item-type"), "enrollment");
    assert!(!answer.text().contains("primaryKey"), "{}", answer.text());
    for header in [("x-ms-max-item-count", "0"), ("x-ms-continuation", "%")] {
        let answer = with_headers(&installation, "POST", target, &[header], body.clone()).await;
        assert_eq!(refused(&answer), "400 400004", "{header:?}");
    }
    for wrong in [
        "SELECT * FROM devices",
        "SELECT * FROM enrollments WHERE NOT registrationID = 'a'",
        "* WHERE registrationState.status = 'assigned'",
        "* WHERE enrollmentGroupId = 'g'",
    ] {
        let body = json!({ "query": wrong });
        let answer = ask(&installation, "POST", target, body).await;
        assert_eq!(refused(&answer), "400 400004", "{wrong}");
    }
}

#[tokio::test]
async fn groups_and_their_registrations_are_queried() {
    let installation = Installation::new().await;
    let mut keys = Vec::new();
    for id in ["g1", "g2", "g3"] {
        let group = json!({ "enrollmentGroupId": id, "attestation": { "type": "symmetricKey" } });
        let target = format!("/enrollmentGroups/{id}");
        let made = ask(&installation, "PUT", &target, group).await.ok();
        let key = made["attestation"]["symmetricKey"]["primaryKey"]
            .as_str()
            .unwrap();
        keys.push(hub_domain::SymmetricKey::parse(key).unwrap());
    }
    let target = "/enrollmentGroups/query";
    let all = "SELECT * FROM enrollmentGroups";
    assert_eq!(
        pages(&installation, target, all, "2").await,
        ["g1 g2", "g3"]
    );
    assert_eq!(pages(&installation, target, all, "3").await, ["g1 g2 g3"]);
    let some = "SELECT * FROM enrollmentGroups WHERE NOT enrollmentGroupId = 'g2'";
    assert_eq!(pages(&installation, target, some, "1").await, ["g1", "g3"]);
    for id in ["d1", "d2", "d3"] {
        let key = hub_domain::provisioning::derived_key(&keys[0], id);
        let state = register(&installation, id, &key).await;
        assert_eq!(state["status"], "assigned", "{state}");
    }
    let target = "/registrations/g1/query";
    let found = pages(&installation, target, "*", "2").await;
    assert_eq!(found[0], "d1 d2");
    assert_eq!(found[1], "d3");
    let none = pages(&installation, "/registrations/g2/query", "*", "2").await;
    assert_eq!(none, [""]);
}
