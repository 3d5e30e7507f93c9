//! Keep-alive arithmetic (section 3.1.2.10). Points in time are durations since any one moment of the caller's choice.

use core::time::Duration;

/// The longest silence that a client intends, in whole seconds; zero turns the check off (section 3.1.2.10).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct KeepAlive(u16);

/// What a server does with a client that turned the keep-alive off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ZeroKeepAlive {
    /// Never cuts it off, as the specification has it.
    Unlimited,
    /// Cuts it off after the longest timeout; a server may do so at any time (section 3.1.2.10).
    Longest,
}

impl KeepAlive {
    /// The longest server timeout that the documentation of IoT Hub names: 29.45 minutes ("Default keep-alive
    /// timeout" in its MQTT article).
    pub const TIMEOUT_MAX: Duration = Duration::from_secs(1767);

    /// Makes it from the number in CONNECT.
    #[must_use]
    pub const fn from_seconds(seconds: u16) -> Self {
        Self(seconds)
    }

    /// The number in CONNECT.
    #[must_use]
    pub const fn as_seconds(self) -> u16 {
        self.0
    }

    /// The silence after which a server cuts the connection: one and a half times the client's value
    /// ([MQTT-3.1.2-24]), but never above `timeout_max`. `None` means never.
    #[must_use]
    pub fn timeout(self, timeout_max: Duration, zero: ZeroKeepAlive) -> Option<Duration> {
        match (self.0, zero) {
            (0, ZeroKeepAlive::Unlimited) => None,
            (0, ZeroKeepAlive::Longest) => Some(timeout_max),
            (seconds, ZeroKeepAlive::Unlimited | ZeroKeepAlive::Longest) => {
                Some(Duration::from_millis(u64::from(seconds) * 1500).min(timeout_max))
            }
        }
    }

    /// What is left at `now` of the `timeout` that began with the peer's last packet; zero once it is over.
    ///
    /// Any packet of the peer begins it anew, not only PINGREQ.
    #[must_use]
    pub fn time_left(last_packet: Duration, timeout: Duration, now: Duration) -> Duration {
        last_packet.saturating_add(timeout).saturating_sub(now)
    }
}
