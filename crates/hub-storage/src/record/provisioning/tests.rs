use hub_domain::provisioning::{Progress, Registration};
use serde_json::Value;

use super::*;
use crate::conformance::generator::Generator;
use crate::conformance::text::{
    describe_enrollment, describe_group, describe_registration, describe_service,
};
use crate::conformance::values::Values;

const ROUNDS: usize = 2_000;

/// Checks that values come back with every field, and that their records do not change on the way.
fn check<T>(
    seed: u64,
    mut make: impl FnMut(&mut Values<'_>) -> T,
    encode: impl Fn(&T) -> Vec<u8>,
    decode: impl Fn(&[u8]) -> Result<T, StoreError>,
    describe: impl Fn(&T) -> String,
) {
    let mut generator = Generator::new(seed);
    for _ in 0..ROUNDS {
        let value = make(&mut Values(&mut generator));
        let record = encode(&value);
        let back = decode(&record).expect("what was written can be read");
        assert_eq!(describe(&back), describe(&value));
        assert_eq!(encode(&back), record);
    }
}

#[test]
fn enrollments_come_back_with_every_field() {
    check(
        1,
        |values| values.enrollment(),
        encode_enrollment,
        decode_enrollment,
        describe_enrollment,
    );
}

#[test]
fn groups_come_back_with_every_field() {
    check(
        2,
        |values| values.group(),
        encode_enrollment_group,
        decode_enrollment_group,
        describe_group,
    );
}

#[test]
fn registrations_come_back_with_every_field() {
    check(
        3,
        |values| values.registration(),
        encode_registration,
        decode_registration,
        describe_registration,
    );
}

#[test]
fn services_come_back_with_every_field() {
    check(
        4,
        |values| values.service(),
        encode_provisioning_service,
        decode_provisioning_service,
        describe_service,
    );
}

#[test]
fn refusals_come_back_with_every_field() {
    let describe = |refusal: &hub_domain::provisioning::Refusal| format!("{refusal:?}");
    check(
        5,
        |values| values.refusal(),
        encode_refusal,
        decode_refusal,
        describe,
    );
}

#[test]
fn a_broken_record_is_refused_without_its_words() {
    let mut generator = Generator::new(6);
    let mut refused = 0;
    for _ in 0..ROUNDS {
        let registration = Values(&mut generator).registration();
        let mut record = encode_registration(&registration);
        let place = generator.index(record.len());
        record[place] = u8::try_from(generator.below(256)).expect("a byte");
        if let Err(error) = decode_registration(&record) {
            refused += 1;
            let text = error.to_string();
            assert!(
                text.starts_with("storage failed: a stored registration cannot be read"),
                "{text}"
            );
            assert!(text.len() < 100, "{text}");
        }
    }
    assert!(refused > ROUNDS / 4, "{refused}");
}

/// Replaces the only `from` of a record.
fn replaced(record: &[u8], from: &str, to: &str) -> Vec<u8> {
    let text = std::str::from_utf8(record).expect("a record is text");
    assert_eq!(text.matches(from).count(), 1, "{from}");
    text.replace(from, to).into_bytes()
}

#[test]
fn words_that_are_not_known_are_refused() {
    let mut generator = Generator::new(7);
    let mut values = Values(&mut generator);
    let mut enrollment = values.enrollment();
    enrollment.id = hub_domain::provisioning::RegistrationId::parse("x").expect("valid");
    enrollment.terms = hub_domain::provisioning::Terms::default();
    enrollment.attestation = hub_domain::provisioning::Attestation::Tpm {
        endorsement_key: Arc::from([1]),
        storage_root_key: None,
    };
    enrollment.terms.allocation = Some(hub_domain::provisioning::AllocationPolicy::GeoLatency);
    let record = encode_enrollment(&enrollment);
    for (from, to) in [
        ("\"geo_latency\"", "\"nearest\""),
        ("\"tpm\"", "\"hsm\""),
        ("\"enabled\"", "\"paused\""),
        ("\"id\":\"x\"", "\"id\":\"x/y\""),
        ("\"endorsement_key\":\"AQ==\"", "\"endorsement_key\":\"?\""),
    ] {
        assert!(
            decode_enrollment(&replaced(&record, from, to)).is_err(),
            "{to}"
        );
    }
    let registration = Registration {
        progress: Progress::Assigned,
        assignment: None,
        ..values.registration()
    };
    let record = encode_registration(&registration);
    let broken = replaced(
        &record,
        "\"progress\":\"assigned\"",
        "\"progress\":\"lost\"",
    );
    assert!(decode_registration(&broken).is_err());
}

#[test]
fn a_payload_as_deep_as_a_peer_can_send_comes_back() {
    // The parser of requests goes 127 levels deep.
    let text = format!("{}{}", "[".repeat(127), "]".repeat(127));
    let payload: Value = serde_json::from_str(&text).expect("the parser takes it");
    let registration = Registration {
        payload: Some(payload),
        ..Values(&mut Generator::new(8)).registration()
    };
    let back = decode_registration(&encode_registration(&registration)).expect("it can be read");
    assert!(back.payload == registration.payload);
}
