//! Fault injection: a device's own telemetry asks the hub to harm its connection, for tests of reconnection.
//!
//! Off unless the installation is set up for it. A fault begins after its delay and stays for its duration:
//! connects are refused meanwhile, or sends. One fault at a time per identity, in memory only.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hub_domain::fault::{FaultInjection, FaultKind, FaultRequest};
use hub_domain::{ErrorCode, Timestamp};
use hub_storage::bus::{CloseReason, Mailbox, Notice, SessionKey};
use tokio::sync::Notify;

use crate::{Error, ErrorKind, Hubs};

/// Identities with a fault at the same time; above it requests are ignored.
const FAULTS_MAX: usize = 10_000;

/// The faults that were asked for.
pub(crate) struct Faults {
    hubs: Hubs,
    active: Mutex<HashMap<SessionKey, Active>>,
    /// What sessions are to be told, by the moment; at most one entry per active fault.
    due: Mutex<BTreeMap<(Timestamp, u64), Told>>,
    due_count: AtomicU64,
    added: Notify,
}

/// What a session is told when its fault begins.
struct Told {
    mailbox: Arc<Mailbox>,
    notice: Notice,
}

#[derive(Clone, Copy, Debug)]
struct Active {
    kind: FaultKind,
    from: Timestamp,
    until: Timestamp,
}

impl Active {
    fn holds(self, now: Timestamp) -> bool {
        self.from <= now && now < self.until
    }
}

impl Faults {
    pub(crate) fn new(hubs: Hubs) -> Self {
        Self {
            hubs,
            active: Mutex::default(),
            due: Mutex::default(),
            due_count: AtomicU64::new(0),
            added: Notify::new(),
        }
    }

    fn active(&self) -> MutexGuard<'_, HashMap<SessionKey, Active>> {
        self.active.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn due(&self) -> MutexGuard<'_, BTreeMap<(Timestamp, u64), Told>> {
        self.due.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells sessions of their faults as these begin, until dropped.
    pub(crate) async fn run(&self) {
        loop {
            let now = self.hubs.now();
            let wait = self.tell(now);
            tokio::select! {
                () = tokio::time::sleep(wait.unwrap_or_default()), if wait.is_some() => {}
                () = self.added.notified() => {}
            }
        }
    }

    /// Tells what is due; says how long until there is more.
    fn tell(&self, now: Timestamp) -> Option<Duration> {
        let mut due = self.due();
        while let Some(first) = due.first_entry() {
            let (at, _) = *first.key();
            if at > now {
                return Some(at.since(now));
            }
            let told = first.remove();
            told.mailbox.put(told.notice);
        }
        None
    }

    /// Looks whether a message of `key` asks for a fault, and arranges for it.
    pub(crate) fn note(
        &self,
        key: &SessionKey,
        mailbox: &Arc<Mailbox>,
        raw_bag: &[u8],
        now: Timestamp,
    ) {
        let Some(request) = FaultRequest::parse(raw_bag) else {
            return;
        };
        if self.hubs.fault_injection(key.hub) == FaultInjection::Off {
            return;
        }
        {
            let mut active = self.active();
            active.retain(|_, fault| fault.until > now);
            if active.len() >= FAULTS_MAX || active.contains_key(key) {
                return;
            }
            let from = now.plus(request.delay);
            let until = from.plus(request.duration);
            let kind = request.kind;
            active.insert(key.clone(), Active { kind, from, until });
        }
        tracing::info!(id = %key.id, kind = request.kind.as_str(), reason = request.close_reason,
            delay = ?request.delay, duration = ?request.duration, "a device asked for a fault");
        let Some(notice) = notice(request.kind) else {
            return;
        };
        let number = self.due_count.fetch_add(1, Ordering::Relaxed);
        let told = Told {
            mailbox: Arc::clone(mailbox),
            notice,
        };
        self.due().insert((now.plus(request.delay), number), told);
        self.added.notify_one();
    }

    /// Refuses a connect while a fault of the identity holds.
    ///
    /// # Errors
    /// `Unavailable` (400030), or `NotAuthenticated` when that is the fault.
    pub(crate) fn check_connect(&self, key: &SessionKey, now: Timestamp) -> Result<(), Error> {
        match self.fault_of(key, now) {
            None | Some(FaultKind::Throttling | FaultKind::MessageQuota) => Ok(()),
            Some(FaultKind::KillLink(_)) => Ok(()),
            Some(FaultKind::Authentication) => Err(not_authorized()),
            Some(
                FaultKind::KillTcp
                | FaultKind::ShutDownMqtt
                | FaultKind::ShutDownAmqp
                | FaultKind::KillAmqpConnection
                | FaultKind::KillAmqpSession,
            ) => Err(Error::new(
                ErrorKind::Unavailable,
                "connects are refused for the duration of an injected fault",
            )
            .with_code(ErrorCode::ConnectionRejectedOnFaultInjection)),
        }
    }

    /// Refuses a send while a fault of the identity says so.
    ///
    /// # Errors
    /// `Throttled`, `QuotaExceeded` or `NotAuthenticated`, as the fault asked.
    pub(crate) fn check_send(&self, key: &SessionKey, now: Timestamp) -> Result<(), Error> {
        match self.fault_of(key, now) {
            Some(FaultKind::Throttling) => Err(Error::new(
                ErrorKind::Throttled,
                "sends are throttled by an injected fault",
            )),
            Some(FaultKind::MessageQuota) => Err(Error::new(
                ErrorKind::QuotaExceeded,
                "the message quota is used up by an injected fault",
            )),
            Some(FaultKind::Authentication) => Err(not_authorized()),
            None
            | Some(
                FaultKind::KillTcp
                | FaultKind::ShutDownMqtt
                | FaultKind::ShutDownAmqp
                | FaultKind::KillAmqpConnection
                | FaultKind::KillAmqpSession
                | FaultKind::KillLink(_),
            ) => Ok(()),
        }
    }

    fn fault_of(&self, key: &SessionKey, now: Timestamp) -> Option<FaultKind> {
        let active = self.active().get(key).copied()?;
        active.holds(now).then_some(active.kind)
    }
}

/// What the session is told when the fault begins; nothing where only its sends are refused.
fn notice(kind: FaultKind) -> Option<Notice> {
    match kind {
        FaultKind::KillTcp
        | FaultKind::ShutDownMqtt
        | FaultKind::ShutDownAmqp
        | FaultKind::KillAmqpConnection => Some(Notice::Close(CloseReason::FaultInjected(kind))),
        FaultKind::KillAmqpSession | FaultKind::KillLink(_) => Some(Notice::Fault(kind)),
        FaultKind::Throttling | FaultKind::MessageQuota | FaultKind::Authentication => None,
    }
}

fn not_authorized() -> Error {
    Error::new(
        ErrorKind::NotAuthenticated,
        "the device is not authorized for the duration of an injected fault",
    )
}
