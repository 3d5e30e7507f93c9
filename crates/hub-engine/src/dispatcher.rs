//! From committed facts to sessions.
//!
//! The dispatcher is the only one that pushes facts to sessions. It begins at the head: sessions live in
//! memory, so what was committed before the start concerns none of them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use hub_domain::twin::desired_notification;
use hub_domain::{Fact, FactKind, HubNo, IdentityId};
use hub_storage::bus::{CloseReason, Notice, SessionKey};
use hub_storage::store::FactNo;
use hub_storage::{Bus, Store};

use crate::Error;

/// Facts read at once.
const PAGE: usize = 1_024;

pub(crate) struct Dispatcher {
    store: Arc<dyn Store>,
    bus: Arc<dyn Bus>,
    registry_changes: RegistryChanges,
    start: FactNo,
}

/// Counts dispatched facts that may end sessions, so that a session that opens meanwhile looks again.
#[derive(Clone, Default)]
pub(crate) struct RegistryChanges(Arc<AtomicU64>);

impl RegistryChanges {
    pub(crate) fn count(&self) -> u64 {
        self.0.load(Ordering::Acquire)
    }
}

impl Dispatcher {
    pub(crate) fn new(store: Arc<dyn Store>, bus: Arc<dyn Bus>) -> Self {
        let start = *store.fact_head().borrow();
        Self {
            store,
            bus,
            registry_changes: RegistryChanges::default(),
            start,
        }
    }

    pub(crate) fn registry_changes(&self) -> RegistryChanges {
        self.registry_changes.clone()
    }

    /// Dispatches until dropped. Ends only when the feed cannot be read.
    pub(crate) async fn run(&self) -> Result<(), Error> {
        let mut head = self.store.fact_head();
        let mut done = self.start;
        loop {
            let newest = *head.borrow_and_update();
            let page = self.store.changes(done, PAGE).await?;
            for (no, fact) in &page {
                self.dispatch(fact).await?;
                done = *no;
            }
            if page.is_empty() {
                // What is not there was trimmed, and will not come.
                done = done.max(newest);
                if head.wait_for(|newest| *newest > done).await.is_err() {
                    return Ok(());
                }
            }
        }
    }

    async fn dispatch(&self, fact: &Fact) -> Result<(), Error> {
        match &fact.kind {
            FactKind::TwinChanged(change) => {
                if let Some(desired) = &change.desired {
                    let key = key_of(fact);
                    if self.bus.is_connected(&key) {
                        let text = Bytes::from(desired_notification(desired));
                        self.bus.notify(
                            &key,
                            Notice::DesiredChanged {
                                text,
                                version: desired.version,
                            },
                        );
                    }
                }
            }
            FactKind::MessageQueued => self.bus.notify(&key_of(fact), Notice::MessageAvailable),
            FactKind::IdentityUpdated { enabled: false, .. } => {
                self.registry_changes.0.fetch_add(1, Ordering::AcqRel);
                self.bus
                    .notify(&key_of(fact), Notice::Close(CloseReason::Disabled));
                self.close_modules(fact.hub, &fact.id).await?;
            }
            FactKind::IdentityUpdated {
                enabled: true,
                credentials_changed,
            } => {
                self.registry_changes.0.fetch_add(1, Ordering::AcqRel);
                if *credentials_changed {
                    self.bus.notify(
                        &key_of(fact),
                        Notice::Close(CloseReason::CredentialsChanged),
                    );
                }
            }
            FactKind::IdentityDeleted { .. } => {
                self.registry_changes.0.fetch_add(1, Ordering::AcqRel);
                self.bus
                    .notify(&key_of(fact), Notice::Close(CloseReason::Deleted));
            }
            FactKind::IdentityCreated { .. } | FactKind::MessagesPurged => {}
        }
        Ok(())
    }

    /// A disabled device's modules may not stay connected either.
    async fn close_modules(&self, hub: HubNo, id: &IdentityId) -> Result<(), Error> {
        if id.module.is_some() {
            return Ok(());
        }
        for module in self.store.modules(hub, &id.device).await? {
            let key = SessionKey {
                hub,
                id: module.identity.id,
            };
            self.bus.notify(&key, Notice::Close(CloseReason::Disabled));
        }
        Ok(())
    }
}

fn key_of(fact: &Fact) -> SessionKey {
    SessionKey {
        hub: fact.hub,
        id: fact.id.clone(),
    }
}
