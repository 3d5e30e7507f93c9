//! The one table, and the same as JSON.

use std::io::Write as _;

use anyhow::Result;
use serde::Serialize;

use super::machine::Machine;
use super::plan::Plan;
use super::publish::Workload;
use super::server::Kind;
use super::statistics::{Spread, digits};
use crate::sim::Output;
use crate::table;

/// A share of its core above which the load, and not the server, is the limit.
const SATURATED: f64 = 97.0;
/// A share of its core below which a server had room.
const HAD_ROOM: f64 = 90.0;

/// What a number means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum Measure {
    CpuMicroseconds,
    PerSecond,
    ServerBusy,
    LoadBusy,
    MessagesPerSync,
    KibibytesPerSession,
    Milliseconds,
    P50Milliseconds,
    P99Milliseconds,
    ResidentMebibytes,
    TimesIngest,
    TimesIngestByCpu,
    PerServerCore,
}

impl Measure {
    const fn name(self) -> &'static str {
        match self {
            Self::CpuMicroseconds => "server CPU, µs each",
            Self::PerSecond => "per second",
            Self::ServerBusy => "server core, % busy",
            Self::LoadBusy => "load core, % busy",
            Self::MessagesPerSync => "messages per sync",
            Self::KibibytesPerSession => "KiB each",
            Self::Milliseconds => "ms",
            Self::P50Milliseconds => "p50 ms",
            Self::P99Milliseconds => "p99 ms",
            Self::ResidentMebibytes => "resident MiB",
            Self::TimesIngest => "times the ingest rate",
            Self::TimesIngestByCpu => "times the ingest by CPU",
            Self::PerServerCore => "per second of server CPU",
        }
    }
}

/// Everything that was measured.
pub(super) struct Report {
    machine: Machine,
    mosquitto: Option<String>,
    rounds: u16,
    seconds: f64,
    workloads: Vec<Workload>,
    cells: Vec<Cell>,
}

struct Cell {
    kind: Kind,
    what: String,
    measure: Measure,
    values: Vec<f64>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Document<'a> {
    machine: &'a Machine,
    mosquitto: Option<&'a str>,
    rounds: u16,
    seconds: f64,
    workloads: &'a [Workload],
    results: Vec<Row<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Row<'a> {
    what: &'a str,
    server: Kind,
    measure: Measure,
    #[serde(flatten)]
    spread: Spread,
}

impl Report {
    pub(super) fn new(machine: Machine, plan: &Plan, mosquitto: Option<String>) -> Self {
        Self {
            machine,
            mosquitto,
            rounds: plan.rounds,
            seconds: plan.duration.as_secs_f64(),
            workloads: plan.workloads.clone(),
            cells: Vec::new(),
        }
    }

    /// Adds the result of one round.
    pub(super) fn add(&mut self, kind: Kind, what: &str, measure: Measure, value: f64) {
        let found = self
            .cells
            .iter_mut()
            .find(|cell| cell.kind == kind && cell.what == what && cell.measure == measure);
        match found {
            Some(cell) => cell.values.push(value),
            None => self.cells.push(Cell {
                kind,
                what: what.to_owned(),
                measure,
                values: vec![value],
            }),
        }
    }

    pub(super) fn print(&self, output: Output) -> Result<()> {
        let mut out = std::io::stdout().lock();
        match output {
            Output::Json => writeln!(out, "{}", serde_json::to_string_pretty(&self.document())?)?,
            Output::Table => writeln!(out, "{}", self.text())?,
        }
        Ok(())
    }

    fn document(&self) -> Document<'_> {
        let results = self.cells.iter().filter_map(|cell| {
            Some(Row {
                what: &cell.what,
                server: cell.kind,
                measure: cell.measure,
                spread: Spread::of(&cell.values)?,
            })
        });
        Document {
            machine: &self.machine,
            mosquitto: self.mosquitto.as_deref(),
            rounds: self.rounds,
            seconds: self.seconds,
            workloads: &self.workloads,
            results: results.collect(),
        }
    }

    fn text(&self) -> String {
        let rows: Vec<Vec<String>> = self
            .cells
            .iter()
            .filter_map(|cell| {
                let Spread {
                    min, median, max, ..
                } = Spread::of(&cell.values)?;
                let row = [
                    cell.what.clone(),
                    cell.measure.name().to_owned(),
                    cell.kind.name().to_owned(),
                ];
                Some(
                    row.into_iter()
                        .chain([median, min, max].map(digits))
                        .collect(),
                )
            })
            .collect();
        let names = ["what", "measure", "server", "median", "min", "max"];
        let mut parts = vec![self.heading(), table::columns(&names, &rows)];
        parts.extend(self.saturated());
        parts.join("\n\n")
    }

    fn heading(&self) -> String {
        let machine = &self.machine;
        format!(
            "{} cores, {}, Linux {}, load before {}\n\
             server on core 0, load on core 1; ours durable, {} not\n\
             {} rounds of {} s, servers in turn; three properties; sessions opened 64 at a time",
            machine.cores,
            machine.cpu,
            machine.kernel,
            machine.load_before,
            self.mosquitto.as_deref().unwrap_or("no mosquitto"),
            self.rounds,
            self.seconds,
        )
    }

    /// Which rates are those of the load.
    fn saturated(&self) -> Option<String> {
        let busy = |cell: &Cell| {
            let server = self.cells.iter().find(|other| {
                other.measure == Measure::ServerBusy
                    && other.kind == cell.kind
                    && other.what == cell.what
            })?;
            Some((
                Spread::of(&cell.values)?.median,
                Spread::of(&server.values)?.median,
            ))
        };
        let names: Vec<_> = self
            .cells
            .iter()
            .filter(|cell| cell.measure == Measure::LoadBusy)
            .filter(|cell| {
                busy(cell).is_some_and(|(load, server)| load > SATURATED && server < HAD_ROOM)
            })
            .map(|cell| format!("  {} · {}", cell.kind.name(), cell.what))
            .collect();
        (!names.is_empty()).then(|| {
            format!(
                "Here the load was the limit, so the rate per second is its own:\n{}",
                names.join("\n")
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use hub_mqtt::QoS;

    use super::*;

    fn report() -> Report {
        let machine = Machine {
            cores: 2,
            cpu: "Test".into(),
            kernel: "6".into(),
            load_before: "0".into(),
        };
        Report {
            machine,
            mosquitto: Some("mosquitto version 2".into()),
            rounds: 3,
            seconds: 1.0,
            workloads: vec![Workload {
                protocol: crate::bench::publish::Protocol::Mqtt,
                connections: 1,
                window: 1,
                body_bytes: 1,
                qos: QoS::AtMostOnce,
                tls: crate::tls::Version::Tls13,
            }],
            cells: Vec::new(),
        }
    }

    #[test]
    fn rounds_of_one_cell_become_one_row() {
        let mut report = report();
        for value in [3.0, 1.0, 2.0] {
            report.add(Kind::Thingstead, "QoS 1", Measure::CpuMicroseconds, value);
            report.add(
                Kind::Mosquitto,
                "QoS 1",
                Measure::CpuMicroseconds,
                value * 2.0,
            );
        }
        let document = serde_json::to_value(report.document()).unwrap();
        let results = document["results"].as_array().unwrap();
        assert_eq!(results.len(), 2);
        assert_eq!(
            results[0],
            serde_json::json!({ "what": "QoS 1", "server": "thingstead", "measure": "cpuMicroseconds", "min": 1.0, "median": 2.0, "max": 3.0, "rounds": 3 })
        );
        let text = report.text();
        let rows = text.lines().filter(|line| line.starts_with("QoS 1"));
        let servers: Vec<_> = rows
            .filter_map(|row| row.split_whitespace().rev().nth(3))
            .collect();
        assert_eq!(servers, ["thingstead", "mosquitto"], "{text}");
    }

    #[test]
    fn a_load_at_its_limit_is_said_when_the_server_had_room() {
        let mut report = report();
        for (what, server) in [("slow server", 99.0), ("fast server", 40.0)] {
            report.add(Kind::Thingstead, what, Measure::ServerBusy, server);
            report.add(Kind::Thingstead, what, Measure::LoadBusy, 99.0);
        }
        let said = report.saturated().unwrap();
        assert!(
            said.contains("fast server") && !said.contains("slow server"),
            "{said}"
        );
    }
}
