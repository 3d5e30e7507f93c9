//! Message routing.

use axum::Json;
use http::StatusCode;
use hub_api::native::{
    Enrichment, FallbackRoute, Page, Route, Routing, RoutingCounts, RoutingError, RoutingTest,
    RoutingTestResult, parse_source,
};
use hub_domain::routing::{EnrichmentKey, FALLBACK_ROUTE, RouteName, Source};
use hub_engine::routing::{Match, TestMessage, TestOutcome, TestTwin};
use hub_engine::{Error, ErrorKind};

use super::{Document, Failure, Scope};

fn refused(error: RoutingError) -> Failure {
    Failure::invalid(error.to_string())
}

fn route_name(scope: &Scope) -> Result<RouteName, Failure> {
    RouteName::parse(scope.parameter("route")).map_err(|error| Failure::invalid(error.to_string()))
}

fn key(scope: &Scope) -> Result<EnrichmentKey, Failure> {
    EnrichmentKey::parse(scope.parameter("enrichment"))
        .map_err(|error| Failure::invalid(error.to_string()))
}

pub(super) async fn get(scope: Scope) -> Result<Json<Routing>, Failure> {
    let (routes, hub) = (&scope.engine().routes, scope.hub()?.no);
    let routing = routes.fetch(&scope.ctx, hub)?;
    let counts = routes.counts(&scope.ctx, hub)?;
    Ok(Json(Routing {
        routes: routing.routes.iter().map(Route::of).collect(),
        fallback_route: FallbackRoute::of(&routing.fallback),
        enrichments: routing.enrichments.iter().map(Enrichment::of).collect(),
        counts: RoutingCounts {
            orphaned: counts.orphaned,
            too_large: counts.too_large,
            lost: counts.lost,
        },
    }))
}

pub(super) async fn list_routes(scope: Scope) -> Result<Json<Page<Route>>, Failure> {
    let routing = scope.engine().routes.fetch(&scope.ctx, scope.hub()?.no)?;
    Ok(Json(Page {
        items: routing.routes.iter().map(Route::of).collect(),
        next: None,
    }))
}

pub(super) async fn create_route(
    scope: Scope,
    Document(route): Document<Route>,
) -> Result<(StatusCode, Json<Route>), Failure> {
    let route = route.parse().map_err(refused)?;
    let (routes, hub) = (&scope.engine().routes, scope.hub()?.no);
    let created = routes.create(&scope.ctx, hub, route).await?;
    Ok((StatusCode::CREATED, Json(Route::of(&created))))
}

pub(super) async fn get_route(scope: Scope) -> Result<Json<Route>, Failure> {
    let name = route_name(&scope)?;
    find_route(&scope, &name).map(|route| Json(Route::of(&route)))
}

fn find_route(scope: &Scope, name: &RouteName) -> Result<hub_domain::routing::Route, Failure> {
    let routing = scope.engine().routes.fetch(&scope.ctx, scope.hub()?.no)?;
    let mut routes = routing.routes.into_iter();
    routes
        .find(|route| route.name.as_str().eq_ignore_ascii_case(name.as_str()))
        .ok_or_else(|| {
            Failure::from(Error::new(
                ErrorKind::NotFound,
                format!("there is no route {name}"),
            ))
        })
}

pub(super) async fn replace_route(
    scope: Scope,
    Document(route): Document<Route>,
) -> Result<Json<Route>, Failure> {
    let name = route_name(&scope)?;
    let route = route.parse().map_err(refused)?;
    if !route.name.as_str().eq_ignore_ascii_case(name.as_str()) {
        return Err(Failure::invalid(
            "the name in the body is not the one in the path",
        ));
    }
    let (routes, hub) = (&scope.engine().routes, scope.hub()?.no);
    let replaced = routes.replace(&scope.ctx, hub, route).await?;
    Ok(Json(Route::of(&replaced)))
}

pub(super) async fn delete_route(scope: Scope) -> Result<StatusCode, Failure> {
    let name = route_name(&scope)?;
    let (routes, hub) = (&scope.engine().routes, scope.hub()?.no);
    routes.delete(&scope.ctx, hub, &name).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn replace_fallback(
    scope: Scope,
    Document(fallback): Document<FallbackRoute>,
) -> Result<Json<FallbackRoute>, Failure> {
    let (routes, hub) = (&scope.engine().routes, scope.hub()?.no);
    let set = routes
        .set_fallback(&scope.ctx, hub, fallback.route())
        .await?;
    Ok(Json(FallbackRoute::of(&set)))
}

pub(super) async fn put_enrichment(
    scope: Scope,
    Document(enrichment): Document<Enrichment>,
) -> Result<Json<Enrichment>, Failure> {
    let enrichment = enrichment.parse().map_err(refused)?;
    if enrichment.key != key(&scope)? {
        return Err(Failure::invalid(
            "the key in the body is not the one in the path",
        ));
    }
    let (routes, hub) = (&scope.engine().routes, scope.hub()?.no);
    let put = routes.put_enrichment(&scope.ctx, hub, enrichment).await?;
    Ok(Json(Enrichment::of(&put)))
}

pub(super) async fn delete_enrichment(scope: Scope) -> Result<StatusCode, Failure> {
    let key = key(&scope)?;
    let (routes, hub) = (&scope.engine().routes, scope.hub()?.no);
    routes.delete_enrichment(&scope.ctx, hub, &key).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn test(
    scope: Scope,
    Document(test): Document<RoutingTest>,
) -> Result<Json<RoutingTestResult>, Failure> {
    let message = TestMessage {
        body: test.message.body.into_bytes(),
        application: test.message.app_properties,
        system: test.message.system_properties,
    };
    let twin = test.twin.map(|twin| TestTwin {
        tags: twin.tags,
        desired: twin.properties.desired,
        reported: twin.properties.reported,
    });
    let condition = match (test.condition, &test.route) {
        (Some(condition), None) => Some(condition),
        (None, Some(name)) => {
            let name =
                RouteName::parse(name).map_err(|error| Failure::invalid(error.to_string()))?;
            Some(find_route(&scope, &name)?.condition)
        }
        (None, None) => None,
        (Some(_), Some(_)) => {
            return Err(Failure::invalid("name a route or a condition, not both"));
        }
    };
    let (routes, hub) = (&scope.engine().routes, scope.hub()?.no);
    if let Some(condition) = condition {
        let outcome = routes.test(&scope.ctx, hub, &condition, &message, twin.as_ref())?;
        let result = match outcome {
            TestOutcome::True => "true",
            TestOutcome::False => "false",
            TestOutcome::Undefined => "undefined",
        };
        return Ok(Json(RoutingTestResult {
            result: result.to_owned(),
            routes: Vec::new(),
        }));
    }
    let source = match &test.source {
        Some(source) => parse_source(source).map_err(refused)?,
        None => Source::DeviceMessages,
    };
    let matches = routes.test_all(&scope.ctx, hub, source, &message, twin.as_ref())?;
    Ok(Json(RoutingTestResult {
        result: (!matches.is_empty()).to_string(),
        routes: matches
            .into_iter()
            .map(|found| match found {
                Match::Route(route) => route.name.to_string(),
                Match::Fallback(_) => FALLBACK_ROUTE.to_owned(),
            })
            .collect(),
    }))
}
