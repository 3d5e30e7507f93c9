//! What a reader asks for.

use hub_api::native::{EventSource, StartPosition};
use hub_domain::DeviceId;

use super::super::{Failure, Query};

/// Which events, from where, until when.
pub(super) struct EventRequest {
    pub(super) source: EventSource,
    pub(super) from: StartPosition,
    pub(super) partition: Option<u16>,
    pub(super) device: Option<DeviceId>,
    pub(super) at_end: AtEnd,
    pub(super) max: Option<u64>,
}

/// What to do when all there is was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AtEnd {
    /// Wait for more.
    Follow,
    /// End where the events ended when the stream opened.
    Stop,
}

impl EventRequest {
    pub(super) fn parse(mut query: Query) -> Result<Self, Failure> {
        let source = match query.take::<String>("source")? {
            None => EventSource::default(),
            Some(text) => EventSource::parse(&text).ok_or_else(|| {
                let names = EventSource::ALL.map(EventSource::as_str).join(", ");
                Failure::invalid(format!("the parameter source is one of {names}"))
            })?,
        };
        let request = Self {
            source,
            from: query.take("from")?.unwrap_or_default(),
            partition: query.take("partition")?,
            device: device(&mut query)?,
            at_end: match query.take::<bool>("follow")? {
                None | Some(true) => AtEnd::Follow,
                Some(false) => AtEnd::Stop,
            },
            max: query.take("max")?,
        };
        query.finish()?;
        request.check()
    }

    fn check(self) -> Result<Self, Failure> {
        let has_partition = self.partition.is_some();
        match self.source {
            EventSource::Telemetry
            | EventSource::DeviceConnectionStateEvents
            | EventSource::DeviceJobLifecycleEvents
            | EventSource::DigitalTwinChangeEvents
                if matches!(self.from, StartPosition::Offset(_)) && !has_partition =>
            {
                Err(Failure::invalid(
                    "an offset is one of a partition: name the partition too",
                ))
            }
            EventSource::TwinChangeEvents | EventSource::DeviceLifecycleEvents if has_partition => {
                Err(Failure::invalid(
                    "only telemetry has partitions; leave the parameter partition out",
                ))
            }
            _ if self.max == Some(0) => Err(Failure::invalid("max must be at least 1")),
            EventSource::Telemetry
            | EventSource::TwinChangeEvents
            | EventSource::DeviceLifecycleEvents
            | EventSource::DeviceConnectionStateEvents
            | EventSource::DeviceJobLifecycleEvents
            | EventSource::DigitalTwinChangeEvents => Ok(self),
        }
    }
}

fn device(query: &mut Query) -> Result<Option<DeviceId>, Failure> {
    let text = query.take::<String>("device")?;
    let device = text.map(|text| DeviceId::parse(&text)).transpose();
    device.map_err(|error| Failure::invalid(format!("the parameter device: {error}")))
}
