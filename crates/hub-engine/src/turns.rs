//! Writes of what is kept in memory too.

use std::future::Future;
use std::sync::{Arc, Mutex as Lock, PoisonError};

use tokio::sync::{Mutex, OwnedMutexGuard, oneshot};
use tokio::task::JoinSet;

/// One writer at a time of something that is in the store and in memory. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Turns {
    lock: Arc<Mutex<()>>,
    /// The work of the turn that is taken; one at most, and it ends with the runtime.
    work: Arc<Lock<JoinSet<()>>>,
}

/// The right to write, until it is dropped.
#[derive(Clone, Debug)]
pub struct Turn {
    held: Arc<OwnedMutexGuard<()>>,
    work: Arc<Lock<JoinSet<()>>>,
}

impl Turns {
    /// Waits for a turn.
    pub async fn take(&self) -> Turn {
        Turn {
            held: Arc::new(Arc::clone(&self.lock).lock_owned().await),
            work: Arc::clone(&self.work),
        }
    }
}

impl Turn {
    /// Does `work`, a commit and the change in memory that follows it, to its end, and keeps the turn until then: also when
    /// the caller is dropped meanwhile. A client that hangs up must not part memory from the store.
    pub async fn to_its_end<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> T {
        let (tell, told) = oneshot::channel();
        let held = Arc::clone(&self.held);
        {
            let mut tasks = self.work.lock().unwrap_or_else(PoisonError::into_inner);
            while tasks.try_join_next().is_some() {}
            tasks.spawn(async move {
                let done = work.await;
                drop(held);
                // Whoever asked may be gone.
                let _ = tell.send(done);
            });
        }
        told.await.expect("invariant: the work of a turn ends")
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;
    use tokio::sync::oneshot;

    use super::*;

    #[tokio::test]
    async fn work_ends_and_keeps_its_turn_though_nobody_waits() {
        let turns = Turns::default();
        let (commit, committed) = oneshot::channel::<()>();
        let (tell, told) = oneshot::channel();
        let turn = turns.take().await;
        let work = turn.to_its_end(async move {
            committed.await.expect("it is committed");
            tell.send("in memory").expect("somebody listens");
        });
        assert!(work.now_or_never().is_none(), "the caller goes away");
        drop(turn);
        let next = turns.take();
        tokio::pin!(next);
        assert!(
            next.as_mut().now_or_never().is_none(),
            "not before it ended"
        );
        commit.send(()).expect("it waits");
        assert_eq!(told.await, Ok("in memory"));
        next.await;
    }
}
