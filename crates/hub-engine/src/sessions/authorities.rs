//! Sessions that stand on an authority, and their end when it is trusted no longer.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hub_domain::{Hub, HubNo};
use hub_storage::bus::{CloseReason, Mailbox, Notice};

use crate::Hubs;
use crate::x509::{Fingerprint, fingerprint};

/// The sessions of this process whose certificates an authority vouches for.
#[derive(Default)]
pub(crate) struct Authorities(Mutex<Watched>);

#[derive(Default)]
struct Watched {
    next: u64,
    sessions: HashMap<u64, Reliance>,
}

/// What one session stands on.
struct Reliance {
    hub: HubNo,
    authority: Fingerprint,
    mailbox: Arc<Mailbox>,
}

/// Ends the watch when dropped.
pub(crate) struct Watch {
    authorities: Arc<Authorities>,
    number: u64,
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.authorities.watched().sessions.remove(&self.number);
    }
}

impl Authorities {
    fn watched(&self) -> MutexGuard<'_, Watched> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells `mailbox` to close when `hub` trusts `authority` no longer. Whoever calls looks once more afterwards.
    pub(crate) fn watch(
        self: &Arc<Self>,
        hub: HubNo,
        authority: Fingerprint,
        mailbox: Arc<Mailbox>,
    ) -> Watch {
        let mut watched = self.watched();
        let number = watched.next;
        watched.next += 1;
        let reliance = Reliance {
            hub,
            authority,
            mailbox,
        };
        watched.sessions.insert(number, reliance);
        Watch {
            authorities: Arc::clone(self),
            number,
        }
    }

    /// Looks at every session whenever a hub changes, until dropped.
    pub(crate) async fn run(&self, hubs: &Hubs) {
        let mut changes = hubs.changes();
        loop {
            self.close_distrusted(hubs);
            if changes.changed().await.is_err() {
                return;
            }
        }
    }

    fn close_distrusted(&self, hubs: &Hubs) {
        // Most installations have no such session: then the hubs need not be read.
        if self.watched().sessions.is_empty() {
            return;
        }
        let trusted: HashMap<HubNo, Vec<Fingerprint>> = hubs
            .list()
            .iter()
            .map(|hub| (hub.no, trusted_by(hub).collect()))
            .collect();
        for reliance in self.watched().sessions.values() {
            let is_trusted = trusted
                .get(&reliance.hub)
                .is_some_and(|trusted| trusted.contains(&reliance.authority));
            if !is_trusted {
                reliance
                    .mailbox
                    .put(Notice::Close(CloseReason::CredentialsChanged));
            }
        }
    }
}

/// The fingerprints of the authorities that vouch for the devices of a hub.
fn trusted_by(hub: &Hub) -> impl Iterator<Item = Fingerprint> {
    let certificates = hub.settings.certificates.iter();
    certificates
        .filter(|certificate| certificate.is_verified())
        .map(|certificate| fingerprint(&certificate.der))
}
