//! `events …`.

use clap::{Args, Subcommand};
use hub_api::native::StartPosition;

use super::Common;

/// Commands on events.
#[derive(Debug, Subcommand)]
pub enum EventsCommand {
    /// Print events as they come
    Watch(EventsWatch),
}

/// `events watch`.
#[derive(Debug, Args)]
pub struct EventsWatch {
    /// Telemetry, twinChangeEvents or deviceLifecycleEvents
    #[arg(long, value_name = "SOURCE", default_value = "Telemetry", value_parser = source)]
    pub(crate) source: hub_api::native::EventSource,
    /// Where to begin: start, end, offset:NUMBER (with --partition) or time:2026-01-31T12:00:00Z
    #[arg(long, value_name = "POSITION", default_value = "end")]
    pub(crate) from: StartPosition,
    /// Only this device and its modules
    #[arg(long, short, value_name = "ID")]
    pub(crate) device_id: Option<String>,
    /// Only this partition
    #[arg(long, value_name = "NUMBER")]
    pub(crate) partition: Option<u16>,
    /// End after so many events
    #[arg(long, value_name = "NUMBER")]
    pub(crate) max: Option<u64>,
    /// End when no event came for so many seconds
    #[arg(long, value_name = "SECONDS")]
    pub(crate) timeout: Option<u64>,
    /// End at the newest event there is, instead of waiting for more
    #[arg(long)]
    pub(crate) no_follow: bool,
    #[command(flatten)]
    pub(crate) common: Common,
}

fn source(text: &str) -> Result<hub_api::native::EventSource, String> {
    use hub_api::native::EventSource;
    let names = EventSource::ALL.map(EventSource::as_str).join(", ");
    EventSource::parse(text).ok_or_else(|| format!("one of {names}"))
}
