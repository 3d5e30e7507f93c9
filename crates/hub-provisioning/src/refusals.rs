//! Devices that were turned away: what people miss most when a fleet does not come up.
//!
//! Noted in memory, so that an attacker's guesses cost no write each, and written together once a second. A crash loses
//! the last second. Bounded in both places; strangers, for whom no enrollment was found, go first, then the least recent.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hub_domain::limits::REFUSALS_KEPT_MAX;
use hub_domain::provisioning::{Origin, Refusal, RegistrationId};
use hub_storage::store::{Committed, Op, Unit};
use hub_storage::{Pending, Store};

use crate::attestation::DeviceCall;

/// How often what was noted is written.
const INTERVAL: Duration = Duration::from_secs(1);
/// Most registration ids that wait to be written; further ones are not noted.
const WAITING_MAX: usize = 1_000;

/// Notes refusals. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Refusals {
    store: Arc<dyn Store>,
    waiting: Arc<Mutex<HashMap<String, Refusal>>>,
}

impl Refusals {
    pub(crate) fn new(store: Arc<dyn Store>) -> Self {
        Self {
            store,
            waiting: Arc::default(),
        }
    }

    /// Notes that a call was refused.
    pub(crate) fn note(
        &self,
        call: &DeviceCall<'_>,
        origin: Option<Origin>,
        code: u32,
        message: &str,
    ) {
        tracing::debug!(registration = %call.id, code, message, "a registration was refused");
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if !waiting.contains_key(call.id.key()) && waiting.len() >= WAITING_MAX {
            // Whoever guesses ids shall not push out the devices that people look for.
            let stranger = waiting.iter().find(|(_, one)| one.origin.is_none());
            match (&origin, stranger.map(|(key, _)| key.clone())) {
                (Some(_), Some(stranger)) => waiting.remove(&stranger),
                (None, _) | (Some(_), None) => return,
            };
        }
        let known = waiting.get(call.id.key());
        let refusal = Refusal {
            id: call.id.clone(),
            origin,
            code,
            message: message.to_owned(),
            address: call.address,
            count: known.map_or(0, |known| known.count) + 1,
            first: known.map_or(call.now, |known| known.first),
            last: call.now,
        };
        waiting.insert(call.id.key().to_owned(), refusal);
    }

    /// Forgets a device whose proof is good by now: at once what waits, and with what this gives what is written. To be
    /// submitted after this, so that it comes after whatever was taken to be written before.
    pub(crate) fn forget(&self, id: &RegistrationId) -> Op {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.remove(id.key());
        Op::ForgetRefusal { id: id.clone() }
    }

    /// Writes regularly until it is dropped.
    pub(crate) async fn run(&self) {
        loop {
            tokio::time::sleep(INTERVAL).await;
            self.flush().await;
        }
    }

    /// Writes what was noted. What cannot be written is lost, and said.
    pub(crate) async fn flush(&self) {
        let Some(pending) = self.begin() else {
            return;
        };
        if let Err(error) = pending.await {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "refused registrations cannot be written down"
            );
        }
    }

    /// Takes what waits and submits it, in one step: who is forgotten after that is forgotten after it is written.
    fn begin(&self) -> Option<Pending<Committed>> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.is_empty() {
            return None;
        }
        let op = Op::NoteRefusals {
            refusals: waiting.drain().map(|(_, refusal)| refusal).collect(),
            kept_max: REFUSALS_KEPT_MAX,
        };
        Some(self.store.submit(Unit::new(op, Vec::new())))
    }
}
