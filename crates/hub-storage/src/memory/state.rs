//! The committed state of a store.

mod provisioning;
mod reads;
mod service_bound;
mod uploads;
mod writes;

use std::collections::BTreeMap;

use hub_domain::twin::Twin;
use hub_domain::upload::{CorrelationId, Upload};
use hub_domain::{Fact, Hub, HubNo, IdentityId, ServiceBoundKind, Timestamp};

use super::table::Table;
use crate::Conflict;
use crate::store::{
    Committed, FactNo, MessageNo, OpResult, Ordinal, ServiceBoundNo, StoredIdentity, StoredMessage,
    Unit,
};
use provisioning::Provisioning;
use service_bound::Kept;

/// Everything that was committed.
pub(super) struct State {
    hubs: Table<HubNo, Hub>,
    ordinals: Table<(HubNo, IdentityId), Ordinal>,
    identities: Table<Ordinal, Row>,
    twins: Table<Ordinal, Twin>,
    messages: Table<(Ordinal, MessageNo), StoredMessage>,
    service_bound: Table<(HubNo, ServiceBoundKind, ServiceBoundNo), Kept>,
    service_bound_heads: Table<(HubNo, ServiceBoundKind), ServiceBoundNo>,
    uploads: Table<(Ordinal, CorrelationId), Upload>,
    provisioning: Provisioning,
    next: Next,
    done: BTreeMap<[u8; 16], Committed>,
    facts: BTreeMap<FactNo, Fact>,
    checkpoints: Table<HubNo, FactNo>,
    last_fact: FactNo,
}

#[derive(Clone)]
struct Row {
    hub: HubNo,
    stored: StoredIdentity,
    message_bytes: u64,
}

/// The numbers that the next identity and message get.
#[derive(Clone, Copy)]
struct Next {
    ordinal: u64,
    message: u64,
    /// How many service-bound records there ever were.
    service_bound: u64,
}

impl State {
    pub(super) const fn new() -> Self {
        Self {
            hubs: Table::new(),
            ordinals: Table::new(),
            identities: Table::new(),
            twins: Table::new(),
            messages: Table::new(),
            service_bound: Table::new(),
            service_bound_heads: Table::new(),
            uploads: Table::new(),
            provisioning: Provisioning::new(),
            next: Next {
                ordinal: 1,
                message: 1,
                service_bound: 0,
            },
            done: BTreeMap::new(),
            facts: BTreeMap::new(),
            checkpoints: Table::new(),
            last_fact: FactNo(0),
        }
    }

    /// Keeps the whole unit or nothing of it.
    ///
    /// A write sees what the writes before it in the unit did; the first one whose precondition does
    /// not hold takes them all back.
    pub(super) fn commit(&mut self, unit: Unit) -> Result<Committed, Conflict> {
        if let Some(first) = unit.op_id.and_then(|op_id| self.done.get(&op_id.0)) {
            return Ok(first.clone());
        }
        let next = self.next;
        let results: Result<Vec<OpResult>, Conflict> =
            unit.ops.into_iter().map(|op| self.write(op)).collect();
        match results {
            Ok(results) => {
                self.keep_writes();
                let committed = Committed {
                    results,
                    last_fact: self.keep_facts(unit.facts),
                };
                if let Some(op_id) = unit.op_id {
                    self.done.insert(op_id.0, committed.clone());
                }
                Ok(committed)
            }
            Err(conflict) => {
                self.take_writes_back();
                self.next = next;
                Err(conflict)
            }
        }
    }

    /// Drops the facts before the first one that was decided at or after `before`.
    pub(super) fn trim_facts(&mut self, before: Timestamp) {
        while let Some(oldest) = self.facts.first_entry()
            && oldest.get().at < before
        {
            oldest.remove();
        }
    }

    /// The number of the newest fact.
    pub(super) const fn last_fact(&self) -> FactNo {
        self.last_fact
    }

    /// How many service-bound records there ever were.
    pub(super) const fn service_bound_head(&self) -> u64 {
        self.next.service_bound
    }

    /// Gives each fact its number; the last one's, or zero when there are none.
    fn keep_facts(&mut self, facts: Vec<Fact>) -> FactNo {
        if facts.is_empty() {
            return FactNo(0);
        }
        for fact in facts {
            self.last_fact = FactNo(self.last_fact.0 + 1);
            self.facts.insert(self.last_fact, fact);
        }
        self.last_fact
    }

    fn keep_writes(&mut self) {
        self.hubs.commit();
        self.checkpoints.commit();
        self.ordinals.commit();
        self.identities.commit();
        self.twins.commit();
        self.messages.commit();
        self.service_bound.commit();
        self.service_bound_heads.commit();
        self.uploads.commit();
        self.provisioning.commit();
    }

    fn take_writes_back(&mut self) {
        self.hubs.roll_back();
        self.checkpoints.roll_back();
        self.ordinals.roll_back();
        self.identities.roll_back();
        self.twins.roll_back();
        self.messages.roll_back();
        self.service_bound.roll_back();
        self.service_bound_heads.roll_back();
        self.uploads.roll_back();
        self.provisioning.roll_back();
    }
}
