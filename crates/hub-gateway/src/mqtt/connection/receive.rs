//! From packets to the engine's verbs.

use std::future::Future;
use std::task::Context;

use hub_domain::fault::FaultRequest;
use hub_domain::limits::TWIN_REPORTED_BYTES_MAX;
use hub_domain::message::telemetry_size;
use hub_domain::twin::device_view;
use hub_engine::methods::MethodCallId;
use hub_engine::sessions::{Delivery as Guarantee, Subscription, TelemetryBatch};
use hub_engine::{Error, ErrorKind, Origin, RecordFlags};
use hub_mqtt::{
    Delivery, PacketId, Phase, Publish, QoS, Role, ServerInbound, Subscribe, SubscribeReturn,
    Unsubscribe, decode, encode,
};
use serde_json::{Map, Value};

use super::super::PACKET_BYTES_MAX;
use super::super::topics::{self, Published};
use super::Connection;
use crate::counters::CloseCause;

/// A reported patch's text may be longer than the section it makes: whitespace, nulls and escapes. This bounds it.
const PATCH_TEXT_BYTES_MAX: usize = 4 * TWIN_REPORTED_BYTES_MAX;

/// The telemetry of one socket read and the PUBACKs that its durability will release.
#[derive(Default)]
struct Inbound {
    batch: TelemetryBatch,
    acks: Vec<u8>,
    /// The property bags that may ask for a fault.
    faults: Vec<Box<[u8]>>,
}

impl Connection {
    /// Takes what was read: all whole packets, in order. The rest is kept for the next read.
    pub(super) fn receive(
        &mut self,
        read: &[u8],
        context: &mut Context<'_>,
    ) -> Result<(), CloseCause> {
        let mut inbound = Inbound::default();
        if self.partial.is_empty() {
            let used = self.receive_packets(read, &mut inbound, context)?;
            self.partial.extend_from_slice(&read[used..]);
        } else {
            let mut bytes = std::mem::take(&mut self.partial);
            bytes.extend_from_slice(read);
            let used = self.receive_packets(&bytes, &mut inbound, context)?;
            bytes.drain(..used);
            if !bytes.is_empty() {
                self.partial = bytes;
            }
        }
        self.send_batch(&mut inbound, context);
        if self.mqtt.phase() == Phase::Closed {
            Err(CloseCause::ClientDisconnect)
        } else {
            Ok(())
        }
    }

    fn receive_packets(
        &mut self,
        bytes: &[u8],
        inbound: &mut Inbound,
        context: &mut Context<'_>,
    ) -> Result<usize, CloseCause> {
        let mut used = 0;
        while self.mqtt.phase() != Phase::Closed {
            let packet = match decode(&bytes[used..], PACKET_BYTES_MAX, Role::Server) {
                Ok(None) => break,
                Ok(Some((packet, size))) => {
                    used += size;
                    packet
                }
                Err(error) => return Err(self.violation(inbound, &error, context)),
            };
            match self.mqtt.receive(packet) {
                Ok(received) => self.take(received, inbound, context)?,
                Err(error) => return Err(self.violation(inbound, &error, context)),
            }
        }
        Ok(used)
    }

    /// What came before a broken packet was sent in good faith: it still goes to the log.
    fn violation(
        &mut self,
        inbound: &mut Inbound,
        error: &dyn std::error::Error,
        context: &mut Context<'_>,
    ) -> CloseCause {
        self.send_batch(inbound, context);
        tracing::info!(peer = %self.peer, id = %self.session.id(), %error, "mqtt protocol broken");
        CloseCause::ProtocolViolation
    }

    fn bad_message(
        &mut self,
        inbound: &mut Inbound,
        reason: &dyn std::fmt::Display,
        context: &mut Context<'_>,
    ) -> CloseCause {
        self.send_batch(inbound, context);
        tracing::info!(peer = %self.peer, id = %self.session.id(), %reason, "mqtt message refused, connection closed");
        CloseCause::BadMessage
    }

    fn take(
        &mut self,
        received: ServerInbound<'_, hub_engine::MessageNo>,
        inbound: &mut Inbound,
        context: &mut Context<'_>,
    ) -> Result<(), CloseCause> {
        match received {
            ServerInbound::Publish(publish) => {
                return self.take_publish(&publish, inbound, context);
            }
            ServerInbound::Delivered(message) => {
                // Durable or not, the device has it; a message that comes back after a crash is "at least once".
                drop(
                    self.session
                        .complete_message(self.engine.environment().now(), message),
                );
            }
            ServerInbound::UnmatchedAck(_) => {}
            ServerInbound::Subscribe(subscribe) => {
                self.send_batch(inbound, context);
                self.take_subscribe(&subscribe, context)?;
            }
            ServerInbound::Unsubscribe(unsubscribe) => {
                self.send_batch(inbound, context);
                self.take_unsubscribe(&unsubscribe, context);
            }
            ServerInbound::Ping => {
                let mut pong = Vec::new();
                encode::pingresp(&mut pong);
                self.queue(&pong);
            }
            ServerInbound::Disconnect => {}
            ServerInbound::Connect(_) => return Err(CloseCause::ProtocolViolation),
        }
        Ok(())
    }

    fn take_publish(
        &mut self,
        publish: &Publish<'_>,
        inbound: &mut Inbound,
        context: &mut Context<'_>,
    ) -> Result<(), CloseCause> {
        let published = match self.topics.parse(publish.topic) {
            Ok(published) => published,
            Err(error) => return Err(self.bad_message(inbound, &error, context)),
        };
        let Published::Telemetry { bag } = published else {
            self.send_batch(inbound, context);
            return self.take_request(published, publish, context);
        };
        if let Err(error) = telemetry_size(bag, publish.payload.len()) {
            return Err(self.bad_message(inbound, &error, context));
        }
        let mut flags = RecordFlags::default();
        if publish.retain {
            flags = flags.with(RecordFlags::RETAIN);
        }
        if publish.delivery.is_duplicate() {
            flags = flags.with(RecordFlags::DUP);
        }
        if FaultRequest::may_be(bag) {
            inbound.faults.push(bag.into());
        }
        inbound.batch.push(flags, bag, publish.payload);
        if let Delivery::AtLeastOnce { id, .. } = publish.delivery {
            encode::puback(id, &mut inbound.acks);
        }
        Ok(())
    }

    /// Hands the collected telemetry to the log; its PUBACKs follow when it is durable.
    fn send_batch(&mut self, inbound: &mut Inbound, context: &mut Context<'_>) {
        if inbound.batch.is_empty() {
            return;
        }
        let messages = inbound.batch.count() as usize;
        let bytes = inbound.batch.bytes();
        let acks = std::mem::take(&mut inbound.acks);
        let appended = self
            .session
            .send_telemetry(self.engine.environment().now(), &mut inbound.batch);
        // Behind it: the message that asks for a fault is stored like any other.
        for bag in inbound.faults.drain(..) {
            self.session.note_fault(&bag);
        }
        let work = async move {
            match appended.await {
                Ok(_) => Ok(acks),
                Err(error) => {
                    tracing::debug!(%error, "telemetry was not taken");
                    Err(cause_of_refusal(&error))
                }
            }
        };
        self.outstanding
            .push(Box::pin(work), messages, bytes, context);
    }

    fn take_request(
        &mut self,
        published: Published<'_>,
        publish: &Publish<'_>,
        context: &mut Context<'_>,
    ) -> Result<(), CloseCause> {
        let ack = publish.delivery.id();
        match published {
            Published::Telemetry { .. } => {}
            Published::TwinGet { request_id } => self.get_twin(request_id, ack),
            Published::TwinPatch {
                request_id,
                version,
            } => {
                self.patch_reported(request_id, version, publish.payload, ack, context);
            }
            Published::MethodAnswer { status, call } => {
                self.answer_method(status, call, publish.payload, ack)?
            }
            Published::IssueCertificate { request_id } => {
                self.issue_certificate(request_id, publish.payload, ack, context);
            }
        }
        Ok(())
    }

    fn get_twin(&mut self, request_id: &str, ack: Option<PacketId>) {
        // The vendor answers subscribers only; Python asks once before it subscribes.
        if !self.session.subscriptions().has(Subscription::TwinAnswers) {
            self.outstanding.push_done(ack_bytes(ack));
            return;
        }
        let request_id = request_id.to_owned();
        let twin = self.session.twin(self.engine.environment().now());
        let work = async move {
            let mut out = ack_bytes(ack);
            match twin.await {
                Ok(twin) => answer(
                    &topics::twin_answer(200, &request_id, None),
                    device_view(&twin).as_bytes(),
                    &mut out,
                ),
                Err(error) => twin_failure(&error, &request_id, &mut out)?,
            }
            Ok(out)
        };
        self.outstanding.push_read(Box::pin(work));
    }

    fn patch_reported(
        &mut self,
        request_id: &str,
        version: Option<u64>,
        payload: &[u8],
        ack: Option<PacketId>,
        context: &mut Context<'_>,
    ) {
        let request_id = request_id.to_owned();
        let answered = self.session.subscriptions().has(Subscription::TwinAnswers);
        let patched = match parse_patch(payload) {
            Ok(patch) => {
                Ok(self
                    .session
                    .patch_reported(self.engine.environment().now(), patch, version))
            }
            Err(error) => Err(error),
        };
        let work = async move {
            let result = match patched {
                Ok(patched) => patched.await,
                Err(error) => Err(error),
            };
            let mut out = ack_bytes(ack);
            match result {
                Ok(version) if answered => answer(
                    &topics::twin_answer(204, &request_id, Some(version)),
                    b"",
                    &mut out,
                ),
                Err(error) if answered || is_storage_failure(&error) => {
                    twin_failure(&error, &request_id, &mut out)?
                }
                Ok(_) | Err(_) => {}
            }
            Ok(out)
        };
        self.outstanding
            .push(Box::pin(work), 1, payload.len(), context);
    }

    fn answer_method(
        &mut self,
        status: i32,
        call: MethodCallId,
        payload: &[u8],
        ack: Option<PacketId>,
    ) -> Result<(), CloseCause> {
        match self
            .session
            .answer_method(self.engine.environment().now(), call, status, payload)
        {
            // A late answer is ignored.
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::TooLarge => {
                return Err(CloseCause::BadMessage);
            }
            Err(error) => {
                tracing::info!(peer = %self.peer, id = %self.session.id(), %error, "method answer refused")
            }
        }
        self.outstanding.push_done(ack_bytes(ack));
        Ok(())
    }

    fn take_subscribe(
        &mut self,
        subscribe: &Subscribe<'_>,
        context: &mut Context<'_>,
    ) -> Result<(), CloseCause> {
        let mut wanted = Vec::new();
        let mut returns = Vec::new();
        for request in subscribe.requests() {
            match self.topics.subscription(request.filter) {
                Some(subscription) => {
                    let (qos, guarantee) = grant(request.qos);
                    wanted.push((subscription, guarantee));
                    returns.push(SubscribeReturn::Granted(qos));
                }
                None => returns.push(SubscribeReturn::Failure),
            }
        }
        let mut suback = Vec::new();
        if encode::suback(subscribe.id, &returns, &mut suback).is_err() {
            return Err(CloseCause::ProtocolViolation);
        }
        let kept = self.session.subscribe(&wanted);
        self.answer_when_kept(kept, suback, context);
        Ok(())
    }

    fn take_unsubscribe(&mut self, unsubscribe: &Unsubscribe<'_>, context: &mut Context<'_>) {
        let unwanted: Vec<_> = unsubscribe
            .filters()
            .filter_map(|filter| self.topics.subscription(filter))
            .collect();
        let mut unsuback = Vec::new();
        encode::unsuback(unsubscribe.id, &mut unsuback);
        let kept = self.session.unsubscribe(&unwanted);
        self.answer_when_kept(kept, unsuback, context);
    }

    fn answer_when_kept(
        &mut self,
        kept: impl Future<Output = Result<(), Error>> + Send + 'static,
        answer: Vec<u8>,
        context: &mut Context<'_>,
    ) {
        let work = async move {
            kept.await
                .map(|()| answer)
                .map_err(|_| CloseCause::StorageFailed)
        };
        self.outstanding.push(Box::pin(work), 1, 0, context);
    }
}

const fn grant(requested: QoS) -> (QoS, Guarantee) {
    match requested {
        QoS::AtMostOnce => (QoS::AtMostOnce, Guarantee::AtMostOnce),
        QoS::AtLeastOnce | QoS::ExactlyOnce => (QoS::AtLeastOnce, Guarantee::AtLeastOnce),
    }
}

pub(super) fn ack_bytes(ack: Option<PacketId>) -> Vec<u8> {
    let mut out = Vec::new();
    if let Some(id) = ack {
        encode::puback(id, &mut out);
    }
    out
}

/// Appends a PUBLISH at QoS 0. A topic that cannot be sent (a request id with a wildcard) is not answered.
pub(super) fn answer(topic: &str, payload: &[u8], out: &mut Vec<u8>) {
    let publish = Publish {
        topic,
        payload,
        delivery: Delivery::AtMostOnce,
        retain: false,
    };
    if let Err(error) = encode::publish(&publish, out) {
        tracing::debug!(%error, "a request cannot be answered");
    }
}

fn is_storage_failure(error: &Error) -> bool {
    match error.origin() {
        Origin::Hub | Origin::HubForNow => true,
        Origin::Request => false,
    }
}

/// MQTT cannot refuse a message, so the connection ends.
fn cause_of_refusal(error: &Error) -> CloseCause {
    let is_quota = matches!(
        error.kind(),
        ErrorKind::QuotaExceeded | ErrorKind::Throttled
    );
    match error.origin() {
        Origin::Hub | Origin::HubForNow => CloseCause::StorageFailed,
        Origin::Request if is_quota => CloseCause::QuotaExceeded,
        Origin::Request => CloseCause::BadMessage,
    }
}

/// The error answer: the status in the topic, the body that the Node client reads.
fn twin_failure(error: &Error, request_id: &str, out: &mut Vec<u8>) -> Result<(), CloseCause> {
    if error.kind() == ErrorKind::Unavailable {
        return Err(CloseCause::StorageFailed);
    }
    if error.kind() == ErrorKind::Internal {
        tracing::error!(
            error = error as &dyn std::error::Error,
            "a twin operation failed"
        );
    }
    let status = error.code().http_status();
    let body =
        serde_json::json!({ "errorCode": error.code().number(), "message": error.message() });
    answer(
        &topics::twin_answer(status, request_id, None),
        body.to_string().as_bytes(),
        out,
    );
    Ok(())
}

fn parse_patch(payload: &[u8]) -> Result<Map<String, Value>, Error> {
    if payload.len() > PATCH_TEXT_BYTES_MAX {
        let text = format!("a reported patch has more than {PATCH_TEXT_BYTES_MAX} bytes");
        return Err(Error::new(ErrorKind::TooLarge, text));
    }
    serde_json::from_slice(payload).map_err(|error| {
        Error::new(ErrorKind::Invalid, "a reported patch must be a JSON object").with_source(error)
    })
}
