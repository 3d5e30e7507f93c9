//! Identities of devices and modules.

use crate::{Etag, GenerationId, IdentityId, SymmetricKey, Timestamp};

/// Longest `statusReason` in characters (identity registry documentation).
pub const STATUS_REASON_CHARS_MAX: usize = 128;
/// Most modules of one device (quota documentation).
pub const MODULES_PER_DEVICE_MAX: u64 = 50;

/// A device or module as the registry knows it, without its twin.
#[derive(Clone)]
pub struct Identity {
    /// Who.
    pub id: IdentityId,
    /// Changes when the id is deleted and created again.
    pub generation: GenerationId,
    /// Changes with every registry write.
    pub etag: Etag,
    /// Whether it may connect. Modules are always enabled; their device decides.
    pub status: Status,
    /// Why, up to 128 characters.
    pub status_reason: Option<String>,
    /// When the status last changed; never at creation.
    pub status_updated: Timestamp,
    /// How it proves itself.
    pub authentication: Authentication,
    /// True for a device that runs modules and forwards for others.
    pub iot_edge: bool,
    /// The edge scope the device belongs to.
    pub device_scope: Option<String>,
    /// The scopes of its parents.
    pub parent_scopes: Vec<String>,
    /// Who manages the module (`iotEdge` or a free text); always absent on devices.
    pub managed_by: Option<String>,
}

impl Identity {
    /// True while the identity may connect.
    pub fn is_enabled(&self) -> bool {
        self.status == Status::Enabled
    }
}

/// Whether an identity may connect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// It may.
    Enabled,
    /// It may not; its connections are cut.
    Disabled,
}

impl Status {
    /// The wire spelling.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Enabled => "enabled",
            Self::Disabled => "disabled",
        }
    }

    /// Reads the wire spelling, without regard to case.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Enabled, Self::Disabled]
            .into_iter()
            .find(|s| s.as_str().eq_ignore_ascii_case(text))
    }
}

/// How an identity proves itself.
#[derive(Clone)]
pub enum Authentication {
    /// Tokens signed with one of two keys.
    Sas {
        /// First key.
        primary: SymmetricKey,
        /// Second key, equally valid.
        secondary: SymmetricKey,
    },
    /// A certificate whose thumbprint is one of two.
    SelfSigned {
        /// First thumbprint.
        primary: Option<Thumbprint>,
        /// Second thumbprint, equally valid.
        secondary: Option<Thumbprint>,
    },
    /// A certificate issued by a registered authority, its common name the device id.
    CertificateAuthority,
    /// Cannot connect by itself (edge modules made without keys).
    None,
}

impl Authentication {
    /// The wire spelling of the kind.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Sas { .. } => "sas",
            Self::SelfSigned { .. } => "selfSigned",
            Self::CertificateAuthority => "certificateAuthority",
            Self::None => "none",
        }
    }

    /// The symmetric keys, primary first, when there are any.
    pub const fn keys(&self) -> Option<(&SymmetricKey, &SymmetricKey)> {
        match self {
            Self::Sas { primary, secondary } => Some((primary, secondary)),
            Self::SelfSigned { .. } | Self::CertificateAuthority | Self::None => None,
        }
    }
}

/// A certificate thumbprint: SHA-1 (40 hexadecimal digits) or SHA-256 (64), kept in upper case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Thumbprint(String);

impl Thumbprint {
    /// Reads 40 or 64 hexadecimal digits in either case; `None` for anything else.
    pub fn parse(text: &str) -> Option<Self> {
        let right_length = matches!(text.len(), 40 | 64);
        (right_length && text.bytes().all(|b| b.is_ascii_hexdigit()))
            .then(|| Self(text.to_ascii_uppercase()))
    }

    /// The digits in upper case.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What is known of an identity's connection. Lives in memory and is flushed now and then, so it may be a minute old after a crash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Activity {
    /// Whether a session is open.
    pub connected: bool,
    /// When that last changed.
    pub connection_updated: Timestamp,
    /// When the identity last connected or sent something.
    pub last_activity: Timestamp,
}

impl Activity {
    /// Never connected.
    pub const NONE: Self = Self {
        connected: false,
        connection_updated: Timestamp::NEVER,
        last_activity: Timestamp::NEVER,
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thumbprints_are_forty_or_sixty_four_hexadecimal_digits() {
        assert_eq!(
            Thumbprint::parse(&"ab".repeat(20)).map(|t| t.as_str().to_owned()),
            Some("AB".repeat(20))
        );
        assert!(Thumbprint::parse(&"0f".repeat(32)).is_some());
        for bad in ["", "zz", &"a".repeat(41), &"g".repeat(40)] {
            assert!(Thumbprint::parse(bad).is_none(), "{bad:?}");
        }
    }

    #[test]
    fn status_reads_without_case() {
        assert_eq!(Status::parse("Disabled"), Some(Status::Disabled));
        assert_eq!(Status::parse("off"), None);
    }
}
