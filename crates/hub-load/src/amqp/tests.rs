use hub_amqp::Body;

use super::reader::Access;
use super::*;

#[test]
fn a_token_is_put_as_the_sdks_do() {
    let request = put_token_request("hub.test/devices/d", "SharedAccessSignature sr=x");
    let sections = Sections::parse(&request).unwrap();
    let text = |name: &str| {
        let value = sections.application_properties.get(name).unwrap();
        value.as_str().unwrap().to_owned()
    };
    assert_eq!(text("operation"), "put-token");
    assert_eq!(text("type"), "servicebus.windows.net:sastoken");
    assert_eq!(text("name"), "hub.test/devices/d");
    let token = Value::String("SharedAccessSignature sr=x");
    assert_eq!(sections.body, Body::Value(token));
    assert_eq!(sections.properties.unwrap().reply_to, Some("cbs-replies"));
}

#[test]
fn an_answer_without_a_status_is_refused() {
    let mut answer = Vec::new();
    MessageWriter::new(&mut answer).application_properties(|map| {
        map.string("status-code", Value::Int(401));
    });
    assert_eq!(status_of(&answer).unwrap(), 401);
    assert!(status_of(b"").is_err() && status_of(b"\xff").is_err());
}

#[test]
fn a_message_has_the_properties_and_the_body_of_mqtt() {
    let message = device::telemetry("d", 1_024);
    let sections = Sections::parse(&message).unwrap();
    let properties = sections.properties.unwrap();
    assert_eq!(properties.content_type, Some("application/json"));
    assert_eq!(properties.content_encoding, Some("utf-8"));
    assert_eq!(
        sections.application_properties.get("alert"),
        Some(Value::String("false"))
    );
    let body = sections.body.single_data().unwrap();
    assert_eq!(body, crate::messages::telemetry("d", 0, 1_024).body);
}

#[test]
fn a_connection_string_of_event_hubs_is_read() {
    let text =
        "Endpoint=sb://h/;SharedAccessKeyName=service;SharedAccessKey=a2V5PT0=;EntityPath=hub";
    let access = Access::parse(text).unwrap();
    assert_eq!((&*access.policy, &*access.key), ("service", "a2V5PT0="));
    assert_eq!(access.entity, "hub");
    assert!(Access::parse("Endpoint=sb://h/").is_err());
}
