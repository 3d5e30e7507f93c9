//! A key that one TPM alone can import.

use aws_lc_rs::digest;
use hub_domain::SymmetricKey;

use super::protection::{Hash, Refused, encrypt};
use super::public::{EndorsementKey, SIGN, StorageRootKey};
use super::wire::{put_sized, sized};

const ALG_HMAC: u16 = 0x0005;
const ALG_KEYED_HASH: u16 = 0x0008;
const USER_WITH_AUTH: u32 = 1 << 6;
const NO_DICTIONARY_ATTACK: u32 = 1 << 10;

/// The hash of the imported key: tokens are signed by HMAC-SHA256, and clients check no other.
const KEY_HASH: Hash = Hash::Sha256;
/// The inner wrap is AES-128, which the C and C# clients have written down as a constant.
const INNER_KEY_BYTES: usize = 16;

/// A challenge cannot be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChallengeError {
    /// The library refused a key that was parsed before.
    #[error("the key cannot be encrypted for this TPM")]
    Refused,
}

impl From<Refused> for ChallengeError {
    fn from(Refused: Refused) -> Self {
        Self::Refused
    }
}

/// An HMAC key, readable only by the TPM with the given endorsement key while it has the given storage root key: the
/// `authenticationKey` of replies, before base64.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Challenge(Vec<u8>);

impl Challenge {
    /// Encrypts `key`. `random` fills a buffer with random bytes fit for keys.
    ///
    /// A device that can sign by the key has proven that its TPM holds both keys: the endorsement key opens the inner wrap
    /// only together with the storage root key, and the TPM never gives the HMAC key away.
    ///
    /// # Errors
    /// When the cryptographic library refuses, which it does not for keys that were parsed.
    pub fn make(
        endorsement_key: &EndorsementKey,
        storage_root_key: &StorageRootKey,
        key: &SymmetricKey,
        random: &mut dyn FnMut(&mut [u8]),
    ) -> Result<Self, ChallengeError> {
        let (endorsement, storage) = (&endorsement_key.0, &storage_root_key.0);
        let mut inner_key = [0; INNER_KEY_BYTES];
        random(&mut inner_key);
        let mut obfuscation = vec![0; KEY_HASH.bytes()];
        random(&mut obfuscation);

        let object = Object::new(key, &obfuscation);
        let wrapped = object.wrap(&inner_key)?;
        let storage_seed = storage.seed("DUPLICATE", random)?;
        let private = storage.protect(&storage_seed, &object.name, wrapped)?;

        let endorsement_seed = endorsement.seed("IDENTITY", random)?;
        let credential =
            endorsement.protect(&endorsement_seed, &storage.name(), sized(&inner_key))?;

        let mut out = sized(&credential);
        put_sized(&mut out, &endorsement_seed.encrypted);
        put_sized(&mut out, &private);
        put_sized(&mut out, &storage_seed.encrypted);
        put_sized(&mut out, &object.public);
        put_sized(&mut out, &[]);
        Ok(Self(out))
    }

    /// The bytes that go to the device, in base64.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// The HMAC key as an object of a TPM.
struct Object {
    /// `TPMT_PUBLIC`.
    public: Vec<u8>,
    name: Vec<u8>,
    /// `TPM2B_SENSITIVE`.
    sensitive: Vec<u8>,
}

impl Object {
    fn new(key: &SymmetricKey, obfuscation: &[u8]) -> Self {
        let unique = digest::digest(KEY_HASH.digest(), &[obfuscation, key.as_bytes()].concat());
        let mut public = Vec::new();
        public.extend(ALG_KEYED_HASH.to_be_bytes());
        public.extend(KEY_HASH.number().to_be_bytes());
        // Without a policy nobody can duplicate it further, not even the TPM's owner.
        public.extend((SIGN | USER_WITH_AUTH | NO_DICTIONARY_ATTACK).to_be_bytes());
        put_sized(&mut public, &[]);
        public.extend(ALG_HMAC.to_be_bytes());
        public.extend(KEY_HASH.number().to_be_bytes());
        put_sized(&mut public, unique.as_ref());

        let mut sensitive = ALG_KEYED_HASH.to_be_bytes().to_vec();
        put_sized(&mut sensitive, &[]);
        put_sized(&mut sensitive, obfuscation);
        put_sized(&mut sensitive, key.as_bytes());
        Self {
            name: KEY_HASH.name(&public),
            public,
            sensitive: sized(&sensitive),
        }
    }

    /// The inner wrap of a duplicated key (part 1, 23.3.2.2).
    fn wrap(&self, inner_key: &[u8]) -> Result<Vec<u8>, Refused> {
        let integrity =
            digest::digest(KEY_HASH.digest(), &[&*self.sensitive, &*self.name].concat());
        let mut wrapped = sized(integrity.as_ref());
        wrapped.extend(&self.sensitive);
        encrypt(inner_key, &mut wrapped)?;
        Ok(wrapped)
    }
}
