//! Message routing as a hub is set to do it: routes, the fallback route and enrichments.
//!
//! Conditions and enrichment values are kept as their author wrote them; who decides by them compiles
//! them. Names, sources and numbers are those of the resource documentation ("Microsoft.Devices
//! IotHubs", `RoutingProperties`) and of "Use IoT Hub message routing".

use std::fmt;
use std::sync::Arc;

use crate::ids::IdError;

/// Longest name of a route or endpoint in characters (`RouteProperties`).
pub const ROUTING_NAME_CHARS_MAX: usize = 64;
/// The name of the built-in endpoint.
pub const BUILT_IN_ENDPOINT: &str = "events";
/// The name that results of the fallback route bear; no route may have it.
pub const FALLBACK_ROUTE: &str = "$fallback";

/// Where the messages and events of a hub go. The default is what a new hub does: telemetry goes to
/// the built-in endpoint by the fallback route, and nothing else goes anywhere.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Routing {
    /// The routes, in the order of their creation.
    pub routes: Vec<Route>,
    /// What becomes of telemetry that no route takes.
    pub fallback: FallbackRoute,
    /// What is stamped on messages.
    pub enrichments: Vec<Enrichment>,
}

/// One way from a source to endpoints.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// Its name, unique in the hub without regard to case.
    pub name: RouteName,
    /// What it looks at.
    pub source: Source,
    /// Which of that it takes, in the routing query language; `true` takes all.
    pub condition: String,
    /// Where that goes.
    pub endpoints: Vec<EndpointName>,
    /// False when the route is switched off.
    pub enabled: bool,
}

/// The route of telemetry that no other route takes, to the built-in endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FallbackRoute {
    /// Which of it, in the routing query language; `true` takes all.
    pub condition: String,
    /// False when what no route takes is dropped.
    pub enabled: bool,
}

impl Default for FallbackRoute {
    fn default() -> Self {
        Self {
            condition: "true".to_owned(),
            enabled: true,
        }
    }
}

/// An application property that the hub adds to what goes to certain endpoints.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Enrichment {
    /// The property's name.
    pub key: EnrichmentKey,
    /// Its value: a text, `$iothubname`, or a path such as `$twin.tags.site`.
    pub value: String,
    /// For which endpoints.
    pub endpoints: Vec<EndpointName>,
}

/// What a route looks at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Source {
    /// Telemetry.
    #[default]
    DeviceMessages,
    /// Changes of twins.
    TwinChangeEvents,
    /// Creation and deletion of devices and modules.
    DeviceLifecycleEvents,
    /// States of jobs.
    DeviceJobLifecycleEvents,
    /// Changes of digital twins.
    DigitalTwinChangeEvents,
    /// Connections of devices that begin and end.
    DeviceConnectionStateEvents,
}

impl Source {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::DeviceMessages,
        Self::TwinChangeEvents,
        Self::DeviceLifecycleEvents,
        Self::DeviceJobLifecycleEvents,
        Self::DigitalTwinChangeEvents,
        Self::DeviceConnectionStateEvents,
    ];

    /// The name in a route (`RoutingSource`).
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::DeviceMessages => "DeviceMessages",
            Self::TwinChangeEvents => "TwinChangeEvents",
            Self::DeviceLifecycleEvents => "DeviceLifecycleEvents",
            Self::DeviceJobLifecycleEvents => "DeviceJobLifecycleEvents",
            Self::DigitalTwinChangeEvents => "DigitalTwinChangeEvents",
            Self::DeviceConnectionStateEvents => "DeviceConnectionStateEvents",
        }
    }

    /// The source of that name, without regard to case.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|source| source.as_str().eq_ignore_ascii_case(text))
    }

    /// The value of the system property `iothub-message-source` ("Non-telemetry event schemas").
    pub const fn message_source(self) -> &'static str {
        match self {
            Self::DeviceMessages => "Telemetry",
            Self::TwinChangeEvents => "twinChangeEvents",
            Self::DeviceLifecycleEvents => "deviceLifecycleEvents",
            Self::DeviceJobLifecycleEvents => "deviceJobLifecycleEvents",
            Self::DigitalTwinChangeEvents => "digitalTwinChangeEvents",
            Self::DeviceConnectionStateEvents => "deviceConnectionStateEvents",
        }
    }

    /// The number of the source in records. This is a disk format.
    pub const fn number(self) -> u8 {
        match self {
            Self::DeviceMessages => 0,
            Self::TwinChangeEvents => 1,
            Self::DeviceLifecycleEvents => 2,
            Self::DeviceJobLifecycleEvents => 3,
            Self::DigitalTwinChangeEvents => 4,
            Self::DeviceConnectionStateEvents => 5,
        }
    }

    /// The source of that number.
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|source| source.number() == number)
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $what:literal, $is_allowed:expr) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Checks length and characters.
            ///
            /// # Errors
            /// When empty, too long, or with a character outside the documented set.
            pub fn parse(text: &str) -> Result<Self, IdError> {
                if text.is_empty() || text.chars().count() > ROUTING_NAME_CHARS_MAX {
                    return Err(IdError::Length {
                        what: $what,
                        max: ROUTING_NAME_CHARS_MAX,
                    });
                }
                match text.chars().find(|c| !$is_allowed(*c)) {
                    Some(character) => Err(IdError::Character {
                        what: $what,
                        character,
                    }),
                    None => Ok(Self(Arc::from(text))),
                }
            }

            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

const fn is_name_character(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-')
}

name!(
    /// The name of a route: 1 to 64 letters, digits, `.`, `_` and `-`. Cheap to clone.
    RouteName,
    "route name",
    is_name_character
);
name!(
    /// The name of an endpoint, same rule as a route's. Cheap to clone.
    EndpointName,
    "endpoint name",
    is_name_character
);
name!(
    /// The key of an enrichment, same rule as a route's name. Cheap to clone.
    EnrichmentKey,
    "enrichment key",
    is_name_character
);

impl EndpointName {
    /// The built-in endpoint.
    pub fn built_in() -> Self {
        Self(Arc::from(BUILT_IN_ENDPOINT))
    }

    /// True for the built-in endpoint, whatever its case.
    pub fn is_built_in(&self) -> bool {
        self.0.eq_ignore_ascii_case(BUILT_IN_ENDPOINT)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_are_found_by_name_and_number() {
        for source in Source::ALL {
            assert_eq!(Source::parse(&source.as_str().to_lowercase()), Some(source));
            assert_eq!(Source::from_number(source.number()), Some(source));
        }
        assert_eq!(Source::parse("Invalid"), None);
        assert_eq!(Source::from_number(200), None);
    }

    #[test]
    fn names_have_their_documented_characters() {
        let verdict = |text: &str| match RouteName::parse(text) {
            Ok(name) => name.to_string(),
            Err(error) => error.to_string(),
        };
        assert_eq!(verdict("a.B_c-1"), "a.B_c-1");
        assert_eq!(
            verdict("a b"),
            "route name has the character ' ', which is not allowed"
        );
        assert_eq!(
            verdict(FALLBACK_ROUTE),
            "route name has the character '$', which is not allowed"
        );
        assert_eq!(verdict(""), "route name must have 1 to 64 characters");
        assert_eq!(
            verdict(&"x".repeat(65)),
            "route name must have 1 to 64 characters"
        );
        assert_eq!(verdict(&"x".repeat(64)), "x".repeat(64));
    }
}
