//! The store in memory.

use std::sync::{Mutex, MutexGuard};

use futures_util::future::ready;
use hub_domain::limits::COMMITTER_WAITING_BYTES_MAX;
use hub_domain::provisioning::{
    Enrollment, EnrollmentGroup, ProvisioningService, Refusal, Registration, RegistrationId,
};
use hub_domain::twin::Twin;
use hub_domain::upload::{CorrelationId, Upload};
use hub_domain::{DeviceId, Fact, Hub, HubNo, IdentityId, ServiceBoundKind, Timestamp};
use tokio::sync::watch;

use super::gate::{Faults, Gate, Verdict};
use super::state::State;
use crate::pending::{Completer, pending};
use crate::store::{
    Committed, FactNo, Health, MessageNo, Ordinal, RefusalPosition, RegistrationFilter,
    RegistrationStatistics, ServiceBoundNo, Statistics, StoredIdentity, StoredMessage,
    StoredServiceBound, Unit,
};
use crate::{Backlog, Pending, Reading, Store, StoreError};

/// A store that lives as long as this value.
pub struct MemoryStore {
    inner: Mutex<Inner>,
    backlog: Backlog,
    fact_head: watch::Sender<FactNo>,
    service_bound_head: watch::Sender<u64>,
}

struct Inner {
    state: State,
    gate: Gate<Work>,
}

enum Work {
    Commit(Unit, Completer<Committed>),
    TrimFacts(Timestamp, Completer<Committed>),
}

impl MemoryStore {
    /// An empty store.
    pub fn new() -> Self {
        Self {
            inner: Mutex::new(Inner {
                state: State::new(),
                gate: Gate::new(),
            }),
            backlog: Backlog::new(COMMITTER_WAITING_BYTES_MAX),
            fact_head: watch::Sender::new(FactNo(0)),
            service_bound_head: watch::Sender::new(0),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner
            .lock()
            .expect("nothing panics while it holds the state")
    }

    fn queue(&self, work: Work) {
        let mut inner = self.lock();
        inner.gate.push(work);
        while let Some((work, verdict)) = inner.gate.next() {
            self.finish(&mut inner.state, work, verdict);
        }
    }

    fn finish(&self, state: &mut State, work: Work, verdict: Verdict) {
        match (work, verdict) {
            (Work::Commit(unit, completer), Verdict::Commit) => {
                let size = unit.size();
                let result = state.commit(unit);
                self.backlog.remove(size);
                self.fact_head
                    .send_if_modified(|head| std::mem::replace(head, state.last_fact()) != *head);
                self.service_bound_head.send_if_modified(|head| {
                    std::mem::replace(head, state.service_bound_head()) != *head
                });
                completer.complete(result.map_err(StoreError::from));
            }
            (Work::Commit(unit, completer), Verdict::DiskFull) => {
                self.backlog.remove(unit.size());
                completer.complete(Err(StoreError::DiskFull));
            }
            (Work::TrimFacts(before, completer), Verdict::Commit) => {
                state.trim_facts(before);
                completer.complete(Ok(Committed::default()));
            }
            (Work::TrimFacts(_, completer), Verdict::DiskFull) => {
                completer.complete(Err(StoreError::DiskFull))
            }
        }
    }

    fn read<T: Send + 'static>(&self, read: impl FnOnce(&State) -> T) -> Reading<'_, T> {
        Box::pin(ready(Ok(read(&self.lock().state))))
    }
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::new()
    }
}

impl Store for MemoryStore {
    fn submit(&self, unit: Unit) -> Pending<Committed> {
        self.backlog.add(unit.size());
        let (completer, pending) = pending();
        self.queue(Work::Commit(unit, completer));
        pending
    }

    fn backlog(&self) -> &Backlog {
        &self.backlog
    }

    fn hubs(&self) -> Reading<'_, Vec<Hub>> {
        self.read(State::hubs)
    }

    fn identity(&self, hub: HubNo, id: &IdentityId) -> Reading<'_, Option<StoredIdentity>> {
        self.read(|state| state.identity(hub, id))
    }

    fn twin(&self, hub: HubNo, id: &IdentityId) -> Reading<'_, Option<(StoredIdentity, Twin)>> {
        self.read(|state| state.twin(hub, id))
    }

    fn devices(
        &self,
        hub: HubNo,
        after: Option<&DeviceId>,
        max: usize,
    ) -> Reading<'_, Vec<StoredIdentity>> {
        self.read(|state| state.devices(hub, after, max))
    }

    fn modules(&self, hub: HubNo, device: &DeviceId) -> Reading<'_, Vec<StoredIdentity>> {
        self.read(|state| state.modules(hub, device))
    }

    fn messages(
        &self,
        identity: Ordinal,
        after: MessageNo,
        max: usize,
    ) -> Reading<'_, Vec<StoredMessage>> {
        self.read(|state| state.messages(identity, after, max))
    }

    fn expired_messages(
        &self,
        now: Timestamp,
        max: usize,
    ) -> Reading<'_, Vec<(Ordinal, MessageNo)>> {
        self.read(|state| state.expired_messages(now, max))
    }

    fn service_bound(
        &self,
        hub: HubNo,
        kind: ServiceBoundKind,
        after: ServiceBoundNo,
        max: usize,
    ) -> Reading<'_, Vec<StoredServiceBound>> {
        self.read(|state| state.service_bound(hub, kind, after, max))
    }

    fn service_bound_head(&self) -> watch::Receiver<u64> {
        self.service_bound_head.subscribe()
    }

    fn upload(
        &self,
        identity: Ordinal,
        correlation: &CorrelationId,
    ) -> Reading<'_, Option<Upload>> {
        self.read(|state| state.upload(identity, correlation))
    }

    fn expired_uploads(
        &self,
        before: Timestamp,
        max: usize,
    ) -> Reading<'_, Vec<(Ordinal, Upload)>> {
        self.read(|state| state.expired_uploads(before, max))
    }

    fn provisioning_service(&self) -> Reading<'_, Option<ProvisioningService>> {
        self.read(State::provisioning_service)
    }

    fn enrollment(&self, id: &RegistrationId) -> Reading<'_, Option<Enrollment>> {
        self.read(|state| state.enrollment(id.key()))
    }

    fn enrollments(&self, after: Option<&str>, max: usize) -> Reading<'_, Vec<Enrollment>> {
        self.read(|state| state.enrollments(after, max))
    }

    fn enrollment_groups(
        &self,
        after: Option<&str>,
        max: usize,
    ) -> Reading<'_, Vec<EnrollmentGroup>> {
        self.read(|state| state.enrollment_groups(after, max))
    }

    fn registration(&self, id: &RegistrationId) -> Reading<'_, Option<Registration>> {
        self.read(|state| state.registration(id.key()))
    }

    fn registrations(
        &self,
        filter: RegistrationFilter,
        after: Option<&str>,
        max: usize,
    ) -> Reading<'_, Vec<Registration>> {
        self.read(|state| state.registrations(&filter, after, max))
    }

    fn enrollment_count(&self) -> Reading<'_, u64> {
        self.read(State::enrollment_count)
    }

    fn registration_statistics(&self) -> Reading<'_, RegistrationStatistics> {
        self.read(State::registration_statistics)
    }

    fn refusals(&self, after: Option<&RefusalPosition>, max: usize) -> Reading<'_, Vec<Refusal>> {
        self.read(|state| state.refusals(after, max))
    }

    fn refusal(&self, id: &RegistrationId) -> Reading<'_, Option<Refusal>> {
        self.read(|state| state.refusal(id.key()))
    }

    fn statistics(&self, hub: HubNo) -> Reading<'_, Statistics> {
        self.read(|state| state.statistics(hub))
    }

    fn changes(&self, after: FactNo, max: usize) -> Reading<'_, Vec<(FactNo, Fact)>> {
        self.read(|state| state.changes(after, max))
    }

    fn checkpoint(&self, hub: HubNo) -> Reading<'_, Option<FactNo>> {
        self.read(|state| state.checkpoint(hub))
    }

    fn fact_head(&self) -> watch::Receiver<FactNo> {
        self.fact_head.subscribe()
    }

    fn trim_facts(&self, before: Timestamp) -> Pending<Committed> {
        let (completer, pending) = pending();
        self.queue(Work::TrimFacts(before, completer));
        pending
    }

    fn health(&self) -> Health {
        if self.lock().gate.is_failing() {
            Health::DiskFull
        } else {
            Health::Good
        }
    }
}

impl Faults for MemoryStore {
    fn hold(&self) {
        self.lock().gate.hold();
    }

    fn release(&self, count: usize) -> usize {
        let mut inner = self.lock();
        let mut released = 0;
        while released < count
            && let Some((work, verdict)) = inner.gate.release()
        {
            self.finish(&mut inner.state, work, verdict);
            released += 1;
        }
        released
    }

    fn resume(&self) {
        self.lock().gate.open();
        self.release(usize::MAX);
    }

    fn fail_next(&self, count: usize) {
        self.lock().gate.fail_next(count);
    }

    fn waiting(&self) -> usize {
        self.lock().gate.len()
    }
}
