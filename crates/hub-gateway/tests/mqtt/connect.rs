//! CONNECT and its answers.

use hub_gateway::CloseCause;
use hub_mqtt::Refusal;

use crate::support::{BEGINNING, Hub, Login, pingreq, subscribe, token};

const REFUSED: &str = CloseCause::Refused.as_str();

fn connack(refusal: Refusal) -> String {
    format!("connack {}", refusal.code())
}

#[tokio::test]
async fn a_device_and_a_module_with_their_keys_are_accepted() {
    let hub = Hub::with_device().await;
    hub.given("d1/m1").await;
    let mut device = hub.connect("d1").await;
    let mut module = hub.connect("d1/m1").await;
    device.ping().await;
    module.ping().await;
    hub.check_ended("").await;
}

#[tokio::test]
async fn another_protocol_version_is_answered_1() {
    let hub = Hub::with_device().await;
    for (level, name) in [(3, "MQIsdp"), (5, "MQTT")] {
        let mut packet = vec![0x10, 0, 0, u8::try_from(name.len()).unwrap()];
        packet.extend_from_slice(name.as_bytes());
        packet.extend_from_slice(&[level, 2, 0, 60, 0, 0, 2, b'd', b'1']);
        packet[1] = u8::try_from(packet.len() - 2).unwrap();
        let mut client = hub.tls().await;
        client.send(&packet).await;
        client.check("connack 1\nclosed").await;
    }
    hub.check_ended(&format!("{REFUSED} 2")).await;
}

#[tokio::test]
async fn a_client_id_that_is_not_the_user_names_is_answered_2() {
    let hub = Hub::with_device().await;
    for client_id in ["d2", "d1/m1", "D1", ""] {
        let login = Login {
            client_id: client_id.to_owned(),
            clean_session: true,
            ..Login::of("d1")
        };
        assert_eq!(
            hub.refusal(login).await,
            connack(Refusal::Identifier),
            "{client_id:?}"
        );
    }
    hub.check_ended(&format!("{REFUSED} 4")).await;
}

#[tokio::test]
async fn an_empty_client_id_with_a_kept_session_is_answered_2() {
    let hub = Hub::with_device().await;
    // No encoder writes this packet.
    let mut client = hub.tls().await;
    client
        .send(&[0x10, 12, 0, 4, b'M', b'Q', b'T', b'T', 4, 0, 0, 60, 0, 0])
        .await;
    client.check("connack 2\nclosed").await;
    hub.check_ended(&format!("{REFUSED} 1")).await;
}

#[tokio::test]
async fn user_names_and_tokens_that_cannot_be_read_are_answered_4() {
    let hub = Hub::with_device().await;
    let good = Login::of("d1");
    for user_name in [None, Some(""), Some("hub.test"), Some("hub.test/a/b/c/")] {
        let login = Login {
            user_name: user_name.map(str::to_owned),
            password: user_name.and(good.password.clone()),
            ..good.clone()
        };
        assert_eq!(
            hub.refusal(login).await,
            connack(Refusal::BadUserNameOrPassword),
            "{user_name:?}"
        );
    }
    for password in ["", "secret", "SharedAccessSignature sr=x"] {
        let login = Login {
            password: Some(password.to_owned()),
            ..good.clone()
        };
        assert_eq!(
            hub.refusal(login).await,
            connack(Refusal::BadUserNameOrPassword),
            "{password:?}"
        );
    }
    hub.check_ended(&format!("{REFUSED} 7")).await;
}

#[tokio::test]
async fn who_may_not_connect_is_answered_5() {
    let hub = Hub::with_device().await;
    hub.given("d2").await;
    hub.given("d1/m1").await;
    let good = Login::of("d1");
    let no_token = Login {
        password: None,
        ..good.clone()
    };
    let of_another = Login {
        password: Login::of("d2").password,
        ..good.clone()
    };
    let expired = Login {
        password: Some(token(
            "d1",
            BEGINNING.minus(std::time::Duration::from_secs(301)),
        )),
        ..good.clone()
    };
    let forged = Login {
        password: good
            .password
            .as_ref()
            .map(|token| token.replace("se=", "se=1")),
        ..good.clone()
    };
    let unknown = Login::of("d9");
    for (what, login) in [
        ("no token", no_token),
        ("a token of another device", of_another),
        ("an expired token", expired),
        ("a forged token", forged),
        ("an unknown device", unknown),
    ] {
        assert_eq!(
            hub.refusal(login).await,
            connack(Refusal::NotAuthorized),
            "{what}"
        );
    }
    hub.disable("d1").await;
    for id in ["d1", "d1/m1"] {
        assert_eq!(
            hub.refusal(Login::of(id)).await,
            connack(Refusal::NotAuthorized),
            "{id} is disabled"
        );
    }
    hub.check_ended(&format!("{REFUSED} 7")).await;
}

#[tokio::test]
async fn a_will_that_is_not_the_devices_own_telemetry_is_answered_5() {
    let hub = Hub::with_device().await;
    let topics = [
        "devices/d2/messages/events/",
        "$iothub/twin/GET/?$rid=1",
        "somewhere",
        "devices/d1/messages/events/%zz",
    ];
    for topic in topics {
        let login = Login {
            will: Some((topic.to_owned(), "gone".to_owned(), false)),
            ..Login::of("d1")
        };
        assert_eq!(
            hub.refusal(login).await,
            connack(Refusal::NotAuthorized),
            "{topic}"
        );
    }
    hub.check_ended(&format!("{REFUSED} 4")).await;
    assert_eq!(hub.telemetry().await, "");
}

#[tokio::test]
async fn a_token_within_the_clock_skew_is_accepted() {
    let hub = Hub::with_device().await;
    let login = Login {
        password: Some(token(
            "d1",
            BEGINNING.minus(std::time::Duration::from_secs(200)),
        )),
        ..Login::of("d1")
    };
    hub.open(login).await.ping().await;
}

#[tokio::test]
async fn packets_that_come_together_with_connect_are_taken() {
    let hub = Hub::with_device().await;
    let mut client = hub.tls().await;
    let mut bytes = Login::of("d1").packet();
    bytes.extend(subscribe(1, &["$iothub/twin/res/#"]));
    bytes.extend(pingreq());
    // The cut is in the middle of the last packet.
    let (first, second) = bytes.split_at(bytes.len() - 1);
    client.send(first).await;
    client.check("connack 0\nsuback 1 [1]").await;
    client.send(second).await;
    client.check("pingresp").await;
}

#[tokio::test]
async fn connect_may_come_byte_by_byte() {
    let hub = Hub::with_device().await;
    let mut client = hub.tls().await;
    for byte in Login::of("d1").packet() {
        client.send(&[byte]).await;
    }
    client.check("connack 0").await;
    client.ping().await;
}
