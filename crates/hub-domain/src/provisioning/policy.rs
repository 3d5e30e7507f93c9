//! The shared access policies of the provisioning service.

use std::fmt;
use std::sync::Arc;

use super::service::name;
use crate::SymmetricKey;
use crate::ids::IdError;

/// One right at the provisioning service ("Control access to DPS").
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServicePermission {
    /// Change the service itself.
    ServiceConfig,
    /// Read enrollments.
    EnrollmentRead,
    /// Write enrollments.
    EnrollmentWrite,
    /// Read registrations.
    RegistrationStatusRead,
    /// Delete registrations.
    RegistrationStatusWrite,
}

impl ServicePermission {
    /// All five.
    pub const ALL: [Self; 5] = [
        Self::ServiceConfig,
        Self::EnrollmentRead,
        Self::EnrollmentWrite,
        Self::RegistrationStatusRead,
        Self::RegistrationStatusWrite,
    ];

    /// The vendor's spelling.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ServiceConfig => "ServiceConfig",
            Self::EnrollmentRead => "EnrollmentRead",
            Self::EnrollmentWrite => "EnrollmentWrite",
            Self::RegistrationStatusRead => "RegistrationStatusRead",
            Self::RegistrationStatusWrite => "RegistrationStatusWrite",
        }
    }

    /// Reads the vendor's spelling, without regard to case.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|one| one.as_str().eq_ignore_ascii_case(text))
    }

    const fn bit(self) -> u8 {
        1 << self as u8
    }
}

/// A set of rights at the provisioning service.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ServicePermissions(u8);

impl ServicePermissions {
    /// The set of these.
    pub fn of(permissions: &[ServicePermission]) -> Self {
        Self(permissions.iter().fold(0, |bits, p| bits | p.bit()))
    }

    /// True when the set holds `permission`. A right to write includes the right to read, as documented.
    pub const fn allows(self, permission: ServicePermission) -> bool {
        let implied = match permission {
            ServicePermission::EnrollmentRead => ServicePermission::EnrollmentWrite.bit(),
            ServicePermission::RegistrationStatusRead => {
                ServicePermission::RegistrationStatusWrite.bit()
            }
            ServicePermission::ServiceConfig
            | ServicePermission::EnrollmentWrite
            | ServicePermission::RegistrationStatusWrite => 0,
        };
        self.0 & (permission.bit() | implied) != 0
    }

    /// True when the set holds nothing.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The rights that were given, without what they include.
    pub fn given(self) -> impl Iterator<Item = ServicePermission> {
        ServicePermission::ALL
            .into_iter()
            .filter(move |permission| self.0 & permission.bit() != 0)
    }

    /// The set as bits, for records.
    pub const fn bits(self) -> u8 {
        self.0
    }

    /// The set of these bits; unknown ones are dropped.
    pub const fn from_bits(bits: u8) -> Self {
        Self(bits & 0b1_1111)
    }
}

/// The name of a policy of the service: letters, digits, `-`, `_`, `.`; 1 to 64 characters, compared without case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServicePolicyName(Arc<str>);

impl ServicePolicyName {
    /// Checks length and characters.
    ///
    /// # Errors
    /// When empty, too long, or with another character: it stands in connection strings and tokens.
    pub fn parse(text: &str) -> Result<Self, IdError> {
        name("policy name", text, |c| matches!(c, '-' | '_' | '.'))?;
        Ok(Self(Arc::from(text)))
    }

    /// The policy that every new service has; it holds all rights.
    pub fn owner() -> Self {
        Self(Arc::from(OWNER_POLICY))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// True when `name` means this one.
    pub fn is(&self, name: &str) -> bool {
        self.0.eq_ignore_ascii_case(name)
    }
}

impl fmt::Display for ServicePolicyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A shared access policy of the service: a named set of rights with two keys, both valid.
#[derive(Clone)]
pub struct ServicePolicy {
    /// Its name, the `skn` of a token.
    pub name: ServicePolicyName,
    /// What it allows.
    pub permissions: ServicePermissions,
    /// First key.
    pub primary: SymmetricKey,
    /// Second key.
    pub secondary: SymmetricKey,
}

/// The policy that every new service has; it holds all rights.
pub const OWNER_POLICY: &str = "provisioningserviceowner";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_right_to_write_includes_the_right_to_read() {
        let set = ServicePermissions::of(&[ServicePermission::EnrollmentWrite]);
        assert!(set.allows(ServicePermission::EnrollmentRead));
        assert!(!set.allows(ServicePermission::RegistrationStatusRead));
        assert_eq!(ServicePermissions::from_bits(set.bits()), set);
    }

    #[test]
    fn policy_names_fit_connection_strings_and_tokens() {
        for good in ["provisioningserviceowner", "a", "Back-End_2.0"] {
            assert!(
                ServicePolicyName::parse(good)
                    .expect(good)
                    .is(&good.to_ascii_uppercase())
            );
        }
        let long = "a".repeat(65);
        for bad in ["", "a b", "a;b", "a=b", "a&b", "ä", &long] {
            assert!(ServicePolicyName::parse(bad).is_err(), "{bad}");
        }
    }
}
