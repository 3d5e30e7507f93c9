//! Queues for back ends.

use hub_domain::service_bound::{FeedbackRecord, FeedbackStatus};
use hub_domain::{HubNo, ServiceBoundKind, ServiceBoundRecord};

use super::Model;
use crate::Conflict;
use crate::store::{FeedbackTerms, Ordinal, ServiceBoundNo, StoredMessage, StoredServiceBound};

/// A record for back ends, and with whom it goes.
#[derive(Clone)]
pub(in super::super) struct Told {
    pub(in super::super) hub: HubNo,
    pub(in super::super) kind: ServiceBoundKind,
    pub(super) identity: Option<Ordinal>,
    pub(in super::super) stored: StoredServiceBound,
}

impl Told {
    pub(super) fn is_one_of(
        &self,
        hub: HubNo,
        kind: ServiceBoundKind,
        records: &[ServiceBoundNo],
    ) -> bool {
        self.hub == hub && self.kind == kind && records.contains(&self.stored.no)
    }
}

impl Model {
    /// Takes messages out of their queue, and tells who asked for it.
    pub(super) fn leave(
        &mut self,
        identity: Ordinal,
        messages: &[StoredMessage],
        status: FeedbackStatus,
        feedback: FeedbackTerms,
    ) -> Result<(), Conflict> {
        let kept = self.at(identity)?;
        kept.queue
            .retain(|stored| messages.iter().all(|gone| gone.no != stored.no));
        let (hub, id) = (kept.hub, kept.identity.id.clone());
        let generation = kept.identity.generation.clone();
        for stored in messages {
            if status.is_wanted_by(stored.message.ack) {
                let record = ServiceBoundRecord::Feedback(FeedbackRecord {
                    message_id: stored.message.message_id.clone(),
                    status,
                    at: feedback.at,
                    id: id.clone(),
                    generation: generation.clone(),
                });
                self.tell(hub, Some(identity), record, feedback.records_max);
            }
        }
        Ok(())
    }

    pub(super) fn tell(
        &mut self,
        hub: HubNo,
        identity: Option<Ordinal>,
        record: ServiceBoundRecord,
        records_max: u64,
    ) {
        let kind = record.kind();
        self.told_last.push((hub, kind));
        let earlier = self.told_last.iter().filter(|of| **of == (hub, kind));
        let no = ServiceBoundNo(earlier.count() as u64);
        self.told.push(Told {
            hub,
            kind,
            identity,
            stored: StoredServiceBound {
                no,
                delivery_count: 0,
                record,
            },
        });
        self.told.retain(|told| {
            told.hub != hub || told.kind != kind || told.stored.no.0 + records_max > no.0
        });
    }

    pub(super) fn is_one_told(
        &self,
        hub: HubNo,
        kind: ServiceBoundKind,
        records: &[ServiceBoundNo],
    ) -> bool {
        self.told
            .iter()
            .any(|told| told.is_one_of(hub, kind, records))
    }

    /// A queue for back ends.
    pub(in super::super) fn told(
        &self,
        hub: HubNo,
        kind: ServiceBoundKind,
    ) -> Vec<StoredServiceBound> {
        let told = self.told.iter();
        told.filter(|told| told.hub == hub && told.kind == kind)
            .map(|told| told.stored.clone())
            .collect()
    }
}
