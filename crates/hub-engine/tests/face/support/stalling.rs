//! A bus that stops at a chosen point, to let something happen in between.

use std::sync::{Arc, Mutex};

use hub_domain::HubNo;
use hub_storage::bus::{
    CallError, CloseReason, Epoch, Mailbox, MethodAnswer, MethodRequest, Notice, SessionKey,
};
use hub_storage::{Bus, Reading};
use tokio::sync::Semaphore;

/// Where one who passes stops, when told to.
#[derive(Default)]
pub(crate) struct Barrier(Mutex<Option<Arc<Semaphore>>>);

impl Barrier {
    /// The next one who comes here stops until the semaphore has a permit.
    pub(crate) fn stop_next(&self) -> Arc<Semaphore> {
        let stop = Arc::new(Semaphore::new(0));
        *self.0.lock().unwrap() = Some(Arc::clone(&stop));
        stop
    }

    async fn pass(&self) {
        let stop = self.0.lock().unwrap().take();
        if let Some(stop) = stop {
            let _permit = stop.acquire().await.unwrap();
        }
    }
}

/// A bus whose claims can be stopped before or after they take effect.
pub(crate) struct StallingBus {
    pub(crate) inner: Arc<dyn Bus>,
    pub(crate) before_claim: Barrier,
    pub(crate) after_claim: Barrier,
}

impl Bus for StallingBus {
    fn claim<'a>(&'a self, key: &'a SessionKey, mailbox: Arc<Mailbox>) -> Reading<'a, Epoch> {
        Box::pin(async move {
            self.before_claim.pass().await;
            let claimed = self.inner.claim(key, mailbox).await;
            self.after_claim.pass().await;
            claimed
        })
    }

    fn release(&self, key: &SessionKey, epoch: Epoch) -> bool {
        self.inner.release(key, epoch)
    }

    fn notify(&self, key: &SessionKey, notice: Notice) {
        self.inner.notify(key, notice);
    }

    fn call<'a>(
        &'a self,
        key: &'a SessionKey,
        request: MethodRequest,
    ) -> Reading<'a, Result<MethodAnswer, CallError>> {
        self.inner.call(key, request)
    }

    fn methods_changed(&self, key: &SessionKey) {
        self.inner.methods_changed(key);
    }

    fn is_connected(&self, key: &SessionKey) -> bool {
        self.inner.is_connected(key)
    }

    fn connected_devices(&self, hub: HubNo) -> u64 {
        self.inner.connected_devices(hub)
    }

    fn close_all(&self, reason: CloseReason) {
        self.inner.close_all(reason);
    }
}
