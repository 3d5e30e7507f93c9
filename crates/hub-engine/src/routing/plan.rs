//! The routing of one hub, compiled.

use hub_domain::limits::{ENRICHMENT_VALUE_CHARS_MAX, ENRICHMENTS_MAX, ROUTES_MAX};
use hub_domain::routing::{EndpointName, Routing, Source};
use hub_domain::{Hub, HubName};
use hub_query::{Condition, Message, Needs, Path, QueryError, TwinParts, twin_path, twin_text};

use crate::{Error, ErrorKind};

/// The name of the hub in an enrichment ("Message enrichments").
const HUB_NAME: &str = "$iothubname";

/// What a hub does with its messages and events.
#[derive(Debug)]
pub(crate) struct Plan {
    hub: HubName,
    routes: Vec<Way>,
    fallback: Option<Condition>,
    stamps: Vec<Stamp>,
}

#[derive(Debug)]
struct Way {
    source: Source,
    condition: Condition,
}

#[derive(Debug)]
struct Stamp {
    key: String,
    value: StampValue,
}

#[derive(Debug)]
enum StampValue {
    Text(String),
    /// A place in the sender's twin, and the text that stands for it when there is nothing.
    Twin(Path, String),
}

impl Plan {
    /// The plan of a hub. Its routing was checked when it was set; what cannot be read all the same takes nothing.
    pub(crate) fn of(hub: &Hub) -> Self {
        let routing = &hub.settings.routing;
        let condition = |text: &str| {
            Condition::parse(text)
                .inspect_err(|error| {
                    tracing::error!(hub = %hub.name, %error, "a stored route cannot be read");
                })
                .ok()
        };
        let enabled = routing.routes.iter().filter(|route| route.enabled);
        Self {
            hub: hub.name.clone(),
            routes: enabled
                .filter_map(|route| {
                    Some(Way {
                        source: route.source,
                        condition: condition(&route.condition)?,
                    })
                })
                .collect(),
            fallback: match routing.fallback.enabled {
                true => condition(&routing.fallback.condition),
                false => None,
            },
            stamps: routing
                .enrichments
                .iter()
                .map(|enrichment| Stamp {
                    key: enrichment.key.as_str().to_owned(),
                    value: stamp_value(&hub.name, &enrichment.value),
                })
                .collect(),
        }
    }

    /// True when all telemetry goes to the log as it is: nothing has to be looked at.
    pub(crate) fn takes_telemetry_whole(&self) -> bool {
        let mut routes = self.of_source(Source::DeviceMessages).peekable();
        let is_all_taken = match routes.peek() {
            None => self.fallback.as_ref().is_some_and(Condition::is_always),
            Some(_) => routes.any(|way| way.condition.is_always()),
        };
        is_all_taken && self.stamps.is_empty()
    }

    /// True when something of that source may go somewhere.
    pub(crate) fn wants(&self, source: Source) -> bool {
        let has_fallback = source == Source::DeviceMessages && self.fallback.is_some();
        has_fallback || self.of_source(source).next().is_some()
    }

    /// True when facts of the hub have to be read.
    pub(crate) fn wants_facts(&self) -> bool {
        self.wants(Source::TwinChangeEvents) || self.wants(Source::DeviceLifecycleEvents)
    }

    /// What deciding on that source looks at.
    pub(crate) fn needs(&self, source: Source) -> Needs {
        let fallback = self
            .fallback
            .iter()
            .filter(|_| source == Source::DeviceMessages);
        let needs = self
            .of_source(source)
            .map(|way| &way.condition)
            .chain(fallback)
            .fold(Needs::default(), |needs, condition| {
                needs.or(condition.needs())
            });
        let stamps_twin = self
            .stamps
            .iter()
            .any(|stamp| matches!(stamp.value, StampValue::Twin(_, _)));
        Needs {
            twin: needs.twin || stamps_twin,
            ..needs
        }
    }

    /// True when a route takes the message, or the fallback route does.
    pub(crate) fn takes(&self, source: Source, message: &impl Message) -> bool {
        let is_taken = self
            .of_source(source)
            .any(|way| way.condition.holds(message));
        let mut fallback = self.fallback.iter();
        is_taken
            || source == Source::DeviceMessages
                && fallback.any(|condition| condition.holds(message))
    }

    /// The application properties to add to what the log gets ("Message enrichments"). What a twin lacks is stamped
    /// as the path itself, as documented.
    pub(crate) fn stamps<'a>(
        &'a self,
        source: Source,
        twin: Option<TwinParts<'a>>,
    ) -> impl Iterator<Item = (&'a str, String)> {
        let stamps = match source {
            Source::DigitalTwinChangeEvents => &[],
            Source::DeviceMessages
            | Source::TwinChangeEvents
            | Source::DeviceLifecycleEvents
            | Source::DeviceJobLifecycleEvents
            | Source::DeviceConnectionStateEvents => self.stamps.as_slice(),
        };
        stamps.iter().map(move |stamp| {
            let value = match &stamp.value {
                StampValue::Text(text) => text.clone(),
                StampValue::Twin(path, otherwise) => twin
                    .and_then(|twin| twin_text(twin, path))
                    .unwrap_or_else(|| otherwise.clone()),
            };
            (stamp.key.as_str(), value)
        })
    }

    /// The name of the hub.
    pub(crate) const fn hub(&self) -> &HubName {
        &self.hub
    }

    fn of_source(&self, source: Source) -> impl Iterator<Item = &Way> {
        self.routes.iter().filter(move |way| way.source == source)
    }
}

fn stamp_value(hub: &HubName, value: &str) -> StampValue {
    if value.eq_ignore_ascii_case(HUB_NAME) {
        return StampValue::Text(hub.as_str().to_owned());
    }
    match twin_path(value) {
        Ok(Some(path)) => StampValue::Twin(path, value.to_owned()),
        Ok(None) | Err(_) => StampValue::Text(value.to_owned()),
    }
}

/// Checks what a hub is to do with its messages.
///
/// # Errors
/// `Invalid`, with a text that says which part and why.
pub(crate) fn check(routing: &Routing) -> Result<(), Error> {
    if routing.routes.len() > ROUTES_MAX {
        return Err(invalid(format!("a hub has at most {ROUTES_MAX} routes")));
    }
    if routing.enrichments.len() > ENRICHMENTS_MAX {
        let text = format!("a hub has at most {ENRICHMENTS_MAX} enrichments");
        return Err(invalid(text));
    }
    for route in &routing.routes {
        let what = format!("the route {}", route.name);
        check_condition(&what, &route.condition)?;
        check_endpoints(&what, &route.endpoints)?;
    }
    check_condition("the fallback route", &routing.fallback.condition)?;
    for enrichment in &routing.enrichments {
        let what = format!("the enrichment {}", enrichment.key);
        check_endpoints(&what, &enrichment.endpoints)?;
        check_value(&what, &enrichment.value)?;
    }
    Ok(())
}

fn check_condition(what: &str, condition: &str) -> Result<(), Error> {
    match Condition::parse(condition) {
        Ok(_) => Ok(()),
        Err(error) => Err(not_read(&format!("the condition of {what}"), &error)),
    }
}

fn check_endpoints(what: &str, endpoints: &[EndpointName]) -> Result<(), Error> {
    if endpoints.is_empty() {
        return Err(invalid(format!("{what} names no endpoint, name events")));
    }
    match endpoints.iter().find(|endpoint| !endpoint.is_built_in()) {
        None => Ok(()),
        Some(endpoint) => Err(invalid(format!(
            "{what} names the endpoint {endpoint}, which does not exist; the hub has the built-in endpoint events"
        ))),
    }
}

fn check_value(what: &str, value: &str) -> Result<(), Error> {
    let length = value.chars().count();
    if length == 0 || length > ENRICHMENT_VALUE_CHARS_MAX {
        return Err(invalid(format!(
            "the value of {what} has 1 to {ENRICHMENT_VALUE_CHARS_MAX} characters"
        )));
    }
    match twin_path(value) {
        Ok(_) => Ok(()),
        Err(error) => Err(not_read(&format!("the value of {what}"), &error)),
    }
}

fn not_read(what: &str, error: &QueryError) -> Error {
    invalid(format!("{what} cannot be read: {error}"))
}

fn invalid(text: String) -> Error {
    Error::new(ErrorKind::Invalid, text)
}
