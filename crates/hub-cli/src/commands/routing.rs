//! `route …` and `enrichment …`.

use std::io::Write;

use hub_api::client::Client;
use hub_api::native::{Enrichment, FallbackRoute, Route, RoutingTest, TestMessage};
use serde::de::DeserializeOwned;

use crate::arguments::{
    EnrichmentCommand, EnrichmentWrite, RouteCommand, RouteCreate, RouteFallback, RouteTest,
    RouteUpdate,
};
use crate::connect::Connected;
use crate::failure::Failure;
use crate::render;

pub(super) async fn route(
    command: RouteCommand,
    Connected { client, hub }: &Connected,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    match command {
        RouteCommand::Create(create) => {
            let output = create.name.common.output;
            let created = client.create_route(hub, &new_route(create)).await?;
            render::answer(output, &created, render::route, out)
        }
        RouteCommand::List(common) => {
            let routing = client.routing(hub).await?;
            render::answer(common.output, &routing, render::routing, out)
        }
        RouteCommand::Show(show) => {
            let route = client.route(hub, &show.route_name).await?;
            render::answer(show.common.output, &route, render::route, out)
        }
        RouteCommand::Update(update) => {
            let output = update.name.common.output;
            let former = client.route(hub, &update.name.route_name).await?;
            let replaced = client.replace_route(hub, &changed(former, update)).await?;
            render::answer(output, &replaced, render::route, out)
        }
        RouteCommand::Delete(delete) => Ok(client.delete_route(hub, &delete.route_name).await?),
        RouteCommand::Test(test) => {
            let output = test.common.output;
            let result = client.test_routing(hub, &sample(*test)?).await?;
            render::answer(output, &result, render::routing_test, out)
        }
        RouteCommand::Fallback(fallback) => set_fallback(fallback, client, hub, out).await,
    }
}

fn new_route(create: RouteCreate) -> Route {
    Route {
        name: create.name.route_name,
        source: create.source_type,
        condition: create.condition,
        endpoint_names: vec![create.endpoint_name],
        is_enabled: create.enabled,
    }
}

fn changed(former: Route, update: RouteUpdate) -> Route {
    Route {
        name: former.name,
        source: update.source_type.unwrap_or(former.source),
        condition: update.condition.unwrap_or(former.condition),
        endpoint_names: match update.endpoint_name {
            Some(name) => vec![name],
            None => former.endpoint_names,
        },
        is_enabled: update.enabled.unwrap_or(former.is_enabled),
    }
}

/// Without a change it only shows the fallback route.
async fn set_fallback(
    fallback: RouteFallback,
    client: &Client,
    hub: &str,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    let former = client.routing(hub).await?.fallback_route;
    let next = FallbackRoute {
        condition: fallback
            .condition
            .unwrap_or_else(|| former.condition.clone()),
        is_enabled: fallback.enabled.unwrap_or(former.is_enabled),
    };
    let shown = if next == former {
        former
    } else {
        client.replace_fallback_route(hub, &next).await?
    };
    render::answer(fallback.common.output, &shown, render::fallback_route, out)
}

fn sample(test: RouteTest) -> Result<RoutingTest, Failure> {
    Ok(RoutingTest {
        route: test.route_name,
        condition: test.condition,
        source: test.source_type,
        message: TestMessage {
            body: test.body,
            app_properties: json("--app-properties", test.app_properties.as_deref())?
                .unwrap_or_default(),
            system_properties: json("--system-properties", test.system_properties.as_deref())?
                .unwrap_or_default(),
        },
        twin: json("--twin", test.twin.as_deref())?,
    })
}

fn json<T: DeserializeOwned>(argument: &str, text: Option<&str>) -> Result<Option<T>, Failure> {
    let parsed = text.map(serde_json::from_str).transpose();
    parsed.map_err(|error| Failure::usage(format!("{argument}: {error}")))
}

pub(super) async fn enrichment(
    command: EnrichmentCommand,
    Connected { client, hub }: &Connected,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    match command {
        EnrichmentCommand::List(common) => {
            let enrichments = client.routing(hub).await?.enrichments;
            render::answer(
                common.output,
                &enrichments,
                |items: &Vec<_>| render::enrichments(items),
                out,
            )
        }
        EnrichmentCommand::Create(write) | EnrichmentCommand::Update(write) => {
            let EnrichmentWrite {
                key,
                value,
                endpoints,
            } = write;
            let enrichment = Enrichment {
                key: key.key,
                value,
                endpoint_names: endpoints,
            };
            let put = client.put_enrichment(hub, &enrichment).await?;
            render::answer(
                key.common.output,
                &put,
                |put| render::enrichments(std::slice::from_ref(put)),
                out,
            )
        }
        EnrichmentCommand::Delete(delete) => Ok(client.delete_enrichment(hub, &delete.key).await?),
    }
}
