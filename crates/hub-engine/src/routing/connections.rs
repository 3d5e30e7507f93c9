//! Connections that begin and end, on their way to the router.
//!
//! In memory: what waits when the process is killed is lost, as connections themselves are. An identity whose session is
//! taken over by a newer one stays connected, so nothing is told of that.

use std::sync::Arc;

use hub_domain::event::ConnectionState;
use hub_domain::limits::CONNECTION_EVENTS_WAITING_MAX;
use hub_domain::routing::Source;
use hub_domain::{HubNo, IdentityId, Timestamp};
use tokio::sync::{Mutex, mpsc};

use super::Slot;

/// A connection that began or ended.
#[derive(Clone, Debug)]
pub(crate) struct ConnectionChange {
    pub(crate) hub: HubNo,
    pub(crate) id: IdentityId,
    pub(crate) at: Timestamp,
    pub(crate) state: ConnectionState,
    /// Grows with every change of any identity, over restarts too.
    pub(crate) sequence: u128,
}

/// Changes that wait for the router; bounded.
pub(crate) struct ConnectionFeed {
    sender: mpsc::Sender<ConnectionChange>,
    receiver: Mutex<mpsc::Receiver<ConnectionChange>>,
}

impl ConnectionFeed {
    pub(crate) fn new() -> Arc<Self> {
        let (sender, receiver) = mpsc::channel(CONNECTION_EVENTS_WAITING_MAX);
        Arc::new(Self {
            sender,
            receiver: Mutex::new(receiver),
        })
    }

    /// Tells the router, where the hub has a route for it. Never waits: a change that finds no room is lost.
    pub(crate) fn tell(&self, slot: &Slot, change: ConnectionChange) {
        if !slot.plan().wants(Source::DeviceConnectionStateEvents) {
            return;
        }
        if let Err(error) = self.sender.try_send(change)
            && slot.count_lost() == 0
        {
            tracing::warn!(%error, "connections change faster than their events can be routed; some are lost");
        }
    }

    /// The next changes, in the order in which they were told; at least one.
    pub(crate) async fn next(&self, max: usize) -> Vec<ConnectionChange> {
        let mut changes = Vec::new();
        self.receiver
            .lock()
            .await
            .recv_many(&mut changes, max)
            .await;
        changes
    }

    /// What waits at this moment.
    pub(crate) async fn drain(&self) -> Vec<ConnectionChange> {
        let mut receiver = self.receiver.lock().await;
        std::iter::from_fn(|| receiver.try_recv().ok()).collect()
    }
}
