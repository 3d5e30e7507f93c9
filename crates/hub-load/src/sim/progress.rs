//! What a run shows while it lasts: one line on stderr.

use std::io::IsTerminal as _;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use super::counters::Counters;

/// How often the line changes on a terminal.
const REFRESH: Duration = Duration::from_millis(250);
/// How often a line is written where there is no terminal.
const LINE: Duration = Duration::from_secs(10);

pub(super) struct Progress {
    bar: ProgressBar,
    refresh: Duration,
    is_terminal: bool,
    devices: u32,
}

impl Progress {
    pub(super) fn start(devices: u32) -> Self {
        let is_terminal = std::io::stderr().is_terminal();
        let bar = if is_terminal {
            ProgressBar::new(u64::from(devices))
        } else {
            ProgressBar::hidden()
        };
        let style = ProgressStyle::with_template("{spinner} creating devices {pos}/{len}");
        bar.set_style(style.expect("invariant: the template is valid"));
        Self {
            bar,
            refresh: if is_terminal { REFRESH } else { LINE },
            is_terminal,
            devices,
        }
    }

    pub(super) fn device_ready(&self) {
        self.bar.inc(1);
    }

    /// Shows the counts until it is dropped.
    pub(super) async fn follow(&self, counters: &Counters) {
        let style = ProgressStyle::with_template("{spinner} {elapsed} {msg}");
        self.bar
            .set_style(style.expect("invariant: the template is valid"));
        let mut ticks = tokio::time::interval(self.refresh);
        ticks.tick().await;
        let mut last = (Instant::now(), 0);
        loop {
            ticks.tick().await;
            let (now, sent) = (Instant::now(), counters.sent.value());
            let rate = per_second(sent - last.1, now - last.0);
            last = (now, sent);
            let line = line(counters, self.devices, rate);
            if self.is_terminal {
                self.bar.set_message(line);
                self.bar.tick();
            } else {
                eprintln!("{line}");
            }
        }
    }

    pub(super) fn finish(&self) {
        self.bar.finish_and_clear();
    }
}

fn line(counters: &Counters, devices: u32, rate: f64) -> String {
    format!(
        "connected {}/{devices} · {rate:.0} msg/s · acked {} · methods {} · desired {} · messages {} · errors {}",
        counters.connected.value(),
        counters.acknowledged.value(),
        counters.methods.value(),
        counters.desired.value(),
        counters.messages.value(),
        counters.errors(),
    )
}

/// Events of a span as a rate.
#[expect(clippy::cast_precision_loss, reason = "a rate for people")]
pub(super) fn per_second(events: u64, span: Duration) -> f64 {
    if span.is_zero() {
        return 0.0;
    }
    events as f64 / span.as_secs_f64()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_tells_what_goes_on() {
        let counters = Counters::default();
        counters.connected.add(3);
        counters.acknowledged.add(40);
        counters.lost.up();
        assert_eq!(
            line(&counters, 5, per_second(30, Duration::from_secs(2))),
            "connected 3/5 · 15 msg/s · acked 40 · methods 0 · desired 0 · messages 0 · errors 1"
        );
    }
}
