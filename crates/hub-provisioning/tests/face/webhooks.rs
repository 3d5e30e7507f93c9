//! The custom policy against a webhook on this machine.

use std::sync::{Arc, Mutex};

use hub_domain::Status;
use hub_domain::provisioning::{AllocationPolicy, AllocationWebhook, Terms, WebhookUrl};
use hub_engine::IfMatch;
use hub_provisioning::RegisterRequest;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use crate::support::{World, key, line, registration};

/// A webhook that says what it is told to, and keeps what it was asked.
pub(crate) struct Webhook {
    pub(crate) asked: Arc<Mutex<Vec<Value>>>,
    pub(crate) arrived: Arc<Notify>,
    /// Answers go out when this is released.
    pub(crate) gate: Arc<tokio::sync::Semaphore>,
    answer: Arc<Mutex<String>>,
    address: String,
    task: JoinHandle<()>,
}

impl Webhook {
    pub(crate) async fn new(status: u16, body: &str) -> Self {
        let gate = tokio::sync::Semaphore::MAX_PERMITS;
        Self::with_gate(status, body, gate).await
    }

    /// A webhook that answers as often as it has permits.
    pub(crate) async fn with_gate(status: u16, body: &str, permits: usize) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let arrived = Arc::new(Notify::new());
        let gate = Arc::new(tokio::sync::Semaphore::new(permits));
        let answer = Arc::new(Mutex::new(answer(status, body)));
        let says = Arc::clone(&answer);
        let (keep, tell, wait) = (Arc::clone(&asked), Arc::clone(&arrived), Arc::clone(&gate));
        let task = tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                let (keep, tell, wait) = (Arc::clone(&keep), Arc::clone(&tell), Arc::clone(&wait));
                let says = Arc::clone(&says);
                tokio::spawn(async move {
                    let question = read(&mut stream).await;
                    keep.lock().unwrap().push(question);
                    tell.notify_one();
                    wait.acquire().await.unwrap().forget();
                    let answer = says.lock().unwrap().clone();
                    let _ = stream.write_all(answer.as_bytes()).await;
                });
            }
        });
        Self {
            asked,
            arrived,
            gate,
            answer,
            address,
            task,
        }
    }

    /// It says something else from now on.
    pub(crate) fn change(&self, status: u16, body: &str) {
        *self.answer.lock().unwrap() = answer(status, body);
    }

    /// How often it was asked.
    pub(crate) fn times(&self) -> usize {
        self.asked.lock().unwrap().len()
    }

    pub(crate) fn terms(&self) -> Terms {
        Terms {
            allocation: Some(AllocationPolicy::Custom),
            webhook: Some(AllocationWebhook {
                url: WebhookUrl::parse(&format!("http://{}/allocate?code=s3cret", self.address))
                    .unwrap(),
                api_version: "2021-10-01".to_owned(),
            }),
            ..Terms::default()
        }
    }
}

impl Drop for Webhook {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn answer(status: u16, body: &str) -> String {
    let length = body.len();
    format!("HTTP/1.1 {status} X\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}")
}

async fn read(stream: &mut tokio::net::TcpStream) -> Value {
    let mut text = Vec::new();
    loop {
        let mut part = [0; 4096];
        let count = stream.read(&mut part).await.unwrap();
        text.extend_from_slice(part.get(..count).unwrap());
        let whole = String::from_utf8_lossy(&text).into_owned();
        if let Some((_, body)) = whole.split_once("\r\n\r\n")
            && let Ok(body) = serde_json::from_str(body)
        {
            return body;
        }
        assert!(count > 0, "the question ends too early");
    }
}

#[tokio::test]
async fn the_webhook_names_hub_twin_and_payload() {
    let world = World::with(&["a.test", "b.test"]).await;
    let webhook = Webhook::new(
        200,
        r#"{"iotHubHostName":"b.test","initialTwin":{"tags":{"by":"webhook"},"properties":{"desired":{}}},"payload":{"hello":1}}"#,
    )
    .await;
    world.enroll("d", webhook.terms()).await;
    let request = RegisterRequest {
        payload: Some(json!({"model": "x"})),
        ..RegisterRequest::default()
    };
    let outcome = world.register_with("d", &key(1), request).await.unwrap();
    assert_eq!(line(&outcome), "assigned b.test d initialAssignment");
    assert_eq!(outcome["registrationState"]["payload"], json!({"hello": 1}));
    let twin = world.twin("b", "d").await.twin;
    assert_eq!(Value::Object(twin.back_end.tags), json!({"by": "webhook"}));
    let asked = webhook.asked.lock().unwrap().clone();
    let question = asked.first().unwrap();
    assert_eq!(question["linkedHubs"], json!(["a.test", "b.test"]));
    assert_eq!(question["deviceRuntimeContext"]["registrationId"], "d");
    assert_eq!(
        question["deviceRuntimeContext"]["payload"],
        json!({"model": "x"})
    );
    let enrollment = &question["individualEnrollment"];
    assert_eq!(enrollment["registrationId"], "d");
    assert_eq!(enrollment["deviceId"], "d");
    assert_eq!(enrollment["attestation"]["type"], "symmetricKey");
    assert_eq!(enrollment["allocationPolicy"], "custom");
    assert_eq!(enrollment["provisioningStatus"], "enabled");
    assert_eq!(enrollment["reprovisionPolicy"]["migrateDeviceData"], true);
    assert!(enrollment["createdDateTimeUtc"].is_string());
    let address = enrollment["customAllocationDefinition"]["webhookUrl"].as_str();
    assert!(address.unwrap().ends_with("?****"), "its own key is hidden");
    assert!(
        !question.to_string().contains(&key(1).to_base64()),
        "no keys"
    );
}

#[tokio::test]
async fn a_webhook_that_fails_or_lies_fails_the_registration() {
    for (status, body, expected) in [
        (
            400,
            "",
            "failed 400207 Custom allocation failed with status code: 400",
        ),
        (
            200,
            r#"{"iotHubHostName":"nowhere.test"}"#,
            "failed 400207 the webhook of the custom allocation named the hub nowhere.test, which it was not given",
        ),
        (
            200,
            "hello",
            "failed 400207 the webhook of the custom allocation answered with something that is no JSON object",
        ),
    ] {
        let world = World::with(&["a.test"]).await;
        let webhook = Webhook::new(status, body).await;
        world.enroll("d", webhook.terms()).await;
        let outcome = world.register("d", &key(1)).await.unwrap();
        assert_eq!(line(&outcome), expected);
        assert!(world.identity("a", "d").await.is_none());
    }
}

#[tokio::test]
async fn a_webhook_that_nobody_serves_fails_the_registration() {
    let world = World::with(&["a.test"]).await;
    let webhook = Webhook::new(200, "{}").await;
    let terms = webhook.terms();
    webhook.task.abort();
    drop(webhook);
    world.enroll("d", terms).await;
    let outcome = world.register("d", &key(1)).await.unwrap();
    assert!(
        line(&outcome).starts_with("failed 400207 "),
        "{}",
        line(&outcome)
    );
}

#[tokio::test]
async fn an_enrollment_that_is_disabled_or_deleted_meanwhile_ends_the_registration() {
    for delete in [false, true] {
        let world = World::with(&["a.test"]).await;
        let webhook = Webhook::with_gate(200, r#"{"iotHubHostName":"a.test"}"#, 0).await;
        world.enroll("d", webhook.terms()).await;
        let begun = world
            .begin("d", &key(1), RegisterRequest::default())
            .await
            .unwrap();
        webhook.arrived.notified().await;
        if delete {
            world
                .service
                .enrollments
                .delete(&world.admin(), &registration("d"), IfMatch::Absent)
                .await
                .unwrap();
        } else {
            world
                .change_terms("d", |terms| terms.status = Status::Disabled)
                .await;
        }
        webhook.gate.add_permits(10);
        let outcome = world.outcome("d", &key(1), begun.operation()).await;
        if delete {
            assert!(outcome.unwrap_err().starts_with("401002"));
        } else {
            assert_eq!(outcome.unwrap()["status"], "disabled");
        }
        assert!(world.identity("a", "d").await.is_none());
    }
}
