//! Service-bound queues in memory.

use std::ops::RangeInclusive;

use hub_domain::service_bound::{FeedbackRecord, FeedbackStatus};
use hub_domain::{HubNo, ServiceBoundKind, ServiceBoundRecord};

use super::{Row, State};
use crate::Conflict;
use crate::store::{
    FeedbackTerms, OpResult, Ordinal, ServiceBoundNo, StoredMessage, StoredServiceBound,
};

/// A record and whose deletion takes it along.
#[derive(Clone)]
pub(super) struct Kept {
    identity: Option<Ordinal>,
    stored: StoredServiceBound,
}

type Key = (HubNo, ServiceBoundKind, ServiceBoundNo);

impl State {
    /// Tells the sender of `message` its outcome, if it asked for it.
    pub(super) fn give_feedback(
        &mut self,
        row: &Row,
        message: &StoredMessage,
        status: FeedbackStatus,
        terms: FeedbackTerms,
    ) {
        if !status.is_wanted_by(message.message.ack) {
            return;
        }
        let record = ServiceBoundRecord::Feedback(FeedbackRecord {
            message_id: message.message.message_id.clone(),
            status,
            at: terms.at,
            id: row.stored.identity.id.clone(),
            generation: row.stored.identity.generation.clone(),
        });
        self.append_record(row.hub, Some(row.stored.ordinal), record, terms.records_max);
    }

    pub(super) fn append_service_bound(
        &mut self,
        hub: HubNo,
        record: ServiceBoundRecord,
        records_max: u64,
    ) -> Result<OpResult, Conflict> {
        if !self.hubs.rows().contains_key(&hub) {
            return Err(Conflict::NotFound);
        }
        self.append_record(hub, None, record, records_max);
        Ok(OpResult::Done)
    }

    fn append_record(
        &mut self,
        hub: HubNo,
        identity: Option<Ordinal>,
        record: ServiceBoundRecord,
        records_max: u64,
    ) {
        let kind = record.kind();
        let last = self.service_bound_heads.rows().get(&(hub, kind));
        let no = ServiceBoundNo(last.map_or(1, |last| last.0 + 1));
        self.service_bound_heads.put((hub, kind), no);
        self.next.service_bound += 1;
        let stored = StoredServiceBound {
            no,
            delivery_count: 0,
            record,
        };
        self.service_bound
            .put((hub, kind, no), Kept { identity, stored });
        let oldest = ServiceBoundNo(no.0.saturating_sub(records_max));
        self.remove_keys((hub, kind, ServiceBoundNo(0))..=(hub, kind, oldest));
    }

    fn remove_keys(&mut self, range: RangeInclusive<Key>) {
        let rows = self.service_bound.rows();
        let keys: Vec<Key> = rows.range(range).map(|(key, _)| *key).collect();
        for key in &keys {
            self.service_bound.remove(key);
        }
    }

    pub(super) fn remove_service_bound(
        &mut self,
        hub: HubNo,
        kind: ServiceBoundKind,
        records: &[ServiceBoundNo],
    ) -> Result<OpResult, Conflict> {
        for key in self.those_there(hub, kind, records)? {
            self.service_bound.remove(&key);
        }
        Ok(OpResult::Done)
    }

    pub(super) fn abandon_service_bound(
        &mut self,
        hub: HubNo,
        kind: ServiceBoundKind,
        records: &[ServiceBoundNo],
        delivery_count_max: u32,
    ) -> Result<OpResult, Conflict> {
        for key in self.those_there(hub, kind, records)? {
            let Some(mut kept) = self.service_bound.rows().get(&key).cloned() else {
                continue;
            };
            kept.stored.delivery_count += 1;
            if kept.stored.delivery_count >= delivery_count_max {
                self.service_bound.remove(&key);
            } else {
                self.service_bound.put(key, kept);
            }
        }
        Ok(OpResult::Done)
    }

    fn those_there(
        &self,
        hub: HubNo,
        kind: ServiceBoundKind,
        records: &[ServiceBoundNo],
    ) -> Result<Vec<Key>, Conflict> {
        let keys: Vec<Key> = records
            .iter()
            .map(|no| (hub, kind, *no))
            .filter(|key| self.service_bound.rows().contains_key(key))
            .collect();
        if keys.is_empty() {
            Err(Conflict::NotFound)
        } else {
            Ok(keys)
        }
    }

    /// Drops what belongs to an identity that goes.
    pub(super) fn forget_feedback(&mut self, ordinal: Ordinal) {
        let rows = self.service_bound.rows().iter();
        let keys: Vec<Key> = rows
            .filter(|(_, kept)| kept.identity == Some(ordinal))
            .map(|(key, _)| *key)
            .collect();
        for key in &keys {
            self.service_bound.remove(key);
        }
    }

    pub(in super::super) fn service_bound(
        &self,
        hub: HubNo,
        kind: ServiceBoundKind,
        after: ServiceBoundNo,
        max: usize,
    ) -> Vec<StoredServiceBound> {
        if after.0 == u64::MAX {
            return Vec::new();
        }
        let first = ServiceBoundNo(after.0 + 1);
        let queue = (hub, kind, first)..=(hub, kind, ServiceBoundNo(u64::MAX));
        let rows = self.service_bound.rows().range(queue);
        rows.take(max)
            .map(|(_, kept)| kept.stored.clone())
            .collect()
    }
}
