//! Names of things. Each parses its documented character rules; one that exists is valid.
//!
//! Character rules: identity registry documentation ("Device identity properties") and the pattern
//! of the C# SDK, the wide set with `:` and `;`.

use std::fmt;
use std::sync::Arc;

/// Longest device and module id in characters (identity registry documentation).
pub const IDENTITY_ID_CHARS_MAX: usize = 128;
/// Longest host name in bytes (RFC 1035).
pub const HOST_NAME_BYTES_MAX: usize = 253;
/// Longest hub name (hub naming rules: 3 to 50; one character suffices here).
pub const HUB_NAME_CHARS_MAX: usize = 50;

/// A name breaks its rule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    /// Empty, or longer than the limit.
    #[error("{what} must have 1 to {max} characters")]
    Length {
        /// What was being parsed.
        what: &'static str,
        /// The most characters allowed.
        max: usize,
    },
    /// A character outside the documented set.
    #[error("{what} has the character {character:?}, which is not allowed")]
    Character {
        /// What was being parsed.
        what: &'static str,
        /// The first offending character.
        character: char,
    },
    /// No address of the web.
    #[error("{what} must begin with https:// or http:// and a host")]
    Scheme {
        /// What was being parsed.
        what: &'static str,
    },
}

/// True for the characters of device, module and message ids: ASCII letters, digits and `- : . + % _ # * ? ! ( ) , = @ ; $ '`.
pub const fn is_identity_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(
            byte,
            b'-' | b':'
                | b'.'
                | b'+'
                | b'%'
                | b'_'
                | b'#'
                | b'*'
                | b'?'
                | b'!'
                | b'('
                | b')'
                | b','
                | b'='
                | b'@'
                | b';'
                | b'$'
                | b'\''
        )
}

fn check_identity_text(what: &'static str, text: &str) -> Result<(), IdError> {
    if text.is_empty() || text.chars().count() > IDENTITY_ID_CHARS_MAX {
        return Err(IdError::Length {
            what,
            max: IDENTITY_ID_CHARS_MAX,
        });
    }
    match text
        .chars()
        .find(|c| !c.is_ascii() || !is_identity_byte(*c as u8))
    {
        Some(character) => Err(IdError::Character { what, character }),
        None => Ok(()),
    }
}

macro_rules! identity_text {
    ($(#[$doc:meta])* $name:ident, $what:literal) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Checks length and characters.
            ///
            /// # Errors
            /// When empty, too long, or with a character outside the documented set.
            pub fn parse(text: &str) -> Result<Self, IdError> {
                check_identity_text($what, text)?;
                Ok(Self(Arc::from(text)))
            }

            /// The id as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

identity_text!(
    /// The id of a device, 1 to 128 characters, case-sensitive. Cheap to clone.
    DeviceId,
    "device id"
);
identity_text!(
    /// The id of a module within its device, same rule as a device id. Cheap to clone.
    ModuleId,
    "module id"
);

/// A device, or a module of a device.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IdentityId {
    /// The device.
    pub device: DeviceId,
    /// The module, when the identity is one.
    pub module: Option<ModuleId>,
}

impl IdentityId {
    /// The identity of a device itself.
    pub const fn device(device: DeviceId) -> Self {
        Self {
            device,
            module: None,
        }
    }

    /// The identity of a module.
    pub const fn module(device: DeviceId, module: ModuleId) -> Self {
        Self {
            device,
            module: Some(module),
        }
    }

    /// Parses `device` or `device/module`, the MQTT client id form.
    ///
    /// # Errors
    /// When either part breaks its rule.
    pub fn parse(text: &str) -> Result<Self, IdError> {
        match text.split_once('/') {
            None => Ok(Self::device(DeviceId::parse(text)?)),
            Some((device, module)) => Ok(Self::module(
                DeviceId::parse(device)?,
                ModuleId::parse(module)?,
            )),
        }
    }

    /// The module id as text, empty for a device: the form of storage keys.
    pub fn module_text(&self) -> &str {
        self.module.as_ref().map_or("", ModuleId::as_str)
    }
}

impl fmt::Display for IdentityId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.module {
            None => write!(f, "{}", self.device),
            Some(module) => write!(f, "{}/{module}", self.device),
        }
    }
}

/// The number of a hub within an installation; leads every storage key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HubNo(pub u32);

impl fmt::Display for HubNo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The name of a hub: ASCII letters, digits and `-`, 1 to 50 characters. Also its Event Hubs entity name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HubName(Arc<str>);

impl HubName {
    /// Checks length and characters.
    ///
    /// # Errors
    /// When empty, too long, or with another character.
    pub fn parse(text: &str) -> Result<Self, IdError> {
        if text.is_empty() || text.chars().count() > HUB_NAME_CHARS_MAX {
            return Err(IdError::Length {
                what: "hub name",
                max: HUB_NAME_CHARS_MAX,
            });
        }
        match text
            .chars()
            .find(|c| !c.is_ascii_alphanumeric() && *c != '-')
        {
            Some(character) => Err(IdError::Character {
                what: "hub name",
                character,
            }),
            None => Ok(Self(Arc::from(text))),
        }
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for HubName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A host name, lower-cased and without its port: host names compare without case and port.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HostName(Arc<str>);

impl HostName {
    /// Lower-cases, cuts an optional `:port` and checks the characters (letters, digits, `-`, `.`, `_`, or an IPv6 literal in brackets).
    ///
    /// # Errors
    /// When empty, too long, or with another character.
    pub fn parse(text: &str) -> Result<Self, IdError> {
        let host = match text.rsplit_once(':') {
            Some((host, port))
                if port.bytes().all(|b| b.is_ascii_digit()) && !host.ends_with(':') =>
            {
                host
            }
            _ => text,
        };
        let host = host.trim_start_matches('[').trim_end_matches(']');
        if host.is_empty() || host.len() > HOST_NAME_BYTES_MAX {
            return Err(IdError::Length {
                what: "host name",
                max: HOST_NAME_BYTES_MAX,
            });
        }
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_' | ':');
        match host.chars().find(|c| !allowed(*c)) {
            Some(character) => Err(IdError::Character {
                what: "host name",
                character,
            }),
            None => Ok(Self(Arc::from(host.to_ascii_lowercase()))),
        }
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for HostName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// An opaque guard for registry writes, unquoted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Etag(pub String);

impl Etag {
    /// The etag made from eight random bytes.
    pub fn from_random(bytes: [u8; 8]) -> Self {
        use base64::Engine as _;
        Self(base64::engine::general_purpose::STANDARD.encode(bytes))
    }
}

/// Changes when an id is deleted and created again.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct GenerationId(pub Arc<str>);

impl GenerationId {
    /// The vendor's form: the creation moment in 100 ns ticks since year 1.
    pub fn from_creation(now: crate::Timestamp) -> Self {
        let ticks = i128::from(now.micros() - crate::Timestamp::NEVER.micros()) * 10;
        Self(Arc::from(ticks.to_string()))
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn device_ids_hold_the_documented_characters() {
        for good in ["d", "A-z:0.+%_#*?!(),=@;$'", &"x".repeat(128)] {
            assert_eq!(
                DeviceId::parse(good).map(|id| id.to_string()),
                Ok(good.to_owned())
            );
        }
        for bad in ["", "a/b", "a b", "ä", &"x".repeat(129), "a\n", "<"] {
            assert!(DeviceId::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn host_names_compare_without_case_and_port() {
        assert_eq!(
            HostName::parse("Hub.Test:8883"),
            HostName::parse("hub.test")
        );
        assert_eq!(
            HostName::parse("[::1]:443").map(|h| h.to_string()),
            Ok("::1".into())
        );
        assert_eq!(
            HostName::parse("::1").map(|h| h.to_string()),
            Ok("::1".into())
        );
        assert!(HostName::parse("a b").is_err());
        assert!(HostName::parse(":8883").is_err());
    }

    #[test]
    fn client_ids_name_devices_and_modules() {
        assert_eq!(
            IdentityId::parse("d1").map(|i| i.to_string()),
            Ok("d1".into())
        );
        assert_eq!(
            IdentityId::parse("d1/m1").map(|i| i.module_text().to_owned()),
            Ok("m1".into())
        );
        assert!(IdentityId::parse("d1/m1/x").is_err());
        assert!(IdentityId::parse("d1/").is_err());
    }
}
