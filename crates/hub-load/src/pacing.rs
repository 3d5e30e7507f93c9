//! When the next message is due, at a steady rate.

use std::time::{Duration, Instant};

/// What a sender that fell behind still makes up for; older debts are dropped and counted.
const DEBT_MAX: Duration = Duration::from_secs(1);

/// A rate in events per second that can be kept: above zero and finite.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Rate(f64);

impl Rate {
    /// `None` for what is no rate.
    pub(crate) fn new(per_second: f64) -> Option<Self> {
        (per_second.is_finite() && per_second > 0.0 && per_second <= 1e6)
            .then_some(Self(per_second.max(1e-6)))
    }

    pub(crate) fn interval(self) -> Duration {
        Duration::from_secs_f64(1.0 / self.0)
    }
}

/// Events at a steady rate. Whether one is sent does not move the next: a slow hub does not lower the load.
#[derive(Clone, Debug)]
pub(crate) struct Pacing {
    interval: Duration,
    next: Instant,
    skipped: u64,
}

impl Pacing {
    pub(crate) fn new(rate: Rate, first: Instant) -> Self {
        Self {
            interval: rate.interval(),
            next: first,
            skipped: 0,
        }
    }

    /// When the next event is due.
    pub(crate) const fn next(&self) -> Instant {
        self.next
    }

    /// Events that were never sent because the sender was too far behind, since the last call.
    pub(crate) const fn take_skipped(&mut self) -> u64 {
        let skipped = self.skipped;
        self.skipped = 0;
        skipped
    }

    /// True once for each event that is due at `now`.
    pub(crate) fn is_due(&mut self, now: Instant) -> bool {
        if now < self.next {
            return false;
        }
        self.drop_old_debt(now);
        self.next += self.interval;
        true
    }

    fn drop_old_debt(&mut self, now: Instant) {
        let behind = now - self.next;
        if behind <= DEBT_MAX.max(self.interval) {
            return;
        }
        let events = (behind - DEBT_MAX.min(behind)).as_nanos() / self.interval.as_nanos().max(1);
        let events = u32::try_from(events).unwrap_or(u32::MAX);
        self.skipped += u64::from(events);
        self.next += self.interval * events;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn due(pacing: &mut Pacing, now: Instant) -> u64 {
        let mut count = 0;
        while pacing.is_due(now) {
            count += 1;
        }
        count
    }

    #[test]
    fn ten_a_second_are_ten_in_a_second_whenever_one_looks() {
        let start = Instant::now();
        let mut pacing = Pacing::new(Rate::new(10.0).unwrap(), start);
        let total: u64 = [3, 90, 250, 251, 600, 999]
            .into_iter()
            .map(|millis| due(&mut pacing, start + Duration::from_millis(millis)))
            .sum();
        assert_eq!(total, 10);
        assert_eq!(pacing.next(), start + Duration::from_secs(1));
        assert_eq!(pacing.take_skipped(), 0);
    }

    #[test]
    fn a_sender_far_behind_makes_up_one_second_and_counts_the_rest() {
        let start = Instant::now();
        let mut pacing = Pacing::new(Rate::new(100.0).unwrap(), start);
        let sent = due(&mut pacing, start + Duration::from_secs(60));
        assert_eq!(sent, 101);
        assert_eq!(sent + pacing.take_skipped(), 6_001);
        assert_eq!(pacing.take_skipped(), 0);
    }

    #[test]
    fn slow_rates_skip_nothing_when_one_event_is_late() {
        let start = Instant::now();
        let mut pacing = Pacing::new(Rate::new(0.1).unwrap(), start);
        assert_eq!(due(&mut pacing, start + Duration::from_secs(9)), 1);
        assert_eq!(due(&mut pacing, start + Duration::from_secs(12)), 1);
        assert_eq!(pacing.take_skipped(), 0);
    }

    #[test]
    fn what_is_no_rate_is_refused() {
        for text in ["0", "-1", "NaN", "inf", "1e9"] {
            assert_eq!(Rate::new(text.parse().unwrap()), None, "{text}");
        }
    }
}
