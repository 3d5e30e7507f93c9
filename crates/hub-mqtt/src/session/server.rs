//! The server's side of a connection.

use crate::error::SessionError;
use crate::packet::{
    Connect, Delivery, Packet, PacketId, PacketKind, Publish, Subscribe, Unsubscribe,
};
use crate::session::{Attempt, InFlight, Phase, Window};

/// The packet-level state of one client's connection.
///
/// `T` names a delivery to the caller, who gets it back when the client acknowledges it.
#[derive(Debug, Clone)]
pub struct ServerSession<T> {
    in_flight: InFlight<T>,
    phase: Phase,
}

/// What a client's packet asks of the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ServerInbound<'a, T> {
    /// Answer with CONNACK.
    Connect(Connect<'a>),
    /// Take the message; with QoS 1 answer with PUBACK, in the order of arrival ([MQTT-4.6.0-2]). Never QoS 2.
    Publish(Publish<'a>),
    /// The client has the delivery that this tag names.
    Delivered(T),
    /// PUBACK for an identifier that is not in flight: to be ignored, for instance one of an earlier connection.
    UnmatchedAck(PacketId),
    /// Answer with SUBACK.
    Subscribe(Subscribe<'a>),
    /// Answer with UNSUBACK.
    Unsubscribe(Unsubscribe<'a>),
    /// Answer with PINGRESP.
    Ping,
    /// Drop the will and close.
    Disconnect,
}

impl<T> ServerSession<T> {
    /// Makes the state of a connection from which nothing has come.
    #[must_use]
    pub const fn new(window: Window) -> Self {
        Self::resume(InFlight::new(window))
    }

    /// Makes the state of a new connection that takes over what waits from an earlier one of the same session. It is
    /// to be sent again with its identifiers ([MQTT-4.4.0-1]), see [`Self::deliveries_again`].
    #[must_use]
    pub const fn resume(in_flight: InFlight<T>) -> Self {
        Self {
            in_flight,
            phase: Phase::Opening,
        }
    }

    /// How far the connection has come.
    #[must_use]
    pub const fn phase(&self) -> Phase {
        self.phase
    }

    /// The deliveries that wait for PUBACK.
    #[must_use]
    pub const fn in_flight(&self) -> &InFlight<T> {
        &self.in_flight
    }

    /// Ends the connection and keeps what waits.
    #[must_use]
    pub fn into_in_flight(self) -> InFlight<T> {
        self.in_flight
    }

    /// Takes the next packet of the client.
    ///
    /// # Errors
    ///
    /// The packet breaks the order of packets or belongs to QoS 2; the connection must be closed.
    #[inline]
    pub fn receive<'a>(
        &mut self,
        packet: Packet<'a>,
    ) -> Result<ServerInbound<'a, T>, SessionError> {
        let kind = packet.kind();
        match self.phase {
            Phase::Open => {}
            Phase::Opening if kind == PacketKind::Connect => {}
            Phase::Opening => return Err(SessionError::ConnectExpected(kind)),
            Phase::Closed => return Err(SessionError::AfterDisconnect(kind)),
        }
        match packet {
            Packet::Publish(publish) => match publish.delivery {
                Delivery::AtMostOnce | Delivery::AtLeastOnce { .. } => {
                    Ok(ServerInbound::Publish(publish))
                }
                Delivery::ExactlyOnce { .. } => Err(SessionError::ExactlyOnceNotOffered(kind)),
            },
            Packet::PubAck(id) => Ok(self
                .in_flight
                .end(id)
                .map_or(ServerInbound::UnmatchedAck(id), ServerInbound::Delivered)),
            Packet::Connect(connect) => {
                if self.phase == Phase::Open {
                    return Err(SessionError::SecondConnect);
                }
                self.phase = Phase::Open;
                Ok(ServerInbound::Connect(connect))
            }
            Packet::Subscribe(subscribe) => Ok(ServerInbound::Subscribe(subscribe)),
            Packet::Unsubscribe(unsubscribe) => Ok(ServerInbound::Unsubscribe(unsubscribe)),
            Packet::PingReq => Ok(ServerInbound::Ping),
            Packet::Disconnect => {
                self.phase = Phase::Closed;
                Ok(ServerInbound::Disconnect)
            }
            Packet::PubRec(_) | Packet::PubRel(_) | Packet::PubComp(_) => {
                Err(SessionError::ExactlyOnceNotOffered(kind))
            }
            Packet::ConnAck(_) | Packet::SubAck(_) | Packet::UnsubAck(_) | Packet::PingResp => {
                Err(SessionError::WrongDirection(kind))
            }
        }
    }

    /// Begins a QoS 1 delivery to the client and returns what its PUBLISH must say.
    ///
    /// # Errors
    ///
    /// [`SessionError::WindowFull`]; try again after the next [`ServerInbound::Delivered`].
    pub fn deliver(&mut self, tag: T, attempt: Attempt) -> Result<Delivery, SessionError> {
        let id = self.in_flight.begin(tag)?;
        Ok(Delivery::AtLeastOnce {
            id,
            duplicate: attempt == Attempt::Again,
        })
    }

    /// What waits since an earlier connection, in its order, as its PUBLISH must say it when it is sent again
    /// ([MQTT-4.4.0-1], [MQTT-4.6.0-1]).
    pub fn deliveries_again(&self) -> impl ExactSizeIterator<Item = (Delivery, &T)> {
        self.in_flight.iter().map(|(id, tag)| {
            (
                Delivery::AtLeastOnce {
                    id,
                    duplicate: true,
                },
                tag,
            )
        })
    }
}
