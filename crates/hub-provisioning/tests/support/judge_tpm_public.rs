//! What must hold for any bytes that a device sends as a key of its TPM: shared by the fuzz target and the replay of its
//! corpus.

use hub_domain::SymmetricKey;
use hub_provisioning::tpm::{Challenge, EndorsementKey, StorageRootKey};

/// # Panics
/// When a law is broken.
pub(crate) fn judge(input: &[u8]) {
    let storage = StorageRootKey::parse(input);
    let endorsement = EndorsementKey::parse(input);
    assert_eq!(
        storage.as_ref().err(),
        endorsement.as_ref().err(),
        "both are read alike"
    );
    let (Ok(storage), Ok(endorsement)) = (storage, endorsement) else {
        return;
    };
    assert!(
        matches!(storage.name().len(), 34 | 50),
        "a name is a number and a hash"
    );
    let key = SymmetricKey::from_bytes(&[7; 32]).expect("a key of 32 bytes");
    let challenge = Challenge::make(&endorsement, &storage, &key, &mut |bytes| bytes.fill(5))
        .expect("a key that was read can be encrypted for");
    assert!(challenge.as_bytes().len() < 2048, "a challenge is small");
}
