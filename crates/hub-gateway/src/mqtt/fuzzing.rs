//! What must hold for any text that a device writes as a user name, a topic or a filter, and for any request that it sends
//! for a certificate.

use hub_domain::{DeviceId, IdentityId};
use hub_mqtt::{Delivery, Publish, encode};
use hub_provisioning::{RenewalRequest, Replace};

use super::topics::{Published, Topics, certificate_answer, twin_answer};

/// # Panics
/// When a law is broken.
pub(crate) fn judge(words: &[u8]) {
    judge_renewal(words);
    let Ok(text) = std::str::from_utf8(words) else {
        return;
    };
    super::provisioning::fuzzing::judge(text);
    for id in ["d1", "d1/m1"] {
        let id = IdentityId::parse(id).expect("an id");
        let topics = Topics::new(&id);
        judge_topic(&topics, id.module.is_some(), text);
        if topics.subscription(text).is_some() {
            assert!(text.ends_with("/#"), "all filters end so");
        }
    }
}

fn judge_topic(topics: &Topics, is_module: bool, topic: &str) {
    let answer = match topics.parse(topic) {
        Ok(Published::TwinGet { request_id }) => twin_answer(200, request_id, None),
        Ok(Published::TwinPatch {
            request_id,
            version,
        }) => twin_answer(204, request_id, version),
        Ok(Published::IssueCertificate { request_id }) => {
            assert!(!is_module, "modules get no certificates");
            certificate_answer(202, request_id)
        }
        Ok(Published::Telemetry { bag }) => {
            assert!(bag.len() < topic.len(), "a bag stands in its topic");
            return;
        }
        Ok(Published::MethodAnswer { .. }) | Err(_) => return,
    };
    check_sendable(&answer, topic);
}

/// A topic of an answer can be sent, unless the device wrote what no topic may have.
pub(super) fn check_sendable(answer: &str, asked: &str) {
    let publish = Publish {
        topic: answer,
        payload: b"{}",
        delivery: Delivery::AtMostOnce,
        retain: false,
    };
    let mut out = Vec::new();
    let is_sent = encode::publish(&publish, &mut out).is_ok();
    assert_eq!(is_sent, !out.is_empty(), "what fails leaves nothing");
    assert!(is_sent || asked.contains(['+', '#', '\0']), "{answer:?}");
}

fn judge_renewal(body: &[u8]) {
    let device = DeviceId::parse("d1").expect("an id");
    let Ok(request) = RenewalRequest::parse(&device, body) else {
        return;
    };
    assert!(!request.signing_request.is_empty());
    assert!(request.signing_request.len() < body.len());
    if let Some(Replace::Exactly(id)) = request.replace {
        assert!((4..=36).contains(&id.len()));
    }
}
