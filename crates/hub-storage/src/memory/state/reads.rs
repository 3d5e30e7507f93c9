//! What readers see.

use std::ops::Bound;

use hub_domain::twin::Twin;
use hub_domain::{DeviceId, Fact, Hub, HubNo, IdentityId, Timestamp};

use super::State;
use crate::store::{FactNo, MessageNo, Ordinal, Statistics, StoredIdentity, StoredMessage};

impl State {
    pub(in super::super) fn hubs(&self) -> Vec<Hub> {
        self.hubs.rows().values().cloned().collect()
    }

    pub(in super::super) fn identity(&self, hub: HubNo, id: &IdentityId) -> Option<StoredIdentity> {
        let ordinal = self.ordinals.rows().get(&(hub, id.clone()))?;
        Some(self.stored(*ordinal).clone())
    }

    pub(in super::super) fn twin(
        &self,
        hub: HubNo,
        id: &IdentityId,
    ) -> Option<(StoredIdentity, Twin)> {
        let stored = self.identity(hub, id)?;
        let twin = self.twins.rows().get(&stored.ordinal)?.clone();
        Some((stored, twin))
    }

    pub(in super::super) fn devices(
        &self,
        hub: HubNo,
        after: Option<&DeviceId>,
        max: usize,
    ) -> Vec<StoredIdentity> {
        self.device_ordinals(hub, after)
            .take(max)
            .map(|ordinal| self.stored(ordinal).clone())
            .collect()
    }

    pub(in super::super) fn modules(&self, hub: HubNo, device: &DeviceId) -> Vec<StoredIdentity> {
        self.modules_of(hub, device)
            .map(|ordinal| self.stored(ordinal).clone())
            .collect()
    }

    pub(in super::super) fn messages(
        &self,
        ordinal: Ordinal,
        after: MessageNo,
        max: usize,
    ) -> Vec<StoredMessage> {
        let first = Bound::Excluded((ordinal, after));
        let last = Bound::Included((ordinal, MessageNo(u64::MAX)));
        if after == MessageNo(u64::MAX) {
            return Vec::new();
        }
        self.messages
            .rows()
            .range((first, last))
            .take(max)
            .map(|(_, message)| message.clone())
            .collect()
    }

    pub(in super::super) fn expired_messages(
        &self,
        now: Timestamp,
        max: usize,
    ) -> Vec<(Ordinal, MessageNo)> {
        let all = self.messages.rows().iter();
        all.filter(|(_, stored)| stored.message.expiry.is_some_and(|expiry| expiry <= now))
            .map(|(key, _)| *key)
            .take(max)
            .collect()
    }

    pub(in super::super) fn statistics(&self, hub: HubNo) -> Statistics {
        self.device_ordinals(hub, None)
            .fold(Statistics::default(), |counts, ordinal| Statistics {
                devices: counts.devices + 1,
                enabled: counts.enabled + u64::from(self.stored(ordinal).identity.is_enabled()),
            })
    }

    pub(in super::super) fn checkpoint(&self, hub: HubNo) -> Option<FactNo> {
        self.checkpoints.rows().get(&hub).copied()
    }

    pub(in super::super) fn changes(&self, after: FactNo, max: usize) -> Vec<(FactNo, Fact)> {
        let newer = (Bound::Excluded(after), Bound::Unbounded);
        self.facts
            .range(newer)
            .take(max)
            .map(|(no, fact)| (*no, fact.clone()))
            .collect()
    }

    /// The modules of a device in the order of their ids.
    pub(super) fn modules_of(
        &self,
        hub: HubNo,
        device: &DeviceId,
    ) -> impl Iterator<Item = Ordinal> {
        let first = (hub, IdentityId::device(device.clone()));
        self.ordinals
            .rows()
            .range((Bound::Excluded(first), Bound::Unbounded))
            .take_while(move |((other, id), _)| *other == hub && id.device == *device)
            .map(|(_, ordinal)| *ordinal)
    }

    /// The devices of a hub in the order of their ids, after `after`.
    fn device_ordinals(
        &self,
        hub: HubNo,
        after: Option<&DeviceId>,
    ) -> impl Iterator<Item = Ordinal> {
        let first = match after {
            Some(after) => Bound::Excluded((hub, IdentityId::device(after.clone()))),
            None => Bound::Unbounded,
        };
        self.ordinals
            .rows()
            .range((first, Bound::Unbounded))
            .skip_while(move |((other, _), _)| *other < hub)
            .take_while(move |((other, _), _)| *other == hub)
            .filter(|((_, id), _)| id.module.is_none())
            .map(|(_, ordinal)| *ordinal)
    }

    fn stored(&self, ordinal: Ordinal) -> &StoredIdentity {
        &self
            .identities
            .rows()
            .get(&ordinal)
            .expect("every known ordinal has a row")
            .stored
    }
}
