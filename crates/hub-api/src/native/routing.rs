//! Message routing: routes, the fallback route, enrichments, and trying them out.

use std::collections::BTreeMap;

use hub_domain::ids::IdError;
use hub_domain::routing::{
    self, BUILT_IN_ENDPOINT, EndpointName, EnrichmentKey, RouteName, Source,
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// A route: which messages or events go to which endpoints.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Route {
    /// Its name: 1 to 64 letters, digits, `.`, `_` and `-`, unique in the hub without regard to case.
    pub name: String,
    /// What it looks at: `DeviceMessages`, `TwinChangeEvents`, `DeviceLifecycleEvents`, `DeviceJobLifecycleEvents`,
    /// `DigitalTwinChangeEvents` or `DeviceConnectionStateEvents`.
    pub source: String,
    /// Which of that it takes, in the routing query language; all when absent.
    #[serde(default = "always")]
    pub condition: String,
    /// Where that goes; `events`, the built-in endpoint, when absent.
    #[serde(default = "built_in")]
    pub endpoint_names: Vec<String>,
    /// False when it is switched off.
    #[serde(default = "yes")]
    pub is_enabled: bool,
}

/// What becomes of telemetry that no route takes: it goes to the built-in endpoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct FallbackRoute {
    /// Which of it, in the routing query language; all when absent.
    #[serde(default = "always")]
    pub condition: String,
    /// False when what no route takes is dropped.
    pub is_enabled: bool,
}

/// An application property that the hub adds to what goes to certain endpoints.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Enrichment {
    /// The name of the property: 1 to 64 letters, digits, `.`, `_` and `-`.
    pub key: String,
    /// A text, `$iothubname`, or a path such as `$twin.tags.site`.
    pub value: String,
    /// For which endpoints; `events`, the built-in endpoint, when absent.
    #[serde(default = "built_in")]
    pub endpoint_names: Vec<String>,
}

/// Where the messages and events of a hub go.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Routing {
    /// The routes, in the order of their creation.
    pub routes: Vec<Route>,
    /// What becomes of telemetry that no route takes.
    pub fallback_route: FallbackRoute,
    /// What is stamped on messages.
    pub enrichments: Vec<Enrichment>,
    /// What went nowhere since the server started.
    pub counts: RoutingCounts,
}

/// Messages and events that went nowhere since the server started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct RoutingCounts {
    /// Messages that no route took.
    pub orphaned: u64,
    /// Messages that enrichments made larger than a message may be.
    pub too_large: u64,
    /// Connection state events that came faster than they could be routed.
    pub lost: u64,
}

/// A message, and a route to try it with; without a route, all of a source.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RoutingTest {
    /// The name of the route to try.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub route: Option<String>,
    /// A condition to try instead of a route's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub condition: Option<String>,
    /// The source whose routes are tried, when neither is named; `DeviceMessages` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// The message.
    #[serde(default)]
    pub message: TestMessage,
    /// The twin of its sender.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub twin: Option<TestTwin>,
}

/// A message to try routes with.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TestMessage {
    /// Its body as text.
    #[serde(default)]
    pub body: String,
    /// What its sender added.
    #[serde(default)]
    pub app_properties: BTreeMap<String, String>,
    /// What protocol and hub say of it, named as in conditions: `contentType`, `connectionDeviceId`, …
    #[serde(default)]
    pub system_properties: BTreeMap<String, String>,
}

/// A twin to try routes with.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TestTwin {
    /// Its tags.
    #[serde(default)]
    pub tags: Map<String, Value>,
    /// Its properties.
    #[serde(default)]
    pub properties: TestTwinProperties,
}

/// The properties of a twin to try routes with.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TestTwinProperties {
    /// The desired ones.
    #[serde(default)]
    pub desired: Map<String, Value>,
    /// The reported ones.
    #[serde(default)]
    pub reported: Map<String, Value>,
}

/// What became of a message that was tried.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct RoutingTestResult {
    /// `true`, `false` or `undefined` for one condition; for all routes of a source, `true` when any takes the message.
    pub result: String,
    /// The names of the routes that take it; `$fallback` for the fallback route. Empty when one condition was tried.
    pub routes: Vec<String>,
}

/// The document is no route or enrichment; the text says why.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RoutingError {
    /// A name breaks its rule.
    #[error(transparent)]
    Name(#[from] IdError),
    /// There is no such source.
    #[error("there is no source {0:?}, name one such as DeviceMessages or TwinChangeEvents")]
    Source(String),
}

fn always() -> String {
    "true".to_owned()
}

fn built_in() -> Vec<String> {
    vec![BUILT_IN_ENDPOINT.to_owned()]
}

const fn yes() -> bool {
    true
}

/// Reads the name of a source.
///
/// # Errors
/// When there is none of that name.
pub fn parse_source(text: &str) -> Result<Source, RoutingError> {
    Source::parse(text).ok_or_else(|| RoutingError::Source(text.chars().take(60).collect()))
}

fn names(endpoints: &[EndpointName]) -> Vec<String> {
    endpoints.iter().map(ToString::to_string).collect()
}

fn endpoints(names: &[String]) -> Result<Vec<EndpointName>, RoutingError> {
    let parsed: Result<_, IdError> = names.iter().map(|name| EndpointName::parse(name)).collect();
    Ok(parsed?)
}

impl Route {
    /// The document of a route.
    pub fn of(route: &routing::Route) -> Self {
        Self {
            name: route.name.to_string(),
            source: route.source.as_str().to_owned(),
            condition: route.condition.clone(),
            endpoint_names: names(&route.endpoints),
            is_enabled: route.enabled,
        }
    }

    /// The route of the document. Its condition is not looked at.
    ///
    /// # Errors
    /// When a name breaks its rule, or there is no such source.
    pub fn parse(&self) -> Result<routing::Route, RoutingError> {
        Ok(routing::Route {
            name: RouteName::parse(&self.name)?,
            source: parse_source(&self.source)?,
            condition: self.condition.clone(),
            endpoints: endpoints(&self.endpoint_names)?,
            enabled: self.is_enabled,
        })
    }
}

impl FallbackRoute {
    /// The document of a fallback route.
    pub fn of(route: &routing::FallbackRoute) -> Self {
        Self {
            condition: route.condition.clone(),
            is_enabled: route.enabled,
        }
    }

    /// The fallback route of the document.
    pub fn route(&self) -> routing::FallbackRoute {
        routing::FallbackRoute {
            condition: self.condition.clone(),
            enabled: self.is_enabled,
        }
    }
}

impl Enrichment {
    /// The document of an enrichment.
    pub fn of(enrichment: &routing::Enrichment) -> Self {
        Self {
            key: enrichment.key.to_string(),
            value: enrichment.value.clone(),
            endpoint_names: names(&enrichment.endpoints),
        }
    }

    /// The enrichment of the document. Its value is not looked at.
    ///
    /// # Errors
    /// When a name breaks its rule.
    pub fn parse(&self) -> Result<routing::Enrichment, RoutingError> {
        Ok(routing::Enrichment {
            key: EnrichmentKey::parse(&self.key)?,
            value: self.value.clone(),
            endpoints: endpoints(&self.endpoint_names)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_route_has_the_documented_defaults() {
        let short = r#"{"name":"hot","source":"devicemessages"}"#;
        let route: Route = serde_json::from_str(short).unwrap();
        let parsed = route.parse().unwrap();
        assert_eq!(
            serde_json::to_string(&Route::of(&parsed)).unwrap(),
            r#"{"name":"hot","source":"DeviceMessages","condition":"true","endpointNames":["events"],"isEnabled":true}"#
        );
    }

    #[test]
    fn what_is_no_route_says_why() {
        let route = |name: &str, source: &str| Route {
            name: name.to_owned(),
            source: source.to_owned(),
            condition: always(),
            endpoint_names: built_in(),
            is_enabled: true,
        };
        assert_eq!(
            route("a b", "DeviceMessages")
                .parse()
                .unwrap_err()
                .to_string(),
            "route name has the character ' ', which is not allowed"
        );
        assert_eq!(
            route("a", "Telemetry").parse().unwrap_err().to_string(),
            "there is no source \"Telemetry\", name one such as DeviceMessages or TwinChangeEvents"
        );
    }
}
