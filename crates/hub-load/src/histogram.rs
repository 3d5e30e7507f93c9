//! Counts of durations by size, from which quantiles are read.

use std::time::Duration;

/// Buckets per doubling: a quantile is at most 1/32 above the true value.
const STEPS: u64 = 32;
const STEPS_LOG2: u32 = STEPS.trailing_zeros();

/// Durations in whole microseconds, counted in buckets whose width grows with the value. Memory grows with the
/// largest value, to 15 KiB at most.
#[derive(Clone, Debug, Default)]
pub(crate) struct Histogram {
    counts: Vec<u64>,
    total: u64,
    largest: u64,
}

impl Histogram {
    pub(crate) fn record(&mut self, duration: Duration) {
        let value = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        let bucket = bucket_of(value);
        if bucket >= self.counts.len() {
            self.counts.resize(bucket + 1, 0);
        }
        self.counts[bucket] += 1;
        self.total += 1;
        self.largest = self.largest.max(value);
    }

    #[cfg(test)]
    const fn count(&self) -> u64 {
        self.total
    }

    /// The value that `fraction` of all durations do not exceed; `None` while there are none.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "a rank of so many counts needs no exact arithmetic"
    )]
    pub(crate) fn quantile(&self, fraction: f64) -> Option<Duration> {
        if self.total == 0 {
            return None;
        }
        let rank = ((self.total as f64 * fraction).ceil() as u64).clamp(1, self.total);
        let mut seen = 0;
        for (bucket, count) in self.counts.iter().enumerate() {
            seen += count;
            if seen >= rank {
                return Some(Duration::from_micros(upper_of(bucket).min(self.largest)));
            }
        }
        Some(Duration::from_micros(self.largest))
    }
}

/// Values below two rounds of steps have a bucket each; above, every doubling has `STEPS` buckets.
fn bucket_of(value: u64) -> usize {
    if value < STEPS {
        return usize::try_from(value).expect("invariant: below 32");
    }
    let shift = value.ilog2() - STEPS_LOG2;
    let bucket = u64::from(shift) * STEPS + (value >> shift);
    usize::try_from(bucket).expect("invariant: below 2,000")
}

/// The largest value of a bucket.
fn upper_of(bucket: usize) -> u64 {
    let bucket = bucket as u64;
    if bucket < 2 * STEPS {
        return bucket;
    }
    let shift = bucket / STEPS - 1;
    let step = bucket % STEPS + STEPS;
    // The last bucket ends at the largest number there is.
    ((u128::from(step + 1) << shift) - 1)
        .try_into()
        .unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_ends_where_the_next_one_begins() {
        for bucket in 0..bucket_of(u64::MAX) {
            assert_eq!(bucket_of(upper_of(bucket)), bucket);
            assert_eq!(bucket_of(upper_of(bucket) + 1), bucket + 1);
        }
        assert_eq!(upper_of(bucket_of(u64::MAX)), u64::MAX);
    }

    #[test]
    fn quantiles_are_within_a_thirty_second_above() {
        let mut histogram = Histogram::default();
        for micros in 1..=100_000 {
            histogram.record(Duration::from_micros(micros));
        }
        assert_eq!(histogram.count(), 100_000);
        for (fraction, exact) in [(0.5, 50_000.0), (0.99, 99_000.0), (0.999, 99_900.0)] {
            let read = histogram.quantile(fraction).unwrap().as_secs_f64() * 1e6;
            assert!(
                read >= exact && read <= exact * (1.0 + 1.0 / 32.0),
                "{fraction}: {read}"
            );
        }
        assert_eq!(
            histogram.quantile(1.0),
            Some(Duration::from_micros(100_000))
        );
    }

    #[test]
    fn one_duration_is_every_quantile_and_none_has_none() {
        let mut histogram = Histogram::default();
        assert_eq!(histogram.quantile(0.5), None);
        histogram.record(Duration::from_micros(777));
        assert_eq!(histogram.quantile(0.0), Some(Duration::from_micros(777)));
        assert_eq!(histogram.quantile(1.0), Some(Duration::from_micros(777)));
    }
}
