//! Keys as a TPM gave them, and challenges opened as a TPM opens them. `tests/sdk` has them opened by one.

use aws_lc_rs::cipher::{AES_128, AES_256, DecryptingKey, DecryptionContext, UnboundCipherKey};
use aws_lc_rs::encoding::AsDer as _;
use aws_lc_rs::iv::FixedLength;
use aws_lc_rs::rsa::{
    KeySize, OAEP_SHA256_MGF1SHA256, OaepPrivateDecryptingKey, PrivateDecryptingKey,
};
use aws_lc_rs::{digest, hmac};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hub_domain::SymmetricKey;

use super::protection::{Hash, derive};
use super::wire::{Reader, put_sized, sized};
use super::{Challenge, EndorsementKey, PublicKeyError, StorageRootKey};

// Read from swtpm by the Node SDK's `TpmSecurityClient`, which makes them by its own templates.
const RSA_ENDORSEMENT_KEY: &str = "AToAAQALAAMAsgAgg3GXZ0SEs/gakMyNRqXXJP1S124GUgtk8qHaGzMUaaoABgCAAEMAEAgAAAAAAAEAnXhYo+vGg30IVRAF++pA1Ap1EddOK3hDtwU/tsHViuFE7QirLIAegIT3TPzb66b4aOHqq4oFd4qaFqBxAdYL97Mz/HS5t299qdMpUKx91fBL4GSbFHtxCkC0LTZEJwKdsQUnRXIDMuopqV9Iz9/T9vL/0ce02G7nClNvPemf7rVH8CjmPm36lEgZgsa4BtIgd07B5Wu5mfx48yPICQKadHsj1Fc2Gkf8z/x8zFpkmuHUBquVC3Hl61YewN6yZBsHLVYoA18k2lhD/Muu4COZclhtcMTRph4T23DvreECIcGQpELduPVIogZyfKXCePeXoWyl33L/JZAAO1dTw3jZPQ==";
const RSA_STORAGE_ROOT_KEY: &str = "ARoAAQALAAMEcgAAAAYAgABDABAIAAAAAAABAJEli15Y+vkPr4rlsMJ2w7cx1VJc/lH0n7ioWa7L7qdtvSlz+BxKb9krxxYWZRzEDTkBHs8ahr9RrfTKMgjnfiBmRER5VLzf7DkU5nXIsdMhX61aX4N4YVsYqflxoy2IkPKByVOheaUYnasxcipr/5tpsSxpLylzNjXfs4YRNjxskBtmGH7i2DKi5aXjDWGVFdomLW44p3xrhGuq3FaBZMr7j4QEdB4TyCDAToBf1Eibdj+m/chpc+SPLchWhE1FAGlWT863+mHL2JuPVmr1JaiKZk6GIKbQ8TDWBL9V8s5v/uFvt9zBlNmId47j+fOW/N+wo1ak/mF/fuLMxPmeM7M=";
const P256_ENDORSEMENT_KEY: &str = "AHoAIwALAAMAsgAgg3GXZ0SEs/gakMyNRqXXJP1S124GUgtk8qHaGzMUaaoABgCAAEMAEAADABAAIFxRRKcZyxCCOH/piwvQlUYp79sxqlfmher4wKDAWmXbACCYqacLkw6FHU4Un81oekgkEiKRjKFxw9P6AxS7aknDQQ==";
const P256_STORAGE_ROOT_KEY: &str = "AFoAIwALAAMEcgAAAAYAgABDABAAAwAQACAvlgWEWs3bDMfZpEqKwNa4bGogXT4Kxa8rC8BEk0xxaAAg2F3ssgtW4tSs/pPIDUaB2yny42rI2N5kcDxLYnee1Ak=";
const P384_STORAGE_ROOT_KEY: &str = "AHoAIwAMAAMEcgAAAAYBAABDABAABAAQADBbTIJ3yEV2PL/8cow1diznPmQ7zGbDeGsOH2k4gwXxPqa6eKeVmDb7AmBEIgoW9+kAMOG1pPLw3WUkqJNbGLWZuwwXBIkIxliGjhTa6Rzrvx1zCCc+AGBzm6eh5qryeys+0Q==";

fn decode(text: &str) -> Vec<u8> {
    STANDARD.decode(text).unwrap()
}

fn digits(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// 1, 2, 3 and so on.
fn counting() -> impl FnMut(&mut [u8]) {
    let mut next = 0_u8;
    move |bytes| {
        for byte in bytes {
            next = next.wrapping_add(1);
            *byte = next;
        }
    }
}

#[test]
fn keys_of_the_usual_templates_are_taken() {
    for text in [
        RSA_ENDORSEMENT_KEY,
        RSA_STORAGE_ROOT_KEY,
        P256_ENDORSEMENT_KEY,
        P256_STORAGE_ROOT_KEY,
        P384_STORAGE_ROOT_KEY,
    ] {
        let bytes = decode(text);
        assert!(EndorsementKey::parse(&bytes).is_ok(), "{text}");
        assert!(StorageRootKey::parse(&bytes).is_ok(), "{text}");
    }
}

#[test]
fn a_name_is_the_hash_of_the_public_part_behind_its_number() {
    let bytes = decode(RSA_STORAGE_ROOT_KEY);
    let hash = digest::digest(&digest::SHA256, &bytes[2..]);
    let name = StorageRootKey::parse(&bytes).unwrap().name();
    assert_eq!(digits(&name), format!("000b{}", digits(hash.as_ref())));
    let name = StorageRootKey::parse(&decode(P384_STORAGE_ROOT_KEY)).unwrap();
    assert_eq!(name.name().len(), 2 + 48);
}

/// The verdict on an RSA key with some bytes of it replaced.
fn verdict(at: usize, bytes: &[u8]) -> String {
    let mut key = decode(RSA_STORAGE_ROOT_KEY);
    key[at..at + bytes.len()].copy_from_slice(bytes);
    match StorageRootKey::parse(&key) {
        Ok(_) => "taken".to_owned(),
        Err(error) => error.to_string(),
    }
}

#[test]
fn keys_that_cannot_serve_are_told_apart() {
    let unsupported = |what, found| format!("the key's {what} is not supported: {found}");
    assert_eq!(verdict(0, &[]), "taken");
    assert_eq!(verdict(2, &[0, 8]), unsupported("type", "0x0008"));
    assert_eq!(verdict(4, &[0, 4]), unsupported("name algorithm", "0x0004"));
    assert_eq!(verdict(12, &[0, 0x26]), unsupported("cipher", "0x0026"));
    let not_storage =
        "the key is not a storage key: it has to be restricted, and to decrypt only".to_owned();
    assert_eq!(
        verdict(14, &[0, 192]),
        unsupported("cipher's key size", "0x00c0")
    );
    assert_eq!(
        verdict(16, &[0, 0x44]),
        unsupported("cipher's mode", "0x0044")
    );
    assert_eq!(verdict(18, &[0, 0x17]), unsupported("scheme", "0x0017"));
    assert_eq!(verdict(20, &[4, 0]), unsupported("size", "0x0400"));
    assert_eq!(
        verdict(22, &[0, 0, 0, 3]),
        unsupported("exponent", "0x0003")
    );
    assert_eq!(verdict(22, &[0, 1, 0, 1]), "taken");
    // Signs as well; is not restricted.
    assert_eq!(verdict(6, &[0, 7, 4, 0x72]), not_storage);
    assert_eq!(verdict(6, &[0, 2, 4, 0x72]), not_storage);
    // May leave its TPM; may leave its parent; came from outside.
    let not_bound =
        "the key is not bound to its TPM: it has to be made by it and fixed to it and its parent";
    for low in [0x70, 0x62, 0x52] {
        assert_eq!(verdict(6, &[0, 3, 4, low]), not_bound);
    }
    // A modulus that is shorter than it says, and an even one.
    let not_a_key = "the key's numbers are no valid public key";
    assert_eq!(verdict(28, &[0]), not_a_key);
    assert_eq!(verdict(28 + 255, &[0xB2]), not_a_key);
    // A point that lies on no curve.
    let mut key = decode(P256_STORAGE_ROOT_KEY);
    *key.last_mut().unwrap() ^= 1;
    assert_eq!(StorageRootKey::parse(&key), Err(PublicKeyError::NotAKey));
}

#[test]
fn a_key_is_read_whole_or_not_at_all() {
    for text in [RSA_ENDORSEMENT_KEY, P256_ENDORSEMENT_KEY] {
        let key = decode(text);
        for end in 0..key.len() {
            // Shorter with the old size, and with a size that fits.
            assert!(EndorsementKey::parse(&key[..end]).is_err());
            let fitting = sized(&key[2..end.max(2)]);
            assert_eq!(
                EndorsementKey::parse(&fitting),
                Err(PublicKeyError::Malformed)
            );
        }
        let behind = [&*key, &[0]].concat();
        assert_eq!(
            EndorsementKey::parse(&behind),
            Err(PublicKeyError::Malformed)
        );
        let within = sized(&behind[2..]);
        assert_eq!(
            EndorsementKey::parse(&within),
            Err(PublicKeyError::Malformed)
        );
    }
    let huge = sized(&vec![0; 60_000]);
    assert_eq!(EndorsementKey::parse(&huge), Err(PublicKeyError::Malformed));
}

/// A TPM in software, with one RSA key as endorsement key and storage root key.
struct SoftwareTpm {
    key: OaepPrivateDecryptingKey,
    public: Vec<u8>,
}

impl SoftwareTpm {
    fn new() -> Self {
        let key = PrivateDecryptingKey::generate(KeySize::Rsa2048).unwrap();
        let der = key.public_key().as_der().unwrap();
        // The modulus stands before the exponent, which ends the structure and takes five bytes.
        let end = der.as_ref().len() - 5;
        let mut public = decode(RSA_STORAGE_ROOT_KEY);
        public[28..].copy_from_slice(&der.as_ref()[end - 256..end]);
        let key = OaepPrivateDecryptingKey::new(key).unwrap();
        Self { key, public }
    }

    /// The seed in a `TPM2B_ENCRYPTED_SECRET`.
    fn seed(&self, encrypted: &[u8], label: &[u8]) -> Option<Vec<u8>> {
        let mut clear = vec![0; 256];
        let clear = self
            .key
            .decrypt(&OAEP_SHA256_MGF1SHA256, encrypted, &mut clear, Some(label));
        Some(clear.ok()?.to_vec())
    }

    /// What `TPM2_ActivateCredential`, `TPM2_Import` and `TPM2_Load` do: the HMAC key.
    fn import(&self, challenge: &[u8]) -> Option<Vec<u8>> {
        let mut reader = Reader::new(challenge);
        let parts: Vec<&[u8]> = (0..6).map_while(|_| reader.sized()).collect();
        reader.finish()?;
        let [
            credential,
            endorsement_seed,
            private,
            storage_seed,
            public,
            [],
        ] = parts[..]
        else {
            return None;
        };
        let own_name = StorageRootKey::parse(&self.public).ok()?.name();
        let seed = self.seed(endorsement_seed, b"IDENTITY\0")?;
        let credential = open(&seed, credential, &own_name)?;
        let inner_key = Reader::new(&credential).sized()?;
        let name = Hash::Sha256.name(public);
        let seed = self.seed(storage_seed, b"DUPLICATE\0")?;
        let mut wrapped = open(&seed, private, &name)?;
        decrypt(inner_key, &mut wrapped);
        let mut reader = Reader::new(&wrapped);
        let (integrity, sensitive) = (reader.sized()?, reader.sized()?);
        reader.finish()?;
        let mut checked = sized(sensitive);
        checked.extend(&name);
        assert_eq!(
            integrity,
            digest::digest(&digest::SHA256, &checked).as_ref()
        );
        let mut reader = Reader::new(sensitive);
        assert_eq!(reader.number16(), Some(8));
        let (authorization, obfuscation) = (reader.sized()?, reader.sized()?);
        let key = reader.sized()?;
        assert!(authorization.is_empty());
        let unique = digest::digest(&digest::SHA256, &[obfuscation, key].concat());
        assert!(public.ends_with(unique.as_ref()));
        Some(key.to_vec())
    }
}

/// Checks and decrypts what a storage key protects.
fn open(seed: &[u8], protected: &[u8], name: &[u8]) -> Option<Vec<u8>> {
    let mut reader = Reader::new(protected);
    let integrity = reader.sized()?;
    let mut secret = protected[2 + integrity.len()..].to_vec();
    let key = derive(Hash::Sha256, seed, "INTEGRITY", &[], 32);
    let key = hmac::Key::new(hmac::HMAC_SHA256, &key);
    hmac::verify(&key, &[&*secret, name].concat(), integrity).ok()?;
    decrypt(
        &derive(Hash::Sha256, seed, "STORAGE", name, 16),
        &mut secret,
    );
    Some(secret)
}

fn decrypt(key: &[u8], bytes: &mut [u8]) {
    let algorithm = if key.len() == 16 { &AES_128 } else { &AES_256 };
    let key = UnboundCipherKey::new(algorithm, key).unwrap();
    let key = DecryptingKey::cfb128(key).unwrap();
    let start = DecryptionContext::Iv128(FixedLength::from(&[0; 16]));
    key.decrypt(bytes, start).unwrap();
}

#[test]
fn the_tpm_with_both_keys_imports_the_hmac_key() {
    let tpm = SoftwareTpm::new();
    let endorsement = EndorsementKey::parse(&tpm.public).unwrap();
    let storage = StorageRootKey::parse(&tpm.public).unwrap();
    for size in [16, 32, 64] {
        let key = SymmetricKey::from_bytes(&vec![7; size]).unwrap();
        let challenge = Challenge::make(&endorsement, &storage, &key, &mut counting()).unwrap();
        let imported = tpm.import(challenge.as_bytes()).unwrap();
        assert_eq!(imported, key.as_bytes());
    }
}

#[test]
fn no_other_tpm_and_no_other_storage_root_key_imports_it() {
    let (tpm, other) = (SoftwareTpm::new(), SoftwareTpm::new());
    let endorsement = EndorsementKey::parse(&tpm.public).unwrap();
    let storage = StorageRootKey::parse(&other.public).unwrap();
    let key = SymmetricKey::from_bytes(&[7; 32]).unwrap();
    // The credential names a storage root key that this TPM does not have.
    let challenge = Challenge::make(&endorsement, &storage, &key, &mut counting()).unwrap();
    assert_eq!(tpm.import(challenge.as_bytes()), None);
    assert_eq!(other.import(challenge.as_bytes()), None);
}

#[test]
fn a_changed_challenge_is_noticed() {
    let tpm = SoftwareTpm::new();
    let endorsement = EndorsementKey::parse(&tpm.public).unwrap();
    let storage = StorageRootKey::parse(&tpm.public).unwrap();
    let key = SymmetricKey::from_bytes(&[7; 32]).unwrap();
    let challenge = Challenge::make(&endorsement, &storage, &key, &mut counting()).unwrap();
    let bytes = challenge.as_bytes();
    for at in (0..bytes.len()).step_by(37) {
        let mut changed = bytes.to_vec();
        changed[at] ^= 0x10;
        assert_eq!(tpm.import(&changed), None, "byte {at}");
    }
}

#[test]
fn nothing_but_padding_comes_from_elsewhere_than_the_arguments() {
    let endorsement = EndorsementKey::parse(&decode(P256_ENDORSEMENT_KEY)).unwrap();
    let key = SymmetricKey::from_bytes(&[7; 32]).unwrap();
    let make = |storage: &str| {
        let storage = StorageRootKey::parse(&decode(storage)).unwrap();
        Challenge::make(&endorsement, &storage, &key, &mut counting()).unwrap()
    };
    // Without RSA there is no padding. Other hashes mean another form: see that a TPM takes it (`tests/sdk`).
    let hash = |challenge: &Challenge| {
        digits(digest::digest(&digest::SHA256, challenge.as_bytes()).as_ref())
    };
    assert_eq!(
        hash(&make(P256_STORAGE_ROOT_KEY)),
        "a063e3c0941c2774e950707c959b84071c220cf51f80f48abb803e1b43653417"
    );
    assert_eq!(
        hash(&make(P384_STORAGE_ROOT_KEY)),
        "221750848cf8651c9f1d7c87bb57b3bd736a8feb4db05fac6bf35389e6b1f9cb"
    );
}

#[test]
fn a_coordinate_without_its_leading_zeros_is_the_same_point() {
    let key = decode(P256_STORAGE_ROOT_KEY);
    let before = &key[2..key.len() - 68];
    let with = |x: &[u8], y: &[u8]| {
        let mut public = before.to_vec();
        put_sized(&mut public, x);
        put_sized(&mut public, y);
        StorageRootKey::parse(&sized(&public)).map(|key| key.0.numbers)
    };
    // The point with x = 0: its y is the square root of the curve's constant.
    let y = decode("ZkhceA4vg9ckM71dhKBrtlQcKvMdrocXKL+FahdPk/Q=");
    let whole = with(&[0; 32], &y);
    assert!(whole.is_ok());
    assert_eq!(with(&[0; 5], &y), whole);
    assert_eq!(with(&[], &y), whole);
    assert_eq!(with(&[0; 33], &y), Err(PublicKeyError::Malformed));
    assert_eq!(with(&y, &[]), Err(PublicKeyError::NotAKey));
}
