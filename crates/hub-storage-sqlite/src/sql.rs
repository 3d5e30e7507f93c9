//! Numbers of the domain as SQLite's.

/// Numbers count up from one and never reach the sign bit; message numbers may be `u64::MAX` as a bound.
pub(crate) fn int(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

pub(crate) const fn uint(number: i64) -> u64 {
    number.cast_unsigned()
}
