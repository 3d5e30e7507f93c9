//! Keys given to TPMs, until they come back as signatures.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use hub_domain::provisioning::RegistrationId;
use hub_domain::{SymmetricKey, Timestamp};
use hub_engine::ErrorKind;

use crate::parts::Parts;
use crate::{Error, tpm};

/// How long a challenge may be answered.
const LIFE: Duration = Duration::from_secs(600);
/// Most challenges that are out at once; beyond that the oldest are forgotten and those devices begin anew.
const CHALLENGES_MAX: usize = 10_000;

/// A key, readable only by the TPM with these public keys.
///
/// # Errors
/// One of them is no public key of a TPM that is known.
pub(crate) fn wrapped(
    parts: &Parts,
    endorsement_key: &[u8],
    storage_root_key: &[u8],
    key: &SymmetricKey,
) -> Result<Vec<u8>, Error> {
    let endorsement_key = tpm::EndorsementKey::parse(endorsement_key)
        .map_err(|error| Error::invalid(format!("tpm.endorsementKey: {error}")))?;
    let storage_root_key = tpm::StorageRootKey::parse(storage_root_key)
        .map_err(|error| Error::invalid(format!("tpm.storageRootKey: {error}")))?;
    let mut random = |bytes: &mut [u8]| parts.environment.fill_random(bytes);
    let challenge = tpm::Challenge::make(&endorsement_key, &storage_root_key, key, &mut random)
        .map_err(|error| {
            Error::new(ErrorKind::Internal, "the challenge cannot be made").with_source(error)
        })?;
    Ok(challenge.as_bytes().to_vec())
}

/// A key that only the device's TPM can read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Challenge {
    /// The key, wrapped for the TPM.
    pub authentication_key: Vec<u8>,
    /// What the device puts into its token as the name of the key.
    pub key_name: &'static str,
}

/// What a device that answers a challenge showed and got.
#[derive(Clone)]
pub(crate) struct Issued {
    pub(crate) key: SymmetricKey,
    pub(crate) storage_root_key: Vec<u8>,
    pub(crate) until: Timestamp,
    /// A challenge registers once; afterwards its key is good for asking what became of that.
    pub(crate) used: bool,
}

/// The challenges that are out. In memory: after a restart a device begins anew.
#[derive(Default)]
pub(crate) struct Challenges(Mutex<HashMap<String, Issued>>);

impl Challenges {
    /// Notes a new challenge in the place of the device's former one.
    pub(crate) fn issue(
        &self,
        id: &RegistrationId,
        key: SymmetricKey,
        storage_root_key: Vec<u8>,
        now: Timestamp,
    ) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= CHALLENGES_MAX {
            all.retain(|_, issued| issued.until >= now);
        }
        if all.len() >= CHALLENGES_MAX
            && let Some(oldest) = all
                .iter()
                .min_by_key(|(_, issued)| issued.until)
                .map(|(id, _)| id.clone())
        {
            all.remove(&oldest);
        }
        let issued = Issued {
            key,
            storage_root_key,
            until: now.plus(LIFE),
            used: false,
        };
        all.insert(id.key().to_owned(), issued);
    }

    /// The challenge of a device, when it has one that is still good.
    pub(crate) fn of(&self, id: &RegistrationId, now: Timestamp) -> Option<Issued> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.get(id.key())
            .filter(|issued| issued.until >= now)
            .cloned()
    }

    /// Notes that a device registered by its challenge. False when it did before.
    pub(crate) fn use_up(&self, id: &RegistrationId, key: &SymmetricKey) -> bool {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match all.get_mut(id.key()) {
            Some(issued) if issued.key == *key && !issued.used => {
                issued.used = true;
                true
            }
            Some(_) | None => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(byte: u8) -> SymmetricKey {
        SymmetricKey::from_bytes(&[byte; 32]).expect("a key")
    }

    #[test]
    fn a_challenge_registers_once_and_ends() {
        let challenges = Challenges::default();
        let id = RegistrationId::parse("A").expect("an id");
        let now = Timestamp::from_seconds(1_000);
        challenges.issue(&id, key(1), vec![1], now);
        assert!(challenges.of(&id, now.plus(LIFE)).is_some());
        assert!(challenges.of(&id, now.plus(LIFE + LIFE)).is_none());
        assert!(!challenges.use_up(&id, &key(2)));
        assert!(challenges.use_up(&id, &key(1)));
        assert!(!challenges.use_up(&id, &key(1)));
        challenges.issue(&id, key(3), vec![1], now);
        assert!(
            !challenges.use_up(&id, &key(1)),
            "the former challenge is void"
        );
        assert!(challenges.use_up(&id, &key(3)));
    }
}
