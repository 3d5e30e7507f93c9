//! Link addresses: what a client means by attaching to one.
//!
//! Clients write bare paths (`/devices/d1/twin`) or whole URIs (`amqps://host:5671/devices/d1/twin`), fixed parts in any
//! case (`deviceBound` in the C# SDK), ids percent-encoded or not ("AMQP support"; `endpoint.ts` of the Node SDK;
//! `AmqpIotConstants.cs`; `_consumer.py` of azure-eventhub).

use std::fmt;

use hub_domain::provisioning::RegistrationId;
use hub_domain::{DeviceId, IdentityId, ModuleId};
use percent_encoding::percent_decode_str;

use crate::provisioning::Name;

/// Longest consumer group name in characters (Event Hubs quotas: 50; IoT Hub: 50).
const CONSUMER_GROUP_CHARS_MAX: usize = 50;

/// What an address means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Address {
    /// `$cbs`: tokens.
    Cbs,
    /// `$management` or `{entity}/$management`: questions about the event log.
    Management {
        /// The entity, when it is in the address.
        entity: Option<String>,
    },
    /// `{entity}/ConsumerGroups/{group}/Partitions/{partition}`: events of one partition.
    Partition(PartitionAddress),
    /// `/messages/events/…`: the events, asked for at the hub's own address.
    HubEvents {
        /// What follows `messages/events`, without a slash at either end.
        rest: String,
    },
    /// Something of a device or module.
    Device(IdentityId, DeviceAddress),
    /// Something of a back end.
    Service(ServiceAddress),
    /// `{idScope}/registrations/{registrationId}`: a device that registers.
    Registration(Name),
}

/// One partition as one consumer group reads it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PartitionAddress {
    /// The Event Hubs entity: a hub's name.
    pub(crate) entity: String,
    /// Who reads.
    pub(crate) group: ConsumerGroup,
    /// Which partition, as the client wrote it.
    pub(crate) partition: String,
}

/// What of a device or module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DeviceAddress {
    /// `messages/events`: telemetry from it, or inputs to it when it is a module that receives.
    Events,
    /// `messages/devicebound`.
    Messages,
    /// `methods/devicebound`.
    Methods,
    /// `twin`.
    Twin,
}

/// What of a back end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ServiceAddress {
    /// `/messages/devicebound`: send to devices.
    Messages,
    /// `/messages/serviceBound/feedback`.
    Feedback,
    /// `/messages/serviceBound/filenotifications`.
    FileNotifications,
}

/// The name of a consumer group in lower case: names compare without case.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct ConsumerGroup(String);

impl ConsumerGroup {
    fn parse(text: &str) -> Option<Self> {
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '$' | '-' | '_' | '.');
        let is_named =
            (1..=CONSUMER_GROUP_CHARS_MAX).contains(&text.len()) && text.chars().all(allowed);
        is_named.then(|| Self(text.to_ascii_lowercase()))
    }
}

impl fmt::Display for ConsumerGroup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The text is no address of the hub.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the hub has nothing at the address {0:?}")]
pub(crate) struct UnknownAddress(String);

/// Longest piece of an address that is repeated in an error.
const SHOWN_CHARS_MAX: usize = 128;

impl Address {
    /// Reads an address.
    ///
    /// # Errors
    /// When the hub has nothing there.
    pub(crate) fn parse(text: &str) -> Result<Self, UnknownAddress> {
        let path = without_authority(text).trim_matches('/');
        let segments: Vec<&str> = path.split('/').collect();
        Self::of_segments(&segments)
            .ok_or_else(|| UnknownAddress(text.chars().take(SHOWN_CHARS_MAX).collect()))
    }

    fn of_segments(segments: &[&str]) -> Option<Self> {
        match segments {
            [only] if is(only, "$cbs") => Some(Self::Cbs),
            [only] if is(only, "$management") => Some(Self::Management { entity: None }),
            [entity, last] if is(last, "$management") => Some(Self::Management {
                entity: Some(decoded(entity)?),
            }),
            [first, second, rest @ ..] if is(first, "messages") => match rest {
                rest if is(second, "events") => Some(Self::HubEvents {
                    rest: rest.join("/"),
                }),
                [] if is(second, "devicebound") => Some(Self::Service(ServiceAddress::Messages)),
                [last] if is(second, "servicebound") => Self::service_bound(last),
                _ => None,
            },
            [first, device, rest @ ..] if is(first, "devices") => Self::of_device(device, rest),
            [id_scope, registrations, id] if is(registrations, "registrations") => {
                Some(Self::Registration(Name {
                    id_scope: decoded(id_scope)?.into(),
                    id: RegistrationId::parse(&decoded(id)?).ok()?,
                }))
            }
            [entity, groups, group, partitions, partition]
                if is(groups, "consumergroups") && is(partitions, "partitions") =>
            {
                Some(Self::Partition(PartitionAddress {
                    entity: decoded(entity)?,
                    group: ConsumerGroup::parse(&decoded(group)?)?,
                    partition: (*partition).to_owned(),
                }))
            }
            _ => None,
        }
    }

    fn service_bound(last: &str) -> Option<Self> {
        if is(last, "feedback") {
            return Some(Self::Service(ServiceAddress::Feedback));
        }
        is(last, "filenotifications").then_some(Self::Service(ServiceAddress::FileNotifications))
    }

    fn of_device(device: &str, rest: &[&str]) -> Option<Self> {
        let device = DeviceId::parse(&decoded(device)?).ok()?;
        let (id, rest) = match rest {
            [modules, module, rest @ ..] if is(modules, "modules") => {
                let module = ModuleId::parse(&decoded(module)?).ok()?;
                (IdentityId::module(device, module), rest)
            }
            rest => (IdentityId::device(device), rest),
        };
        let address = match rest {
            [first, last] if is(first, "messages") && is(last, "events") => DeviceAddress::Events,
            [first, last] if is(first, "messages") && is(last, "devicebound") => {
                DeviceAddress::Messages
            }
            [first, last] if is(first, "methods") && is(last, "devicebound") => {
                DeviceAddress::Methods
            }
            [only] if is(only, "twin") => DeviceAddress::Twin,
            _ => return None,
        };
        Some(Self::Device(id, address))
    }
}

/// The host of an address that is a whole URI.
pub(crate) fn authority(text: &str) -> Option<&str> {
    let (_, rest) = text.split_once("://")?;
    Some(rest.split_once('/').map_or(rest, |(host, _)| host))
}

fn without_authority(text: &str) -> &str {
    match text.split_once("://") {
        None => text,
        Some((_, rest)) => rest.split_once('/').map_or("", |(_, path)| path),
    }
}

fn is(segment: &str, fixed: &str) -> bool {
    segment.eq_ignore_ascii_case(fixed)
}

fn decoded(segment: &str) -> Option<String> {
    let text = percent_decode_str(segment).decode_utf8().ok()?;
    (!text.is_empty()).then(|| text.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &str) {
        let shown = match Address::parse(text) {
            Ok(Address::Cbs) => "cbs".to_owned(),
            Ok(Address::Management { entity }) => format!("management {entity:?}"),
            Ok(Address::Partition(at)) => {
                format!("partition {} {} {}", at.entity, at.group, at.partition)
            }
            Ok(Address::HubEvents { rest }) => format!("hub events [{rest}]"),
            Ok(Address::Device(id, of)) => format!("{id} {of:?}"),
            Ok(Address::Service(of)) => format!("service {of:?}"),
            Ok(Address::Registration(name)) => {
                format!("registration {} {}", name.id_scope, name.id)
            }
            Err(_) => "unknown".to_owned(),
        };
        assert_eq!(shown, expected, "{text}");
    }

    #[test]
    fn addresses_of_the_official_clients() {
        check("/devices/d1/messages/events", "d1 Events");
        check("amqps://h.test/devices/d1/messages/events/", "d1 Events");
        check(
            "amqps://h.test:5671/devices/d1/messages/deviceBound",
            "d1 Messages",
        );
        check("/devices/d1/methods/devicebound", "d1 Methods");
        check("/devices/a%2Bb%23/twin", "a+b# Twin");
        check("/devices/a+b/twin", "a+b Twin");
        check("/devices/a%b/twin", "a%b Twin");
        check("/devices/d1/modules/m1/twin", "d1/m1 Twin");
        check("/Devices/D1/Modules/M1/Messages/Events", "D1/M1 Events");
        check("$cbs", "cbs");
        check("amqps://h.test/$cbs", "cbs");
        check("/messages/deviceBound", "service Messages");
        check("amqps://h.test/messages/devicebound", "service Messages");
        check("/messages/serviceBound/feedback", "service Feedback");
        check(
            "/messages/servicebound/FileNotifications",
            "service FileNotifications",
        );
        check("$management", "management None");
        check("hub/$management", "management Some(\"hub\")");
        check("/messages/events/$management", "hub events [$management]");
        check(
            "amqps://h.test:5671/hub/ConsumerGroups/$Default/Partitions/0",
            "partition hub $default 0",
        );
        check(
            "hub/consumergroups/Other/partitions/1",
            "partition hub other 1",
        );
        check(
            "/messages/events/ConsumerGroups/$Default/Partitions/3",
            "hub events [ConsumerGroups/$Default/Partitions/3]",
        );
        check("0ne0/registrations/A:b", "registration 0ne0 A:b");
        check(
            "amqps://h.test/0ne0/registrations/d%3A1",
            "registration 0ne0 d:1",
        );
    }

    #[test]
    fn other_addresses_mean_nothing() {
        for text in [
            "",
            "/",
            "$other",
            "/devices",
            "/devices//twin",
            "/devices/d1",
            "/devices/d1/twin/x",
            "/devices/d 1/twin",
            "/devices/d1/modules/m1",
            "/devices/%ff/twin",
            "/messages",
            "/messages/servicebound",
            "/messages/servicebound/other",
            "hub/consumergroups/a b/partitions/0",
            "hub/consumergroups//partitions/0",
            "hub",
            "0ne0/registrations",
            "0ne0/registrations/",
            "0ne0/registrations/d 1",
            "0ne0/registrations/d1/x",
            "devices/registrations/d1",
        ] {
            check(text, "unknown");
        }
        assert!(Address::parse(&"x/".repeat(100_000)).is_err());
    }

    #[test]
    fn the_host_of_a_whole_uri_is_known() {
        assert_eq!(authority("amqps://h.test:5671/x/y"), Some("h.test:5671"));
        assert_eq!(authority("sb://h.test"), Some("h.test"));
        assert_eq!(authority("/devices/d1"), None);
    }
}
