//! A hub: its name, hosts, policies and log settings.

use std::time::Duration;

use crate::{HostName, HubName, HubNo, Policy, Timestamp};

/// A named IoT hub. Every stored thing and every session belongs to one.
#[derive(Clone)]
pub struct Hub {
    /// Its number in this installation.
    pub no: HubNo,
    /// Its name, also the Event Hubs entity name.
    pub name: HubName,
    /// The host name that clients use.
    pub host: HostName,
    /// Further host names that mean this hub.
    pub aliases: Vec<HostName>,
    /// Its shared access policies.
    pub policies: Vec<Policy>,
    /// Partitions of its message log, fixed at creation, 2 to 128.
    pub partition_count: u16,
    /// How long messages are kept, 1 to 7 days.
    pub retention: Duration,
    /// How many bytes of messages are kept; the oldest go first.
    pub retention_bytes_max: u64,
    /// When it was created.
    pub created: Timestamp,
}

impl Hub {
    /// True when `host` is the hub's host name or one of its aliases.
    pub fn answers_to(&self, host: &HostName) -> bool {
        self.host == *host || self.aliases.contains(host)
    }

    /// The policy of that name; names compare without case.
    pub fn policy(&self, name: &str) -> Option<&Policy> {
        self.policies
            .iter()
            .find(|p| p.name.eq_ignore_ascii_case(name))
    }
}
