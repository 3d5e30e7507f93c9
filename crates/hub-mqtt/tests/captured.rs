//! What real clients send, recorded byte by byte behind TLS: connect, subscribe, telemetry, twin, method and goodbye.
//!
//! The recordings were made with azure-iot-device 2.14.0 (Python 3.11) and azure-iot-device 1.18.4 (Node 20) against a
//! server that answers every request; the key was made up and the token in them has expired.

#![expect(clippy::unwrap_used, reason = "a test fails by panic, its helpers too")]

#[path = "support/describe.rs"]
mod describe;

use describe::{LENGTH_MAX, describe_all};
use hub_mqtt::{Role, ServerSession, Window, decode};

const PYTHON: &[u8] = include_bytes!("captures/azure-iot-device-python-2.14.0.bin");
const NODE: &[u8] = include_bytes!("captures/azure-iot-device-node-1.18.4.bin");

#[test]
fn a_python_device_is_understood() {
    let lines = describe_all(PYTHON, Role::Server);
    assert_eq!(lines, PYTHON_LINES);
}

#[test]
fn a_node_device_is_understood() {
    let lines = describe_all(NODE, Role::Server);
    assert_eq!(lines, NODE_LINES);
}

#[test]
fn a_server_session_accepts_both_recordings() {
    for mut input in [PYTHON, NODE] {
        let mut session: ServerSession<()> = ServerSession::new(Window::default());
        while let Some((packet, size)) = decode(input, LENGTH_MAX, Role::Server).unwrap() {
            session.receive(packet).unwrap();
            input = &input[size..];
        }
        assert_eq!(session.phase(), hub_mqtt::Phase::Closed);
    }
}

const PYTHON_LINES: [&str; 11] = [
    r#"CONNECT "d1" clean=false keep-alive=60 user=hub.test/d1/?api-version=2019-10-01&DeviceClientType=azure-iot-device-iothub-py%2F2.14.0%283.11.7%3BLinux%20%231%20SMP%20PREEMPT_DYNAMIC%20%400%3Bx86_64%29 password=SharedAccessSignature sr=hub.test%2Fdevices%2Fd1&sig=arU%2FpEEWLHtRJdANWycqX7bVJyg0tdRMvngI2%2BwZEyo%3D&se=1795389312"#,
    r#"SUBSCRIBE 1 $iothub/methods/POST/# qos1"#,
    r#"SUBSCRIBE 2 devices/d1/messages/devicebound/# qos1"#,
    r#"PUBLISH $iothub/methods/res/200/?$rid=1 qos1 id=3 duplicate=false retain=false {\"ok\": true}"#,
    r#"PUBACK 7"#,
    r#"PUBLISH devices/d1/messages/events/%24.mid=m-1&%24.ct=application%2Fjson&%24.ce=utf-8&room=k%C3%BCche%20%26%20co qos1 id=4 duplicate=false retain=false {\"t\": 21.5}"#,
    r#"SUBSCRIBE 5 $iothub/twin/res/# qos1"#,
    r#"PUBLISH $iothub/twin/GET/?$rid=7f2f5457-6bfa-4373-90dc-1969811df0d4 qos1 id=6 duplicate=false retain=false  "#,
    r#"PUBLISH $iothub/twin/PATCH/properties/reported/?$rid=beec263b-a747-4958-99f1-5254f309d40b qos1 id=7 duplicate=false retain=false {\"fw\": \"1.2\"}"#,
    r#"SUBSCRIBE 8 $iothub/twin/PATCH/properties/desired/# qos1"#,
    r#"DISCONNECT"#,
];

const NODE_LINES: [&str; 11] = [
    r#"CONNECT "d1" clean=false keep-alive=180 user=hub.test/d1/?api-version=2021-04-12&DeviceClientType=azure-iot-device%2F1.18.4%20(node%20v20.20.2%3B%20Debian%2012%3B%20x64) password=SharedAccessSignature sr=hub.test%2Fdevices%2Fd1&sig=0teAyOsXA0EH7E5ftOOU1EXRrz2moQSzeAlTHjk%2BwSo%3D&se=1795389315"#,
    r#"SUBSCRIBE 35614 $iothub/methods/POST/# qos0"#,
    r#"SUBSCRIBE 35615 devices/d1/messages/devicebound/# qos1"#,
    r#"PUBLISH devices/d1/messages/events/%24.mid=m-1&%24.ct=application%2Fjson&%24.ce=utf-8&room=k%C3%BCche%20%26%20co qos1 id=35616 duplicate=false retain=false {\"t\": 21.5}"#,
    r#"PUBLISH $iothub/methods/res/200/?$rid=1 qos0 retain=false {\"ok\":true}"#,
    r#"PUBACK 7"#,
    r#"SUBSCRIBE 35617 $iothub/twin/res/# qos0"#,
    r#"PUBLISH $iothub/twin/GET/?$rid=e835401c-bc32-4919-b15c-3d30da95d1e2 qos0 retain=false  "#,
    r#"SUBSCRIBE 35618 $iothub/twin/PATCH/properties/desired/# qos0"#,
    r#"PUBLISH $iothub/twin/PATCH/properties/reported/?$rid=ef64da37-81eb-4d83-b5fe-fa26c250f754 qos0 retain=false {\"fw\":\"1.2\"}"#,
    r#"DISCONNECT"#,
];
