//! Quota profiles: the vendor's tiers, for tests that must meet their limits.
//!
//! Facts from "Understand Azure IoT Hub quotas and throttling" (table of operation throttles, "Traffic
//! shaping", "Other limits") and the pricing page (messages per day). A profile stands for one unit.

mod meter;

pub use meter::{Meter, Rate};

/// Which limits of throughput a hub keeps. Limits of size and form are the same in all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum QuotaProfile {
    /// None but those that protect the process.
    #[default]
    Unlimited,
    /// The free tier.
    F1,
    /// One unit of the standard tier's first size.
    S1,
    /// One unit of the second size.
    S2,
    /// One unit of the third size.
    S3,
}

/// What is throttled, each by a meter of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Throttle {
    /// Create, read, list, update and delete identities.
    RegistryOperations,
    /// New sessions.
    Connections,
    /// Telemetry messages.
    DeviceToCloudSends,
    /// Cloud-to-device messages.
    CloudToDeviceSends,
    /// Fetches of cloud-to-device messages over HTTPS.
    CloudToDeviceReceives,
    /// Begun uploads.
    FileUploads,
    /// Bytes of method payloads, in steps of 4 KiB.
    MethodBytes,
    /// Queries.
    Queries,
    /// Reads of twins.
    TwinReads,
    /// Updates of twins.
    TwinUpdates,
}

impl Throttle {
    /// Every throttle.
    pub const ALL: [Self; 10] = [
        Self::RegistryOperations,
        Self::Connections,
        Self::DeviceToCloudSends,
        Self::CloudToDeviceSends,
        Self::CloudToDeviceReceives,
        Self::FileUploads,
        Self::MethodBytes,
        Self::Queries,
        Self::TwinReads,
        Self::TwinUpdates,
    ];

    /// How people call it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::RegistryOperations => "identity registry operations",
            Self::Connections => "new device connections",
            Self::DeviceToCloudSends => "device-to-cloud sends",
            Self::CloudToDeviceSends => "cloud-to-device sends",
            Self::CloudToDeviceReceives => "cloud-to-device receives",
            Self::FileUploads => "file uploads",
            Self::MethodBytes => "direct methods",
            Self::Queries => "queries",
            Self::TwinReads => "twin reads",
            Self::TwinUpdates => "twin updates",
        }
    }

    /// Its place in a table of meters.
    pub const fn index(self) -> usize {
        self as usize
    }
}

/// What one method call is counted in.
pub const METHOD_METER_BYTES: u64 = 4 * 1024;

impl QuotaProfile {
    /// Every profile.
    pub const ALL: [Self; 5] = [Self::Unlimited, Self::F1, Self::S1, Self::S2, Self::S3];

    /// The spelling in settings and commands.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unlimited => "unlimited",
            Self::F1 => "F1",
            Self::S1 => "S1",
            Self::S2 => "S2",
            Self::S3 => "S3",
        }
    }

    /// Reads the spelling, without regard to case.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|profile| profile.as_str().eq_ignore_ascii_case(text))
    }

    /// Units (operations or bytes) per minute; `None` where the profile sets no limit.
    pub const fn per_minute(self, throttle: Throttle) -> Option<u64> {
        let [small, middle, large] = match throttle {
            Throttle::RegistryOperations | Throttle::CloudToDeviceSends | Throttle::FileUploads => {
                [100, 100, 5_000]
            }
            Throttle::Connections | Throttle::DeviceToCloudSends => {
                [100 * 60, 120 * 60, 6_000 * 60]
            }
            Throttle::CloudToDeviceReceives => [1_000, 1_000, 50_000],
            Throttle::MethodBytes => [160 * 1024 * 60, 480 * 1024 * 60, 24 * 1024 * 1024 * 60],
            Throttle::Queries => [20, 20, 1_000],
            Throttle::TwinReads => [100 * 60, 100 * 60, 500 * 60],
            Throttle::TwinUpdates => [50 * 60, 50 * 60, 250 * 60],
        };
        match self {
            Self::Unlimited => None,
            Self::F1 | Self::S1 => Some(small),
            Self::S2 => Some(middle),
            Self::S3 => Some(large),
        }
    }

    /// Messages per day (UTC), each counted in pieces of [`Self::message_piece_bytes`].
    pub const fn messages_per_day(self) -> Option<u64> {
        match self {
            Self::Unlimited => None,
            Self::F1 => Some(8_000),
            Self::S1 => Some(400_000),
            Self::S2 => Some(6_000_000),
            Self::S3 => Some(300_000_000),
        }
    }

    /// The bytes of a message that count as one.
    pub const fn message_piece_bytes(self) -> u64 {
        match self {
            Self::F1 => 512,
            Self::Unlimited | Self::S1 | Self::S2 | Self::S3 => 4 * 1024,
        }
    }

    /// Most identities, devices and modules together.
    pub const fn identities_max(self) -> Option<u64> {
        match self {
            Self::Unlimited => None,
            Self::F1 => Some(500),
            Self::S1 | Self::S2 | Self::S3 => Some(crate::limits::IDENTITIES_PROFILE_MAX),
        }
    }

    /// Most cloud-to-device messages that wait for one device.
    pub const fn pending_messages_max(self) -> u32 {
        match self {
            Self::Unlimited => crate::limits::CLOUD_TO_DEVICE_PENDING_MAX,
            Self::F1 | Self::S1 | Self::S2 | Self::S3 => {
                crate::limits::CLOUD_TO_DEVICE_PENDING_PROFILE_MAX
            }
        }
    }

    /// Most routes.
    pub const fn routes_max(self) -> usize {
        match self {
            Self::F1 => 5,
            Self::Unlimited | Self::S1 | Self::S2 | Self::S3 => 100,
        }
    }

    /// Most enrichments.
    pub const fn enrichments_max(self) -> usize {
        match self {
            Self::F1 => 2,
            Self::Unlimited | Self::S1 | Self::S2 | Self::S3 => 10,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_reads_back_in_any_case() {
        for profile in QuotaProfile::ALL {
            let lower = profile.as_str().to_ascii_lowercase();
            assert_eq!(QuotaProfile::parse(&lower), Some(profile));
        }
        assert_eq!(QuotaProfile::parse("S4"), None);
    }

    #[test]
    fn a_larger_profile_never_allows_less() {
        for throttle in Throttle::ALL {
            let limits: Vec<_> = QuotaProfile::ALL[1..]
                .iter()
                .map(|profile| profile.per_minute(throttle).unwrap())
                .collect();
            assert!(limits.is_sorted(), "{throttle:?}: {limits:?}");
            assert_eq!(QuotaProfile::Unlimited.per_minute(throttle), None);
        }
    }

    #[test]
    fn indices_are_places_in_a_table() {
        for (place, throttle) in Throttle::ALL.into_iter().enumerate() {
            assert_eq!(throttle.index(), place);
        }
    }
}
