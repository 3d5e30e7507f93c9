//! Hubs and what a client needs to reach one.

use hub_domain::provisioning::{IdScope, ServicePolicy};
use hub_domain::{HostName, Hub};
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

impl HubSummary {
    /// The summary of `hub`, `default` being the number of the default hub.
    pub fn of(hub: &Hub, default: Option<hub_domain::HubNo>) -> Self {
        const DAY: u64 = 24 * 3600;
        Self {
            name: hub.name.to_string(),
            host_name: hub.host.to_string(),
            aliases: hub.aliases.iter().map(ToString::to_string).collect(),
            partition_count: hub.partition_count,
            retention_days: u32::try_from(hub.retention.as_secs() / DAY).unwrap_or(u32::MAX),
            default: default == Some(hub.no),
        }
    }
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

/// Whether a document shows keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keys {
    /// It does: for the administrator.
    Shown,
    /// It does not.
    Hidden,
}

/// Where an installation is reached, which a hub does not know.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reach {
    /// The bound ports; those of the configuration while no server runs.
    pub ports: Ports,
    /// Path of the PEM file with the certificate that clients have to trust.
    pub ca_certificate: Option<String>,
}

impl HubDocument {
    /// The document of `hub`, beside a running server and without one.
    pub fn of(hub: &Hub, reach: &Reach, keys: Keys) -> Self {
        Self {
            name: hub.name.to_string(),
            host_name: hub.host.to_string(),
            ports: reach.ports,
            ca_certificate: reach.ca_certificate.clone(),
            connection_strings: match keys {
                Keys::Shown => ConnectionStrings::of(hub),
                Keys::Hidden => None,
            },
            events: EventsAccess::of(hub, reach, keys),
            provisioning: None,
        }
    }
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
    /// The strings of the five default policies with their first keys; `None` when the hub lacks one of them.
    fn of(hub: &Hub) -> Option<Self> {
        let of = |name: &str| {
            let policy = hub.policy(name)?;
            let key = policy.primary.to_base64();
            Some(format!(
                "HostName={};SharedAccessKeyName={};SharedAccessKey={key}",
                hub.host, policy.name
            ))
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

/// The port that Event Hubs clients take where none is named.
const AMQP_PORT: u16 = 5671;

impl EventsAccess {
    fn of(hub: &Hub, reach: &Reach, keys: Keys) -> Self {
        let connection_string = match (keys, reach.ports.amqp, hub.policy("service")) {
            (Keys::Shown, Some(port), Some(policy)) => {
                let port = match port {
                    AMQP_PORT => String::new(),
                    other => format!(":{other}"),
                };
                Some(format!(
                    "Endpoint=sb://{}{port}/;SharedAccessKeyName={};SharedAccessKey={};EntityPath={}",
                    hub.host,
                    policy.name,
                    policy.primary.to_base64(),
                    hub.name
                ))
            }
            (Keys::Shown | Keys::Hidden, _, _) => None,
        };
        Self {
            connection_string,
            partition_count: hub.partition_count,
        }
    }
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

impl ProvisioningAccess {
    /// How devices and back ends reach the service at `host`, on which it answers like on every other host. `policy` is
    /// the one whose key may be shown, if any.
    pub fn of(id_scope: &IdScope, host: &HostName, policy: Option<&ServicePolicy>) -> Self {
        let connection_string = policy.map(|policy| {
            let (name, key) = (&policy.name, policy.primary.to_base64());
            format!("HostName={host};SharedAccessKeyName={name};SharedAccessKey={key}")
        });
        Self {
            global_endpoint: host.to_string(),
            id_scope: id_scope.to_string(),
            connection_string,
        }
    }
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
    use std::time::Duration;

    use hub_domain::access::DEFAULT_POLICIES;
    use hub_domain::{
        HubName, HubNo, Permissions, Policy, Revision, Settings, SymmetricKey, Timestamp,
    };

    use super::*;

    fn hub() -> Hub {
        let key = SymmetricKey::from_bytes(&[7; 32]).unwrap();
        let policy = |(name, permissions): &(&str, &[hub_domain::Permission])| Policy {
            name: (*name).to_owned(),
            permissions: Permissions::of(permissions),
            primary: key.clone(),
            secondary: key.clone(),
        };
        Hub {
            no: HubNo(1),
            name: HubName::parse("hub").unwrap(),
            host: HostName::parse("hub.test").unwrap(),
            aliases: Vec::new(),
            policies: DEFAULT_POLICIES.iter().map(policy).collect(),
            partition_count: 4,
            retention: Duration::from_secs(24 * 3600),
            retention_bytes_max: 1,
            created: Timestamp::from_micros(0),
            settings: Settings::default(),
            revision: Revision::default(),
        }
    }

    #[test]
    fn the_document_keeps_its_members_names() {
        let reach = Reach {
            ports: Ports {
                https: Some(443),
                mqtt: Some(8883),
                amqp: Some(15671),
            },
            ca_certificate: Some("D/ca.pem".to_owned()),
        };
        let document = serde_json::to_value(HubDocument::of(&hub(), &reach, Keys::Shown)).unwrap();
        let key = "BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=";
        let string = |policy: &str| {
            format!("HostName=hub.test;SharedAccessKeyName={policy};SharedAccessKey={key}")
        };
        let expected = serde_json::json!({
            "name": "hub",
            "hostName": "hub.test",
            "ports": { "https": 443, "mqtt": 8883, "amqp": 15671 },
            "caCertificate": "D/ca.pem",
            "connectionStrings": {
                "iothubowner": string("iothubowner"),
                "service": string("service"),
                "device": string("device"),
                "registryRead": string("registryRead"),
                "registryReadWrite": string("registryReadWrite"),
            },
            "events": {
                "connectionString": format!(
                    "Endpoint=sb://hub.test:15671/;SharedAccessKeyName=service;SharedAccessKey={key};EntityPath=hub"
                ),
                "partitionCount": 4,
            },
        });
        assert_eq!(document, expected);
    }

    #[test]
    fn keys_are_hidden_from_who_may_not_see_them() {
        let document = HubDocument::of(&hub(), &Reach::default(), Keys::Hidden);
        assert!(
            !serde_json::to_string(&document)
                .unwrap()
                .contains("SharedAccessKey")
        );
    }

    #[test]
    fn one_hub_is_the_default() {
        assert!(HubSummary::of(&hub(), Some(HubNo(1))).default);
        assert!(!HubSummary::of(&hub(), Some(HubNo(2))).default);
        assert_eq!(HubSummary::of(&hub(), None).retention_days, 1);
    }
}
