//! A device that registers over MQTT: one subscription, two topics to publish to, and nothing that outlives the connection.

#[cfg(any(test, feature = "fuzzing"))]
pub(super) mod fuzzing;
mod name;
mod topics;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::stream::{FuturesOrdered, StreamExt as _};
use hub_domain::limits::{
    PROVISIONING_IDLE_MAX, PROVISIONING_PACKET_BYTES_MAX, PROVISIONING_REQUESTS_MAX,
};
use hub_domain::sas::SasToken;
use hub_mqtt::{
    Attempt, Connect, Delivery, KeepAlive, Packet, PacketId, Publish, QoS, Refusal, Role,
    ServerInbound, ServerSession, Subscribe, SubscribeReturn, Unsubscribe, Window, ZeroKeepAlive,
    decode, encode,
};
use rustls::pki_types::CertificateDer;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::{Instant, timeout};

use super::Mqtt;
use super::connect::{Refused, refusal_of};
use crate::counters::CloseCause;
use crate::provisioning::{Admitted, Answer, Desk, Device, Name, Proof, Request};
use crate::transport::Transport;
use topics::Operation;

pub(super) use name::UserName;

/// Replies that wait for their PUBACK; a device that lets more of them pile up is broken.
const REPLIES_MAX: u16 = 64;
/// Room for one read.
const READ_BYTES: usize = 4 * 1024;
/// How long a device may take to read its replies.
const WRITE_TIME_MAX: Duration = Duration::from_secs(30);
/// How long a closing connection has to take its last bytes.
const GOODBYE: Duration = Duration::from_secs(1);

/// A device that was let in.
pub(super) struct Registrar {
    admitted: Admitted,
    api_version: Box<str>,
    mqtt: ServerSession<()>,
    keep_alive: KeepAlive,
}

/// Checks who connects. Nothing of an earlier connection is ever taken up, whatever the clean-session flag says.
pub(super) async fn admit(
    desk: &Desk,
    name: UserName<'_>,
    connect: &Connect<'_>,
    certificates: &[CertificateDer<'static>],
    peer: SocketAddr,
) -> Result<Registrar, Refused> {
    let is_same = connect.client_id.eq_ignore_ascii_case(name.id.as_str());
    if !is_same {
        return Err(Refused::new(
            Refusal::Identifier,
            "client id and registration id disagree",
        ));
    }
    if connect.will.is_some() {
        return Err(Refused::new(
            Refusal::NotAuthorized,
            "a device that registers has no topic for a will",
        ));
    }
    let token = token(connect.password)?;
    let device = Device {
        name: Name {
            id_scope: name.id_scope.into(),
            id: name.id,
        },
        proof: Proof::of(token, certificates),
        address: peer.ip(),
    };
    let admitted = desk
        .admit(device)
        .await
        .map_err(|error| Refused::new(refusal_of(error.kind()), error.reason()))?;
    let window = Window::new(REPLIES_MAX).expect("invariant: the window is not zero");
    let mut mqtt = ServerSession::new(window);
    let begun = mqtt.receive(Packet::Connect(*connect));
    debug_assert!(begun.is_ok(), "CONNECT begins a session");
    Ok(Registrar {
        admitted,
        api_version: name.api_version.into(),
        mqtt,
        keep_alive: connect.keep_alive,
    })
}

/// The password is a token or nothing; some clients cannot leave it out.
fn token(password: Option<&[u8]>) -> Result<Option<&str>, Refused> {
    let bad = |reason: &dyn std::fmt::Display| {
        Refused::new(Refusal::BadUserNameOrPassword, reason.to_string())
    };
    match password {
        None | Some([]) => Ok(None),
        Some(token) => {
            let token = std::str::from_utf8(token).map_err(|error| bad(&error))?;
            SasToken::parse(token).map_err(|error| bad(&error))?;
            Ok(Some(token))
        }
    }
}

/// A request that was done.
struct Answered {
    ack: Option<PacketId>,
    request_id: Box<str>,
    answer: Answer,
}

/// An open connection of a device that registers.
pub(super) struct Connection {
    head: Arc<Mqtt>,
    desk: Arc<Desk>,
    stream: Transport,
    peer: SocketAddr,
    admitted: Arc<Admitted>,
    api_version: Box<str>,
    mqtt: ServerSession<()>,
    /// What was received and not taken yet.
    received: Vec<u8>,
    unsent: Vec<u8>,
    /// How replies are wanted, once the device subscribed.
    replies: Option<QoS>,
    /// Requests under way. PUBACKs leave in the order of their PUBLISHes ([MQTT-4.6.0-2]), and the replies with them.
    works: FuturesOrdered<BoxFuture<'static, Answered>>,
    silence_max: Duration,
    last_packet: Instant,
    last_request: Instant,
}

impl Connection {
    /// `early` are bytes that came behind CONNECT.
    pub(super) fn new(
        head: &Arc<Mqtt>,
        desk: &Arc<Desk>,
        registrar: Registrar,
        (stream, peer): (Transport, SocketAddr),
        early: Vec<u8>,
    ) -> Self {
        let now = Instant::now();
        Self {
            head: Arc::clone(head),
            desk: Arc::clone(desk),
            stream,
            peer,
            admitted: Arc::new(registrar.admitted),
            api_version: registrar.api_version,
            mqtt: registrar.mqtt,
            received: early,
            unsent: Vec::new(),
            replies: None,
            works: FuturesOrdered::new(),
            silence_max: registrar
                .keep_alive
                .timeout(KeepAlive::TIMEOUT_MAX, ZeroKeepAlive::Longest)
                .unwrap_or(KeepAlive::TIMEOUT_MAX),
            last_packet: now,
            last_request: now,
        }
    }

    /// Serves the connection to its end.
    pub(super) async fn run(mut self) -> CloseCause {
        let mut stopping = self.head.stopping();
        let cause = loop {
            if let Err(cause) = self.turn(&mut stopping).await {
                break cause;
            }
        };
        let id = &self.admitted.device.name.id;
        tracing::debug!(peer = %self.peer, registration_id = %id, cause = cause.as_str(), "mqtt connection of a registration ended");
        let goodbye = async {
            drop(self.stream.write_all(&self.unsent).await);
            drop(self.stream.shutdown().await);
        };
        drop(timeout(GOODBYE, goodbye).await);
        cause
    }

    /// Takes what was received, sends what is answered, and waits for more.
    async fn turn(&mut self, stopping: &mut BoxFuture<'static, ()>) -> Result<(), CloseCause> {
        self.receive()?;
        self.flush().await?;
        // Whoever is not read cannot be called silent.
        let may_read = self.works.len() < PROVISIONING_REQUESTS_MAX;
        let mut deadline = self.last_request + PROVISIONING_IDLE_MAX;
        if deadline <= Instant::now() {
            return Err(CloseCause::KeepAlive);
        }
        if may_read {
            deadline = deadline.min(self.last_packet + self.silence_max);
        }
        self.received.reserve(READ_BYTES);
        tokio::select! {
            // What waits in the socket is taken before its sender is called silent: nothing may have been read for longer
            // than that.
            biased;
            () = stopping => Err(CloseCause::Shutdown),
            Some(answered) = self.works.next() => {
                if !may_read {
                    self.last_packet = Instant::now();
                }
                self.answer(&answered)
            }
            read = self.stream.read_buf(&mut self.received), if may_read => match read {
                Ok(0) | Err(_) => Err(CloseCause::SocketClosed),
                Ok(_) => {
                    self.last_packet = Instant::now();
                    Ok(())
                }
            },
            () = tokio::time::sleep_until(deadline) => Err(CloseCause::KeepAlive),
        }
    }

    async fn flush(&mut self) -> Result<(), CloseCause> {
        if self.unsent.is_empty() {
            return Ok(());
        }
        let unsent = std::mem::take(&mut self.unsent);
        let writing = async {
            self.stream.write_all(&unsent).await?;
            self.stream.flush().await
        };
        match timeout(WRITE_TIME_MAX, writing).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(CloseCause::SocketClosed),
        }
    }

    /// Takes whole packets as long as there is room for their requests.
    fn receive(&mut self) -> Result<(), CloseCause> {
        let received = std::mem::take(&mut self.received);
        let mut used = 0;
        while self.works.len() < PROVISIONING_REQUESTS_MAX {
            let packet = match decode(
                &received[used..],
                PROVISIONING_PACKET_BYTES_MAX,
                Role::Server,
            ) {
                Ok(None) => break,
                Ok(Some((packet, size))) => {
                    used += size;
                    packet
                }
                Err(error) => return Err(self.violation(&error)),
            };
            match self.mqtt.receive(packet) {
                Ok(received) => self.take(received)?,
                Err(error) => return Err(self.violation(&error)),
            }
        }
        self.received = received;
        self.received.drain(..used);
        Ok(())
    }

    fn violation(&self, error: &dyn std::error::Error) -> CloseCause {
        tracing::info!(peer = %self.peer, registration_id = %self.admitted.device.name.id, %error, "mqtt protocol broken");
        CloseCause::ProtocolViolation
    }

    fn take(&mut self, received: ServerInbound<'_, ()>) -> Result<(), CloseCause> {
        match received {
            ServerInbound::Publish(publish) => return self.take_publish(&publish),
            ServerInbound::Subscribe(subscribe) => return self.take_subscribe(&subscribe),
            ServerInbound::Unsubscribe(unsubscribe) => self.take_unsubscribe(&unsubscribe),
            ServerInbound::Delivered(()) | ServerInbound::UnmatchedAck(_) => {}
            ServerInbound::Ping => encode::pingresp(&mut self.unsent),
            ServerInbound::Disconnect => return Err(CloseCause::ClientDisconnect),
            ServerInbound::Connect(_) => return Err(CloseCause::ProtocolViolation),
        }
        Ok(())
    }

    fn take_publish(&mut self, publish: &Publish<'_>) -> Result<(), CloseCause> {
        let asked = match topics::parse(publish.topic) {
            Ok(asked) => asked,
            Err(error) => {
                tracing::info!(peer = %self.peer, registration_id = %self.admitted.device.name.id, %error, "mqtt message refused, connection closed");
                return Err(CloseCause::BadMessage);
            }
        };
        self.last_request = Instant::now();
        let request = match asked.of {
            Operation::Register => Request::Register {
                body: publish.payload.to_vec(),
                api_version: Some(self.api_version.clone()),
            },
            // Clients send a space with it, or nothing.
            Operation::Status { operation } => Request::Status { operation },
        };
        let (desk, admitted) = (Arc::clone(&self.desk), Arc::clone(&self.admitted));
        let request_id = asked.request_id.into();
        let ack = publish.delivery.id();
        self.works.push_back(Box::pin(async move {
            let answer = desk.answer(&admitted.device, request).await;
            Answered {
                ack,
                request_id,
                answer,
            }
        }));
        Ok(())
    }

    fn answer(&mut self, answered: &Answered) -> Result<(), CloseCause> {
        let Answered {
            ack,
            request_id,
            answer,
        } = answered;
        if let Some(id) = ack {
            encode::puback(*id, &mut self.unsent);
        }
        let delivery = match self.replies {
            None => return Ok(()),
            Some(QoS::AtMostOnce) => Delivery::AtMostOnce,
            Some(QoS::AtLeastOnce | QoS::ExactlyOnce) => self
                .mqtt
                .deliver((), Attempt::First)
                .map_err(|error| self.violation(&error))?,
        };
        let publish = Publish {
            topic: &topics::reply(answer.status, request_id, answer.retry_after_seconds),
            payload: answer.document.as_bytes(),
            delivery,
            retain: false,
        };
        encode::publish(&publish, &mut self.unsent).map_err(|error| self.violation(&error))
    }

    fn take_subscribe(&mut self, subscribe: &Subscribe<'_>) -> Result<(), CloseCause> {
        let mut returns = Vec::new();
        for request in subscribe.requests() {
            if request.filter != topics::REPLIES {
                returns.push(SubscribeReturn::Failure);
                continue;
            }
            let granted = match request.qos {
                QoS::AtMostOnce => QoS::AtMostOnce,
                QoS::AtLeastOnce | QoS::ExactlyOnce => QoS::AtLeastOnce,
            };
            self.replies = Some(granted);
            returns.push(SubscribeReturn::Granted(granted));
        }
        encode::suback(subscribe.id, &returns, &mut self.unsent)
            .map_err(|_| CloseCause::ProtocolViolation)
    }

    fn take_unsubscribe(&mut self, unsubscribe: &Unsubscribe<'_>) {
        if unsubscribe
            .filters()
            .any(|filter| filter == topics::REPLIES)
        {
            self.replies = None;
        }
        encode::unsuback(unsubscribe.id, &mut self.unsent);
    }
}
