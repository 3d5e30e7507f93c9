//! When a silent peer is cut off.

use std::time::Duration;

use hub_mqtt::{KeepAlive, ZeroKeepAlive};

fn timeout_ms(seconds: u16) -> Option<u128> {
    KeepAlive::from_seconds(seconds)
        .timeout(KeepAlive::TIMEOUT_MAX, ZeroKeepAlive::Unlimited)
        .map(|timeout| timeout.as_millis())
}

#[test]
fn the_timeout_is_one_and_a_half_times_the_value_up_to_the_longest() {
    let table = [
        (1, 1_500),
        (60, 90_000),
        (230, 345_000),
        (1_177, 1_765_500),
        (1_178, 1_767_000),
        (1_179, 1_767_000),
        (65_535, 1_767_000),
    ];
    for (seconds, expected) in table {
        assert_eq!(timeout_ms(seconds), Some(expected), "{seconds} s");
    }
}

#[test]
fn zero_means_never_or_the_longest_as_the_caller_decides() {
    let off = KeepAlive::from_seconds(0);
    assert_eq!(
        off.timeout(KeepAlive::TIMEOUT_MAX, ZeroKeepAlive::Unlimited),
        None
    );
    assert_eq!(
        off.timeout(KeepAlive::TIMEOUT_MAX, ZeroKeepAlive::Longest),
        Some(Duration::from_secs(1767))
    );
}

#[test]
fn the_time_left_runs_down_to_zero_and_stays_there() {
    let (last_packet, timeout) = (Duration::from_secs(100), Duration::from_secs(90));
    let left = |now| KeepAlive::time_left(last_packet, timeout, Duration::from_secs(now)).as_secs();
    assert_eq!([100, 150, 189, 190, 500].map(left), [90, 40, 1, 0, 0]);
    assert_eq!(
        KeepAlive::time_left(Duration::MAX, timeout, Duration::ZERO),
        Duration::MAX
    );
}
