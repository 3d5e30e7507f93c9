use bytes::Bytes;

use super::*;
use crate::limits::CLOUD_TO_DEVICE_BYTES_MAX;
use crate::{ErrorCode, IdentityId, Timestamp};

fn draft() -> CloudToDeviceDraft {
    CloudToDeviceDraft::new(
        &IdentityId::parse("d1").unwrap(),
        Bytes::from_static(b"hello"),
        Timestamp::from_seconds(1),
    )
}

const TO_BYTES: usize = "/devices/d1/messages/devicebound".len();

#[test]
fn the_topic_of_a_bare_message_still_has_a_system_property() {
    let message = CloudToDeviceMessage::parse(draft()).unwrap();
    assert_eq!(
        message.mqtt_property_bag(),
        "%24.to=%2Fdevices%2Fd1%2Fmessages%2Fdevicebound"
    );
    let module = IdentityId::parse("d1/m1").unwrap();
    let draft = CloudToDeviceDraft::new(&module, Bytes::new(), Timestamp::NEVER);
    assert_eq!(draft.to, "/devices/d1/modules/m1/messages/devicebound");
}

#[test]
fn the_topic_spells_all_properties() {
    let message = CloudToDeviceMessage::parse(CloudToDeviceDraft {
        message_id: Some("m-1".to_owned()),
        correlation_id: Some("c 1".to_owned()),
        user_id: Some("u".to_owned()),
        content_type: Some("application/json".to_owned()),
        content_encoding: Some("utf-8".to_owned()),
        expiry: Some(Timestamp::from_seconds(1_769_860_800)),
        ack: FeedbackAck::Full,
        properties: vec![
            ("a b".to_owned(), Some("1".to_owned())),
            ("null".to_owned(), None),
            ("empty".to_owned(), Some(String::new())),
        ],
        ..draft()
    })
    .unwrap();
    assert_eq!(
        message.mqtt_property_bag().split('&').collect::<Vec<_>>(),
        [
            "%24.to=%2Fdevices%2Fd1%2Fmessages%2Fdevicebound",
            "%24.mid=m-1",
            "%24.cid=c%201",
            "%24.uid=u",
            "%24.ct=application%2Fjson",
            "%24.ce=utf-8",
            "%24.exp=2026-01-31T12%3A00%3A00.0000000Z",
            "iothub-ack=full",
            "a%20b=1",
            "null",
            "empty=",
        ]
    );
}

#[test]
fn a_message_has_at_most_64_kib() {
    let with_body = |bytes: usize| {
        let properties = vec![
            ("ab".to_owned(), Some("cde".to_owned())),
            ("f".to_owned(), None),
        ];
        CloudToDeviceMessage::parse(CloudToDeviceDraft {
            body: vec![0; bytes].into(),
            properties,
            ..draft()
        })
    };
    let room = CLOUD_TO_DEVICE_BYTES_MAX - TO_BYTES - 6;
    assert_eq!(with_body(room).unwrap().size(), 65_536);
    let error = with_body(room + 1).unwrap_err();
    assert_eq!(error, CloudToDeviceError::TooLarge { bytes: 65_537 });
    assert_eq!(error.code(), ErrorCode::MessageTooLarge);
}

#[test]
fn message_ids_have_128_of_the_documented_characters() {
    let with_id = |id: &str| {
        CloudToDeviceMessage::parse(CloudToDeviceDraft {
            message_id: Some(id.to_owned()),
            ..draft()
        })
        .map(|_| ())
    };
    for good in ["m", "A-z:0.+%_#*?!(),=@;$'", &"x".repeat(128)] {
        assert_eq!(with_id(good), Ok(()));
    }
    for bad in ["", &"x".repeat(129)] {
        assert_eq!(with_id(bad), Err(CloudToDeviceError::MessageIdLength));
    }
    for bad in ['ä', ' ', '/', '\n', '<', '€'] {
        assert_eq!(
            with_id(&format!("a{bad}")),
            Err(CloudToDeviceError::MessageIdCharacter(bad))
        );
    }
}

#[test]
fn a_message_ends_at_its_expiry() {
    let message = CloudToDeviceMessage::from_record(CloudToDeviceDraft {
        expiry: Some(Timestamp::from_seconds(10)),
        ..draft()
    });
    assert!(!message.is_expired(Timestamp::from_micros(9_999_999)));
    assert!(message.is_expired(Timestamp::from_seconds(10)));
    assert!(
        !CloudToDeviceMessage::from_record(draft()).is_expired(Timestamp::from_seconds(i64::MAX))
    );
}

#[test]
fn acks_read_their_wire_spelling() {
    assert_eq!(FeedbackAck::parse("Full"), Some(FeedbackAck::Full));
    assert_eq!(FeedbackAck::parse("all"), None);
    let wants = |ack: FeedbackAck| (ack.wants_positive(), ack.wants_negative());
    assert_eq!(
        [
            FeedbackAck::None,
            FeedbackAck::Positive,
            FeedbackAck::Negative,
            FeedbackAck::Full
        ]
        .map(wants),
        [(false, false), (true, false), (false, true), (true, true)]
    );
}
