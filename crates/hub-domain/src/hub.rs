//! A hub: its name, hosts, policies and settings.

mod cloud_to_device;
mod file_upload;

use std::time::Duration;

pub use cloud_to_device::{CloudToDeviceSettings, ServiceBoundSettings, SettingError};
pub use file_upload::{FileUploadSettings, Notifications};

use crate::certificate::CertificateOfAuthority;
use crate::fault::FaultInjection;
use crate::routing::Routing;
use crate::{HostName, HubName, HubNo, Policy, QuotaProfile, Timestamp};

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
    /// What may be set while it runs.
    pub settings: Settings,
    /// Counts its changes, so that one that was built on an older state is noticed.
    pub revision: Revision,
}

/// What of a hub may be set while it runs, with the vendor's defaults.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// Where its messages and events go.
    pub routing: Routing,
    /// Which limits of throughput it keeps.
    pub quota: QuotaProfile,
    /// The authorities that may vouch for its devices.
    pub certificates: Vec<CertificateOfAuthority>,
    /// Whether its devices may ask for faults of their own connections.
    pub fault_injection: FaultInjection,
    /// How it treats cloud-to-device messages.
    pub cloud_to_device: CloudToDeviceSettings,
    /// How back ends read the notifications of finished uploads.
    pub file_notifications: ServiceBoundSettings,
    /// How devices upload files.
    pub file_upload: FileUploadSettings,
}

/// How often a hub was changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Revision(pub u64);

impl Revision {
    /// That of the next change.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0 + 1)
    }
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
