//! The client's side of a connection.

use crate::error::SessionError;
use crate::packet::{ConnAck, Delivery, Packet, PacketId, PacketKind, Publish, Refusal, SubAck};
use crate::session::{Attempt, InFlight, Phase, Window};

/// The packet-level state of a connection to a server. The caller has sent CONNECT.
///
/// `T` names a publish to the caller, who gets it back when the server acknowledges it.
#[derive(Debug, Clone)]
pub struct ClientSession<T> {
    in_flight: InFlight<Request<T>>,
    phase: Phase,
}

#[derive(Debug, Clone)]
enum Request<T> {
    Publish(T),
    Subscribe,
    Unsubscribe,
}

/// What a server's packet tells the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientInbound<'a, T> {
    /// The connection is open.
    Connected {
        /// The server remembers the session.
        session_present: bool,
    },
    /// The server refuses and closes.
    Refused(Refusal),
    /// A message; with QoS 1 answer with PUBACK, in the order of arrival ([MQTT-4.6.0-2]). Never QoS 2.
    Publish(Publish<'a>),
    /// The server has the publish that this tag names.
    Published(T),
    /// The answer to a SUBSCRIBE of this client.
    Subscribed(SubAck<'a>),
    /// The answer to an UNSUBSCRIBE of this client.
    Unsubscribed(PacketId),
    /// An acknowledgement for which nothing waits: to be ignored or reported.
    UnmatchedAck(PacketId),
    /// The server is there.
    Pong,
}

impl<T> ClientSession<T> {
    /// Makes the state of a connection from which nothing has come.
    #[must_use]
    pub const fn new(window: Window) -> Self {
        Self {
            in_flight: InFlight::new(window),
            phase: Phase::Opening,
        }
    }

    /// How far the connection has come.
    #[must_use]
    pub const fn phase(&self) -> Phase {
        self.phase
    }

    /// The number of packets that wait for their acknowledgement.
    #[must_use]
    pub fn in_flight_count(&self) -> usize {
        self.in_flight.len()
    }

    /// Whether another packet with an identifier must wait for an acknowledgement first.
    #[must_use]
    pub fn is_window_full(&self) -> bool {
        self.in_flight.is_full()
    }

    /// Begins a QoS 1 publish and returns what its PUBLISH must say.
    ///
    /// # Errors
    ///
    /// [`SessionError::WindowFull`]; try again after the next acknowledgement.
    pub fn publish(&mut self, tag: T, attempt: Attempt) -> Result<Delivery, SessionError> {
        let id = self.in_flight.begin(Request::Publish(tag))?;
        Ok(Delivery::AtLeastOnce {
            id,
            duplicate: attempt == Attempt::Again,
        })
    }

    /// Takes an identifier for a SUBSCRIBE.
    ///
    /// # Errors
    ///
    /// [`SessionError::WindowFull`]; try again after the next acknowledgement.
    pub fn subscribe(&mut self) -> Result<PacketId, SessionError> {
        self.in_flight.begin(Request::Subscribe)
    }

    /// Takes an identifier for an UNSUBSCRIBE.
    ///
    /// # Errors
    ///
    /// [`SessionError::WindowFull`]; try again after the next acknowledgement.
    pub fn unsubscribe(&mut self) -> Result<PacketId, SessionError> {
        self.in_flight.begin(Request::Unsubscribe)
    }

    /// Notes that DISCONNECT is sent: nothing more may be ([MQTT-3.14.4-2]).
    pub const fn disconnect(&mut self) {
        self.phase = Phase::Closed;
    }

    /// Begins a new connection of the same session: what was published and not acknowledged is to be sent again, see
    /// [`Self::publishes_again`]; a SUBSCRIBE or UNSUBSCRIBE that waits is forgotten.
    pub fn reconnect(&mut self) {
        self.phase = Phase::Opening;
        self.in_flight
            .keep_if(|request| matches!(request, Request::Publish(_)));
    }

    /// What waits since an earlier connection, in its order, as its PUBLISH must say it when it is sent again
    /// ([MQTT-4.4.0-1], [MQTT-4.6.0-1]).
    pub fn publishes_again(&self) -> impl Iterator<Item = (Delivery, &T)> {
        self.in_flight
            .iter()
            .filter_map(|(id, request)| match request {
                Request::Publish(tag) => Some((
                    Delivery::AtLeastOnce {
                        id,
                        duplicate: true,
                    },
                    tag,
                )),
                Request::Subscribe | Request::Unsubscribe => None,
            })
    }

    /// Takes the next packet of the server.
    ///
    /// # Errors
    ///
    /// The packet breaks the order of packets or belongs to QoS 2; the connection must be closed.
    #[inline]
    pub fn receive<'a>(
        &mut self,
        packet: Packet<'a>,
    ) -> Result<ClientInbound<'a, T>, SessionError> {
        let kind = packet.kind();
        match self.phase {
            Phase::Opening if kind != PacketKind::ConnAck => {
                return Err(SessionError::ConnAckExpected(kind));
            }
            // What the server sent before it read our DISCONNECT may still arrive.
            Phase::Opening | Phase::Open | Phase::Closed => {}
        }
        match packet {
            Packet::ConnAck(connack) => self.receive_connack(connack),
            Packet::Publish(publish) => match publish.delivery {
                Delivery::AtMostOnce | Delivery::AtLeastOnce { .. } => {
                    Ok(ClientInbound::Publish(publish))
                }
                Delivery::ExactlyOnce { .. } => Err(SessionError::ExactlyOnceNotOffered(kind)),
            },
            Packet::PubAck(id) => match self
                .in_flight
                .end_if(id, |request| matches!(request, Request::Publish(_)))
            {
                Some(Request::Publish(tag)) => Ok(ClientInbound::Published(tag)),
                Some(Request::Subscribe | Request::Unsubscribe) | None => {
                    Ok(ClientInbound::UnmatchedAck(id))
                }
            },
            Packet::SubAck(suback) => {
                let request = self
                    .in_flight
                    .end_if(suback.id, |request| matches!(request, Request::Subscribe));
                Ok(request.map_or(ClientInbound::UnmatchedAck(suback.id), |_| {
                    ClientInbound::Subscribed(suback)
                }))
            }
            Packet::UnsubAck(id) => {
                let request = self
                    .in_flight
                    .end_if(id, |request| matches!(request, Request::Unsubscribe));
                Ok(request.map_or(ClientInbound::UnmatchedAck(id), |_| {
                    ClientInbound::Unsubscribed(id)
                }))
            }
            Packet::PingResp => Ok(ClientInbound::Pong),
            Packet::PubRec(_) | Packet::PubRel(_) | Packet::PubComp(_) => {
                Err(SessionError::ExactlyOnceNotOffered(kind))
            }
            Packet::Connect(_)
            | Packet::Subscribe(_)
            | Packet::Unsubscribe(_)
            | Packet::PingReq
            | Packet::Disconnect => Err(SessionError::WrongDirection(kind)),
        }
    }

    fn receive_connack<'a>(
        &mut self,
        connack: ConnAck,
    ) -> Result<ClientInbound<'a, T>, SessionError> {
        if self.phase != Phase::Opening {
            return Err(SessionError::SecondConnAck);
        }
        match connack {
            ConnAck::Accepted { session_present } => {
                self.phase = Phase::Open;
                Ok(ClientInbound::Connected { session_present })
            }
            ConnAck::Refused(refusal) => {
                self.phase = Phase::Closed;
                Ok(ClientInbound::Refused(refusal))
            }
        }
    }
}
