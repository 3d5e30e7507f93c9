//! Enrollments: which devices may register, and on what terms.

use serde_json::{Map, Value};

use super::{Attestation, CredentialPolicyName, EnrollmentGroupId, RegistrationId, WebhookUrl};
use crate::{DeviceId, Etag, HostName, Status, Timestamp};

/// The enrollment of one device.
#[derive(Clone)]
pub struct Enrollment {
    /// Under which id it registers.
    pub id: RegistrationId,
    /// Its id in the hub; the registration id when absent.
    pub device: Option<DeviceId>,
    /// What it shows as proof.
    pub attestation: Attestation,
    /// What it gets.
    pub terms: Terms,
    /// Whatever the back end wants to remember of it.
    pub information: Option<Map<String, Value>>,
    /// Changes with every write, unquoted.
    pub etag: Etag,
    /// When it was created.
    pub created: Timestamp,
    /// When it was last written.
    pub updated: Timestamp,
    /// Which pass over all enrollments rolled its keys last, by the moment the pass began.
    pub rolled_in: Option<Timestamp>,
}

/// The enrollment of all devices that show proof of the same origin.
#[derive(Clone)]
pub struct EnrollmentGroup {
    /// Its id.
    pub id: EnrollmentGroupId,
    /// What a device shows as proof.
    pub attestation: Attestation,
    /// What it gets.
    pub terms: Terms,
    /// Changes with every write, unquoted.
    pub etag: Etag,
    /// When it was created.
    pub created: Timestamp,
    /// When it was last written.
    pub updated: Timestamp,
    /// Which pass over all enrollments rolled its keys last, by the moment the pass began.
    pub rolled_in: Option<Timestamp>,
}

/// On what terms a device registers: the part that both kinds of enrollment share.
#[derive(Clone, Debug, PartialEq)]
pub struct Terms {
    /// Whether it may register at all.
    pub status: Status,
    /// What it may be in the hub.
    pub capabilities: Capabilities,
    /// The twin with which it begins.
    pub initial_twin: InitialTwin,
    /// What happens when it registers again; the default when absent.
    pub reprovision: Option<ReprovisionPolicy>,
    /// Where it goes; the service's own policy when absent.
    pub allocation: Option<AllocationPolicy>,
    /// The hub of the static policy.
    pub hub: Option<HostName>,
    /// The hubs to choose from; all linked ones when empty.
    pub hubs: Vec<HostName>,
    /// Whom the custom policy asks.
    pub webhook: Option<AllocationWebhook>,
    /// Who issues certificates to it.
    pub credential_policy: Option<CredentialPolicyName>,
}

impl Default for Terms {
    fn default() -> Self {
        Self {
            status: Status::Enabled,
            capabilities: Capabilities::default(),
            initial_twin: InitialTwin::default(),
            reprovision: None,
            allocation: None,
            hub: None,
            hubs: Vec::new(),
            webhook: None,
            credential_policy: None,
        }
    }
}

/// What a device may be in its hub.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Capabilities {
    /// It runs modules and forwards for others.
    pub iot_edge: bool,
}

/// The tags and desired properties with which a device begins in its hub.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct InitialTwin {
    /// The tags.
    pub tags: Map<String, Value>,
    /// The desired properties.
    pub desired: Map<String, Value>,
}

impl InitialTwin {
    /// True when there is nothing to write.
    pub fn is_empty(&self) -> bool {
        self.tags.is_empty() && self.desired.is_empty()
    }
}

/// What happens to a device that registers again ("IoT Hub device reprovisioning concepts").
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReprovisionPolicy {
    /// Whether its hub is chosen anew.
    pub update_hub_assignment: bool,
    /// Whether its twin goes with it to another hub.
    pub migrate_device_data: bool,
}

impl Default for ReprovisionPolicy {
    fn default() -> Self {
        Self {
            update_hub_assignment: true,
            migrate_device_data: true,
        }
    }
}

/// How a hub is chosen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AllocationPolicy {
    /// Evenly, by weights.
    #[default]
    Hashed,
    /// The nearest one.
    GeoLatency,
    /// The one that the enrollment names.
    Static,
    /// The one that a webhook names.
    Custom,
}

impl AllocationPolicy {
    /// All four.
    pub const ALL: [Self; 4] = [Self::Hashed, Self::GeoLatency, Self::Static, Self::Custom];

    /// The wire spelling.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Hashed => "hashed",
            Self::GeoLatency => "geoLatency",
            Self::Static => "static",
            Self::Custom => "custom",
        }
    }

    /// Reads the wire spelling, without regard to case.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|policy| policy.as_str().eq_ignore_ascii_case(text))
    }
}

/// Whom the custom policy asks (`CustomAllocationDefinition`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AllocationWebhook {
    /// Its address.
    pub url: WebhookUrl,
    /// The version of the enrollment documents that it wants.
    pub api_version: String,
}
