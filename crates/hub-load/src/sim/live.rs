//! A device on one connection.

use std::time::{Duration, Instant};

use hub_mqtt::{ClientInbound, ClientSession, Publish, QoS};
use serde_json::{Map, Value, json};
use tokio::sync::watch;

use super::device::{Device, Tag, is_stopped};
use crate::connection::{Connection, ConnectionError, Outgoing};
use crate::pacing::Pacing;
use crate::topics::{self, Inbound};

/// Silence after which a device asks whether the hub is there: half its keep-alive.
const PING_AFTER: Duration = Duration::from_secs(30);
/// Silence of the hub after which a device gives up.
const SILENCE_MAX: Duration = Duration::from_secs(90);
/// How long a device waits at the end for what it sent to be acknowledged.
const LAST_ACKS: Duration = Duration::from_secs(5);
/// How long a write may take.
const WRITE_TIMEOUT: Duration = Duration::from_secs(30);
/// How often chance is asked whether the connection breaks.
const CHANCE_INTERVAL: Duration = Duration::from_secs(1);

/// Why a device left its connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// The run is over.
    Stopped,
    /// A method said so.
    Rebooting,
    /// The token is to be renewed.
    TokenOld,
    /// It broke, or chance broke it.
    Lost,
}

/// What a method asks for beside an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum After {
    Nothing,
    Reboot,
}

/// A device while it is connected.
pub(super) struct Live<'a> {
    device: &'a mut Device,
    connection: Connection<Tag>,
    /// When the token is renewed.
    renew: Instant,
    /// When the device has something to say even if nothing else happens.
    ping: Instant,
    heard: Instant,
    twin: Option<Instant>,
    chance: Instant,
    requests: u64,
    after: After,
}

impl<'a> Live<'a> {
    pub(super) fn new(device: &'a mut Device, connection: Connection<Tag>, renew: Instant) -> Self {
        let now = Instant::now();
        let twin = device
            .plan
            .twin_interval
            .map(|interval| now + device.dice.within(interval));
        Self {
            device,
            connection,
            renew,
            ping: now + PING_AFTER,
            heard: now,
            twin,
            chance: now + CHANCE_INTERVAL,
            requests: 0,
            after: After::Nothing,
        }
    }

    pub(super) fn into_session(self) -> ClientSession<Tag> {
        self.connection.into_session()
    }

    /// Lives until something ends it.
    pub(super) async fn run(
        &mut self,
        stopped: &mut watch::Receiver<bool>,
    ) -> Result<End, ConnectionError> {
        self.begin()?;
        loop {
            self.receive()?;
            self.flush().await?;
            if self.after == After::Reboot {
                return self.leave(End::Rebooting).await;
            }
            let wake = self.wake();
            tokio::select! {
                read = self.connection.read() => {
                    read?;
                    self.heard = Instant::now();
                }
                () = tokio::time::sleep_until(wake.into()) => {}
                () = is_stopped(stopped) => return self.finish().await,
            }
            if let Some(end) = self.act(Instant::now())? {
                return match end {
                    End::TokenOld => self.leave(end).await,
                    End::Stopped | End::Rebooting | End::Lost => Ok(end),
                };
            }
        }
    }

    /// Subscribes to everything, sends again what waits, and says what it is.
    fn begin(&mut self) -> Result<(), ConnectionError> {
        let device = &*self.device;
        let messages = topics::messages_filter(&device.member.id);
        let outgoing = self.connection.outgoing();
        device
            .plan
            .counters
            .repeated
            .add(outgoing.in_flight() as u64);
        outgoing.publish_again(|Tag::Telemetry { sequence, .. }| device.message(*sequence))?;
        outgoing.subscribe(&[
            (&messages, QoS::AtLeastOnce),
            (topics::METHODS_FILTER, QoS::AtMostOnce),
            (topics::TWIN_ANSWERS_FILTER, QoS::AtMostOnce),
            (topics::DESIRED_FILTER, QoS::AtMostOnce),
        ])
    }

    fn wake(&mut self) -> Instant {
        let is_full =
            self.device.plan.qos != QoS::AtMostOnce && self.connection.outgoing().is_full();
        let telemetry = self
            .device
            .pacing
            .as_ref()
            // With a full window the next acknowledgement wakes the device.
            .filter(|_| !is_full)
            .map(Pacing::next);
        [telemetry, self.twin, Some(self.chance)]
            .into_iter()
            .flatten()
            .fold(self.ping.min(self.renew), Instant::min)
    }

    /// Does what is due.
    fn act(&mut self, now: Instant) -> Result<Option<End>, ConnectionError> {
        if now >= self.renew {
            return Ok(Some(End::TokenOld));
        }
        if now.duration_since(self.heard) > SILENCE_MAX {
            return Err(ConnectionError::TimedOut);
        }
        if now >= self.chance {
            self.chance = now + CHANCE_INTERVAL;
            let share = self.device.plan.drop_rate * CHANCE_INTERVAL.as_secs_f64() / 60.0;
            if self.device.dice.fraction() < share {
                return Ok(Some(End::Lost));
            }
        }
        self.send_telemetry(now)?;
        if self.twin.is_some_and(|twin| now >= twin) {
            self.twin = self
                .device
                .plan
                .twin_interval
                .map(|interval| now + interval);
            self.report(&json!({ "telemetrySent": self.device.sequence }))?;
        }
        if now >= self.ping {
            self.ping = now + PING_AFTER;
            self.connection.outgoing().ping();
        }
        Ok(None)
    }

    fn send_telemetry(&mut self, now: Instant) -> Result<(), ConnectionError> {
        let Some(mut pacing) = self.device.pacing.take() else {
            return Ok(());
        };
        let outgoing = self.connection.outgoing();
        let device = &mut *self.device;
        let is_acknowledged = device.plan.qos != QoS::AtMostOnce;
        while !(is_acknowledged && outgoing.is_full()) && pacing.is_due(now) {
            let sequence = device.sequence;
            device.sequence += 1;
            let (topic, body) = device.message(sequence);
            if is_acknowledged {
                outgoing.publish(Tag::Telemetry { sequence, at: now }, &topic, &body)?;
            } else {
                outgoing.publish_once(&topic, &body)?;
            }
            device.plan.counters.sent.up();
        }
        device.plan.counters.skipped.add(pacing.take_skipped());
        device.pacing = Some(pacing);
        Ok(())
    }

    /// Takes what was read and answers it.
    fn receive(&mut self) -> Result<(), ConnectionError> {
        let mut answers = Answers {
            device: &*self.device,
            requests: &mut self.requests,
            after: &mut self.after,
        };
        self.connection
            .receive(|inbound, outgoing| answers.take(inbound, outgoing))
    }

    fn report(&mut self, patch: &Value) -> Result<(), ConnectionError> {
        self.requests += 1;
        let topic = topics::reported_patch(self.requests);
        self.connection
            .outgoing()
            .publish_once(&topic, patch.to_string().as_bytes())
    }

    async fn flush(&mut self) -> Result<(), ConnectionError> {
        tokio::time::timeout(WRITE_TIMEOUT, self.connection.flush())
            .await
            .unwrap_or(Err(ConnectionError::TimedOut))
    }

    /// Waits a while for acknowledgements, then says goodbye.
    async fn finish(&mut self) -> Result<End, ConnectionError> {
        let last_acks = async {
            while self.connection.outgoing().in_flight() > 0 {
                self.connection.read().await?;
                self.receive()?;
            }
            Ok::<(), ConnectionError>(())
        };
        match tokio::time::timeout(LAST_ACKS, last_acks).await {
            Ok(acked) => acked?,
            // The summary shows what was never acknowledged.
            Err(_elapsed) => {}
        }
        self.leave(End::Stopped).await
    }

    async fn leave(&mut self, end: End) -> Result<End, ConnectionError> {
        self.connection.outgoing().disconnect();
        self.flush().await?;
        Ok(end)
    }
}

/// How a device answers what the hub sends.
struct Answers<'a> {
    device: &'a Device,
    requests: &'a mut u64,
    after: &'a mut After,
}

impl Answers<'_> {
    fn take(
        &mut self,
        inbound: ClientInbound<'_, Tag>,
        outgoing: &mut Outgoing<Tag>,
    ) -> Result<(), ConnectionError> {
        let counters = &self.device.plan.counters;
        match inbound {
            ClientInbound::Published(Tag::Telemetry { at, .. }) => {
                counters.acknowledged.up();
                counters.latency(at.elapsed());
            }
            ClientInbound::Publish(publish) => self.answer(publish, outgoing)?,
            // Answers to the twin can come only once they are subscribed to.
            ClientInbound::Subscribed(_) => {
                let topic = topics::twin_get(self.request());
                outgoing.publish_once(&topic, b"")?;
            }
            ClientInbound::Connected { .. }
            | ClientInbound::Refused(_)
            | ClientInbound::Unsubscribed(_)
            | ClientInbound::UnmatchedAck(_)
            | ClientInbound::Pong => {}
        }
        Ok(())
    }

    fn answer(
        &mut self,
        publish: Publish<'_>,
        outgoing: &mut Outgoing<Tag>,
    ) -> Result<(), ConnectionError> {
        let counters = &self.device.plan.counters;
        match Inbound::parse(publish.topic) {
            Inbound::Method { name, request } => {
                let (status, body, after) = method(name, publish.payload);
                *self.after = after;
                let topic = topics::method_answer(status, request);
                outgoing.publish_once(&topic, body.to_string().as_bytes())?;
                counters.methods.up();
            }
            Inbound::TwinAnswer { status: 200, .. } => {
                let twin: Value = serde_json::from_slice(publish.payload).unwrap_or_default();
                self.report(&twin["desired"], outgoing)?;
            }
            Inbound::TwinAnswer { status: 204, .. } => counters.reported.up(),
            Inbound::TwinAnswer { .. } => counters.twin_errors.up(),
            Inbound::Desired => {
                counters.desired.up();
                let patch: Value = serde_json::from_slice(publish.payload).unwrap_or_default();
                self.report(&patch, outgoing)?;
            }
            Inbound::Message => counters.messages.up(),
            Inbound::Unknown => {}
        }
        if let Some(id) = publish.delivery.id() {
            outgoing.acknowledge(id);
        }
        Ok(())
    }

    /// Reports what is desired as it is, and the device's firmware with it.
    fn report(
        &mut self,
        desired: &Value,
        outgoing: &mut Outgoing<Tag>,
    ) -> Result<(), ConnectionError> {
        let topic = topics::reported_patch(self.request());
        let patch = echo_of(desired.as_object());
        outgoing.publish_once(&topic, Value::Object(patch).to_string().as_bytes())
    }

    const fn request(&mut self) -> u64 {
        *self.requests += 1;
        *self.requests
    }
}

/// The reported patch that follows a desired one: the same members, but not the hub's own.
fn echo_of(desired: Option<&Map<String, Value>>) -> Map<String, Value> {
    let mut patch: Map<_, _> = desired
        .into_iter()
        .flatten()
        .filter(|(name, _)| !name.starts_with('$'))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    patch.insert("simulator".to_owned(), json!(env!("CARGO_PKG_VERSION")));
    patch
}

/// What a device answers to a method: status, body, and what follows.
fn method(name: &str, payload: &[u8]) -> (u16, Value, After) {
    match name {
        "echo" => (
            200,
            serde_json::from_slice(payload).unwrap_or_default(),
            After::Nothing,
        ),
        "reboot" => (200, json!({ "rebooting": true }), After::Reboot),
        _ => (404, json!({ "error": "unknown method" }), After::Nothing),
    }
}

#[cfg(test)]
mod tests;
