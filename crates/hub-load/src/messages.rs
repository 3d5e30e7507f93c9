//! What a simulated device sends: a pure function of device and sequence, so that it can be sent again as it was.

use crate::backoff::Dice;
use crate::topics;

/// The smallest body that holds all members.
pub(crate) const BODY_BYTES_MIN: usize = 100;

/// A telemetry message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Telemetry {
    pub(crate) topic: String,
    pub(crate) body: Vec<u8>,
}

/// The message `sequence` of a device, a JSON document of `size` bytes, but at least [`BODY_BYTES_MIN`].
pub(crate) fn telemetry(device: &str, sequence: u64, size: usize) -> Telemetry {
    let mut dice = Dice::new(seed_of(device).wrapping_add(sequence));
    #[expect(clippy::cast_precision_loss, reason = "a phase of a wave")]
    let phase = (sequence % 3_600) as f64 / 3_600.0 * std::f64::consts::TAU;
    let temperature = 22.0 + 8.0 * phase.sin() + dice.fraction();
    let humidity = 50.0 + 20.0 * phase.cos() + dice.fraction();
    let alert = if temperature > 29.5 { "true" } else { "false" };
    let properties = [
        ("$.ct", "application/json"),
        ("$.ce", "utf-8"),
        ("alert", alert),
    ];
    let mut body = format!(
        r#"{{"sequence":{sequence},"temperature":{temperature:.2},"humidity":{humidity:.2},"alert":{alert},"padding":""#
    )
    .into_bytes();
    let closing = br#""}"#;
    let padding = size
        .max(BODY_BYTES_MIN)
        .saturating_sub(body.len() + closing.len());
    body.extend(std::iter::repeat_n(b'x', padding));
    body.extend_from_slice(closing);
    Telemetry {
        topic: topics::telemetry(device, &properties),
        body,
    }
}

/// A number of the name (FNV-1a), for devices to differ from each other and agree with themselves.
pub(crate) fn seed_of(device: &str) -> u64 {
    device.bytes().fold(0xCBF2_9CE4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_is_json_of_the_wanted_size() {
        for size in [100, 256, 1_024, 100_000] {
            for sequence in [0, 7, 3_599, u64::from(u32::MAX)] {
                let message = telemetry("sim-000001", sequence, size);
                assert_eq!(message.body.len(), size);
                let value: serde_json::Value = serde_json::from_slice(&message.body).unwrap();
                assert_eq!(value["sequence"], sequence);
            }
        }
        assert_eq!(telemetry("d", 1, 0).body.len(), BODY_BYTES_MIN);
    }

    #[test]
    fn a_message_is_the_same_when_sent_again_and_another_on_another_device() {
        assert_eq!(telemetry("a", 5, 100), telemetry("a", 5, 100));
        assert_ne!(telemetry("a", 5, 100).body, telemetry("b", 5, 100).body);
        assert_ne!(telemetry("a", 5, 100).body, telemetry("a", 6, 100).body);
    }

    #[test]
    fn three_properties_go_with_it() {
        let topic = telemetry("a", 5, 100).topic;
        assert!(
            topic.starts_with(
                "devices/a/messages/events/%24.ct=application%2Fjson&%24.ce=utf-8&alert="
            ),
            "{topic}"
        );
    }
}
