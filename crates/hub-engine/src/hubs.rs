//! The hubs of an installation.

use std::sync::{Arc, PoisonError, RwLock};

use hub_domain::access::DEFAULT_POLICIES;
use hub_domain::fault::FaultInjection;
use hub_domain::limits::{
    HUB_ALIASES_MAX, PARTITIONS_MAX, PARTITIONS_MIN, TELEMETRY_RETENTION_BYTES_DEFAULT,
    TELEMETRY_RETENTION_MIN,
};
use hub_domain::{
    CloudToDeviceSettings, HostName, Hub, HubName, HubNo, Permissions, Policy, QuotaProfile,
    Revision, ServiceBoundKind, ServiceBoundSettings, Settings, SymmetricKey, Timestamp,
};
use hub_storage::store::{Op, Unit};
use hub_storage::{Conflict, MessageLog, StoreError};
use tokio::sync::watch;

use crate::routing::{Plan, Slot};
use crate::turns::Turns;
use crate::{EngineParts, Environment, Error, ErrorKind, OpContext};

/// The hubs of an installation, in memory. Cheap to clone.
#[derive(Clone)]
pub struct Hubs {
    parts: EngineParts,
    table: Arc<RwLock<Vec<Entry>>>,
    turns: Turns,
    changes: Arc<watch::Sender<u64>>,
}

#[derive(Clone)]
struct Entry {
    hub: Arc<Hub>,
    log: Arc<dyn MessageLog>,
    /// Where its messages and events go.
    slot: Arc<Slot>,
}

impl Entry {
    fn new(hub: Hub, log: Arc<dyn MessageLog>) -> Self {
        Self {
            slot: Arc::new(Slot::new(Plan::of(&hub))),
            hub: Arc::new(hub),
            log,
        }
    }
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
            table.push(Entry::new(hub, log));
        }
        Ok(Self {
            parts,
            table: Arc::new(RwLock::new(table)),
            turns: Turns::default(),
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

    /// The limits of throughput that a hub keeps; none for a hub that is gone.
    pub(crate) fn profile(&self, hub: HubNo) -> QuotaProfile {
        let table = self.table.read().unwrap_or_else(PoisonError::into_inner);
        table
            .iter()
            .find(|entry| entry.hub.no == hub)
            .map_or(QuotaProfile::Unlimited, |entry| entry.hub.settings.quota)
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.parts.environment.now()
    }

    /// Whether devices of a hub may ask for faults.
    pub(crate) fn fault_injection(&self, hub: HubNo) -> FaultInjection {
        let table = self.table.read().unwrap_or_else(PoisonError::into_inner);
        table
            .iter()
            .find(|entry| entry.hub.no == hub)
            .map_or(FaultInjection::Off, |entry| {
                entry.hub.settings.fault_injection
            })
    }

    fn settings<T>(&self, hub: HubNo, read: impl FnOnce(&Settings) -> T) -> Option<T> {
        let table = self.table.read().unwrap_or_else(PoisonError::into_inner);
        let entry = table.iter().find(|entry| entry.hub.no == hub)?;
        Some(read(&entry.hub.settings))
    }

    /// How a hub treats cloud-to-device messages.
    pub(crate) fn cloud_to_device(&self, hub: HubNo) -> CloudToDeviceSettings {
        self.settings(hub, |settings| settings.cloud_to_device)
            .unwrap_or_default()
    }

    /// How back ends read a hub's queue of that kind.
    pub(crate) fn service_bound(&self, hub: HubNo, kind: ServiceBoundKind) -> ServiceBoundSettings {
        let of_kind = |settings: &Settings| match kind {
            ServiceBoundKind::Feedback => settings.cloud_to_device.feedback,
            ServiceBoundKind::FileNotification => settings.file_notifications,
        };
        self.settings(hub, of_kind).unwrap_or_default()
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

    /// Where messages and events of a hub go.
    pub(crate) fn slot(&self, hub: HubNo) -> Option<Arc<Slot>> {
        let table = self.table.read().unwrap_or_else(PoisonError::into_inner);
        table
            .iter()
            .find(|entry| entry.hub.no == hub)
            .map(|entry| Arc::clone(&entry.slot))
    }

    /// The hubs whose facts have to be read to be routed.
    pub(crate) fn that_want_facts(&self) -> Vec<HubNo> {
        let table = self.table.read().unwrap_or_else(PoisonError::into_inner);
        table
            .iter()
            .filter(|entry| entry.slot.plan().wants_facts())
            .map(|entry| entry.hub.no)
            .collect()
    }

    pub(crate) fn logs(&self) -> Vec<Arc<dyn MessageLog>> {
        self.entries().into_iter().map(|entry| entry.log).collect()
    }

    /// Makes `host` the host name of the first hub. The former ones stay its aliases: devices, back ends and settings may
    /// go by them.
    ///
    /// # Errors
    /// Not allowed; another hub has this host.
    pub async fn rename_first(&self, ctx: &OpContext, host: &HostName) -> Result<(), Error> {
        ctx.caller.require_admin()?;
        let Some(first) = self.default_hub().filter(|hub| hub.host != *host) else {
            return Ok(());
        };
        let rename = |hub: &Hub| {
            let mut next = hub.clone();
            let former = std::mem::replace(&mut next.host, host.clone());
            next.aliases
                .retain(|alias| alias != host && *alias != former);
            next.aliases.push(former);
            let forgotten = next.aliases.len().saturating_sub(HUB_ALIASES_MAX);
            next.aliases.drain(..forgotten);
            Ok(next)
        };
        self.update(ctx, first.no, rename).await.map(drop)
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
        let turn = self.turns.take().await;
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
            settings: Settings::default(),
            revision: Revision::default(),
        };
        let room = self.clone();
        turn.to_its_end(async move { room.commit_new(hub).await })
            .await
    }

    async fn commit_new(&self, hub: Hub) -> Result<Arc<Hub>, Error> {
        self.parts
            .store
            .submit(Unit::new(Op::CreateHub(Box::new(hub.clone())), Vec::new()))
            .await?;
        let log = self.parts.logs.open(&hub)?;
        let entry = Entry::new(hub, log);
        let hub = Arc::clone(&entry.hub);
        let mut table = self.table.write().unwrap_or_else(PoisonError::into_inner);
        table.push(entry);
        drop(table);
        self.changes.send_modify(|count| *count += 1);
        Ok(hub)
    }

    /// Changes a hub: `decide` makes the next state from the stored one, and is asked again when another writer was
    /// faster. Number, name, partitions and creation stay what they are. Everybody who asks for the hub afterwards gets
    /// the new one, and [`Hubs::changes`] tells.
    ///
    /// # Errors
    /// Not allowed; the hub does not exist; another hub has one of its hosts; whatever `decide` gives.
    pub async fn update(
        &self,
        ctx: &OpContext,
        hub: HubNo,
        decide: impl Fn(&Hub) -> Result<Hub, Error>,
    ) -> Result<Arc<Hub>, Error> {
        ctx.caller.require_admin()?;
        let turn = self.turns.take().await;
        let mut attempt = 0;
        loop {
            let former = self.by_no(hub).ok_or_else(|| no_hub(hub))?;
            let decided = decide(&former)?;
            let next = Hub {
                no: former.no,
                name: former.name.clone(),
                partition_count: former.partition_count,
                created: former.created,
                revision: former.revision.next(),
                ..decided
            };
            self.check_hosts(&next)?;
            let mut unit = Unit::new(
                Op::ReplaceHub {
                    next: Box::new(next.clone()),
                    expected: former.revision,
                },
                Vec::new(),
            );
            if Plan::of(&next).wants_facts() && !Plan::of(&former).wants_facts() {
                // Events begin with what happens from here on, whatever was routed long ago.
                unit.ops.push(Op::SetCheckpoint {
                    hub,
                    at: *self.parts.store.fact_head().borrow(),
                });
            }
            let room = self.clone();
            let commit = async move {
                room.parts.store.submit(unit).await?;
                Ok(room.replace_stored(next))
            };
            match turn.to_its_end(commit).await {
                Ok(replaced) => return replaced.ok_or_else(|| no_hub(hub)),
                Err(StoreError::Conflict(Conflict::VersionMismatch)) if attempt < RETRIES_MAX => {
                    attempt += 1;
                    self.read_again(hub).await?;
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    fn check_hosts(&self, next: &Hub) -> Result<(), Error> {
        let others = self.list().into_iter().filter(|hub| hub.no != next.no);
        let hosts = std::iter::once(&next.host).chain(&next.aliases);
        for other in others {
            if let Some(host) = hosts.clone().find(|host| other.answers_to(host)) {
                let text = format!("the hub {} has the host {host}", other.name);
                return Err(Error::new(ErrorKind::AlreadyExists, text));
            }
        }
        Ok(())
    }

    /// Another process changed the hub.
    async fn read_again(&self, hub: HubNo) -> Result<(), Error> {
        let stored = self.parts.store.hubs().await?;
        let stored = stored.into_iter().find(|stored| stored.no == hub);
        self.replace_stored(stored.ok_or_else(|| no_hub(hub))?);
        Ok(())
    }

    fn replace_stored(&self, hub: Hub) -> Option<Arc<Hub>> {
        let mut table = self.table.write().unwrap_or_else(PoisonError::into_inner);
        let entry = table.iter_mut().find(|entry| entry.hub.no == hub.no)?;
        entry.slot.set(Plan::of(&hub));
        entry.hub = Arc::new(hub);
        let hub = Arc::clone(&entry.hub);
        drop(table);
        self.changes.send_modify(|count| *count += 1);
        Some(hub)
    }

    /// The hub of that number.
    pub fn by_no(&self, no: HubNo) -> Option<Arc<Hub>> {
        self.find(|hub| hub.no == no)
    }

    /// Changes when a hub was created or changed.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }
}

/// How often a change is decided anew when other processes were faster.
const RETRIES_MAX: u32 = 5;

fn no_hub(hub: HubNo) -> Error {
    Error::new(ErrorKind::NotFound, format!("there is no hub {hub}"))
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
