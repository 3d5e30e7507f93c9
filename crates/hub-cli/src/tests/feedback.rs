//! `feedback`.

use serde_json::json;

use super::script::Exchange;
use super::{Outcome, run};

const BATCHES: &str = "POST /api/v1/hubs/hub/queues/feedback/batches";

fn batch() -> Exchange {
    let record = json!({
        "kind": "feedback", "messageId": "one", "status": "Success", "time": "2026-01-31T12:00:00Z",
        "deviceId": "d1", "moduleId": "m1", "generationId": "g",
    });
    Exchange::json(
        200,
        &json!({
            "lockToken": "00000000-0000-0000-0000-000000000001",
            "lockedUntil": "2026-01-31T12:01:00Z",
            "records": [record],
        }),
    )
}

fn nothing() -> Exchange {
    Exchange::json(200, &json!({ "records": [] }))
}

#[tokio::test]
async fn feedback_is_shown_and_then_completed() {
    let line = ["feedback", "watch", "--no-follow"];
    let done = Exchange::json(200, &json!({}));
    let (outcome, asked) = run(&line, vec![batch(), done, nothing()]).await;
    let printed = outcome.printed();
    assert!(printed.contains("d1/m1 Success one"), "{printed}");
    assert!(asked[0].starts_with(BATCHES), "{asked:?}");
    assert!(
        asked[1].starts_with("DELETE /api/v1/hubs/hub/queues/feedback/batches/00000000%2D0000")
            || asked[1]
                .starts_with("DELETE /api/v1/hubs/hub/queues/feedback/batches/00000000-0000"),
        "{asked:?}"
    );
    assert!(asked[2].starts_with(BATCHES), "{asked:?}");
}

#[tokio::test]
async fn a_batch_that_cannot_be_completed_is_said() {
    let line = ["feedback", "watch", "--max", "1", "-o", "json"];
    let lost = Exchange::json(
        412,
        &json!({ "code": "DeviceMessageLockLost", "number": 412_002, "message": "the lock was lost", "requestId": "r" }),
    );
    let (outcome, _) = run(&line, vec![batch(), lost]).await;
    assert!(
        matches!(&outcome, Outcome::Failed(1, text) if text.contains("\"messageId\":\"one\"")),
        "{outcome:?}"
    );
}
