//! The summary of a run.

use std::io::Write as _;
use std::time::Duration;

use anyhow::Result;
use serde::Serialize;

use super::counters::Counters;
use super::progress::per_second;
use super::{Args, Output};
use crate::table;

/// What a run did. Member names are a contract.
#[derive(Serialize, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
struct Summary {
    devices: u32,
    devices_created: usize,
    seconds: f64,
    connections_opened: u64,
    connections_refused: u64,
    connections_lost: u64,
    telemetry_sent: u64,
    telemetry_acknowledged: u64,
    telemetry_repeated: u64,
    telemetry_skipped: u64,
    telemetry_per_second: f64,
    ack_p50_ms: Option<f64>,
    ack_p99_ms: Option<f64>,
    reported_patches: u64,
    desired_patches: u64,
    methods_answered: u64,
    messages_received: u64,
    twin_errors: u64,
    last_error: Option<String>,
}

/// Prints the summary on stdout.
pub(super) fn print(
    counters: &Counters,
    args: &Args,
    elapsed: Duration,
    created: usize,
) -> Result<()> {
    let summary = Summary::of(counters, args.devices, elapsed, created);
    let mut out = std::io::stdout().lock();
    match args.output {
        Output::Json => writeln!(out, "{}", serde_json::to_string_pretty(&summary)?)?,
        Output::Table => writeln!(out, "{}", summary.table()?)?,
    }
    Ok(())
}

impl Summary {
    fn of(counters: &Counters, devices: u32, elapsed: Duration, created: usize) -> Self {
        let millis = |fraction| {
            Some(round(
                counters.latency_at(fraction)?.as_secs_f64() * 1_000.0,
            ))
        };
        Self {
            devices,
            devices_created: created,
            seconds: round(elapsed.as_secs_f64()),
            connections_opened: counters.opened.value(),
            connections_refused: counters.refused.value(),
            connections_lost: counters.lost.value(),
            telemetry_sent: counters.sent.value(),
            telemetry_acknowledged: counters.acknowledged.value(),
            telemetry_repeated: counters.repeated.value(),
            telemetry_skipped: counters.skipped.value(),
            telemetry_per_second: round(per_second(counters.sent.value(), elapsed)),
            ack_p50_ms: millis(0.5),
            ack_p99_ms: millis(0.99),
            reported_patches: counters.reported.value(),
            desired_patches: counters.desired.value(),
            methods_answered: counters.methods.value(),
            messages_received: counters.messages.value(),
            twin_errors: counters.twin_errors.value(),
            last_error: counters.last_error(),
        }
    }

    /// The same members, for people.
    fn table(&self) -> Result<String> {
        let serde_json::Value::Object(members) = serde_json::to_value(self)? else {
            unreachable!("a struct serializes as an object");
        };
        let rows: Vec<_> = members
            .into_iter()
            .map(|(name, value)| {
                let text = match value {
                    serde_json::Value::Null => "-".to_owned(),
                    serde_json::Value::String(text) => text,
                    other => other.to_string(),
                };
                (words(&name), text)
            })
            .collect();
        Ok(table::pairs(&rows))
    }
}

/// A member's name as words.
fn words(name: &str) -> String {
    name.chars().fold(String::new(), |mut words, character| {
        if character.is_ascii_uppercase() {
            words.push(' ');
        }
        words.push(character.to_ascii_lowercase());
        words
    })
}

fn round(value: f64) -> f64 {
    (value * 1_000.0).round() / 1_000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_summary_has_rates_and_latencies() {
        let counters = Counters::default();
        counters.sent.add(300);
        counters.latency(Duration::from_millis(4));
        let summary = Summary::of(&counters, 7, Duration::from_secs(2), 5);
        assert_eq!(summary.telemetry_per_second, 150.0);
        assert_eq!(summary.ack_p99_ms, Some(4.0));
        assert_eq!(summary.last_error, None);
        let table = summary.table().unwrap();
        for text in ["telemetry per second", "150.0", "ack p99 ms", "last error"] {
            assert!(table.contains(text), "{text} in\n{table}");
        }
    }
}
