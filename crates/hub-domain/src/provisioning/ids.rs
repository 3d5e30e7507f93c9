//! Names of the provisioning service.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use crate::ids::IdError;

/// Longest registration and enrollment group id in characters ("Terminology", registration ID).
const REGISTRATION_ID_CHARS_MAX: usize = 128;
/// Longest address of an allocation webhook in characters.
const WEBHOOK_URL_CHARS_MAX: usize = 2_048;
/// Longest id scope in characters.
const ID_SCOPE_CHARS_MAX: usize = 64;
/// Longest operation id in characters.
const OPERATION_ID_CHARS_MAX: usize = 128;

/// Letters, digits, `-`, `.`, `_`, `:`; the last one a letter, a digit or `-`.
fn check(what: &'static str, text: &str) -> Result<(), IdError> {
    if text.is_empty() || text.chars().count() > REGISTRATION_ID_CHARS_MAX {
        return Err(IdError::Length {
            what,
            max: REGISTRATION_ID_CHARS_MAX,
        });
    }
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_' | ':');
    if let Some(character) = text.chars().find(|c| !allowed(*c)) {
        return Err(IdError::Character { what, character });
    }
    match text.chars().next_back() {
        Some(last) if !last.is_ascii_alphanumeric() && last != '-' => Err(IdError::Character {
            what,
            character: last,
        }),
        Some(_) | None => Ok(()),
    }
}

macro_rules! name_without_case {
    ($(#[$doc:meta])* $name:ident, $what:literal) => {
        $(#[$doc])*
        #[derive(Clone, Debug)]
        pub struct $name {
            spelled: Arc<str>,
            key: Arc<str>,
        }

        impl $name {
            /// Checks length and characters.
            ///
            /// # Errors
            /// When empty, longer than 128 characters, or with a character that is not allowed where it stands.
            pub fn parse(text: &str) -> Result<Self, IdError> {
                check($what, text)?;
                let spelled: Arc<str> = Arc::from(text);
                let key = if text.bytes().any(|b| b.is_ascii_uppercase()) {
                    Arc::from(text.to_ascii_lowercase())
                } else {
                    Arc::clone(&spelled)
                };
                Ok(Self { spelled, key })
            }

            /// The id as it was written.
            pub fn as_str(&self) -> &str {
                &self.spelled
            }

            /// The id in lower case: what it is stored and found by.
            pub fn key(&self) -> &str {
                &self.key
            }
        }

        impl PartialEq for $name {
            fn eq(&self, other: &Self) -> bool {
                self.key == other.key
            }
        }

        impl Eq for $name {}

        impl Hash for $name {
            fn hash<H: Hasher>(&self, state: &mut H) {
                self.key.hash(state);
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.spelled)
            }
        }
    };
}

name_without_case!(
    /// The id under which a device registers, 1 to 128 characters, compared without case. Cheap to clone.
    RegistrationId,
    "registration id"
);
name_without_case!(
    /// The id of an enrollment group, same rule as a registration id. Cheap to clone.
    EnrollmentGroupId,
    "enrollment group id"
);

macro_rules! opaque_text {
    ($(#[$doc:meta])* $name:ident, $what:literal, $max:expr) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Hash)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Checks length and characters.
            ///
            /// # Errors
            /// When empty, too long, or with other characters than letters, digits, `-` and `.`.
            pub fn parse(text: &str) -> Result<Self, IdError> {
                if text.is_empty() || text.len() > $max {
                    return Err(IdError::Length { what: $what, max: $max });
                }
                let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.');
                match text.chars().find(|c| !allowed(*c)) {
                    Some(character) => Err(IdError::Character { what: $what, character }),
                    None => Ok(Self(Arc::from(text))),
                }
            }

            /// The text.
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

opaque_text!(
    /// Names the provisioning service towards devices; made once at the first start. Cheap to clone.
    IdScope,
    "id scope",
    ID_SCOPE_CHARS_MAX
);
opaque_text!(
    /// Names one registration attempt, so that a device can ask what became of it.
    OperationId,
    "operation id",
    OPERATION_ID_CHARS_MAX
);

impl IdScope {
    /// A new scope: the vendor's prefix and eight hexadecimal digits.
    pub fn from_random(bytes: [u8; 4]) -> Self {
        Self(Arc::from(format!("0ne{:08X}", u32::from_be_bytes(bytes))))
    }
}

impl OperationId {
    /// A new id in the vendor's form: `5.{16 digits}.{guid}`.
    pub fn from_random(bytes: [u8; 24]) -> Self {
        let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        let (slot, guid) = digits.split_at(16);
        Self(Arc::from(format!(
            "5.{slot}.{}-{}-{}-{}-{}",
            &guid[..8],
            &guid[8..12],
            &guid[12..16],
            &guid[16..20],
            &guid[20..]
        )))
    }
}

/// The address of an allocation webhook: `https://…`, or `http://…` for one on the same network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebhookUrl(Arc<str>);

impl WebhookUrl {
    /// Checks scheme, length and characters; whether the host exists is seen when it is asked.
    ///
    /// # Errors
    /// When empty or too long, or not an `http` or `https` address of visible ASCII characters.
    pub fn parse(text: &str) -> Result<Self, IdError> {
        const WHAT: &str = "webhook address";
        if text.is_empty() || text.len() > WEBHOOK_URL_CHARS_MAX {
            return Err(IdError::Length {
                what: WHAT,
                max: WEBHOOK_URL_CHARS_MAX,
            });
        }
        if let Some(character) = text.chars().find(|c| !c.is_ascii_graphic()) {
            return Err(IdError::Character {
                what: WHAT,
                character,
            });
        }
        let lower = text.to_ascii_lowercase();
        let rest = ["https://", "http://"]
            .into_iter()
            .find_map(|scheme| lower.strip_prefix(scheme));
        match rest.and_then(|rest| rest.chars().next()) {
            Some(first) if first.is_ascii_alphanumeric() || first == '[' => {
                Ok(Self(Arc::from(text)))
            }
            Some(_) | None => Err(IdError::Scheme { what: WHAT }),
        }
    }

    /// The address as text. Its query may hold a secret of the webhook: never log it whole.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn registration_ids_hold_the_documented_characters() {
        for good in ["a", "A-z:0._x", "sn-", &"x".repeat(128)] {
            assert!(RegistrationId::parse(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "a/b",
            "a b",
            "ends.",
            "ends_",
            "ends:",
            "a$",
            "ä",
            &"x".repeat(129),
        ] {
            assert!(RegistrationId::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn registration_ids_compare_without_case_and_keep_their_spelling() {
        let id = RegistrationId::parse("Sensor-A").expect("valid");
        assert_eq!(Ok(&id), RegistrationId::parse("sensor-a").as_ref());
        assert_eq!((id.as_str(), id.key()), ("Sensor-A", "sensor-a"));
    }

    #[test]
    fn operation_ids_have_the_form_of_the_vendor() {
        let id = OperationId::from_random([0xab; 24]);
        assert_eq!(
            id.as_str(),
            "5.abababababababab.abababab-abab-abab-abab-abababababab"
        );
        assert_eq!(OperationId::parse(id.as_str()), Ok(id));
    }

    #[test]
    fn webhooks_are_addresses_of_http() {
        for good in [
            "https://f.example/api/x?code=a%3D%3D",
            "http://127.0.0.1:8080/",
            "HTTPS://[::1]/x",
        ] {
            assert!(WebhookUrl::parse(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "ftp://x/",
            "https://",
            "https:///x",
            "https://a b/",
            "x",
        ] {
            assert!(WebhookUrl::parse(bad).is_err(), "{bad}");
        }
    }
}
