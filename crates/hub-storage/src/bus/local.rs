//! The bus of a single node: a map of mailboxes.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hub_domain::HubNo;
use tokio::sync::Notify;

use super::{
    Bus, CallError, CloseReason, Epoch, Mailbox, MethodAnswer, MethodRequest, Notice, SessionKey,
};
use crate::Reading;

const SHARDS: usize = 16;

/// Waits for a moment in the future. The bus keeps no clock of its own.
pub type Timer = fn(Duration) -> futures_util::future::BoxFuture<'static, ()>;

/// Routing within one process.
pub struct LocalBus {
    shards: [Mutex<Shard>; SHARDS],
    hasher: RandomState,
    next_epoch: AtomicU64,
    timer: Timer,
}

#[derive(Default)]
struct Shard {
    sessions: HashMap<SessionKey, (Epoch, Arc<Mailbox>)>,
    connected: HashMap<HubNo, u64>,
    waiting: HashMap<SessionKey, Arc<Notify>>,
}

impl LocalBus {
    /// An empty bus that measures deadlines with `timer`.
    pub fn new(timer: Timer) -> Self {
        Self {
            shards: Default::default(),
            hasher: RandomState::new(),
            next_epoch: AtomicU64::new(1),
            timer,
        }
    }

    fn shard(&self, key: &SessionKey) -> MutexGuard<'_, Shard> {
        let index = usize::try_from(self.hasher.hash_one(key) % SHARDS as u64)
            .expect("below the shard count");
        self.shards[index]
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn mailbox(&self, key: &SessionKey) -> Option<Arc<Mailbox>> {
        self.shard(key)
            .sessions
            .get(key)
            .map(|(_, mailbox)| Arc::clone(mailbox))
    }

    /// Waits until the session of `key` takes methods. The caller bounds the wait.
    async fn ready(&self, key: &SessionKey) -> Arc<Mailbox> {
        loop {
            let notify = {
                let mut shard = self.shard(key);
                if let Some((_, mailbox)) = shard
                    .sessions
                    .get(key)
                    .filter(|(_, mailbox)| mailbox.takes_methods())
                {
                    return Arc::clone(mailbox);
                }
                Arc::clone(shard.waiting.entry(key.clone()).or_default())
            };
            let mut notified = std::pin::pin!(notify.notified());
            notified.as_mut().enable();
            if let Some(mailbox) = self.mailbox(key).filter(|mailbox| mailbox.takes_methods()) {
                return mailbox;
            }
            notified.await;
        }
    }

    /// Forgets the waiting place of `key` when nobody waits there any more.
    fn tidy_waiting(&self, key: &SessionKey) {
        let mut shard = self.shard(key);
        if shard
            .waiting
            .get(key)
            .is_some_and(|notify| Arc::strong_count(notify) == 1)
        {
            shard.waiting.remove(key);
        }
    }

    async fn ready_within(&self, key: &SessionKey, connect: Duration) -> Option<Arc<Mailbox>> {
        if let Some(mailbox) = self.mailbox(key).filter(|mailbox| mailbox.takes_methods()) {
            return Some(mailbox);
        }
        if connect.is_zero() {
            return None;
        }
        // Dropped after the wait, also when the caller gives up.
        let _tidy = TidyOnDrop { bus: self, key };
        let ready = std::pin::pin!(self.ready(key));
        match futures_util::future::select(ready, (self.timer)(connect)).await {
            futures_util::future::Either::Left((mailbox, _)) => Some(mailbox),
            futures_util::future::Either::Right(((), _)) => None,
        }
    }

    async fn call_now(
        &self,
        key: &SessionKey,
        request: MethodRequest,
    ) -> Result<MethodAnswer, CallError> {
        let mailbox = self
            .ready_within(key, request.connect)
            .await
            .ok_or(CallError::NotOnline)?;
        let (id, answer) = mailbox.call(request.name, request.payload)?;
        let forget = ForgetOnDrop {
            mailbox: &mailbox,
            id,
        };
        let result =
            match futures_util::future::select(answer, (self.timer)(request.response)).await {
                futures_util::future::Either::Left((answer, _)) => {
                    answer.map_err(|_| CallError::NotOnline)
                }
                futures_util::future::Either::Right(((), _)) => Err(CallError::TimedOut),
            };
        drop(forget);
        result
    }
}

/// Whoever waited for a session, or gave up, leaves no waiting place behind.
struct TidyOnDrop<'a> {
    bus: &'a LocalBus,
    key: &'a SessionKey,
}

impl Drop for TidyOnDrop<'_> {
    fn drop(&mut self) {
        self.bus.tidy_waiting(self.key);
    }
}

/// A caller that gives up, or is dropped, leaves no entry behind.
struct ForgetOnDrop<'a> {
    mailbox: &'a Mailbox,
    id: super::MethodCallId,
}

impl Drop for ForgetOnDrop<'_> {
    fn drop(&mut self) {
        self.mailbox.forget(self.id);
    }
}

impl Bus for LocalBus {
    fn claim<'a>(&'a self, key: &'a SessionKey, mailbox: Arc<Mailbox>) -> Reading<'a, Epoch> {
        Box::pin(async move {
            let (epoch, older) = {
                let mut shard = self.shard(key);
                // Under the lock: whoever claims last has the highest epoch.
                let epoch = Epoch(self.next_epoch.fetch_add(1, Ordering::Relaxed));
                let older = shard.sessions.insert(key.clone(), (epoch, mailbox));
                if older.is_none() && key.id.module.is_none() {
                    *shard.connected.entry(key.hub).or_default() += 1;
                }
                (epoch, older)
            };
            if let Some((_, older)) = older {
                older.put(Notice::Close(CloseReason::Superseded));
            }
            Ok(epoch)
        })
    }

    fn release(&self, key: &SessionKey, epoch: Epoch) -> bool {
        let mut shard = self.shard(key);
        if shard
            .sessions
            .get(key)
            .is_none_or(|(held, _)| *held != epoch)
        {
            return false;
        }
        shard.sessions.remove(key);
        if key.id.module.is_none()
            && let Some(count) = shard.connected.get_mut(&key.hub)
        {
            *count = count.saturating_sub(1);
        }
        true
    }

    fn notify(&self, key: &SessionKey, notice: Notice) {
        if let Some(mailbox) = self.mailbox(key) {
            mailbox.put(notice);
        }
    }

    fn call<'a>(
        &'a self,
        key: &'a SessionKey,
        request: MethodRequest,
    ) -> Reading<'a, Result<MethodAnswer, CallError>> {
        Box::pin(async move { Ok(self.call_now(key, request).await) })
    }

    fn methods_changed(&self, key: &SessionKey) {
        let waiting = self.shard(key).waiting.get(key).map(Arc::clone);
        if let Some(waiting) = waiting {
            waiting.notify_waiters();
        }
    }

    fn is_connected(&self, key: &SessionKey) -> bool {
        self.shard(key).sessions.contains_key(key)
    }

    fn connected_devices(&self, hub: HubNo) -> u64 {
        let count = |shard: &Mutex<Shard>| {
            shard
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .connected
                .get(&hub)
                .copied()
                .unwrap_or(0)
        };
        self.shards.iter().map(count).sum()
    }

    fn close_all(&self, reason: CloseReason) {
        for shard in &self.shards {
            let mailboxes: Vec<_> = {
                let shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
                shard
                    .sessions
                    .values()
                    .map(|(_, mailbox)| Arc::clone(mailbox))
                    .collect()
            };
            for mailbox in mailboxes {
                mailbox.put(Notice::Close(reason));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::task::{Context, Waker};

    use hub_domain::IdentityId;

    use super::*;

    #[test]
    fn a_caller_that_gives_up_leaves_no_waiting_place_behind() {
        let bus = LocalBus::new(|_| Box::pin(std::future::pending()));
        let key = SessionKey {
            hub: HubNo(1),
            id: IdentityId::parse("d1").unwrap(),
        };
        let request = || MethodRequest {
            name: "m".to_owned(),
            payload: None,
            connect: Duration::from_secs(1),
            response: Duration::from_secs(1),
        };
        let mut calls = [bus.call(&key, request()), bus.call(&key, request())];
        for call in &mut calls {
            assert!(
                call.as_mut()
                    .poll(&mut Context::from_waker(Waker::noop()))
                    .is_pending()
            );
        }
        assert_eq!(bus.shard(&key).waiting.len(), 1);
        let [first, second] = calls;
        drop(first);
        assert_eq!(bus.shard(&key).waiting.len(), 1, "the second still waits");
        drop(second);
        assert!(bus.shard(&key).waiting.is_empty());
    }
}
