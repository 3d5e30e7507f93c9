//! Regular chores: expired messages, retention, activity. Each is idempotent and takes no input.

use std::time::Duration;

use hub_domain::limits::ACTIVITY_FLUSH_INTERVAL;
use hub_storage::StoreError;
use hub_storage::store::{Op, Unit};
use tokio::time::{MissedTickBehavior, interval};

use crate::activity::Activities;
use crate::messages::Deliveries;
use crate::{EngineParts, Hubs, ServiceBound};

/// How often expired messages are looked for. A device never gets an expired one, whatever this is.
const EXPIRY_INTERVAL: Duration = Duration::from_secs(5);
/// Expired messages removed in one unit.
const EXPIRED_MAX: usize = 256;
/// Activities flushed in one unit.
const FLUSH_MAX: usize = 1_024;
/// How long facts are kept for readers: as long as telemetry by default.
const FACT_RETENTION: Duration = Duration::from_secs(24 * 3600);

/// How often locks are looked at. A lock that is over counts as none, whatever this is; who waits for it is told by then.
const LOCK_INTERVAL: Duration = Duration::from_secs(1);

pub(crate) async fn run(
    parts: &EngineParts,
    hubs: &Hubs,
    activities: &Activities,
    (deliveries, service_bound): (&Deliveries, &ServiceBound),
) {
    let mut locks = interval(LOCK_INTERVAL);
    locks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut expiry = interval(EXPIRY_INTERVAL);
    let mut minute = interval(ACTIVITY_FLUSH_INTERVAL);
    expiry.set_missed_tick_behavior(MissedTickBehavior::Delay);
    minute.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = locks.tick() => {
                let now = parts.environment.now();
                deliveries.expire_leases(now);
                service_bound.expire_locks(now);
            }
            _ = expiry.tick() => {
                expire_messages(parts, deliveries).await;
                service_bound.sweep(parts.environment.now()).await;
            }
            _ = minute.tick() => {
                flush_activity(parts, activities).await;
                trim(parts, hubs).await;
                crate::uploads::forget_expired(parts).await;
            }
        }
    }
}

async fn expire_messages(parts: &EngineParts, deliveries: &Deliveries) {
    loop {
        let now = parts.environment.now();
        let expired = match parts.store.expired_messages(now, EXPIRED_MAX).await {
            Ok(expired) => expired,
            Err(error) => return log_failure("expired messages cannot be read", &error),
        };
        let count = expired.len();
        // One unit each: a message that was completed meanwhile must not keep the others.
        let pending: Vec<_> = expired
            .into_iter()
            .map(|(identity, message)| deliveries.expire(identity, message, now))
            .collect();
        for settled in pending {
            match settled.await {
                Ok(_) | Err(StoreError::Conflict(_)) => {}
                Err(error) => return log_failure("an expired message cannot be removed", &error),
            }
        }
        if count < EXPIRED_MAX {
            return;
        }
    }
}

/// Writes what is known of connections. Called every minute and at the end.
pub(crate) async fn flush_activity(parts: &EngineParts, activities: &Activities) {
    let changed = activities.take_changed();
    let mut rest = changed.chunks(FLUSH_MAX);
    while let Some(part) = rest.next() {
        let unit = Unit::new(Op::FlushActivity(part.to_vec()), Vec::new());
        match parts.store.submit(unit).await {
            Ok(_) => activities.written(part),
            Err(error) => {
                activities.put_back(part);
                rest.for_each(|part| activities.put_back(part));
                return log_failure("connection states cannot be written", &error);
            }
        }
    }
}

async fn trim(parts: &EngineParts, hubs: &Hubs) {
    let now = parts.environment.now();
    if let Err(error) = parts.store.trim_facts(now.minus(FACT_RETENTION)).await {
        log_failure("old facts cannot be removed", &error);
    }
    for log in hubs.logs() {
        if let Err(error) = log.trim(now).await {
            log_failure("old telemetry cannot be removed", &error);
        }
    }
}

/// A chore that failed is tried again at its next turn.
fn log_failure(what: &str, error: &StoreError) {
    tracing::warn!(%error, "{what}");
}
