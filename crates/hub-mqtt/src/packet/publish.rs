//! PUBLISH.

use crate::packet::{PacketId, QoS};

/// A message (section 3.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Publish<'a> {
    /// Topic name: not empty, without wildcards.
    pub topic: &'a str,
    /// Payload.
    pub payload: &'a [u8],
    /// Quality of service, and what belongs to it.
    pub delivery: Delivery,
    /// Retain flag (section 3.3.1.3).
    pub retain: bool,
}

/// How a message is delivered: a packet identifier and a duplicate flag exist only above QoS 0
/// ([MQTT-2.3.1-5], [MQTT-3.3.1-2]).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delivery {
    /// QoS 0: nothing is answered.
    AtMostOnce,
    /// QoS 1: answered with PUBACK.
    AtLeastOnce {
        /// The identifier that PUBACK returns.
        id: PacketId,
        /// The sender has tried before ([MQTT-3.3.1-1]).
        duplicate: bool,
    },
    /// QoS 2: answered with PUBREC.
    ExactlyOnce {
        /// The identifier of the whole exchange.
        id: PacketId,
        /// The sender has tried before ([MQTT-3.3.1-1]).
        duplicate: bool,
    },
}

impl Delivery {
    /// The quality of service.
    #[must_use]
    pub const fn qos(self) -> QoS {
        match self {
            Self::AtMostOnce => QoS::AtMostOnce,
            Self::AtLeastOnce { .. } => QoS::AtLeastOnce,
            Self::ExactlyOnce { .. } => QoS::ExactlyOnce,
        }
    }

    /// The packet identifier; none with QoS 0.
    #[must_use]
    pub const fn id(self) -> Option<PacketId> {
        match self {
            Self::AtMostOnce => None,
            Self::AtLeastOnce { id, .. } | Self::ExactlyOnce { id, .. } => Some(id),
        }
    }

    /// Whether the sender marked it as sent before.
    #[must_use]
    pub const fn is_duplicate(self) -> bool {
        match self {
            Self::AtMostOnce => false,
            Self::AtLeastOnce { duplicate, .. } | Self::ExactlyOnce { duplicate, .. } => duplicate,
        }
    }
}
