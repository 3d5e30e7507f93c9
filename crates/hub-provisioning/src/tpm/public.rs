//! The public parts of a TPM's keys, as devices send them: `TPM2B_PUBLIC`.

use aws_lc_rs::digest;
use aws_lc_rs::rsa::{OaepPublicEncryptingKey, PublicEncryptingKey, PublicKeyComponents};
use hub_domain::limits::TPM_PUBLIC_BYTES_MAX;

use super::protection::{Curve, Hash};
use super::wire::Reader;

// Algorithms ("TPM 2.0 Library", part 2, 6.3).
pub(super) const ALG_RSA: u16 = 0x0001;
pub(super) const ALG_AES: u16 = 0x0006;
pub(super) const ALG_NULL: u16 = 0x0010;
pub(super) const ALG_ECC: u16 = 0x0023;
pub(super) const ALG_CFB: u16 = 0x0043;

// Attributes of objects (part 2, 8.3).
pub(super) const FIXED_TPM: u32 = 1 << 1;
pub(super) const FIXED_PARENT: u32 = 1 << 4;
pub(super) const SENSITIVE_DATA_ORIGIN: u32 = 1 << 5;
pub(super) const RESTRICTED: u32 = 1 << 16;
pub(super) const DECRYPT: u32 = 1 << 17;
pub(super) const SIGN: u32 = 1 << 18;

/// What the default exponent of RSA is written as, and what it is.
const EXPONENTS: [u32; 2] = [0, 65_537];
const EXPONENT_BYTES: [u8; 3] = [1, 0, 1];

/// The bytes cannot serve as a key of a device's TPM.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PublicKeyError {
    /// The structure is wrong: a size, a missing part, something behind it.
    #[error("the key is not a TPM2B_PUBLIC structure")]
    Malformed,
    /// A well-formed key with an algorithm or size that is not taken.
    #[error("the key's {what} is not supported: {found:#06x}")]
    Unsupported {
        /// The part of the structure.
        what: &'static str,
        /// What stands there.
        found: u32,
    },
    /// A key that signs, or one that decrypts anything; the TPM refuses to use it here.
    #[error("the key is not a storage key: it has to be restricted, and to decrypt only")]
    NotStorage,
    /// A key that its TPM did not make or may give away, so that it tells nothing of the TPM.
    #[error(
        "the key is not bound to its TPM: it has to be made by it and fixed to it and its parent"
    )]
    NotBound,
    /// The numbers are no public key of the algorithm.
    #[error("the key's numbers are no valid public key")]
    NotAKey,
}

/// The public part of an endorsement key, by which a TPM is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndorsementKey(pub(super) StorageKey);

/// The public part of a storage root key, below which a TPM takes keys of others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StorageRootKey(pub(super) StorageKey);

impl EndorsementKey {
    /// Reads a whole `TPM2B_PUBLIC`, which devices send in base64: RSA of 2048, 3072 or 4096 bits, or P-256 or P-384,
    /// with AES in CFB mode.
    ///
    /// # Errors
    /// When it is malformed, not supported, or no restricted decryption key bound to its TPM.
    pub fn parse(bytes: &[u8]) -> Result<Self, PublicKeyError> {
        StorageKey::parse(bytes).map(Self)
    }
}

impl StorageRootKey {
    /// Reads a whole `TPM2B_PUBLIC`; takes the same kinds as [`EndorsementKey::parse`].
    ///
    /// # Errors
    /// When it is malformed, not supported, or no restricted decryption key bound to its TPM.
    pub fn parse(bytes: &[u8]) -> Result<Self, PublicKeyError> {
        StorageKey::parse(bytes).map(Self)
    }

    /// The name that the TPM knows the key by: the hash of its public part, behind the hash's number.
    pub fn name(&self) -> Vec<u8> {
        self.0.name()
    }
}

/// A restricted decryption key, for which secrets can be protected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct StorageKey {
    /// The `TPMT_PUBLIC`, as received.
    public: Box<[u8]>,
    pub(super) hash: Hash,
    /// The bytes of an AES key.
    pub(super) symmetric_bytes: usize,
    pub(super) numbers: Numbers,
}

/// The public numbers of the key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Numbers {
    /// The modulus; the exponent is 65537.
    Rsa(Box<[u8]>),
    /// A point, uncompressed: 4, x, y.
    Ecc(Curve, Box<[u8]>),
}

impl StorageKey {
    fn parse(bytes: &[u8]) -> Result<Self, PublicKeyError> {
        if bytes.len() > TPM_PUBLIC_BYTES_MAX {
            return Err(PublicKeyError::Malformed);
        }
        let mut outer = Reader::new(bytes);
        let public = outer.sized().ok_or(PublicKeyError::Malformed)?;
        outer.finish().ok_or(PublicKeyError::Malformed)?;
        let mut reader = Reader::new(public);
        let kind = number16(&mut reader)?;
        let hash = number16(&mut reader)?;
        let hash = Hash::of(hash).ok_or_else(|| unsupported("name algorithm", hash))?;
        let attributes = reader.number32().ok_or(PublicKeyError::Malformed)?;
        reader.sized().ok_or(PublicKeyError::Malformed)?;
        let symmetric_bytes = match kind {
            ALG_RSA | ALG_ECC => read_symmetric(&mut reader)?,
            other => return Err(unsupported("type", other)),
        };
        let numbers = match kind {
            ALG_RSA => read_rsa(&mut reader)?,
            _ => read_ecc(&mut reader)?,
        };
        reader.finish().ok_or(PublicKeyError::Malformed)?;
        if attributes & (RESTRICTED | DECRYPT | SIGN) != RESTRICTED | DECRYPT {
            return Err(PublicKeyError::NotStorage);
        }
        let bound = FIXED_TPM | FIXED_PARENT | SENSITIVE_DATA_ORIGIN;
        if attributes & bound != bound {
            return Err(PublicKeyError::NotBound);
        }
        Ok(Self {
            public: public.into(),
            hash,
            symmetric_bytes,
            numbers,
        })
    }

    pub(super) fn name(&self) -> Vec<u8> {
        self.hash.name(&self.public)
    }
}

fn number16(reader: &mut Reader<'_>) -> Result<u16, PublicKeyError> {
    reader.number16().ok_or(PublicKeyError::Malformed)
}

fn unsupported(what: &'static str, found: impl Into<u32>) -> PublicKeyError {
    let found = found.into();
    PublicKeyError::Unsupported { what, found }
}

/// The cipher that the key protects with: its key size in bytes.
fn read_symmetric(reader: &mut Reader<'_>) -> Result<usize, PublicKeyError> {
    match number16(reader)? {
        ALG_AES => {}
        // A key without a cipher is well-formed, but holds nothing below it.
        ALG_NULL => return Err(PublicKeyError::NotStorage),
        other => return Err(unsupported("cipher", other)),
    }
    let bits = number16(reader)?;
    if bits != 128 && bits != 256 {
        return Err(unsupported("cipher's key size", bits));
    }
    match number16(reader)? {
        ALG_CFB => Ok(usize::from(bits / 8)),
        other => Err(unsupported("cipher's mode", other)),
    }
}

/// The scheme of a storage key is none.
fn read_no_scheme(reader: &mut Reader<'_>, what: &'static str) -> Result<(), PublicKeyError> {
    match number16(reader)? {
        ALG_NULL => Ok(()),
        other => Err(unsupported(what, other)),
    }
}

fn read_rsa(reader: &mut Reader<'_>) -> Result<Numbers, PublicKeyError> {
    read_no_scheme(reader, "scheme")?;
    let bits = number16(reader)?;
    if !matches!(bits, 2048 | 3072 | 4096) {
        return Err(unsupported("size", bits));
    }
    let exponent = reader.number32().ok_or(PublicKeyError::Malformed)?;
    if !EXPONENTS.contains(&exponent) {
        return Err(unsupported("exponent", exponent));
    }
    let modulus = reader.sized().ok_or(PublicKeyError::Malformed)?;
    if modulus.len() != usize::from(bits / 8) {
        return Err(PublicKeyError::Malformed);
    }
    let fills_its_size = modulus.first().is_some_and(|first| first & 0x80 != 0);
    let is_odd = modulus.last().is_some_and(|last| last & 1 == 1);
    if !fills_its_size || !is_odd || rsa_key(modulus).is_none() {
        return Err(PublicKeyError::NotAKey);
    }
    Ok(Numbers::Rsa(modulus.into()))
}

/// The library's form of the key.
pub(super) fn rsa_key(modulus: &[u8]) -> Option<OaepPublicEncryptingKey> {
    let components = PublicKeyComponents {
        n: modulus,
        e: &EXPONENT_BYTES,
    };
    let key: PublicEncryptingKey = components.try_into().ok()?;
    OaepPublicEncryptingKey::new(key).ok()
}

fn read_ecc(reader: &mut Reader<'_>) -> Result<Numbers, PublicKeyError> {
    read_no_scheme(reader, "scheme")?;
    let curve = number16(reader)?;
    let curve = Curve::of(curve).ok_or_else(|| unsupported("curve", curve))?;
    read_no_scheme(reader, "key derivation")?;
    let mut point = vec![4];
    for _ in 0..2 {
        let coordinate = reader.sized().ok_or(PublicKeyError::Malformed)?;
        // Older TPMs leave out leading zeros.
        let missing = curve.bytes().checked_sub(coordinate.len());
        point.extend(vec![0; missing.ok_or(PublicKeyError::Malformed)?]);
        point.extend(coordinate);
    }
    if !curve.has(&point) {
        return Err(PublicKeyError::NotAKey);
    }
    Ok(Numbers::Ecc(curve, point.into()))
}

impl Hash {
    /// The name of an object with this public part (part 1, 16).
    pub(super) fn name(self, public: &[u8]) -> Vec<u8> {
        let mut name = self.number().to_be_bytes().to_vec();
        name.extend(digest::digest(self.digest(), public).as_ref());
        name
    }
}
