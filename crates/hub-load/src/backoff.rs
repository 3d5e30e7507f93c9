//! How long to wait before the next attempt to connect.

use std::time::Duration;

/// The wait after the first failure, before jitter.
const FIRST: Duration = Duration::from_millis(500);
/// The longest wait, before jitter.
const LONGEST: Duration = Duration::from_secs(60);

/// A small generator of pseudo-random numbers (SplitMix64): spreads devices out, keeps no secret.
#[derive(Clone, Debug)]
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A number from 0 up to, but not including, 1.
    #[expect(clippy::cast_precision_loss, reason = "53 bits fit a double exactly")]
    pub(crate) const fn fraction(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// A moment of `span`, any of them equally likely.
    pub(crate) fn within(&mut self, span: Duration) -> Duration {
        span.mul_f64(self.fraction())
    }
}

/// Doubling waits with jitter: half of each wait is random, so that devices cut off together do not return together.
#[derive(Clone, Debug)]
pub(crate) struct Backoff {
    next: Duration,
}

impl Backoff {
    pub(crate) const fn new() -> Self {
        Self { next: FIRST }
    }

    /// The wait before the next attempt.
    pub(crate) fn wait(&mut self, dice: &mut Dice) -> Duration {
        let base = self.next;
        self.next = (base * 2).min(LONGEST);
        base / 2 + dice.within(base / 2)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_a_minute_and_keep_half_of_themselves() {
        let mut dice = Dice::new(7);
        let mut backoff = Backoff::new();
        let mut base = FIRST;
        for _ in 0..12 {
            let wait = backoff.wait(&mut dice);
            assert!(wait >= base / 2 && wait < base, "{wait:?} of {base:?}");
            base = (base * 2).min(LONGEST);
        }
        assert_eq!(base, LONGEST);
    }

    #[test]
    fn different_seeds_spread_and_equal_seeds_agree() {
        let waits = |seed| {
            let mut dice = Dice::new(seed);
            (0..4).map(|_| dice.within(LONGEST)).collect::<Vec<_>>()
        };
        assert_eq!(waits(1), waits(1));
        assert_ne!(waits(1), waits(2));
        assert!(waits(3).iter().all(|wait| *wait < LONGEST));
    }
}
