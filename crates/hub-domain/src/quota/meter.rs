//! How much was taken of what is limited by a rate.

use core::time::Duration;

use crate::Timestamp;

/// So much of something in so much time. It may come at once; after that the rate holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// How much.
    pub count: u64,
    /// In which time.
    pub per: Duration,
}

impl Rate {
    /// So much in a minute.
    pub const fn per_minute(count: u64) -> Self {
        Self {
            count,
            per: Duration::from_secs(60),
        }
    }
}

/// One moment: when what was taken so far would have been done at the rate. More is taken while that moment is less than
/// the time of the rate ahead.
#[derive(Clone, Copy, Debug)]
pub struct Meter(Timestamp);

impl Meter {
    /// Nothing was taken yet.
    pub const EMPTY: Self = Self(Timestamp::NEVER);

    /// The moment at which `amount` more would be done.
    fn after(self, amount: u64, rate: Rate, now: Timestamp) -> Timestamp {
        let micros = u128::from(amount) * rate.per.as_micros() / u128::from(rate.count.max(1));
        let micros = u64::try_from(micros).unwrap_or(u64::MAX);
        self.0.max(now).plus(Duration::from_micros(micros))
    }

    /// Takes `amount`, or says how long to wait.
    ///
    /// # Errors
    /// The time until there is room. What alone is more than the rate gives at once is taken when nothing else was.
    pub fn take(&mut self, amount: u64, rate: Rate, now: Timestamp) -> Result<(), Duration> {
        let next = self.after(amount, rate, now);
        let excess = next.since(now.plus(rate.per));
        if excess > Duration::ZERO && self.0 > now {
            return Err(excess);
        }
        self.0 = next;
        Ok(())
    }

    /// Takes `amount` whatever was taken before.
    pub fn charge(&mut self, amount: u64, rate: Rate, now: Timestamp) {
        self.0 = self.after(amount, rate, now);
    }

    /// How long until there is room again.
    pub fn delay(self, rate: Rate, now: Timestamp) -> Duration {
        self.0.since(now.plus(rate.per))
    }

    /// True when it is as if nothing had ever been taken.
    pub fn is_empty(self, now: Timestamp) -> bool {
        self.0 <= now
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_seconds(1_700_000_000);

    fn seconds(seconds: u64) -> Timestamp {
        NOW.plus(Duration::from_secs(seconds))
    }

    #[test]
    fn a_range_comes_at_once_and_then_the_rate_holds() {
        let rate = Rate {
            count: 5,
            per: Duration::from_secs(10),
        };
        let mut meter = Meter::EMPTY;
        for _ in 0..5 {
            assert_eq!(meter.take(1, rate, NOW), Ok(()));
        }
        assert_eq!(meter.take(1, rate, NOW), Err(Duration::from_secs(2)));
        assert_eq!(meter.take(1, rate, seconds(2)), Ok(()));
        assert!(meter.take(1, rate, seconds(2)).is_err());
        assert!(!meter.is_empty(seconds(11)));
        assert!(meter.is_empty(seconds(12)));
    }

    #[test]
    fn what_is_charged_delays() {
        let rate = Rate::per_minute(6_000);
        let mut meter = Meter::EMPTY;
        meter.charge(6_000, rate, NOW);
        assert_eq!(meter.delay(rate, NOW), Duration::ZERO);
        meter.charge(100, rate, NOW);
        assert_eq!(meter.delay(rate, NOW), Duration::from_secs(1));
        assert_eq!(meter.delay(rate, seconds(1)), Duration::ZERO);
    }

    #[test]
    fn one_large_piece_of_work_is_taken_when_nothing_else_was() {
        let rate = Rate::per_minute(10);
        let mut meter = Meter::EMPTY;
        assert_eq!(meter.take(1_000, rate, NOW), Ok(()));
        assert!(meter.take(1, rate, NOW).is_err());
    }
}
