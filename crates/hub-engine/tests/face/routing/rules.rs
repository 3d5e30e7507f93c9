//! What routes may be, who may change them, and trying them out.

use std::collections::BTreeMap;

use hub_domain::Permission;
use hub_domain::routing::{EndpointName, EnrichmentKey, FallbackRoute, RouteName, Source};
use hub_engine::Error;
use hub_engine::routing::{Match, TestMessage, TestTwin};

use super::{enrichment, route};
use crate::support::{World, failure, members};

fn told<T>(result: Result<T, Error>) -> String {
    match result {
        Ok(_) => "done".to_owned(),
        Err(error) => format!("{}: {error}", failure(&error)),
    }
}

#[tokio::test(start_paused = true)]
async fn routes_are_created_replaced_and_deleted() {
    let world = World::new().await;
    let (admin, hub, routes) = (world.admin(), world.hub.no, &world.engine.routes);
    let hot = route("Hot", Source::DeviceMessages, "level = 'hot'");
    let none = route("none", Source::TwinChangeEvents, "");
    let name = RouteName::parse("hOT").unwrap();
    let mut off = route("hot", Source::DeviceMessages, "true");
    off.enabled = false;
    let said = [
        told(routes.create(&admin, hub, hot.clone()).await),
        told(routes.create(&admin, hub, off.clone()).await),
        told(routes.replace(&admin, hub, off.clone()).await),
        told(routes.replace(&admin, hub, none).await),
        told(routes.delete(&admin, hub, &name).await),
        told(routes.delete(&admin, hub, &name).await),
    ];
    assert_eq!(
        said,
        [
            "done",
            "AlreadyExists 409000: there is a route hot already",
            "done",
            "NotFound 404000: there is no route none",
            "done",
            "NotFound 404000: there is no route hOT",
        ]
    );
    assert_eq!(routes.fetch(&admin, hub).unwrap().routes, []);
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_routed_is_refused_with_a_reason() {
    let world = World::new().await;
    let (admin, hub, routes) = (world.admin(), world.hub.no, &world.engine.routes);
    let mut elsewhere = route("r", Source::DeviceMessages, "true");
    elsewhere.endpoints = vec![EndpointName::parse("kafka").unwrap()];
    let mut nowhere = elsewhere.clone();
    nowhere.endpoints = Vec::new();
    let fallback = FallbackRoute {
        condition: "(".to_owned(),
        enabled: true,
    };
    let key = EnrichmentKey::parse("key").unwrap();
    let said = [
        told(routes.create(&admin, hub, elsewhere).await),
        told(routes.create(&admin, hub, nowhere).await),
        told(
            routes
                .create(&admin, hub, route("r", Source::DeviceMessages, "level ="))
                .await,
        ),
        told(routes.set_fallback(&admin, hub, fallback).await),
        told(
            routes
                .put_enrichment(&admin, hub, enrichment("key", "$twin.status"))
                .await,
        ),
        told(
            routes
                .put_enrichment(&admin, hub, enrichment("key", ""))
                .await,
        ),
        told(routes.delete_enrichment(&admin, hub, &key).await),
    ];
    assert_eq!(
        said,
        [
            "Invalid 400004: the route r names the endpoint kafka, which does not exist; the hub has the built-in endpoint events",
            "Invalid 400004: the route r names no endpoint, name events",
            "Invalid 400004: the condition of the route r cannot be read: a value is missing at character 8; write a property, a number or a text in quotes",
            "Invalid 400004: the condition of the fallback route cannot be read: a value is missing at character 2; write a property, a number or a text in quotes",
            "Invalid 400004: the value of the enrichment key cannot be read: this part of a twin cannot be asked for at character 1; write $twin.tags.x, $twin.properties.desired.x or $twin.properties.reported.x",
            "Invalid 400004: the value of the enrichment key has 1 to 4096 characters",
            "NotFound 404000: there is no enrichment key",
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn a_hub_has_a_hundred_routes_and_ten_enrichments() {
    let world = World::new().await;
    let (admin, hub, routes) = (world.admin(), world.hub.no, &world.engine.routes);
    for n in 0..100 {
        let route = route(&format!("r{n}"), Source::DeviceMessages, "true");
        routes.create(&admin, hub, route).await.unwrap();
    }
    let more = route("more", Source::DeviceMessages, "true");
    assert_eq!(
        told(routes.create(&admin, hub, more).await),
        "Invalid 400004: a hub has at most 100 routes"
    );
    for n in 0..10 {
        let put = routes.put_enrichment(&admin, hub, enrichment(&format!("k{n}"), "x"));
        put.await.unwrap();
    }
    let again = routes.put_enrichment(&admin, hub, enrichment("k3", "y"));
    assert_eq!(told(again.await), "done");
    let more = routes.put_enrichment(&admin, hub, enrichment("more", "x"));
    assert_eq!(
        told(more.await),
        "Invalid 400004: a hub has at most 10 enrichments"
    );
}

#[tokio::test(start_paused = true)]
async fn only_an_administrator_changes_routing() {
    let world = World::new().await;
    let hub = world.hub.no;
    let routes = &world.engine.routes;
    let owner = || world.with(&Permission::ALL);
    let name = RouteName::parse("r").unwrap();
    let key = EnrichmentKey::parse("k").unwrap();
    let some = || route("r", Source::DeviceMessages, "true");
    let message = TestMessage::default();
    let registry = world.with(&[Permission::RegistryWrite]);
    let said = [
        told(routes.create(&owner(), hub, some()).await),
        told(routes.replace(&owner(), hub, some()).await),
        told(routes.delete(&owner(), hub, &name).await),
        told(
            routes
                .set_fallback(&owner(), hub, FallbackRoute::default())
                .await,
        ),
        told(
            routes
                .put_enrichment(&owner(), hub, enrichment("k", "x"))
                .await,
        ),
        told(routes.delete_enrichment(&owner(), hub, &key).await),
        told(routes.test(&registry, hub, "true", &message, None)),
        told(routes.test_all(&registry, hub, Source::DeviceMessages, &message, None)),
    ];
    let refused = |line: &String| line.starts_with("NotAllowed 401002: ");
    assert!(said.iter().all(refused), "{said:#?}");
}

#[tokio::test(start_paused = true)]
async fn routes_are_tried_out_without_sending_anything() {
    let world = World::new().await;
    let (hub, routes) = (world.hub.no, &world.engine.routes);
    let reader = world.with(&[Permission::ServiceConnect]);
    let properties = |pairs: &[(&str, &str)]| -> BTreeMap<String, String> {
        let pairs = pairs
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
        pairs.collect()
    };
    let message = TestMessage {
        body: br#"{"t":5}"#.to_vec(),
        application: properties(&[("level", "hot")]),
        system: properties(&[
            ("contentType", "application/json"),
            ("contentEncoding", "utf-8"),
        ]),
    };
    let twin = TestTwin {
        tags: members(r#"{"site":"n"}"#),
        ..TestTwin::default()
    };
    let mut said = Vec::new();
    for condition in [
        "level = 'hot'",
        "$body.t > 9",
        "nothing = 1",
        "$twin.tags.site = 'n'",
        "1",
    ] {
        let outcome = routes.test(&reader, hub, condition, &message, Some(&twin));
        said.push(format!("{condition}: {:?}", outcome.unwrap()));
    }
    said.push(told(routes.test(&reader, hub, "=", &message, None)));
    assert_eq!(
        said,
        [
            "level = 'hot': True",
            "$body.t > 9: False",
            "nothing = 1: Undefined",
            "$twin.tags.site = 'n': True",
            "1: False",
            "Invalid 400004: the condition cannot be read: a value is missing before = at character 1; write a property, a number or a text in quotes",
        ]
    );

    let all = |source| -> Vec<String> {
        let matches = routes.test_all(&reader, hub, source, &message, Some(&twin));
        let name = |found: Match| match found {
            Match::Route(route) => route.name.to_string(),
            Match::Fallback(_) => "fallback".to_owned(),
        };
        matches.unwrap().into_iter().map(name).collect()
    };
    assert_eq!(all(Source::DeviceMessages), ["fallback"]);
    assert!(all(Source::TwinChangeEvents).is_empty());
    for (name, source, condition) in [
        ("a", Source::DeviceMessages, "level = 'hot'"),
        ("b", Source::DeviceMessages, "level = 'cold'"),
        ("c", Source::TwinChangeEvents, "true"),
        ("d", Source::DeviceMessages, "$body.t = 5"),
    ] {
        world.given_route(name, source, condition).await;
    }
    assert_eq!(all(Source::DeviceMessages), ["a", "d"]);
    assert_eq!(all(Source::TwinChangeEvents), ["c"]);
}
