//! From the engine's notices to packets.

use std::task::{Context, Poll};

use bytes::Bytes;
use hub_domain::twin::SectionView;
use hub_engine::methods::MethodCall;
use hub_engine::sessions::{Delivery as Guarantee, SentBefore, Subscription};
use hub_engine::{Notice, StoredMessage};
use hub_mqtt::{Attempt, Delivery, Publish, encode};

use super::super::topics;
use super::{Connection, DELIVERIES_MAX, cause_of};
use crate::counters::CloseCause;

/// Longest text of MQTT (section 1.5.3).
const TOPIC_BYTES_MAX: usize = 65_535;

impl Connection {
    /// Takes what the hub has for the device, unless it reads too slowly; closing is always taken.
    pub(super) fn poll_notices(&mut self, context: &mut Context<'_>) -> Result<(), CloseCause> {
        while !self.is_reader_slow() {
            let Poll::Ready(notice) = self.session.poll_notice(context) else {
                return Ok(());
            };
            match notice {
                Notice::Close(reason) => return Err(cause_of(reason)),
                Notice::DesiredChanged { text, version } => self.deliver_desired(&text, version),
                Notice::ReadTwin => self.read_twin(),
                Notice::MessageAvailable => self.messages_wanted = true,
                Notice::Method(call) => self.deliver_method(&call),
                Notice::Fault(_) => {}
            }
        }
        match self.session.poll_close(context) {
            Poll::Ready(reason) => Err(cause_of(reason)),
            Poll::Pending => Ok(()),
        }
    }

    fn deliver_desired(&mut self, text: &Bytes, version: u64) {
        if self.session.subscriptions().has(Subscription::Desired) {
            self.publish(&topics::desired_patch(version), text, Delivery::AtMostOnce);
        }
    }

    /// The device missed patches: it gets the whole desired section as one.
    fn read_twin(&mut self) {
        if !self.session.subscriptions().has(Subscription::Desired) {
            return;
        }
        let twin = self.session.twin_to_tell();
        let work = async move {
            let mut out = Vec::new();
            if let Ok(twin) = twin.await {
                let desired = &twin.back_end.desired;
                let text =
                    serde_json::to_vec(&SectionView::without_metadata(desired)).unwrap_or_default();
                let topic = topics::desired_patch(desired.version);
                let publish = Publish {
                    topic: &topic,
                    payload: &text,
                    delivery: Delivery::AtMostOnce,
                    retain: false,
                };
                if let Err(error) = encode::publish(&publish, &mut out) {
                    tracing::debug!(%error, "the desired section cannot be sent");
                }
            }
            Ok(out)
        };
        self.outstanding.push_read(Box::pin(work));
    }

    fn deliver_method(&mut self, call: &MethodCall) {
        let payload = call.payload.clone().unwrap_or_default();
        self.publish(&topics::method_call(call), &payload, Delivery::AtMostOnce);
    }

    /// Fetches and sends queued messages, as many as the device has room for.
    pub(super) fn poll_messages(&mut self, context: &mut Context<'_>) -> Result<(), CloseCause> {
        loop {
            if let Some(fetch) = &mut self.fetch {
                let Poll::Ready(fetched) = fetch.as_mut().poll(context) else {
                    return Ok(());
                };
                self.fetch = None;
                self.deliver_messages(fetched.map_err(|_| CloseCause::StorageFailed)?);
            }
            let free = usize::from(DELIVERIES_MAX) - self.mqtt.in_flight().len();
            let subscribed = self.session.subscriptions().messages().is_some();
            if !self.messages_wanted || !subscribed || free == 0 || self.is_reader_slow() {
                return Ok(());
            }
            self.messages_wanted = false;
            self.fetch = Some(
                self.session
                    .next_messages(self.engine.environment().now(), free),
            );
        }
    }

    fn deliver_messages(&mut self, messages: Vec<StoredMessage>) {
        let Some(guarantee) = self.session.subscriptions().messages() else {
            for stored in messages {
                self.session.give_back_message(stored.no);
            }
            return;
        };
        // A page that was not empty may have a successor.
        self.messages_wanted |= !messages.is_empty();
        for stored in messages {
            let attempt = match self.session.note_sent(stored.no) {
                SentBefore::Perhaps => Attempt::Again,
                SentBefore::No => Attempt::First,
            };
            let topic = self.topics.message(&stored.message.mqtt_property_bag());
            if topic.len() > TOPIC_BYTES_MAX {
                tracing::warn!(id = %self.session.id(), "a message's properties are too long for mqtt, it is rejected");
                drop(self.session.reject_message(stored.no));
                continue;
            }
            let delivery = match guarantee {
                Guarantee::AtMostOnce => Delivery::AtMostOnce,
                Guarantee::AtLeastOnce => match self.mqtt.deliver(stored.no, attempt) {
                    Ok(delivery) => delivery,
                    Err(_) => return,
                },
            };
            self.publish(&topic, &stored.message.body, delivery);
            if guarantee == Guarantee::AtMostOnce {
                // Delivered at most once means done when sent.
                drop(
                    self.session
                        .complete_message(self.engine.environment().now(), stored.no),
                );
            }
        }
    }

    /// Queues a PUBLISH. Names that MQTT cannot carry are left out, and said so in the log.
    fn publish(&mut self, topic: &str, payload: &[u8], delivery: Delivery) {
        let publish = Publish {
            topic,
            payload,
            delivery,
            retain: false,
        };
        if let Err(error) = encode::publish(&publish, &mut self.unsent) {
            tracing::info!(id = %self.session.id(), %error, "a message cannot be sent over mqtt");
        }
    }
}
