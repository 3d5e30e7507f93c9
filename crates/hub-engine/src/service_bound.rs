//! What back ends are told: feedback on messages, and file notifications.
//!
//! A queue per hub and kind, durable; written in the unit of what it tells of. Receivers hold what they read
//! by locks in memory. What was not settled is read again after the lock or a restart.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hub_domain::limits::{FEEDBACK_BATCH_MAX, SERVICE_BOUND_LOCKS_MAX};
use hub_domain::service_bound::{FeedbackRecord, feedback_body, file_notification_body};
use hub_domain::{HubNo, Permission, ServiceBoundKind, ServiceBoundRecord, Timestamp};
use hub_storage::store::{Op, ServiceBoundNo, StoredServiceBound, Unit};
use hub_storage::{Conflict, Store, StoreError};
use tokio::sync::watch;

use crate::claims::Claims;
use crate::messages::lock_lost;
use crate::{Environment, Error, ErrorKind, Hubs, OpContext};

/// Records read at once.
const PAGE: usize = 256;

/// The queues for back ends.
pub struct ServiceBound {
    store: Arc<dyn Store>,
    hubs: Hubs,
    environment: Arc<dyn Environment>,
    queues: Arc<Mutex<BTreeMap<(HubNo, ServiceBoundKind), Queue>>>,
    changes: watch::Sender<u64>,
}

struct Queue {
    claims: Claims<ServiceBoundNo, ServiceBoundToken>,
    batches: BTreeMap<ServiceBoundToken, Held>,
}

struct Held {
    records: Vec<ServiceBoundNo>,
    expires: Timestamp,
}

impl Queue {
    const fn new() -> Self {
        Self {
            claims: Claims::new(),
            batches: BTreeMap::new(),
        }
    }
}

/// Names one reading of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServiceBoundToken([u8; 16]);

impl ServiceBoundToken {
    /// Reads the text, with or without the quotes of an ETag. `None` when it is no token.
    pub fn parse(text: &str) -> Option<Self> {
        let token = crate::messages::LockToken::parse(text).ok()?;
        Some(Self(token.to_bytes()))
    }

    /// The 16 bytes, for protocols that carry a UUID.
    pub const fn to_bytes(self) -> [u8; 16] {
        self.0
    }
}

impl std::fmt::Display for ServiceBoundToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        crate::messages::LockToken::from_bytes(self.0).fmt(f)
    }
}

/// Records that a back end was handed: up to 64 of feedback, or one file notification.
#[derive(Clone, Debug)]
pub struct ServiceBoundBatch {
    /// Settles it, until the lock ends.
    pub token: ServiceBoundToken,
    /// From which queue.
    pub kind: ServiceBoundKind,
    /// When the lock ends.
    pub locked_until: Timestamp,
    /// Oldest first, never none.
    pub records: Vec<StoredServiceBound>,
}

impl ServiceBoundBatch {
    /// The documented body: an array of feedback, or one notification.
    pub fn body(&self) -> String {
        match self.records.first().map(|stored| &stored.record) {
            Some(ServiceBoundRecord::FileNotification(notification)) => {
                file_notification_body(notification)
            }
            Some(ServiceBoundRecord::Feedback(_)) | None => feedback_body(self.feedback()),
        }
    }

    /// The feedback in it.
    pub fn feedback(&self) -> impl Iterator<Item = &FeedbackRecord> {
        self.records
            .iter()
            .filter_map(|stored| match &stored.record {
                ServiceBoundRecord::Feedback(record) => Some(record),
                ServiceBoundRecord::FileNotification(_) => None,
            })
    }

    /// When the oldest record was made.
    pub fn enqueued(&self) -> Timestamp {
        self.records
            .first()
            .map_or(Timestamp::NEVER, |stored| stored.record.enqueued())
    }

    /// How often its most often abandoned record was handed out before.
    pub fn delivery_count(&self) -> u32 {
        let counts = self.records.iter().map(|stored| stored.delivery_count);
        counts.max().unwrap_or_default()
    }
}

/// How a reading ends.
enum End {
    Remove,
    Abandon,
}

impl ServiceBound {
    pub(crate) fn new(
        store: Arc<dyn Store>,
        hubs: Hubs,
        environment: Arc<dyn Environment>,
    ) -> Self {
        Self {
            store,
            hubs,
            environment,
            queues: Arc::default(),
            changes: watch::Sender::new(0),
        }
    }

    fn queues(&self) -> MutexGuard<'_, BTreeMap<(HubNo, ServiceBoundKind), Queue>> {
        self.queues.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes when [`ServiceBound::receive`] may find what it did not find before, in any hub.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// The oldest records that nobody holds, held for the caller for the hub's lock time. `None` when there are none.
    /// Records wait for no others: a batch is what there is, up to its bound.
    ///
    /// # Errors
    /// Needs `ServiceConnect`. `Throttled` when too much of the queue is held already.
    pub async fn receive(
        &self,
        ctx: &OpContext,
        hub: HubNo,
        kind: ServiceBoundKind,
    ) -> Result<Option<ServiceBoundBatch>, Error> {
        ctx.caller.require(hub, Permission::ServiceConnect)?;
        let settings = self.hubs.service_bound(hub, kind);
        let token = self.begin(hub, kind, ctx.now)?;
        let reading = Reading {
            queues: Arc::clone(&self.queues),
            key: (hub, kind),
        };
        let max = match kind {
            ServiceBoundKind::Feedback => FEEDBACK_BATCH_MAX,
            ServiceBoundKind::FileNotification => 1,
        };
        let mut after = ServiceBoundNo(0);
        loop {
            let page = self.store.service_bound(hub, kind, after, PAGE).await?;
            let Some(last) = page.last() else {
                return Ok(None);
            };
            after = last.no;
            let (expired, fresh): (Vec<_>, Vec<_>) = page
                .into_iter()
                .partition(|stored| is_expired(stored, settings.ttl, ctx.now));
            drop(self.remove_expired(hub, kind, &expired));
            let locked_until = ctx.now.plus(settings.lock);
            let records = reading.claim(token, fresh, (max, locked_until));
            if !records.is_empty() {
                return Ok(Some(ServiceBoundBatch {
                    token,
                    kind,
                    locked_until,
                    records,
                }));
            }
        }
    }

    fn begin(
        &self,
        hub: HubNo,
        kind: ServiceBoundKind,
        now: Timestamp,
    ) -> Result<ServiceBoundToken, Error> {
        let mut bytes = [0; 16];
        self.environment.fill_random(&mut bytes);
        self.expire_locks(now);
        let mut queues = self.queues();
        let queue = queues.entry((hub, kind)).or_insert_with(Queue::new);
        if queue.batches.len() >= SERVICE_BOUND_LOCKS_MAX {
            return Err(Error::new(
                ErrorKind::Throttled,
                "too many batches are held and not settled, settle them first",
            ));
        }
        queue.claims.begin();
        Ok(ServiceBoundToken(bytes))
    }

    /// Takes what was received out of the queue, because it was read or because its reader rejects it: nobody is told of
    /// the difference. Done when that is durable.
    ///
    /// # Errors
    /// Needs `ServiceConnect`. The lock was lost (412002).
    pub async fn complete(
        &self,
        ctx: &OpContext,
        hub: HubNo,
        kind: ServiceBoundKind,
        token: ServiceBoundToken,
    ) -> Result<(), Error> {
        self.settle(ctx, (hub, kind), token, End::Remove).await
    }

    /// Puts what was received back and raises its delivery counts; records that were delivered too often are dropped.
    ///
    /// # Errors
    /// As for [`ServiceBound::complete`].
    pub async fn abandon(
        &self,
        ctx: &OpContext,
        hub: HubNo,
        kind: ServiceBoundKind,
        token: ServiceBoundToken,
    ) -> Result<(), Error> {
        self.settle(ctx, (hub, kind), token, End::Abandon).await
    }

    async fn settle(
        &self,
        ctx: &OpContext,
        (hub, kind): (HubNo, ServiceBoundKind),
        token: ServiceBoundToken,
        end: End,
    ) -> Result<(), Error> {
        ctx.caller.require(hub, Permission::ServiceConnect)?;
        self.expire_locks(ctx.now);
        let records = self.held((hub, kind), token).ok_or_else(lock_lost)?;
        let op = match end {
            End::Remove => Op::RemoveServiceBound { hub, kind, records },
            End::Abandon => Op::AbandonServiceBound {
                hub,
                kind,
                records,
                delivery_count_max: self.hubs.service_bound(hub, kind).delivery_count_max,
            },
        };
        let result = self.store.submit(Unit::new(op, Vec::new())).await;
        match (result, end) {
            (Ok(_), End::Remove) => self.leave((hub, kind), token),
            (Ok(_), End::Abandon) => self.release((hub, kind), token),
            (Err(error @ StoreError::Conflict(Conflict::NotFound)), _) => {
                self.leave((hub, kind), token);
                return Err(lock_lost().with_source(error));
            }
            (Err(error), _) => return Err(error.into()),
        }
        Ok(())
    }

    fn held(
        &self,
        key: (HubNo, ServiceBoundKind),
        token: ServiceBoundToken,
    ) -> Option<Vec<ServiceBoundNo>> {
        let queues = self.queues();
        let held = queues.get(&key)?.batches.get(&token)?;
        Some(held.records.clone())
    }

    fn leave(&self, key: (HubNo, ServiceBoundKind), token: ServiceBoundToken) {
        let mut queues = self.queues();
        if let Some(queue) = queues.get_mut(&key)
            && let Some(held) = queue.batches.remove(&token)
        {
            for no in held.records {
                queue.claims.leave(no);
            }
        }
    }

    /// Lets what was received be read again, its counts unchanged: its receiver went away.
    pub fn give_back(&self, hub: HubNo, kind: ServiceBoundKind, token: ServiceBoundToken) {
        self.release((hub, kind), token);
    }

    fn release(&self, key: (HubNo, ServiceBoundKind), token: ServiceBoundToken) {
        let mut queues = self.queues();
        if let Some(queue) = queues.get_mut(&key)
            && let Some(held) = queue.batches.remove(&token)
        {
            for no in held.records {
                queue.claims.put_back(no);
            }
        }
        drop(queues);
        self.tell();
    }

    fn tell(&self) {
        self.changes.send_modify(|count| *count += 1);
    }

    /// Ends the locks whose time is over.
    pub(crate) fn expire_locks(&self, now: Timestamp) {
        let mut over = Vec::new();
        for (key, queue) in &*self.queues() {
            let ended = queue.batches.iter().filter(|(_, held)| held.expires <= now);
            over.extend(ended.map(|(token, _)| (*key, *token)));
        }
        for (key, token) in over {
            self.release(key, token);
        }
    }

    /// Tells receivers of what is committed, until dropped.
    pub(crate) async fn follow(&self) {
        let mut head = self.store.service_bound_head();
        while head.changed().await.is_ok() {
            self.tell();
        }
        std::future::pending::<()>().await;
    }

    /// Removes what nobody read in time.
    pub(crate) async fn sweep(&self, now: Timestamp) {
        self.expire_locks(now);
        for hub in self.hubs.list() {
            for kind in ServiceBoundKind::ALL {
                if let Err(error) = self.sweep_queue(hub.no, kind, now).await {
                    tracing::warn!(%error, "expired feedback and notifications cannot be removed");
                    return;
                }
            }
        }
    }

    async fn sweep_queue(
        &self,
        hub: HubNo,
        kind: ServiceBoundKind,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let ttl = self.hubs.service_bound(hub, kind).ttl;
        let first = ServiceBoundNo(0);
        loop {
            let page = self.store.service_bound(hub, kind, first, PAGE).await?;
            // Records are in the order of their time but for those that met in one moment.
            let (expired, fresh): (Vec<_>, Vec<_>) = page
                .into_iter()
                .partition(|stored| is_expired(stored, ttl, now));
            if expired.is_empty() {
                return Ok(());
            }
            match self.remove_expired(hub, kind, &expired).await {
                Ok(()) | Err(StoreError::Conflict(_)) => {}
                Err(error) => return Err(error),
            }
            if !fresh.is_empty() {
                return Ok(());
            }
        }
    }

    /// Submits the removal of expired records; it is done whether it is waited for or not.
    fn remove_expired(
        &self,
        hub: HubNo,
        kind: ServiceBoundKind,
        expired: &[StoredServiceBound],
    ) -> impl Future<Output = Result<(), StoreError>> + use<> {
        let pending = (!expired.is_empty()).then(|| {
            let records = expired.iter().map(|stored| stored.no).collect();
            let op = Op::RemoveServiceBound { hub, kind, records };
            self.store.submit(Unit::new(op, Vec::new()))
        });
        async move {
            match pending {
                Some(pending) => pending.await.map(drop),
                None => Ok(()),
            }
        }
    }
}

fn is_expired(stored: &StoredServiceBound, ttl: Duration, now: Timestamp) -> bool {
    stored.record.enqueued().plus(ttl) <= now
}

/// A look at the store for records to hand out. Ends when it is dropped.
struct Reading {
    queues: Arc<Mutex<BTreeMap<(HubNo, ServiceBoundKind), Queue>>>,
    key: (HubNo, ServiceBoundKind),
}

impl Reading {
    /// Holds those that nobody holds, up to `max`.
    fn claim(
        &self,
        token: ServiceBoundToken,
        page: Vec<StoredServiceBound>,
        (max, expires): (usize, Timestamp),
    ) -> Vec<StoredServiceBound> {
        let mut queues = self.queues.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(queue) = queues.get_mut(&self.key) else {
            return Vec::new();
        };
        let mut claimed = Vec::new();
        for stored in page {
            if claimed.len() == max {
                break;
            }
            if queue.claims.claim(stored.no, token, |_| false) {
                claimed.push(stored);
            }
        }
        if !claimed.is_empty() {
            let records = claimed.iter().map(|stored| stored.no).collect();
            queue.batches.insert(token, Held { records, expires });
        }
        claimed
    }
}

impl Drop for Reading {
    fn drop(&mut self) {
        let mut queues = self.queues.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(queue) = queues.get_mut(&self.key) {
            queue.claims.end();
            if queue.claims.is_idle() {
                queues.remove(&self.key);
            }
        }
    }
}
