//! The hubs of an installation.

use std::sync::{Arc, PoisonError, RwLock};

use hub_domain::access::DEFAULT_POLICIES;
use hub_domain::limits::{
    PARTITIONS_MAX, PARTITIONS_MIN, TELEMETRY_RETENTION_BYTES_DEFAULT, TELEMETRY_RETENTION_MIN,
};
use hub_domain::{HostName, Hub, HubName, HubNo, Permissions, Policy, SymmetricKey};
use hub_storage::MessageLog;
use hub_storage::store::{Op, Unit};
use tokio::sync::watch;

use crate::{EngineParts, Environment, Error, ErrorKind, OpContext};

/// The hubs of an installation, in memory. Cheap to clone.
#[derive(Clone)]
pub struct Hubs {
    parts: EngineParts,
    table: Arc<RwLock<Vec<Entry>>>,
    creating: Arc<tokio::sync::Mutex<()>>,
    changes: Arc<watch::Sender<u64>>,
}

#[derive(Clone)]
struct Entry {
    hub: Arc<Hub>,
    log: Arc<dyn MessageLog>,
}

/// A hub to be created.
pub struct NewHub {
    /// Its name.
    pub name: HubName,
    /// The host name that clients use.
    pub host: HostName,
    /// Further host names.
    pub aliases: Vec<HostName>,
    /// Partitions of its message log, 2 to 128.
    pub partition_count: u16,
}

impl Hubs {
    pub(crate) async fn open(parts: EngineParts) -> Result<Self, Error> {
        let mut table = Vec::new();
        for hub in parts.store.hubs().await? {
            let log = parts.logs.open(&hub)?;
            table.push(Entry {
                hub: Arc::new(hub),
                log,
            });
        }
        Ok(Self {
            parts,
            table: Arc::new(RwLock::new(table)),
            creating: Arc::default(),
            changes: Arc::new(watch::Sender::new(0)),
        })
    }

    fn entries(&self) -> Vec<Entry> {
        self.table
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn find(&self, wanted: impl Fn(&Hub) -> bool) -> Option<Arc<Hub>> {
        let table = self.table.read().unwrap_or_else(PoisonError::into_inner);
        table
            .iter()
            .find(|entry| wanted(&entry.hub))
            .map(|entry| Arc::clone(&entry.hub))
    }

    /// All hubs, by number.
    pub fn list(&self) -> Vec<Arc<Hub>> {
        self.entries().into_iter().map(|entry| entry.hub).collect()
    }

    /// The hub of that name, without regard to case.
    pub fn by_name(&self, name: &str) -> Option<Arc<Hub>> {
        self.find(|hub| hub.name.as_str().eq_ignore_ascii_case(name))
    }

    /// The hub that answers to `host`. The only hub of an installation answers to any host; with several,
    /// an unknown host means none of them.
    pub fn by_host(&self, host: Option<&HostName>) -> Option<Arc<Hub>> {
        if let Some(only) = self.only() {
            return Some(only);
        }
        let host = host?;
        self.find(|hub| hub.answers_to(host))
    }

    /// The hub, when there is just one.
    pub fn only(&self) -> Option<Arc<Hub>> {
        let table = self.table.read().unwrap_or_else(PoisonError::into_inner);
        match table.as_slice() {
            [entry] => Some(Arc::clone(&entry.hub)),
            [] | [_, ..] => None,
        }
    }

    /// The hub that was created first; `None` before the first start finished.
    pub fn default_hub(&self) -> Option<Arc<Hub>> {
        self.find(|_| true)
    }

    pub(crate) fn log(&self, hub: HubNo) -> Option<Arc<dyn MessageLog>> {
        let table = self.table.read().unwrap_or_else(PoisonError::into_inner);
        table
            .iter()
            .find(|entry| entry.hub.no == hub)
            .map(|entry| Arc::clone(&entry.log))
    }

    pub(crate) fn logs(&self) -> Vec<Arc<dyn MessageLog>> {
        self.entries().into_iter().map(|entry| entry.log).collect()
    }

    /// Makes the first hub answer to `host` for this run, whatever name it was created with.
    pub fn use_host(&self, host: &HostName) {
        let mut table = self.table.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(entry) = table.first_mut().filter(|entry| entry.hub.host != *host) {
            let mut hub = (*entry.hub).clone();
            let former = std::mem::replace(&mut hub.host, host.clone());
            hub.aliases.retain(|alias| alias != host);
            hub.aliases.push(former);
            entry.hub = Arc::new(hub);
        }
    }

    /// Creates a hub with the five default policies and new keys.
    ///
    /// # Errors
    /// Not allowed; the name or a host is taken; the partition count is out of range.
    pub async fn create(&self, ctx: &OpContext, new: NewHub) -> Result<Arc<Hub>, Error> {
        ctx.caller.require_admin()?;
        if !(PARTITIONS_MIN..=PARTITIONS_MAX).contains(&new.partition_count) {
            let text = format!(
                "a hub has {PARTITIONS_MIN} to {PARTITIONS_MAX} partitions, not {}",
                new.partition_count
            );
            return Err(Error::new(ErrorKind::Invalid, text));
        }
        let _one_at_a_time = self.creating.lock().await;
        let existing = self.list();
        let taken = |hub: &Arc<Hub>| {
            hub.name == new.name
                || std::iter::once(&new.host)
                    .chain(&new.aliases)
                    .any(|host| hub.answers_to(host))
        };
        if let Some(other) = existing.iter().find(|hub| taken(hub)) {
            let text = format!("the hub {} has this name or one of these hosts", other.name);
            return Err(Error::new(ErrorKind::AlreadyExists, text));
        }
        let no = HubNo(existing.iter().map(|hub| hub.no.0 + 1).max().unwrap_or(1));
        let hub = Hub {
            no,
            name: new.name,
            host: new.host,
            aliases: new.aliases,
            policies: default_policies(&*self.parts.environment),
            partition_count: new.partition_count,
            retention: TELEMETRY_RETENTION_MIN,
            retention_bytes_max: TELEMETRY_RETENTION_BYTES_DEFAULT,
            created: ctx.now,
        };
        self.parts
            .store
            .submit(Unit::new(Op::CreateHub(hub.clone()), Vec::new()))
            .await?;
        let log = self.parts.logs.open(&hub)?;
        let hub = Arc::new(hub);
        let mut table = self.table.write().unwrap_or_else(PoisonError::into_inner);
        table.push(Entry {
            hub: Arc::clone(&hub),
            log,
        });
        drop(table);
        self.changes.send_modify(|count| *count += 1);
        Ok(hub)
    }

    /// Changes when a hub was created.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }
}

/// A new random key of 32 bytes, the size the vendor generates.
pub(crate) fn random_key(environment: &dyn Environment) -> SymmetricKey {
    let mut bytes = [0; 32];
    environment.fill_random(&mut bytes);
    SymmetricKey::from_bytes(&bytes).expect("invariant: 32 bytes are a key")
}

fn default_policies(environment: &dyn Environment) -> Vec<Policy> {
    let policy = |(name, permissions): &(&str, &[hub_domain::Permission])| Policy {
        name: (*name).to_owned(),
        permissions: Permissions::of(permissions),
        primary: random_key(environment),
        secondary: random_key(environment),
    };
    DEFAULT_POLICIES.iter().map(policy).collect()
}
