//! Links on which back ends take feedback and file notifications ("Receive delivery feedback", `service_receiver.ts` of
//! the Node SDK).

use std::collections::BTreeMap;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::future::BoxFuture;
use hub_amqp::{Connection, LinkId, MessageWriter, Outgoing, Properties, Value};
use hub_domain::ServiceBoundKind;
use hub_engine::service_bound::{ServiceBoundBatch, ServiceBoundToken};
use hub_engine::{Engine, Error};

use super::super::credentials::context;
use super::super::device::Settlement;
use super::super::errors::Refusal;
use super::super::events::link::Turn;
use super::super::links::Authorized;

/// Batches of one link that may wait for their outcome.
const HELD_MAX: usize = 16;

/// The state of such a link. What it holds goes back to the queue with it.
pub(crate) struct QueueLink {
    engine: Arc<Engine>,
    pub(crate) authorized: Authorized,
    kind: ServiceBoundKind,
    state: State,
    held: BTreeMap<u64, ServiceBoundToken>,
    next: u64,
    /// The peer asked for whatever there is, and for its credit back.
    pub(crate) is_draining: bool,
}

enum State {
    Idle,
    Receiving(BoxFuture<'static, Received>),
    Waiting(BoxFuture<'static, ()>),
}

/// A batch, or the wait for one.
enum Received {
    Batch(Box<ServiceBoundBatch>),
    Nothing(BoxFuture<'static, ()>),
    Failed(Error),
}

impl QueueLink {
    pub(crate) fn new(
        engine: &Arc<Engine>,
        authorized: Authorized,
        kind: ServiceBoundKind,
    ) -> Self {
        Self {
            engine: Arc::clone(engine),
            authorized,
            kind,
            state: State::Idle,
            held: BTreeMap::new(),
            next: 0,
            is_draining: false,
        }
    }

    /// Sends what there is and the peer takes.
    pub(crate) fn poll_turn(
        &mut self,
        amqp: &mut Connection,
        link: LinkId,
        task: &mut Context<'_>,
    ) -> Turn {
        loop {
            match &mut self.state {
                State::Idle if amqp.sendable(link) == 0 || self.held.len() >= HELD_MAX => {
                    return Turn::Waits;
                }
                State::Idle => self.state = State::Receiving(self.receive()),
                State::Receiving(receiving) => {
                    let Poll::Ready(received) = receiving.as_mut().poll(task) else {
                        return Turn::Waits;
                    };
                    self.state = State::Idle;
                    match received {
                        Received::Batch(batch) => self.send(amqp, link, &batch),
                        Received::Nothing(wait) => {
                            self.state = State::Waiting(wait);
                            if std::mem::take(&mut self.is_draining) {
                                amqp.drained(link);
                            }
                        }
                        Received::Failed(error) => {
                            return Turn::Ends(Refusal::of(&self.engine, &error));
                        }
                    }
                }
                State::Waiting(wait) => {
                    if wait.as_mut().poll(task).is_pending() {
                        return Turn::Waits;
                    }
                    self.state = State::Idle;
                }
            }
        }
    }

    fn receive(&self) -> BoxFuture<'static, Received> {
        let (engine, kind) = (Arc::clone(&self.engine), self.kind);
        let hub = self.authorized.hub.no;
        let ctx = context(&engine, self.authorized.caller.clone());
        Box::pin(async move {
            let queues = &engine.service_bound;
            // Whatever comes from here on changes this receiver, so nothing is missed between read and wait.
            let mut changes = queues.changes();
            changes.borrow_and_update();
            match queues.receive(&ctx, hub, kind).await {
                Ok(Some(batch)) => Received::Batch(Box::new(batch)),
                Ok(None) => {
                    Received::Nothing(Box::pin(async move { drop(changes.changed().await) }))
                }
                Err(error) => Received::Failed(error),
            }
        })
    }

    fn send(&mut self, amqp: &mut Connection, link: LinkId, batch: &ServiceBoundBatch) {
        let mut message = Vec::new();
        MessageWriter::new(&mut message)
            .message_annotations(|map| {
                map.symbol(
                    "iothub-enqueuedtime",
                    Value::Timestamp(batch.enqueued().millis()),
                );
            })
            .properties(&Properties {
                user_id: Some(self.authorized.hub.name.as_str().as_bytes()),
                content_type: Some(self.kind.content_type()),
                content_encoding: Some("utf-8"),
                ..Properties::default()
            })
            .data(batch.body().as_bytes());
        let token = self.next;
        let outgoing = Outgoing {
            token,
            tag: Some(&batch.token.to_bytes()),
            settlement: hub_amqp::Settlement::Unsettled,
            message_format: 0,
        };
        match amqp.send(link, &outgoing, &message) {
            Ok(_) => {
                self.next += 1;
                self.held.insert(token, batch.token);
            }
            Err(error) => {
                tracing::debug!(%error, "feedback waits for its receiver");
                let hub = self.authorized.hub.no;
                self.engine
                    .service_bound
                    .give_back(hub, self.kind, batch.token);
            }
        }
    }

    /// Settles a batch as the peer says; `None` when it is none of this link's.
    pub(crate) fn settle(
        &mut self,
        token: u64,
        outcome: Settlement,
    ) -> Option<BoxFuture<'static, Result<(), Error>>> {
        let token = self.held.remove(&token)?;
        let (engine, kind) = (Arc::clone(&self.engine), self.kind);
        let hub = self.authorized.hub.no;
        let ctx = context(&engine, self.authorized.caller.clone());
        Some(Box::pin(async move {
            let queues = &engine.service_bound;
            match outcome {
                Settlement::Complete | Settlement::Reject => {
                    queues.complete(&ctx, hub, kind, token).await
                }
                Settlement::Abandon => queues.abandon(&ctx, hub, kind, token).await,
            }
        }))
    }
}

impl Drop for QueueLink {
    fn drop(&mut self) {
        for token in std::mem::take(&mut self.held).into_values() {
            let hub = self.authorized.hub.no;
            self.engine.service_bound.give_back(hub, self.kind, token);
        }
    }
}
