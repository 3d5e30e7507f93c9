//! Who may do what: permissions and shared access policies.

use crate::SymmetricKey;

/// One right (access control documentation, "IoT Hub permissions").
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Permission {
    /// Read the identity registry.
    RegistryRead,
    /// Write the identity registry.
    RegistryWrite,
    /// Twins, methods, cloud-to-device messages, events.
    ServiceConnect,
    /// Connect as a device.
    DeviceConnect,
}

impl Permission {
    /// All four, in their documented order.
    pub const ALL: [Self; 4] = [
        Self::RegistryRead,
        Self::RegistryWrite,
        Self::ServiceConnect,
        Self::DeviceConnect,
    ];

    /// The vendor's spelling.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::RegistryRead => "RegistryRead",
            Self::RegistryWrite => "RegistryWrite",
            Self::ServiceConnect => "ServiceConnect",
            Self::DeviceConnect => "DeviceConnect",
        }
    }

    const fn bit(self) -> u8 {
        1 << self as u8
    }
}

/// A set of permissions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Permissions(u8);

impl Permissions {
    /// None at all.
    pub const NONE: Self = Self(0);

    /// The set of these.
    pub fn of(permissions: &[Permission]) -> Self {
        Self(permissions.iter().fold(0, |bits, p| bits | p.bit()))
    }

    /// True when the set holds `permission`. `RegistryWrite` includes `RegistryRead`, as documented.
    pub const fn allows(self, permission: Permission) -> bool {
        let implied = match permission {
            Permission::RegistryRead => Permission::RegistryWrite.bit(),
            Permission::RegistryWrite | Permission::ServiceConnect | Permission::DeviceConnect => 0,
        };
        self.0 & (permission.bit() | implied) != 0
    }

    /// The set as bits, for records.
    pub const fn bits(self) -> u8 {
        self.0
    }

    /// The set of these bits; unknown ones are dropped.
    pub const fn from_bits(bits: u8) -> Self {
        Self(bits & 0b1111)
    }
}

/// A shared access policy: a named set of permissions with two keys, both valid.
#[derive(Clone)]
pub struct Policy {
    /// Its name, the `skn` of a token.
    pub name: String,
    /// What it allows.
    pub permissions: Permissions,
    /// First key.
    pub primary: SymmetricKey,
    /// Second key.
    pub secondary: SymmetricKey,
}

/// The five policies that every new hub has, with their documented permissions.
pub const DEFAULT_POLICIES: [(&str, &[Permission]); 5] = [
    ("iothubowner", &Permission::ALL),
    ("service", &[Permission::ServiceConnect]),
    ("device", &[Permission::DeviceConnect]),
    ("registryRead", &[Permission::RegistryRead]),
    (
        "registryReadWrite",
        &[Permission::RegistryRead, Permission::RegistryWrite],
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn default_policies_allow_what_is_documented() {
        let allowed: Vec<String> = DEFAULT_POLICIES
            .iter()
            .map(|(name, permissions)| {
                let set = Permissions::of(permissions);
                let names: Vec<_> = Permission::ALL
                    .into_iter()
                    .filter(|p| set.allows(*p))
                    .map(Permission::as_str)
                    .collect();
                format!("{name}: {}", names.join(" "))
            })
            .collect();
        assert_eq!(
            allowed,
            [
                "iothubowner: RegistryRead RegistryWrite ServiceConnect DeviceConnect",
                "service: ServiceConnect",
                "device: DeviceConnect",
                "registryRead: RegistryRead",
                "registryReadWrite: RegistryRead RegistryWrite",
            ]
        );
    }

    #[test]
    fn bits_survive_a_round_trip() {
        let set = Permissions::of(&[Permission::ServiceConnect]);
        assert_eq!(Permissions::from_bits(set.bits()), set);
        assert!(!Permissions::NONE.allows(Permission::RegistryRead));
    }
}
