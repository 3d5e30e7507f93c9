//! Throttles and the daily quota of hubs that have a profile.
//!
//! A minute's worth may come at once ("throttles are applied in minute ranges"). Meters live in memory: a restart
//! forgives.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use hub_domain::quota::{METHOD_METER_BYTES, Meter, Rate, Throttle};
use hub_domain::{ErrorCode, HubNo, QuotaProfile, Timestamp};

use crate::{Caller, Error, ErrorKind, Hubs, OpContext};

const DAY: Duration = Duration::from_secs(24 * 3600);

pub(crate) struct Quotas {
    hubs: Hubs,
    meters: Mutex<HashMap<HubNo, Meters>>,
}

/// The meters of one hub.
#[derive(Debug)]
struct Meters {
    profile: QuotaProfile,
    throttles: [Meter; Throttle::ALL.len()],
    day: i64,
    messages_today: u64,
}

impl Meters {
    fn new(profile: QuotaProfile) -> Self {
        Self {
            profile,
            throttles: [Meter::EMPTY; Throttle::ALL.len()],
            day: i64::MIN,
            messages_today: 0,
        }
    }

    fn take(&mut self, throttle: Throttle, amount: u64, now: Timestamp) -> Result<(), Error> {
        let Some(per_minute) = self.profile.per_minute(throttle) else {
            return Ok(());
        };
        self.throttles[throttle.index()]
            .take(amount, Rate::per_minute(per_minute), now)
            .map_err(|wait| throttled(throttle, wait))
    }

    /// Counts messages of so many bytes in all against the day.
    fn count(&mut self, messages: u64, bytes: u64, now: Timestamp) -> Result<(), Error> {
        let Some(per_day) = self.profile.messages_per_day() else {
            return Ok(());
        };
        let today = now.seconds().div_euclid(DAY.as_secs().cast_signed());
        if self.day != today {
            self.day = today;
            self.messages_today = 0;
        }
        let pieces = bytes
            .div_ceil(self.profile.message_piece_bytes())
            .max(messages);
        if self.messages_today.saturating_add(pieces) > per_day {
            return Err(Error::new(
                ErrorKind::QuotaExceeded,
                format!(
                    "the hub's {per_day} messages of today ({}) are used up, they begin anew at midnight UTC",
                    self.profile.as_str()
                ),
            )
            .with_code(ErrorCode::IotHubQuotaExceeded));
        }
        self.messages_today += pieces;
        Ok(())
    }
}

impl Quotas {
    pub(crate) fn new(hubs: Hubs) -> Self {
        Self {
            hubs,
            meters: Mutex::default(),
        }
    }

    /// Runs `work` on the hub's meters; nothing happens for a hub without limits.
    fn with<T>(&self, hub: HubNo, work: impl FnOnce(&mut Meters) -> T) -> Option<T> {
        let profile = self.hubs.profile(hub);
        if profile == QuotaProfile::Unlimited {
            return None;
        }
        let mut meters = self.meters.lock().unwrap_or_else(PoisonError::into_inner);
        let meters = meters.entry(hub).or_insert_with(|| Meters::new(profile));
        if meters.profile != profile {
            *meters = Meters::new(profile);
        }
        Some(work(meters))
    }

    /// The hub's profile.
    pub(crate) fn profile(&self, hub: HubNo) -> QuotaProfile {
        self.hubs.profile(hub)
    }

    /// Takes one operation of a caller. The installation's own commands are not metered.
    ///
    /// # Errors
    /// `Throttled` (429001) when the hub's profile does not allow it now.
    pub(crate) fn take(
        &self,
        ctx: &OpContext,
        hub: HubNo,
        throttle: Throttle,
    ) -> Result<(), Error> {
        match ctx.caller {
            Caller::Policy { .. } | Caller::Identity { .. } => {
                self.take_of_device(hub, throttle, ctx.now)
            }
            Caller::Admin | Caller::System => Ok(()),
        }
    }

    /// Takes one operation of a session.
    ///
    /// # Errors
    /// As [`Self::take`].
    pub(crate) fn take_of_device(
        &self,
        hub: HubNo,
        throttle: Throttle,
        now: Timestamp,
    ) -> Result<(), Error> {
        self.with(hub, |meters| meters.take(throttle, 1, now))
            .unwrap_or(Ok(()))
    }

    /// Takes a method call with a payload of so many bytes.
    ///
    /// # Errors
    /// As [`Self::take`].
    pub(crate) fn take_method(
        &self,
        ctx: &OpContext,
        hub: HubNo,
        payload: usize,
    ) -> Result<(), Error> {
        if matches!(ctx.caller, Caller::Admin | Caller::System) {
            return Ok(());
        }
        let steps = (payload as u64).div_ceil(METHOD_METER_BYTES).max(1);
        self.with(hub, |meters| {
            meters.take(Throttle::MethodBytes, steps * METHOD_METER_BYTES, ctx.now)
        })
        .unwrap_or(Ok(()))
    }

    /// Takes a cloud-to-device message and counts it against the day.
    ///
    /// # Errors
    /// As [`Self::take`]; `QuotaExceeded` (403002) when the day's messages are used up.
    pub(crate) fn take_message(
        &self,
        ctx: &OpContext,
        hub: HubNo,
        bytes: usize,
    ) -> Result<(), Error> {
        self.take(ctx, hub, Throttle::CloudToDeviceSends)?;
        self.count_messages(hub, 1, bytes as u64, ctx.now)
    }

    /// Counts messages against the day.
    ///
    /// # Errors
    /// `QuotaExceeded` (403002) when the day's messages are used up.
    pub(crate) fn count_messages(
        &self,
        hub: HubNo,
        messages: u64,
        bytes: u64,
        now: Timestamp,
    ) -> Result<(), Error> {
        self.with(hub, |meters| meters.count(messages, bytes, now))
            .unwrap_or(Ok(()))
    }

    /// Takes telemetry that was read already; who sends too much is slowed by [`Self::telemetry_delay`].
    ///
    /// # Errors
    /// `QuotaExceeded` (403002) when the day's messages are used up.
    pub(crate) fn charge_telemetry(
        &self,
        hub: HubNo,
        messages: u64,
        bytes: u64,
        now: Timestamp,
    ) -> Result<(), Error> {
        self.with(hub, |meters| {
            meters.count(messages, bytes, now)?;
            if let Some(per_minute) = meters.profile.per_minute(Throttle::DeviceToCloudSends) {
                meters.throttles[Throttle::DeviceToCloudSends.index()].charge(
                    messages,
                    Rate::per_minute(per_minute),
                    now,
                );
            }
            Ok(())
        })
        .unwrap_or(Ok(()))
    }

    /// True when no more telemetry of the hub's devices should be read for now.
    pub(crate) fn holds_telemetry(&self, hub: HubNo) -> bool {
        self.telemetry_delay(hub) > Duration::ZERO
    }

    /// How long no more telemetry of the hub's devices should be read ("traffic shaping").
    pub(crate) fn telemetry_delay(&self, hub: HubNo) -> Duration {
        self.with(hub, |meters| {
            let throttle = Throttle::DeviceToCloudSends;
            let per_minute = meters.profile.per_minute(throttle)?;
            let meter = meters.throttles[throttle.index()];
            Some(meter.delay(Rate::per_minute(per_minute), self.hubs.now()))
        })
        .flatten()
        .unwrap_or_default()
    }
}

fn throttled(throttle: Throttle, wait: Duration) -> Error {
    Error::new(
        ErrorKind::Throttled,
        format!(
            "too many {}, try again in {} s",
            throttle.as_str(),
            wait.as_secs() + 1
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_seconds(1_700_000_000);

    fn seconds(seconds: u64) -> Timestamp {
        NOW.plus(Duration::from_secs(seconds))
    }

    #[test]
    fn a_minutes_worth_comes_at_once_and_then_the_rate_holds() {
        let mut meters = Meters::new(QuotaProfile::S1);
        for _ in 0..100 {
            meters.take(Throttle::RegistryOperations, 1, NOW).unwrap();
        }
        let refused = meters
            .take(Throttle::RegistryOperations, 1, NOW)
            .unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Throttled);
        assert_eq!(refused.code(), ErrorCode::ThrottlingException);
        // 100 a minute is 5 in three seconds.
        for _ in 0..5 {
            meters
                .take(Throttle::RegistryOperations, 1, seconds(3))
                .unwrap();
        }
        assert!(
            meters
                .take(Throttle::RegistryOperations, 1, seconds(3))
                .is_err()
        );
        meters.take(Throttle::TwinReads, 1, NOW).unwrap();
    }

    #[test]
    fn a_day_has_so_many_messages_counted_in_pieces() {
        let mut meters = Meters::new(QuotaProfile::F1);
        meters.count(1, 4_000 * 512, NOW).unwrap();
        meters.count(4_000, 1, NOW).unwrap();
        let refused = meters.count(1, 1, NOW).unwrap_err();
        assert_eq!(refused.code(), ErrorCode::IotHubQuotaExceeded);
        meters.count(1, 1, seconds(24 * 3600)).unwrap();
    }
}
