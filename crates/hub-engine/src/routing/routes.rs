//! Operations on the routing of a hub.

use std::borrow::Cow;
use std::collections::BTreeMap;

use hub_domain::routing::{
    Enrichment, EnrichmentKey, FallbackRoute, Route, RouteName, Routing, Source,
};
use hub_domain::{ErrorCode, Hub, HubNo, Permission};
use hub_query::{Condition, Message, TwinParts, Value, json_body};
use serde_json::{Map, Value as Json};

use super::plan::check;
use super::slot::RoutingCounts;
use crate::{Error, ErrorKind, Hubs, OpContext};

/// Operations on routes, the fallback route and enrichments. They count from the next message on.
pub struct Routes {
    hubs: Hubs,
}

/// A message to try routes with.
#[derive(Clone, Debug, Default)]
pub struct TestMessage {
    /// Its body.
    pub body: Vec<u8>,
    /// What its sender added.
    pub application: BTreeMap<String, String>,
    /// What protocol and hub say of it, named as in conditions (`contentType`).
    pub system: BTreeMap<String, String>,
}

/// A twin to try routes with.
#[derive(Clone, Debug, Default)]
pub struct TestTwin {
    /// Its tags.
    pub tags: Map<String, Json>,
    /// Its desired properties.
    pub desired: Map<String, Json>,
    /// Its reported properties.
    pub reported: Map<String, Json>,
}

/// What a route does with a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TestOutcome {
    /// It takes it.
    True,
    /// It does not.
    False,
    /// It does not, for its condition has no truth value for it.
    Undefined,
}

impl Routes {
    pub(crate) const fn new(hubs: Hubs) -> Self {
        Self { hubs }
    }

    /// The routing of a hub.
    ///
    /// # Errors
    /// Needs `ServiceConnect`. The hub does not exist.
    pub fn fetch(&self, ctx: &OpContext, hub: HubNo) -> Result<Routing, Error> {
        ctx.caller.require(hub, Permission::ServiceConnect)?;
        let hub = self.hubs.by_no(hub).ok_or_else(no_hub)?;
        Ok(hub.settings.routing.clone())
    }

    /// Messages and events that went nowhere, since the start.
    ///
    /// # Errors
    /// Needs `ServiceConnect`. The hub does not exist.
    pub fn counts(&self, ctx: &OpContext, hub: HubNo) -> Result<RoutingCounts, Error> {
        ctx.caller.require(hub, Permission::ServiceConnect)?;
        Ok(self.hubs.slot(hub).ok_or_else(no_hub)?.counts())
    }

    /// Adds a route.
    ///
    /// # Errors
    /// Not allowed; the name is taken; the hub has 100 routes; the condition cannot be read; an endpoint does not exist.
    pub async fn create(&self, ctx: &OpContext, hub: HubNo, route: Route) -> Result<Route, Error> {
        let created = route.clone();
        self.change(ctx, hub, |routing| {
            if position(routing, &route.name).is_some() {
                let text = format!("there is a route {} already", route.name);
                return Err(Error::new(ErrorKind::AlreadyExists, text));
            }
            routing.routes.push(route.clone());
            Ok(())
        })
        .await?;
        Ok(created)
    }

    /// Replaces the route of that name.
    ///
    /// # Errors
    /// As [`Routes::create`], and there is no such route.
    pub async fn replace(&self, ctx: &OpContext, hub: HubNo, route: Route) -> Result<Route, Error> {
        let replaced = route.clone();
        self.change(ctx, hub, |routing| {
            let at = position(routing, &route.name).ok_or_else(|| no_route(&route.name))?;
            routing.routes[at] = route.clone();
            Ok(())
        })
        .await?;
        Ok(replaced)
    }

    /// Deletes a route.
    ///
    /// # Errors
    /// Not allowed; there is no such route.
    pub async fn delete(&self, ctx: &OpContext, hub: HubNo, name: &RouteName) -> Result<(), Error> {
        self.change(ctx, hub, |routing| {
            let at = position(routing, name).ok_or_else(|| no_route(name))?;
            routing.routes.remove(at);
            Ok(())
        })
        .await
    }

    /// Sets what becomes of telemetry that no route takes.
    ///
    /// # Errors
    /// Not allowed; the condition cannot be read.
    pub async fn set_fallback(
        &self,
        ctx: &OpContext,
        hub: HubNo,
        fallback: FallbackRoute,
    ) -> Result<FallbackRoute, Error> {
        self.change(ctx, hub, |routing| {
            routing.fallback = fallback.clone();
            Ok(())
        })
        .await?;
        Ok(fallback)
    }

    /// Adds an enrichment, or replaces the one of that key.
    ///
    /// # Errors
    /// Not allowed; the hub has 10 enrichments; the value is empty, too long or no path of a twin; an endpoint does not
    /// exist.
    pub async fn put_enrichment(
        &self,
        ctx: &OpContext,
        hub: HubNo,
        enrichment: Enrichment,
    ) -> Result<Enrichment, Error> {
        let put = enrichment.clone();
        self.change(ctx, hub, |routing| {
            let mut enrichments = routing.enrichments.iter_mut();
            match enrichments.find(|other| other.key == enrichment.key) {
                Some(other) => *other = enrichment.clone(),
                None => routing.enrichments.push(enrichment.clone()),
            }
            Ok(())
        })
        .await?;
        Ok(put)
    }

    /// Deletes an enrichment.
    ///
    /// # Errors
    /// Not allowed; there is no such enrichment.
    pub async fn delete_enrichment(
        &self,
        ctx: &OpContext,
        hub: HubNo,
        key: &EnrichmentKey,
    ) -> Result<(), Error> {
        self.change(ctx, hub, |routing| {
            let before = routing.enrichments.len();
            routing.enrichments.retain(|other| other.key != *key);
            if routing.enrichments.len() == before {
                let text = format!("there is no enrichment {key}");
                return Err(Error::new(ErrorKind::NotFound, text));
            }
            Ok(())
        })
        .await
    }

    /// What `condition` does with a message.
    ///
    /// # Errors
    /// Needs `ServiceConnect`. The condition cannot be read.
    pub fn test(
        &self,
        ctx: &OpContext,
        hub: HubNo,
        condition: &str,
        message: &TestMessage,
        twin: Option<&TestTwin>,
    ) -> Result<TestOutcome, Error> {
        ctx.caller.require(hub, Permission::ServiceConnect)?;
        let condition = Condition::parse(condition).map_err(|error| {
            Error::new(
                ErrorKind::Invalid,
                format!("the condition cannot be read: {error}"),
            )
        })?;
        Ok(outcome(&condition, &Sample::new(message, twin)))
    }

    /// The enabled routes of a source that take a message; the fallback route for telemetry that none takes.
    ///
    /// # Errors
    /// Needs `ServiceConnect`. The hub does not exist.
    pub fn test_all(
        &self,
        ctx: &OpContext,
        hub: HubNo,
        source: Source,
        message: &TestMessage,
        twin: Option<&TestTwin>,
    ) -> Result<Vec<Match>, Error> {
        let routing = self.fetch(ctx, hub)?;
        let sample = Sample::new(message, twin);
        let takes = |condition: &str| {
            Condition::parse(condition).is_ok_and(|condition| condition.holds(&sample))
        };
        let mut routes = routing.routes;
        routes.retain(|route| route.enabled && route.source == source && takes(&route.condition));
        let mut matches: Vec<Match> = routes.into_iter().map(Match::Route).collect();
        let is_left = matches.is_empty() && source == Source::DeviceMessages;
        if is_left && routing.fallback.enabled && takes(&routing.fallback.condition) {
            matches.push(Match::Fallback(routing.fallback));
        }
        Ok(matches)
    }

    async fn change(
        &self,
        ctx: &OpContext,
        hub: HubNo,
        decide: impl Fn(&mut Routing) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let update = self.hubs.update(ctx, hub, |former| {
            let mut next: Hub = former.clone();
            decide(&mut next.settings.routing)?;
            check(&next.settings.routing)?;
            Ok(next)
        });
        update.await.map(drop)
    }
}

/// A route that takes a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Match {
    /// One of the hub's.
    Route(Route),
    /// The fallback route.
    Fallback(FallbackRoute),
}

fn position(routing: &Routing, name: &RouteName) -> Option<usize> {
    routing
        .routes
        .iter()
        .position(|route| route.name.as_str().eq_ignore_ascii_case(name.as_str()))
}

fn no_route(name: &RouteName) -> Error {
    Error::new(ErrorKind::NotFound, format!("there is no route {name}"))
        .with_code(ErrorCode::GenericNotFound)
}

fn no_hub() -> Error {
    Error::new(ErrorKind::NotFound, "the hub does not exist")
}

fn outcome(condition: &Condition, sample: &Sample<'_>) -> TestOutcome {
    match condition.value(sample) {
        Value::Bool(true) => TestOutcome::True,
        Value::Undefined | Value::Null => TestOutcome::Undefined,
        Value::Bool(false) | Value::Number(_) | Value::Text(_) | Value::Array | Value::Object => {
            TestOutcome::False
        }
    }
}

/// A test message as conditions see it.
struct Sample<'a> {
    message: &'a TestMessage,
    body: Option<Json>,
    twin: Option<&'a TestTwin>,
}

impl<'a> Sample<'a> {
    fn new(message: &'a TestMessage, twin: Option<&'a TestTwin>) -> Self {
        let system = |name: &str| find(&message.system, name);
        Self {
            message,
            body: json_body(
                system("contentType"),
                system("contentEncoding"),
                &message.body,
            ),
            twin,
        }
    }
}

fn find<'a>(properties: &'a BTreeMap<String, String>, name: &str) -> Option<&'a str> {
    properties
        .iter()
        .find(|(key, _)| key.eq_ignore_ascii_case(name))
        .map(|(_, value)| value.as_str())
}

impl Message for Sample<'_> {
    fn application(&self, name: &str) -> Option<Cow<'_, str>> {
        find(&self.message.application, name).map(Cow::Borrowed)
    }

    fn system(&self, name: &str) -> Option<Cow<'_, str>> {
        find(&self.message.system, name).map(Cow::Borrowed)
    }

    fn body(&self) -> Option<&Json> {
        self.body.as_ref()
    }

    fn twin(&self) -> Option<TwinParts<'_>> {
        self.twin.map(|twin| TwinParts {
            tags: &twin.tags,
            desired: &twin.desired,
            reported: &twin.reported,
        })
    }
}
