//! What a storage key protects: seeds that only its TPM can read, and secrets encrypted and authenticated by a seed.

use aws_lc_rs::agreement::{
    self, ECDH_P256, ECDH_P384, ParsedPublicKey, PrivateKey, UnparsedPublicKey,
};
use aws_lc_rs::cipher::{AES_128, AES_256, EncryptingKey, EncryptionContext, UnboundCipherKey};
use aws_lc_rs::iv::FixedLength;
use aws_lc_rs::rsa::{
    OAEP_SHA256_MGF1SHA256, OAEP_SHA384_MGF1SHA384, OaepAlgorithm, OaepPublicEncryptingKey,
};
use aws_lc_rs::{digest, hmac};

use super::public::{Numbers, StorageKey, rsa_key};
use super::wire::{put_sized, sized};

/// A random number below the order of a curve is found by drawing again; P-256 misses once in 2^32 draws.
const DRAWS_MAX: u32 = 8;

/// The hash of a key's name, and of everything that is protected for the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hash {
    Sha256,
    Sha384,
}

impl Hash {
    pub(super) const fn of(number: u16) -> Option<Self> {
        match number {
            0x000B => Some(Self::Sha256),
            0x000C => Some(Self::Sha384),
            _ => None,
        }
    }

    pub(super) const fn number(self) -> u16 {
        match self {
            Self::Sha256 => 0x000B,
            Self::Sha384 => 0x000C,
        }
    }

    pub(super) const fn bytes(self) -> usize {
        match self {
            Self::Sha256 => 32,
            Self::Sha384 => 48,
        }
    }

    pub(super) fn digest(self) -> &'static digest::Algorithm {
        match self {
            Self::Sha256 => &digest::SHA256,
            Self::Sha384 => &digest::SHA384,
        }
    }

    fn hmac(self) -> hmac::Algorithm {
        match self {
            Self::Sha256 => hmac::HMAC_SHA256,
            Self::Sha384 => hmac::HMAC_SHA384,
        }
    }

    fn oaep(self) -> &'static OaepAlgorithm {
        match self {
            Self::Sha256 => &OAEP_SHA256_MGF1SHA256,
            Self::Sha384 => &OAEP_SHA384_MGF1SHA384,
        }
    }
}

/// A curve of an ECC key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Curve {
    P256,
    P384,
}

impl Curve {
    pub(super) const fn of(number: u16) -> Option<Self> {
        match number {
            0x0003 => Some(Self::P256),
            0x0004 => Some(Self::P384),
            _ => None,
        }
    }

    /// The bytes of a coordinate.
    pub(super) const fn bytes(self) -> usize {
        match self {
            Self::P256 => 32,
            Self::P384 => 48,
        }
    }

    fn algorithm(self) -> &'static agreement::Algorithm {
        match self {
            Self::P256 => &ECDH_P256,
            Self::P384 => &ECDH_P384,
        }
    }

    /// True when the uncompressed point lies on the curve.
    pub(super) fn has(self, point: &[u8]) -> bool {
        let key = UnparsedPublicKey::new(self.algorithm(), point);
        ParsedPublicKey::try_from(key).is_ok_and(|key| key.alg() == self.algorithm())
    }
}

/// The cryptographic library refused; with keys that were parsed it does not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Refused;

/// A seed: what secrets are protected by, and how its TPM learns it.
pub(super) struct Seed {
    pub(super) clear: Vec<u8>,
    /// The content of a `TPM2B_ENCRYPTED_SECRET`.
    pub(super) encrypted: Vec<u8>,
}

impl StorageKey {
    /// Draws a seed for this key (part 1, B.10.3 and C.6.4). The label says what it is for.
    pub(super) fn seed(
        &self,
        label: &str,
        random: &mut dyn FnMut(&mut [u8]),
    ) -> Result<Seed, Refused> {
        match &self.numbers {
            Numbers::Rsa(modulus) => {
                let key = rsa_key(modulus).ok_or(Refused)?;
                let mut clear = vec![0; self.hash.bytes()];
                random(&mut clear);
                let encrypted = oaep(&key, self.hash, label, &clear)?;
                Ok(Seed { clear, encrypted })
            }
            Numbers::Ecc(curve, point) => agree(*curve, point, self.hash, label, random),
        }
    }

    /// Encrypts and authenticates `secret` for the object called `name` (part 1, 23.3.2.3 and 24.4): the outer wrap of a
    /// duplicated key, and a credential.
    pub(super) fn protect(
        &self,
        seed: &Seed,
        name: &[u8],
        mut secret: Vec<u8>,
    ) -> Result<Vec<u8>, Refused> {
        let key = derive(
            self.hash,
            &seed.clear,
            "STORAGE",
            name,
            self.symmetric_bytes,
        );
        encrypt(&key, &mut secret)?;
        let key = derive(self.hash, &seed.clear, "INTEGRITY", &[], self.hash.bytes());
        let mut integrity = hmac::Context::with_key(&hmac::Key::new(self.hash.hmac(), &key));
        integrity.update(&secret);
        integrity.update(name);
        let mut out = sized(integrity.sign().as_ref());
        out.extend(secret);
        Ok(out)
    }
}

fn oaep(
    key: &OaepPublicEncryptingKey,
    hash: Hash,
    label: &str,
    clear: &[u8],
) -> Result<Vec<u8>, Refused> {
    let mut encrypted = vec![0; key.ciphertext_size()];
    let label = terminated(label);
    key.encrypt(hash.oaep(), clear, &mut encrypted, Some(&label))
        .map_err(|_| Refused)?;
    Ok(encrypted)
}

/// Agrees on a seed by a key of this one use, whose public point is what is sent.
fn agree(
    curve: Curve,
    point: &[u8],
    hash: Hash,
    label: &str,
    random: &mut dyn FnMut(&mut [u8]),
) -> Result<Seed, Refused> {
    let mut number = vec![0; curve.bytes()];
    let own = (0..DRAWS_MAX).find_map(|_| {
        random(&mut number);
        PrivateKey::from_private_key(curve.algorithm(), &number).ok()
    });
    let own = own.ok_or(Refused)?;
    let own_point = own.compute_public_key().map_err(|_| Refused)?;
    let (own_x, own_y) = coordinates(own_point.as_ref(), curve)?;
    let (x, _) = coordinates(point, curve)?;
    let peer = UnparsedPublicKey::new(curve.algorithm(), point);
    let clear = agreement::agree(&own, peer, Refused, |shared| {
        Ok(derive_agreed(hash, shared, label, own_x, x))
    })?;
    let mut encrypted = sized(own_x);
    put_sized(&mut encrypted, own_y);
    Ok(Seed { clear, encrypted })
}

/// The two coordinates of an uncompressed point.
fn coordinates(point: &[u8], curve: Curve) -> Result<(&[u8], &[u8]), Refused> {
    let numbers = point.strip_prefix(&[4]).ok_or(Refused)?;
    numbers.split_at_checked(curve.bytes()).ok_or(Refused)
}

/// `KDFa` (part 1, 11.4.10.2), for whole bytes and one context.
pub(super) fn derive(hash: Hash, key: &[u8], label: &str, context: &[u8], bytes: usize) -> Vec<u8> {
    let key = hmac::Key::new(hash.hmac(), key);
    let bits = u32::try_from(bytes * 8).expect("invariant: keys are small");
    let mut out = Vec::new();
    for counter in 1_u32.. {
        let mut block = hmac::Context::with_key(&key);
        block.update(&counter.to_be_bytes());
        block.update(&terminated(label));
        block.update(context);
        block.update(&bits.to_be_bytes());
        out.extend(block.sign().as_ref());
        if out.len() >= bytes {
            break;
        }
    }
    out.truncate(bytes);
    out
}

/// `KDFe` (part 1, 11.4.10.3), for as many bytes as the hash has.
fn derive_agreed(hash: Hash, shared: &[u8], label: &str, own_x: &[u8], x: &[u8]) -> Vec<u8> {
    let mut context = digest::Context::new(hash.digest());
    context.update(&1_u32.to_be_bytes());
    context.update(shared);
    context.update(&terminated(label));
    context.update(own_x);
    context.update(x);
    context.finish().as_ref().to_vec()
}

/// AES in CFB mode with an initial vector of zeros: each key is used once.
pub(super) fn encrypt(key: &[u8], bytes: &mut [u8]) -> Result<(), Refused> {
    let algorithm = if key.len() == 16 { &AES_128 } else { &AES_256 };
    let key = UnboundCipherKey::new(algorithm, key).map_err(|_| Refused)?;
    let key = EncryptingKey::cfb128(key).map_err(|_| Refused)?;
    let start = EncryptionContext::Iv128(FixedLength::from(&[0; 16]));
    key.less_safe_encrypt(bytes, start).map_err(|_| Refused)?;
    Ok(())
}

/// Labels end in a zero byte, which counts.
fn terminated(label: &str) -> Vec<u8> {
    [label.as_bytes(), &[0]].concat()
}
