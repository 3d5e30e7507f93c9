//! Keys given to TPMs, until they come back as signatures.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use hub_domain::provisioning::RegistrationId;
use hub_domain::{SymmetricKey, Timestamp};
use hub_engine::ErrorKind;

use crate::attestation::DeviceCall;
use crate::parts::Parts;
use crate::{Error, tpm};

/// How long a challenge may be answered.
const LIFE: Duration = Duration::from_secs(600);
/// Most devices with a challenge at once; beyond that the oldest are forgotten and those devices begin anew.
const CHALLENGES_MAX: usize = 10_000;
/// Most challenges of one device that are out, each asked for from another address.
const OF_ONE_DEVICE_MAX: usize = 8;

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
    let endorsement_key = read_endorsement_key(endorsement_key)?;
    let storage_root_key = read_storage_root_key(storage_root_key)?;
    let mut random = |bytes: &mut [u8]| parts.environment.fill_random(bytes);
    let challenge = tpm::Challenge::make(&endorsement_key, &storage_root_key, key, &mut random)
        .map_err(|error| {
            Error::new(ErrorKind::Internal, "the challenge cannot be made").with_source(error)
        })?;
    Ok(challenge.as_bytes().to_vec())
}

pub(crate) fn read_endorsement_key(bytes: &[u8]) -> Result<tpm::EndorsementKey, Error> {
    tpm::EndorsementKey::parse(bytes)
        .map_err(|error| Error::invalid(format!("tpm.endorsementKey: {error}")))
}

pub(crate) fn read_storage_root_key(bytes: &[u8]) -> Result<tpm::StorageRootKey, Error> {
    tpm::StorageRootKey::parse(bytes)
        .map_err(|error| Error::invalid(format!("tpm.storageRootKey: {error}")))
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
    until: Timestamp,
    /// Who asked for it.
    address: Option<IpAddr>,
    /// A challenge registers once; afterwards its key is good for asking what became of that.
    used: bool,
}

/// The challenges that are out. In memory: after a restart a device begins anew.
///
/// A challenge takes the place of a former one of the same device only when the same address asked: endorsement keys are
/// public, and whoever knows one shall not keep its device out by asking too.
#[derive(Default)]
pub(crate) struct Challenges(Mutex<Table>);

#[derive(Default)]
struct Table {
    by_id: HashMap<String, Out>,
    /// The ids in the order of their newest challenges, so that the oldest is found without a search.
    by_turn: BTreeMap<u64, String>,
    /// Of the challenge that comes next.
    turn: u64,
}

/// The challenges of one device.
#[derive(Default)]
struct Out {
    /// Of the newest.
    turn: u64,
    issued: Vec<Issued>,
}

impl Table {
    /// Forgets devices whose challenges have ended.
    fn forget_ended(&mut self, now: Timestamp) {
        while let Some((_, id)) = self.by_turn.first_key_value() {
            let out = self.by_id.get(id).into_iter();
            let mut out = out.flat_map(|out| &out.issued);
            if out.any(|issued| issued.until >= now) {
                return;
            }
            self.forget_oldest();
        }
    }

    fn forget_oldest(&mut self) {
        if let Some((_, id)) = self.by_turn.pop_first() {
            self.by_id.remove(&id);
        }
    }

    /// Takes the challenges of a device out, to be put back.
    fn take(&mut self, key: &str) -> Option<Vec<Issued>> {
        let out = self.by_id.remove(key)?;
        self.by_turn.remove(&out.turn);
        Some(out.issued)
    }

    fn put(&mut self, key: &str, issued: Vec<Issued>) {
        let turn = self.turn;
        self.turn += 1;
        self.by_turn.insert(turn, key.to_owned());
        self.by_id.insert(key.to_owned(), Out { turn, issued });
    }

    fn of(&self, id: &RegistrationId) -> &[Issued] {
        self.by_id.get(id.key()).map_or(&[], |out| &out.issued)
    }
}

impl Challenges {
    /// Notes a new challenge.
    pub(crate) fn issue(
        &self,
        call: &DeviceCall<'_>,
        key: SymmetricKey,
        storage_root_key: Vec<u8>,
    ) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.forget_ended(call.now);
        let mut out = all.take(call.id.key()).unwrap_or_default();
        if all.by_id.len() >= CHALLENGES_MAX {
            all.forget_oldest();
        }
        out.retain(|issued| issued.address != call.address && issued.until >= call.now);
        if out.len() >= OF_ONE_DEVICE_MAX {
            out.remove(0);
        }
        out.push(Issued {
            key,
            storage_root_key,
            until: call.now.plus(LIFE),
            address: call.address,
            used: false,
        });
        all.put(call.id.key(), out);
    }

    /// The challenges of a device that are still good, at most eight.
    pub(crate) fn of(&self, id: &RegistrationId, now: Timestamp) -> Vec<Issued> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let out = all.of(id).iter();
        out.filter(|issued| issued.until >= now).cloned().collect()
    }

    /// Notes that a device registered by its challenge.
    pub(crate) fn use_up(&self, id: &RegistrationId, key: &SymmetricKey) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let out = all.by_id.get_mut(id.key()).into_iter();
        let mut out = out.flat_map(|out| &mut out.issued);
        if let Some(issued) = out.find(|issued| issued.key == *key) {
            issued.used = true;
        }
    }

    /// Whether a device registered by its challenge.
    pub(crate) fn is_used(&self, id: &RegistrationId, key: &SymmetricKey) -> bool {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut out = all.of(id).iter();
        out.any(|issued| issued.key == *key && issued.used)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attestation::Credential;

    fn key(byte: u8) -> SymmetricKey {
        SymmetricKey::from_bytes(&[byte; 32]).expect("a key")
    }

    fn call(from: u8, at: i64) -> DeviceCall<'static> {
        call_of("A", from, at)
    }

    fn call_of(id: &str, from: u8, at: i64) -> DeviceCall<'static> {
        DeviceCall {
            id_scope: "scope",
            id: RegistrationId::parse(id).expect("an id"),
            credential: Credential::None,
            address: Some(IpAddr::from([192, 0, 2, from])),
            now: Timestamp::from_seconds(at),
        }
    }

    #[test]
    fn a_challenge_registers_once_and_ends() {
        let challenges = Challenges::default();
        let first = call(1, 1_000);
        challenges.issue(&first, key(1), vec![1]);
        assert_eq!(challenges.of(&first.id, first.now.plus(LIFE)).len(), 1);
        assert!(
            challenges
                .of(&first.id, first.now.plus(LIFE + LIFE))
                .is_empty()
        );
        challenges.use_up(&first.id, &key(2));
        assert!(!challenges.is_used(&first.id, &key(1)));
        challenges.use_up(&first.id, &key(1));
        assert!(challenges.is_used(&first.id, &key(1)));
        challenges.issue(&first, key(3), vec![1]);
        let out = challenges.of(&first.id, first.now);
        let is_last = matches!(out.as_slice(), [last] if last.key == key(3));
        assert!(is_last, "the former challenge is void");
        assert!(!challenges.is_used(&first.id, &key(3)));
    }

    #[test]
    fn whoever_asks_from_elsewhere_does_not_void_the_challenge_of_the_device() {
        let challenges = Challenges::default();
        let device = call(1, 1_000);
        challenges.issue(&device, key(1), vec![1]);
        for again in 1..100 {
            challenges.issue(&call(2, 1_000 + again), key(2), vec![2]);
        }
        assert_eq!(challenges.of(&device.id, device.now).len(), 2);
        for other in 3..100 {
            challenges.issue(&call(other, 1_000), key(other), vec![other]);
        }
        assert_eq!(
            challenges.of(&device.id, device.now).len(),
            OF_ONE_DEVICE_MAX
        );
    }

    #[test]
    fn the_device_whose_newest_challenge_is_the_oldest_is_forgotten_first() {
        let challenges = Challenges::default();
        let is_out = |id: &str, at: i64| {
            let call = call_of(id, 1, at);
            !challenges.of(&call.id, call.now).is_empty()
        };
        for at in 0..CHALLENGES_MAX {
            challenges.issue(&call_of(&format!("d{at}"), 1, 1_000), key(1), vec![1]);
        }
        challenges.issue(&call_of("D0", 1, 1_000), key(2), vec![1]);
        challenges.issue(&call_of("new", 1, 1_001), key(1), vec![1]);
        assert!(is_out("d0", 1_001) && is_out("new", 1_001) && is_out("d2", 1_001));
        assert!(!is_out("d1", 1_001));
        // All but the last have ended.
        challenges.issue(&call_of("last", 1, 1_601), key(1), vec![1]);
        let all = challenges.0.lock().expect("nobody panicked");
        assert_eq!((all.by_id.len(), all.by_turn.len()), (2, 2));
    }
}
