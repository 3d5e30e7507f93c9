//! Feedback over REST: read, settled, lost.

use hub_domain::message::FeedbackAck;
use hub_domain::{IdentityId, Permissions};
use hub_engine::{Caller, OpContext};
use serde_json::Value;

use crate::testing::{Answer, Installation};

const FEEDBACK: &str = "/messages/serviceBound/feedback";

/// A hub with feedback on one purged message.
async fn with_feedback() -> Installation {
    let hub = Installation::new().await;
    let put = hub.request("PUT", "/devices/d1");
    let put = put.header("authorization", hub.token("iothubowner"));
    assert_eq!(hub.send(put, r#"{"deviceId":"d1"}"#).await.status, 200);
    let id = IdentityId::parse("d1").unwrap();
    let ctx = OpContext {
        caller: Caller::Policy {
            hub: hub.hub.no,
            name: "test".to_owned(),
            permissions: Permissions::of(&hub_domain::Permission::ALL),
        },
        request_id: "test".to_owned(),
        now: hub.engine.environment().now(),
    };
    let draft = hub_domain::message::CloudToDeviceDraft {
        ack: FeedbackAck::Full,
        message_id: Some("m-1".to_owned()),
        ..hub_domain::message::CloudToDeviceDraft::new(&id, bytes::Bytes::new(), ctx.now)
    };
    let message = hub_domain::message::CloudToDeviceMessage::parse(draft).unwrap();
    let messages = &hub.engine.messages;
    messages.send(&ctx, hub.hub.no, &id, message).await.unwrap();
    messages.purge(&ctx, hub.hub.no, &id).await.unwrap();
    hub
}

async fn ask(hub: &Installation, method: &str, path: &str) -> Answer {
    let request = hub.request(method, path);
    let request = request.header("authorization", hub.token("service"));
    hub.send(request, "").await
}

fn token(answer: &Answer) -> String {
    answer.header("etag").trim_matches('"').to_owned()
}

#[tokio::test]
async fn feedback_is_read_under_a_lock_and_completed() {
    let hub = with_feedback().await;
    let read = ask(&hub, "GET", FEEDBACK).await;
    assert_eq!(read.status, 200);
    assert_eq!(
        read.header("content-type"),
        "application/vnd.microsoft.iothub.feedback.json"
    );
    assert_eq!(read.header("iothub-userid"), "hub");
    assert!(!read.header("iothub-enqueuedtime").is_empty());
    let body: Value = read.json();
    assert_eq!(body[0]["originalMessageId"], "m-1");
    assert_eq!(body[0]["statusCode"], "Purged");
    assert_eq!(body[0]["deviceId"], "d1");
    assert_eq!(ask(&hub, "GET", FEEDBACK).await.status, 204);
    let path = format!("{FEEDBACK}/{}", token(&read));
    assert_eq!(ask(&hub, "DELETE", &path).await.status, 204);
    assert_eq!(
        ask(&hub, "DELETE", &path).await.refused(),
        "412 DeviceMessageLockLost"
    );
    assert_eq!(ask(&hub, "GET", FEEDBACK).await.status, 204);
}

#[tokio::test]
async fn feedback_is_abandoned_and_dropped() {
    let hub = with_feedback().await;
    let read = ask(&hub, "GET", "/messages/servicebound/Feedback/").await;
    let path = format!("{FEEDBACK}/{}/abandon", token(&read));
    assert_eq!(ask(&hub, "POST", &path).await.status, 204);
    let again = ask(&hub, "GET", FEEDBACK).await;
    assert_eq!(again.header("iothub-deliverycount"), "1");
    let path = format!("{FEEDBACK}/{}?api-version=2021-04-12&reject", token(&again));
    assert_eq!(ask(&hub, "DELETE", &path).await.status, 204);
    assert_eq!(ask(&hub, "GET", FEEDBACK).await.status, 204);
}

#[tokio::test]
async fn queues_are_apart_and_odd_tokens_are_refused() {
    let hub = with_feedback().await;
    let files = "/messages/serviceBound/filenotifications";
    assert_eq!(ask(&hub, "GET", files).await.status, 204);
    let read = ask(&hub, "GET", FEEDBACK).await;
    let path = format!("{files}/{}", token(&read));
    assert_eq!(
        ask(&hub, "DELETE", &path).await.refused(),
        "412 DeviceMessageLockLost"
    );
    let path = format!("{FEEDBACK}/no-token");
    assert_eq!(
        ask(&hub, "DELETE", &path).await.refused(),
        "400 ArgumentInvalid"
    );
}
