//! What the vendor's provisioning service limits, for tests that must meet its limits ("Azure IoT Hub Device Provisioning
//! Service limits"). Limits of size and form are the same with and without a profile.

use core::time::Duration;

use crate::quota::Rate;

/// Which limits the service keeps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ProvisioningQuota {
    /// None but those that protect the process.
    #[default]
    Unlimited,
    /// One unit of the vendor's only tier.
    S1,
}

impl ProvisioningQuota {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Unlimited, Self::S1];

    /// The spelling in settings.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unlimited => "unlimited",
            Self::S1 => "S1",
        }
    }

    /// Reads the spelling, without regard to case.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|quota| quota.as_str().eq_ignore_ascii_case(text))
    }

    /// Its numbers.
    pub const fn limits(self) -> ProvisioningLimits {
        match self {
            Self::Unlimited => ProvisioningLimits::NONE,
            Self::S1 => ProvisioningLimits {
                operations: Some(Rate::per_minute(1_000)),
                registrations: Some(Rate::per_minute(1_000)),
                polls: Some(Rate {
                    count: 5,
                    per: Duration::from_secs(10),
                }),
                registrations_max: Some(1_000_000),
                enrollments_max: Some(1_000_000),
                groups_per_kind_max: Some(100),
            },
        }
    }
}

/// Limits of throughput and number; `None` where there is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProvisioningLimits {
    /// Requests of back ends.
    pub operations: Option<Rate>,
    /// Requests to register, of all devices together.
    pub registrations: Option<Rate>,
    /// Questions of one device what became of its registration.
    pub polls: Option<Rate>,
    /// Registrations that are kept.
    pub registrations_max: Option<u64>,
    /// Individual enrollments.
    pub enrollments_max: Option<u64>,
    /// Enrollment groups with certificates, and as many with symmetric keys.
    pub groups_per_kind_max: Option<u64>,
}

impl ProvisioningLimits {
    /// No limit.
    pub const NONE: Self = Self {
        operations: None,
        registrations: None,
        polls: None,
        registrations_max: None,
        enrollments_max: None,
        groups_per_kind_max: None,
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_reads_back_in_any_case() {
        for quota in ProvisioningQuota::ALL {
            let lower = quota.as_str().to_ascii_lowercase();
            assert_eq!(ProvisioningQuota::parse(&lower), Some(quota));
        }
        assert_eq!(ProvisioningQuota::parse("S2"), None);
    }
}
