//! `route …` and `enrichment …`.

use clap::{ArgAction, Args, Subcommand};

use super::Common;

/// Commands on routes.
#[derive(Debug, Subcommand)]
pub enum RouteCommand {
    /// Create a route
    Create(RouteCreate),
    /// List the routes, and what becomes of telemetry that none takes
    List(Common),
    /// Show a route
    Show(RouteName),
    /// Change a route
    Update(RouteUpdate),
    /// Delete a route
    Delete(RouteName),
    /// Try a message with a route, a condition, or all routes of a source
    Test(Box<RouteTest>),
    /// Show or change what becomes of telemetry that no route takes
    Fallback(RouteFallback),
}

impl RouteCommand {
    /// The arguments that all commands have.
    pub(crate) fn common(&self) -> &Common {
        match self {
            Self::Create(create) => &create.name.common,
            Self::List(common) => common,
            Self::Show(name) | Self::Delete(name) => &name.common,
            Self::Update(update) => &update.name.common,
            Self::Test(test) => &test.common,
            Self::Fallback(fallback) => &fallback.common,
        }
    }
}

/// The name of a route.
#[derive(Debug, Args)]
pub struct RouteName {
    /// The route's name
    #[arg(long, visible_alias = "rn", short = 'n', value_name = "NAME")]
    pub(crate) route_name: String,
    #[command(flatten)]
    pub(crate) common: Common,
}

/// `route create`.
#[derive(Debug, Args)]
pub struct RouteCreate {
    #[command(flatten)]
    pub(crate) name: RouteName,
    /// What it looks at, such as DeviceMessages or TwinChangeEvents
    #[arg(long, visible_aliases = ["source", "st"], short = 't', value_name = "SOURCE")]
    pub(crate) source_type: String,
    /// Which of that it takes, in the routing query language
    #[arg(long, short = 'c', value_name = "QUERY", default_value = "true")]
    pub(crate) condition: String,
    /// Where that goes
    #[arg(
        long,
        visible_alias = "en",
        value_name = "NAME",
        default_value = "events"
    )]
    pub(crate) endpoint_name: String,
    /// Whether it is switched on
    #[arg(long, short = 'e', value_name = "BOOL", default_value_t = true, action = ArgAction::Set)]
    pub(crate) enabled: bool,
}

/// `route update`.
#[derive(Debug, Args)]
pub struct RouteUpdate {
    #[command(flatten)]
    pub(crate) name: RouteName,
    /// What it looks at
    #[arg(long, visible_aliases = ["source", "st"], short = 't', value_name = "SOURCE")]
    pub(crate) source_type: Option<String>,
    /// Which of that it takes
    #[arg(long, short = 'c', value_name = "QUERY")]
    pub(crate) condition: Option<String>,
    /// Where that goes
    #[arg(long, visible_alias = "en", value_name = "NAME")]
    pub(crate) endpoint_name: Option<String>,
    /// Whether it is switched on
    #[arg(long, short = 'e', value_name = "BOOL", action = ArgAction::Set)]
    pub(crate) enabled: Option<bool>,
}

/// `route test`.
#[derive(Debug, Args)]
pub struct RouteTest {
    /// The route to try; all of a source when absent
    #[arg(
        long,
        visible_alias = "rn",
        short = 'n',
        value_name = "NAME",
        conflicts_with = "condition"
    )]
    pub(crate) route_name: Option<String>,
    /// A condition to try instead
    #[arg(long, short = 'c', value_name = "QUERY")]
    pub(crate) condition: Option<String>,
    /// The source whose routes are tried
    #[arg(long, visible_aliases = ["source", "st"], short = 't', value_name = "SOURCE")]
    pub(crate) source_type: Option<String>,
    /// The body of the message
    #[arg(
        long,
        visible_alias = "mb",
        short = 'b',
        value_name = "TEXT",
        default_value = ""
    )]
    pub(crate) body: String,
    /// Application properties as JSON: {"name":"value"}
    #[arg(long, visible_alias = "ap", value_name = "JSON")]
    pub(crate) app_properties: Option<String>,
    /// System properties as JSON: {"contentType":"application/json"}
    #[arg(long, visible_alias = "sp", value_name = "JSON")]
    pub(crate) system_properties: Option<String>,
    /// The sender's twin as JSON: {"tags":{},"properties":{"desired":{},"reported":{}}}
    #[arg(long, value_name = "JSON")]
    pub(crate) twin: Option<String>,
    #[command(flatten)]
    pub(crate) common: Common,
}

/// `route fallback`.
#[derive(Debug, Args)]
pub struct RouteFallback {
    /// Whether telemetry that no route takes goes to the built-in endpoint
    #[arg(long, short = 'e', value_name = "BOOL", action = ArgAction::Set)]
    pub(crate) enabled: Option<bool>,
    /// Which of it, in the routing query language
    #[arg(long, short = 'c', value_name = "QUERY")]
    pub(crate) condition: Option<String>,
    #[command(flatten)]
    pub(crate) common: Common,
}

/// Commands on enrichments.
#[derive(Debug, Subcommand)]
pub enum EnrichmentCommand {
    /// Create an enrichment
    Create(EnrichmentWrite),
    /// List the enrichments
    List(Common),
    /// Change an enrichment
    Update(EnrichmentWrite),
    /// Delete an enrichment
    Delete(EnrichmentKey),
}

impl EnrichmentCommand {
    /// The arguments that all commands have.
    pub(crate) const fn common(&self) -> &Common {
        match self {
            Self::Create(write) | Self::Update(write) => &write.key.common,
            Self::List(common) => common,
            Self::Delete(key) => &key.common,
        }
    }
}

/// `enrichment create` and `enrichment update`.
#[derive(Debug, Args)]
pub struct EnrichmentWrite {
    #[command(flatten)]
    pub(crate) key: EnrichmentKey,
    /// A text, $iothubname, or a path such as $twin.tags.site
    #[arg(long, short = 'v', value_name = "VALUE")]
    pub(crate) value: String,
    /// For which endpoints, separated by commas
    #[arg(
        long,
        short = 'e',
        value_name = "NAMES",
        value_delimiter = ',',
        default_value = "events"
    )]
    pub(crate) endpoints: Vec<String>,
}

/// The key of an enrichment.
#[derive(Debug, Args)]
pub struct EnrichmentKey {
    /// The name of the property that is stamped
    #[arg(long, short = 'k', value_name = "KEY")]
    pub(crate) key: String,
    #[command(flatten)]
    pub(crate) common: Common,
}
