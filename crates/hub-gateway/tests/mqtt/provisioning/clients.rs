//! Devices that register with clients that are not run against the hub: C, C# and Java.
//!
//! `prov_transport_mqtt_common.c`, `ProvisioningChannelHandlerAdapter.cs`, `ContractAPIMqtt.java`.

use serde_json::Value;

use super::{REGISTER, REPLIES, operation, poll};
use crate::support::{Hub, Login, publish, subscribe};

/// What a client says in its user name, with which quality it asks, and what it sends to register and to poll.
struct Kind {
    name: &'static str,
    versions: &'static str,
    /// Of the first packet; none with QoS 0.
    packet: u16,
    register: &'static [u8],
    poll: &'static [u8],
}

const KINDS: [Kind; 4] = [
    Kind {
        name: "C",
        versions: "api-version=2021-06-01&ClientVersion=prov_device_client%2f1.14.0",
        packet: 0,
        register: br#"{"registrationId":"d1"}"#,
        poll: b"",
    },
    Kind {
        name: "C of 2018",
        versions: "api-version=2018-11-01&ClientVersion=123.123",
        packet: 0,
        register: b"",
        poll: b"",
    },
    Kind {
        name: "C#",
        versions: "api-version=2021-06-01&ClientVersion=.NET%2F1.19.4%20%28.NET%208.0.10%3B%20Linux%29",
        packet: 2,
        register: br#"{"registrationId":null,"tpm":null,"payload":{"a":1}}"#,
        poll: b"",
    },
    Kind {
        name: "Java",
        versions: "api-version=2019-03-31&ClientVersion=2019-03-31",
        packet: 0,
        register: br#"{"registrationId":"d1","payload":{"a":1}}"#,
        poll: b"",
    },
];

#[tokio::test]
async fn requests_of_clients_that_number_them_are_answered_by_their_numbers() {
    for kind in KINDS {
        let hub = Hub::new().await;
        hub.enrolled("d1").await;
        let login = Login {
            user_name: Some(format!(
                "{}/registrations/d1/{}",
                hub.scope(),
                kind.versions
            )),
            ..hub.login("d1")
        };
        let mut client = hub.open(login).await;
        client.ask(subscribe(1, &[REPLIES]), "suback 1 [1]").await;
        let request = publish(kind.packet, &format!("{REGISTER}2"), kind.register);
        client.send(&request).await;
        if kind.packet != 0 {
            // C# takes anything but the acknowledgement for a breach of the protocol.
            client.check("puback 2").await;
        }
        let (topic, document) = client.message().await;
        let begun = "$dps/registrations/res/202/?$rid=2&retry-after=";
        assert!(topic.starts_with(begun), "{}: {topic}", kind.name);
        let (id, status) = operation(&document);
        assert_eq!(status, "assigning", "{}", kind.name);
        let packet = if kind.packet == 0 { 0 } else { 3 };
        client
            .send(&publish(packet, &poll("3", &id), kind.poll))
            .await;
        if packet != 0 {
            client.check("puback 3").await;
        }
        let (topic, document) = client.message().await;
        assert_eq!(topic, "$dps/registrations/res/200/?$rid=3", "{}", kind.name);
        let done: Value = serde_json::from_str(&document).unwrap();
        let state = &done["registrationState"];
        assert_eq!(done["status"], "assigned", "{}", kind.name);
        assert_eq!(state["assignedHub"], "hub.test", "{}", kind.name);
    }
}
