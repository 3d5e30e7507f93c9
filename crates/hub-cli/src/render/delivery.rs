//! A message that was received in a device's place.

use hub_api::native::{Delivery, MessageBody};

use super::{moment, pairs};

/// What `c2d receive` got; nothing at all when nothing waits.
pub(crate) fn delivery(delivery: &Delivery) -> String {
    let Some(message) = &delivery.message else {
        return "no message waits".to_owned();
    };
    let optional = |text: &Option<String>| text.clone();
    let mut shown = vec![
        ("lock token", optional(&delivery.lock_token)),
        ("locked until", Some(moment(delivery.locked_until))),
        ("number", Some(message.number.to_string())),
        ("queued", Some(moment(Some(message.enqueued_time)))),
        (
            "expires",
            message.expiry_time_utc.map(|time| moment(Some(time))),
        ),
        ("delivered before", Some(message.delivery_count.to_string())),
        ("message id", optional(&message.message_id)),
        ("correlation id", optional(&message.correlation_id)),
        ("user id", optional(&message.user_id)),
        ("content type", optional(&message.content_type)),
        ("content encoding", optional(&message.content_encoding)),
    ];
    let properties = message.properties.iter();
    let properties: Vec<String> = properties
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    shown.push((
        "properties",
        (!properties.is_empty()).then(|| properties.join("; ")),
    ));
    shown.push(("body", Some(body(&message.body))));
    pairs(
        shown
            .into_iter()
            .filter_map(|(name, value)| Some((name, value?))),
    )
}

fn body(body: &MessageBody) -> String {
    match body {
        MessageBody::Text(text) => text.clone(),
        MessageBody::Base64(text) => format!("{text} (base64)"),
        MessageBody::Json(json) => json.to_string(),
    }
}
