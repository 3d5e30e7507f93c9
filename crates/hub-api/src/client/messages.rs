//! The calls on messages for devices, and on the queues for back ends.

use super::{Call, Client, ClientError};
use crate::native::{Delivery, NewMessage, OperationId, PurgedMessages, QueueBatch, SentMessage};

/// What becomes of a message that was received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settlement {
    /// The device took it.
    Complete,
    /// It is not delivered again.
    Reject,
    /// It goes back.
    Abandon,
}

impl Client {
    /// Queues a message for a device.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn send_message(
        &self,
        hub: &str,
        device: &str,
        message: &NewMessage,
    ) -> Result<SentMessage, ClientError> {
        self.exchange(Call::new(OperationId::SendMessage, &[hub, device]), message)
            .await
    }

    /// Reads and locks the next records of a queue: `feedback` or `filenotifications`.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn receive_batch(&self, hub: &str, queue: &str) -> Result<QueueBatch, ClientError> {
        self.fetch(Call::new(OperationId::ReceiveBatch, &[hub, queue]))
            .await
    }

    /// Completes what was read.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn complete_batch(
        &self,
        hub: &str,
        queue: &str,
        lock_token: &str,
    ) -> Result<(), ClientError> {
        let path = [hub, queue, lock_token];
        self.perform(Call::new(OperationId::CompleteBatch, &path))
            .await
    }

    /// Puts back what was read.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn abandon_batch(
        &self,
        hub: &str,
        queue: &str,
        lock_token: &str,
    ) -> Result<(), ClientError> {
        let path = [hub, queue, lock_token];
        self.perform(Call::new(OperationId::AbandonBatch, &path))
            .await
    }

    /// Receives the next message of a device in its place; nobody else gets it for a minute, or for `lock_seconds`.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn receive_message(
        &self,
        hub: &str,
        device: &str,
        lock_seconds: Option<u64>,
    ) -> Result<Delivery, ClientError> {
        let path = [hub, device];
        let call = Call::new(OperationId::ReceiveMessage, &path);
        self.fetch(call.parameter("lockSeconds", lock_seconds))
            .await
    }

    /// Says what becomes of a message that was received in a device's place.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn settle_message(
        &self,
        hub: &str,
        device: &str,
        lock_token: &str,
        settlement: Settlement,
    ) -> Result<(), ClientError> {
        let id = match settlement {
            Settlement::Complete => OperationId::CompleteMessage,
            Settlement::Reject => OperationId::RejectMessage,
            Settlement::Abandon => OperationId::AbandonMessage,
        };
        self.perform(Call::new(id, &[hub, device, lock_token]))
            .await
    }

    /// Empties a device's message queue.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn purge_messages(
        &self,
        hub: &str,
        device: &str,
    ) -> Result<PurgedMessages, ClientError> {
        self.fetch(Call::new(OperationId::PurgeMessages, &[hub, device]))
            .await
    }
}
