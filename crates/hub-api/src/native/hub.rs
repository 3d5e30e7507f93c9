//! Hubs and what a client needs to reach one.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// One page of a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Page<T> {
    /// The items, in the order of their ids.
    pub items: Vec<T>,
    /// What to ask `after` for the next page; absent on the last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// A hub in a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct HubSummary {
    /// Its name, also the Event Hubs entity name.
    pub name: String,
    /// The host name that clients use.
    pub host_name: String,
    /// Further host names that mean this hub.
    pub aliases: Vec<String>,
    /// Partitions of its message log.
    pub partition_count: u16,
    /// How many days telemetry is kept.
    pub retention_days: u32,
    /// True for the hub that is meant where none is named.
    pub default: bool,
}

/// A hub to create.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NewHub {
    /// ASCII letters, digits and `-`, 1 to 50 characters.
    pub name: String,
    /// The host name that clients resolve and send.
    pub host_name: String,
    /// Further host names that mean this hub.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub aliases: Vec<String>,
    /// Partitions of its message log, 2 to 128, fixed at creation; 4 when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub partition_count: Option<u16>,
}

/// Everything a client needs to reach a hub. Members keep their names and meaning across versions.
///
/// Who is not the administrator gets it without the parts that hold keys.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct HubDocument {
    /// The hub's name.
    pub name: String,
    /// The host name that clients use.
    pub host_name: String,
    /// Where the installation listens.
    pub ports: Ports,
    /// Path of the PEM file with the certificate that clients have to trust, on the machine of the server.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca_certificate: Option<String>,
    /// One per default policy; without port and without `;` at the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connection_strings: Option<ConnectionStrings>,
    /// How to read what devices send.
    pub events: EventsAccess,
    /// How devices are provisioned, where the installation provisions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub provisioning: Option<ProvisioningAccess>,
}

/// The connection strings of a hub's policies.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct ConnectionStrings {
    /// Everything.
    pub iothubowner: String,
    /// Twins, methods, messages, events.
    pub service: String,
    /// Connect as any device.
    pub device: String,
    /// Read the registry.
    pub registry_read: String,
    /// Read and write the registry.
    pub registry_read_write: String,
}

impl ConnectionStrings {
    /// Puts together the strings of `host` for the keys by policy name; `None` when one of the five policies is missing.
    pub fn of(host: &str, keys: &BTreeMap<String, String>) -> Option<Self> {
        let of = |policy: &str| {
            let key = keys.get(policy)?;
            Some(format!("HostName={host};SharedAccessKeyName={policy};SharedAccessKey={key}"))
        };
        Some(Self {
            iothubowner: of("iothubowner")?,
            service: of("service")?,
            device: of("device")?,
            registry_read: of("registryRead")?,
            registry_read_write: of("registryReadWrite")?,
        })
    }

    /// Policy names and strings, in the order of the document.
    pub fn entries(&self) -> [(&'static str, &str); 5] {
        [
            ("iothubowner", &self.iothubowner),
            ("service", &self.service),
            ("device", &self.device),
            ("registryRead", &self.registry_read),
            ("registryReadWrite", &self.registry_read_write),
        ]
    }
}

/// Where the installation listens; a listener that is not there is absent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Ports {
    /// REST, the console, and both WebSockets.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub https: Option<u16>,
    /// MQTT over TLS.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mqtt: Option<u16>,
    /// AMQP over TLS.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub amqp: Option<u16>,
}

/// How to read what devices send.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct EventsAccess {
    /// For Event Hubs clients, where the installation serves them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connection_string: Option<String>,
    /// Partitions of the message log.
    pub partition_count: u16,
}

/// How devices are provisioned.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct ProvisioningAccess {
    /// Where devices ask.
    pub global_endpoint: String,
    /// The scope they name.
    pub id_scope: String,
    /// For the provisioning service's own clients.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connection_string: Option<String>,
}

/// Device counts of a hub; modules are not counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Statistics {
    /// All devices.
    pub total_device_count: u64,
    /// Devices that may connect.
    pub enabled_device_count: u64,
    /// Devices that may not.
    pub disabled_device_count: u64,
    /// Devices with an open session.
    pub connected_device_count: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connection_strings_have_no_port_and_no_semicolon_at_the_end() {
        let names = ["iothubowner", "service", "device", "registryRead", "registryReadWrite"];
        let keys = names.iter().map(|name| ((*name).to_owned(), format!("key-of-{name}"))).collect();
        let strings = ConnectionStrings::of("hub.test", &keys).unwrap();
        assert_eq!(
            serde_json::to_value(&strings).unwrap()["registryRead"],
            "HostName=hub.test;SharedAccessKeyName=registryRead;SharedAccessKey=key-of-registryRead"
        );
        assert_eq!(strings.entries().map(|(name, _)| name), names);
        assert!(ConnectionStrings::of("hub.test", &BTreeMap::new()).is_none());
    }
}
