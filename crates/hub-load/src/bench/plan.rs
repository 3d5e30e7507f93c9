//! What a run of the measurement does.

use std::time::Duration;

use hub_mqtt::QoS;

use super::publish::{Protocol, Workload};
use super::{Args, Part};
use crate::tls::Version;

/// Connections and window of each form of the load.
const SHAPES: [(usize, u16); 2] = [(64, 32), (4, 128)];
const BODIES: [usize; 2] = [100, 1_024];
/// Protocols and their qualities of service; an unsettled delivery of AMQP is at least once.
const WAYS: [(Protocol, QoS); 3] = [
    (Protocol::Mqtt, QoS::AtMostOnce),
    (Protocol::Mqtt, QoS::AtLeastOnce),
    (Protocol::Amqp, QoS::AtLeastOnce),
];

/// Everything that the arguments decide.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) rounds: u16,
    pub(super) duration: Duration,
    pub(super) workloads: Vec<Workload>,
    pub(super) session_counts: Vec<usize>,
    /// Method calls in a round.
    pub(super) calls: usize,
    /// Devices that register.
    pub(super) registrations: usize,
    pub(super) registered: Option<u64>,
    parts: Vec<Part>,
}

impl Plan {
    pub(super) fn of(args: &Args) -> Self {
        let (rounds, seconds, calls) = if args.quick {
            (1, 2, 1_000)
        } else {
            (3, 3, 5_000)
        };
        Self {
            rounds: args.rounds.unwrap_or(rounds),
            duration: args.seconds.unwrap_or(Duration::from_secs(seconds)),
            workloads: if args.quick { quick() } else { all() },
            session_counts: if args.quick {
                vec![2_000]
            } else {
                vec![2_000, 10_000]
            },
            calls,
            registrations: if args.quick { 10_000 } else { 100_000 },
            registered: args.registered,
            parts: args.only.clone(),
        }
    }

    pub(super) fn has(&self, part: Part) -> bool {
        self.parts.is_empty() || self.parts.contains(&part)
    }

    /// The workloads of the parts that are asked for, MQTT before AMQP.
    pub(super) fn publishes(&self) -> impl Iterator<Item = &Workload> {
        self.workloads
            .iter()
            .filter(|workload| match workload.protocol {
                Protocol::Mqtt => self.has(Part::Publish),
                Protocol::Amqp => self.has(Part::Amqp),
            })
    }

    /// The workloads whose messages are read back: acknowledged ones of many connections, with the newest TLS.
    pub(super) fn read_backs(&self) -> impl Iterator<Item = &Workload> {
        self.workloads.iter().filter(|workload| {
            workload.qos == QoS::AtLeastOnce
                && workload.connections == SHAPES[0].0
                && workload.tls == Version::Tls13
        })
    }

    /// The most connections of a workload.
    pub(super) fn connections_max(&self) -> usize {
        self.workloads
            .iter()
            .map(|workload| workload.connections)
            .max()
            .unwrap_or_default()
    }
}

fn all() -> Vec<Workload> {
    let mut workloads = Vec::new();
    for (protocol, qos) in WAYS {
        for tls in Version::BOTH {
            for body_bytes in BODIES {
                for (connections, window) in SHAPES {
                    workloads.push(Workload {
                        protocol,
                        connections,
                        window,
                        body_bytes,
                        qos,
                        tls,
                    });
                }
            }
        }
    }
    workloads
}

/// One of each way and form, small bodies, newest TLS.
fn quick() -> Vec<Workload> {
    let mut workloads = all();
    workloads.retain(|workload| workload.body_bytes == BODIES[0] && workload.tls == Version::Tls13);
    workloads
}
