//! What must hold for any body of a batch over HTTPS; shared by the fuzz target `http_batch` and the test that replays its
//! corpus.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hub_api::compat::EventInput;
use hub_domain::message::{PropertyBag, telemetry_size};

/// Reads the body, and panics when what was read does not hold together.
pub(crate) fn judge(input: &[u8]) {
    let Ok(messages) = EventInput::parse_batch(input) else {
        return;
    };
    for message in &messages {
        let bag = message.properties.encode();
        let decoded = PropertyBag::decode(bag.as_bytes()).expect("what we print can be read");
        // An empty name has no text in a bag.
        let is_named = message
            .properties
            .entries
            .iter()
            .all(|(name, value)| !name.is_empty() || value.is_some());
        if is_named {
            assert_eq!(decoded, message.properties, "{bag}");
        }
        // Either answer is one; it must not panic.
        let _size = telemetry_size(bag.as_bytes(), message.body.len());
    }
    let bodies = messages
        .iter()
        .map(|message| serde_json::json!({ "body": STANDARD.encode(&message.body) }));
    let text = serde_json::Value::from_iter(bodies).to_string();
    let again = EventInput::parse_batch(text.as_bytes()).expect("it is a batch");
    let all = |messages: &[EventInput]| -> Vec<Vec<u8>> {
        messages
            .iter()
            .map(|message| message.body.clone())
            .collect()
    };
    assert_eq!(all(&again), all(&messages));
}
