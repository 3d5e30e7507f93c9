//! Symmetric keys.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use subtle::ConstantTimeEq as _;

use crate::limits::{SYMMETRIC_KEY_BYTES_MAX, SYMMETRIC_KEY_BYTES_MIN};

/// A shared access key of 16 to 64 bytes.
///
/// A secret: it has no `Debug` and no `Display`, and compares in constant time. [`Self::to_base64`]
/// is the one way to its text.
#[derive(Clone)]
pub struct SymmetricKey(Box<[u8]>);

/// The text is no key. Never carries the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Not canonical base64 with the standard alphabet and padding.
    #[error("the key is not base64")]
    NotBase64,
    /// Too short or too long.
    #[error(
        "the key has {bytes} bytes, not {SYMMETRIC_KEY_BYTES_MIN} to {SYMMETRIC_KEY_BYTES_MAX}"
    )]
    Size {
        /// Its size after decoding.
        bytes: usize,
    },
}

impl SymmetricKey {
    /// Reads base64. What it accepts, [`Self::to_base64`] prints again byte for byte.
    ///
    /// # Errors
    /// When the text is not base64 or the key is not 16 to 64 bytes long.
    pub fn parse(base64: &str) -> Result<Self, KeyError> {
        Self::from_bytes(&STANDARD.decode(base64).map_err(|_| KeyError::NotBase64)?)
    }

    /// The key of these bytes, which for a new key are random.
    ///
    /// # Errors
    /// When there are not 16 to 64 of them.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, KeyError> {
        if (SYMMETRIC_KEY_BYTES_MIN..=SYMMETRIC_KEY_BYTES_MAX).contains(&bytes.len()) {
            Ok(Self(bytes.into()))
        } else {
            Err(KeyError::Size { bytes: bytes.len() })
        }
    }

    /// The key's bytes, for records.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The key as clients know it.
    pub fn to_base64(&self) -> String {
        STANDARD.encode(&self.0)
    }

    /// The HMAC-SHA256 of `message` under this key.
    pub fn sign(&self, message: &[u8]) -> [u8; 32] {
        self.mac(&[message]).finalize().into_bytes().into()
    }

    /// True when `signature` is the HMAC-SHA256 of the joined `parts`. Takes the same time either way.
    pub(super) fn verifies(&self, parts: &[&[u8]], signature: &[u8; 32]) -> bool {
        self.mac(parts).verify_slice(signature).is_ok()
    }

    /// As [`Self::verifies`], by the base64 text of the key instead of the bytes that it stands for.
    pub(super) fn verifies_by_text(&self, parts: &[&[u8]], signature: &[u8; 32]) -> bool {
        let text = self.to_base64();
        mac(text.as_bytes(), parts).verify_slice(signature).is_ok()
    }

    fn mac(&self, parts: &[&[u8]]) -> Hmac<Sha256> {
        mac(&self.0, parts)
    }
}

fn mac(key: &[u8], parts: &[&[u8]]) -> Hmac<Sha256> {
    let mut mac = Hmac::new_from_slice(key).expect("HMAC takes a key of any length");
    for part in parts {
        mac.update(part);
    }
    mac
}

impl PartialEq for SymmetricKey {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for SymmetricKey {}
