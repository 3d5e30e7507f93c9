//! Moments in time, in microseconds since the Unix epoch.

use std::fmt;
use std::time::Duration;

use time::format_description::well_known::Rfc3339;
use time::{OffsetDateTime, PrimitiveDateTime};

/// A moment in microseconds since 1970-01-01T00:00:00Z.
///
/// `NEVER` is the vendor's "not yet": 0001-01-01T00:00:00Z. It orders before every other moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

/// The text is no RFC 3339 moment.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a date and time such as 2026-01-31T12:00:00Z")]
pub struct TimestampError(String);

/// Microseconds from the Unix epoch to 0001-01-01T00:00:00Z.
const NEVER_MICROS: i64 = -62_135_596_800_000_000;

impl Timestamp {
    /// 0001-01-01T00:00:00Z, which official clients read as "never".
    pub const NEVER: Self = Self(NEVER_MICROS);

    /// The moment that many microseconds after the Unix epoch.
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    /// The moment that many milliseconds after the Unix epoch, saturating.
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis.saturating_mul(1_000))
    }

    /// The moment that many seconds after the Unix epoch, saturating.
    pub const fn from_seconds(seconds: i64) -> Self {
        Self(seconds.saturating_mul(1_000_000))
    }

    /// Microseconds since the Unix epoch.
    pub const fn micros(self) -> i64 {
        self.0
    }

    /// Whole milliseconds since the Unix epoch.
    pub const fn millis(self) -> i64 {
        self.0.div_euclid(1_000)
    }

    /// Whole seconds since the Unix epoch.
    pub const fn seconds(self) -> i64 {
        self.0.div_euclid(1_000_000)
    }

    /// This moment plus `duration`, saturating.
    #[must_use]
    pub fn plus(self, duration: Duration) -> Self {
        let micros = i64::try_from(duration.as_micros()).unwrap_or(i64::MAX);
        Self(self.0.saturating_add(micros))
    }

    /// This moment minus `duration`, saturating.
    #[must_use]
    pub fn minus(self, duration: Duration) -> Self {
        let micros = i64::try_from(duration.as_micros()).unwrap_or(i64::MAX);
        Self(self.0.saturating_sub(micros))
    }

    /// The time from `earlier` to this moment; zero when `earlier` is later.
    pub fn since(self, earlier: Self) -> Duration {
        let micros = self.0.saturating_sub(earlier.0);
        Duration::from_micros(u64::try_from(micros).unwrap_or(0))
    }

    /// Reads RFC 3339, and the vendor's form without an offset, which means UTC.
    ///
    /// # Errors
    /// When the text is neither.
    pub fn parse_rfc3339(text: &str) -> Result<Self, TimestampError> {
        let error = || TimestampError(text.chars().take(40).collect());
        if let Ok(moment) = OffsetDateTime::parse(text, &Rfc3339) {
            return Self::from_nanos(moment.unix_timestamp_nanos()).ok_or_else(error);
        }
        let moment = PrimitiveDateTime::parse(
            text,
            &time::format_description::well_known::Iso8601::DEFAULT,
        )
        .map_err(|_| error())?;
        Self::from_nanos(moment.assume_utc().unix_timestamp_nanos()).ok_or_else(error)
    }

    fn from_nanos(nanos: i128) -> Option<Self> {
        i64::try_from(nanos.div_euclid(1_000)).ok().map(Self)
    }

    /// RFC 3339 in UTC with seven decimals, the vendor's precision: `2026-01-31T12:00:00.1234560Z`.
    pub fn to_rfc3339(self) -> String {
        let (date, fraction) = self.parts();
        format!("{date}.{fraction:06}0Z")
    }

    /// As the identity registry prints times: seven decimals and `Z`, or `0001-01-01T00:00:00` for never.
    pub fn to_registry_text(self) -> String {
        let (date, fraction) = self.parts();
        if self <= Self::NEVER {
            date
        } else {
            format!("{date}.{fraction:06}0Z")
        }
    }

    fn parts(self) -> (String, i64) {
        let seconds = self.0.max(NEVER_MICROS).div_euclid(1_000_000);
        let fraction = self.0.max(NEVER_MICROS).rem_euclid(1_000_000);
        let moment =
            OffsetDateTime::from_unix_timestamp(seconds).unwrap_or(OffsetDateTime::UNIX_EPOCH);
        let date = format!(
            "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}",
            moment.year(),
            u8::from(moment.month()),
            moment.day(),
            moment.hour(),
            moment.minute(),
            moment.second()
        );
        (date, fraction)
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self <= Self::NEVER {
            f.write_str("0001-01-01T00:00:00Z")
        } else {
            f.write_str(&self.to_rfc3339())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_seven_decimals() {
        assert_eq!(
            Timestamp::from_micros(1_500_000).to_rfc3339(),
            "1970-01-01T00:00:01.5000000Z"
        );
        assert_eq!(Timestamp::NEVER.to_registry_text(), "0001-01-01T00:00:00");
        assert_eq!(Timestamp::NEVER.to_string(), "0001-01-01T00:00:00Z");
    }

    #[test]
    fn reads_what_it_prints_and_the_vendors_form_without_offset() {
        let moment = Timestamp::from_micros(1_769_860_800_123_456);
        assert_eq!(Timestamp::parse_rfc3339(&moment.to_rfc3339()), Ok(moment));
        assert_eq!(
            Timestamp::parse_rfc3339("0001-01-01T00:00:00"),
            Ok(Timestamp::NEVER)
        );
        assert_eq!(
            Timestamp::parse_rfc3339("0001-01-01T00:00:00Z"),
            Ok(Timestamp::NEVER)
        );
        assert_eq!(
            Timestamp::parse_rfc3339("1970-01-01T01:00:00+01:00"),
            Ok(Timestamp::from_micros(0))
        );
        assert!(Timestamp::parse_rfc3339("yesterday").is_err());
    }
}
