use std::time::Duration;

use axum::body::Body;
use http::Request;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::PING_INTERVAL;
use crate::testing::{Answer, Installation, token_of};
use crate::{Client, HttpConfig, Subprotocol, Upgraded};

/// One connection to a hub, and the hand on its shutdown.
struct Connection {
    stream: DuplexStream,
    served: JoinHandle<Option<Upgraded<DuplexStream>>>,
    shutdown: oneshot::Sender<()>,
}

fn connect(hub: &Installation, buffer_bytes: usize, sni: Option<&str>) -> Connection {
    let (stream, far) = tokio::io::duplex(buffer_bytes);
    let (shutdown, stopped) = oneshot::channel::<()>();
    let service = hub.service.clone();
    let sni = sni.map(str::to_owned);
    let served = tokio::spawn(async move {
        let client = Client {
            address: "127.0.0.1:1".parse().unwrap(),
            server_name: sni,
            certificates: Vec::new(),
        };
        let stopped = async {
            // A dropped sender is no shutdown.
            if stopped.await.is_err() {
                std::future::pending().await
            }
        };
        service.serve(far, client, stopped).await
    });
    Connection {
        stream,
        served,
        shutdown,
    }
}

impl Connection {
    async fn write(&mut self, text: &str) {
        self.stream.write_all(text.as_bytes()).await.unwrap();
    }

    /// Everything until the hub closes.
    async fn rest(&mut self) -> String {
        let mut bytes = Vec::new();
        self.stream.read_to_end(&mut bytes).await.unwrap();
        String::from_utf8(bytes).unwrap()
    }

    /// What arrives until `end` has arrived.
    async fn until(&mut self, end: &str) -> String {
        let mut text = String::new();
        while !text.ends_with(end) {
            text.push(char::from(self.stream.read_u8().await.unwrap()));
        }
        text
    }
}

fn get(hub: &Installation, target: &str) -> String {
    let token = hub.token("iothubowner");
    format!("GET {target} HTTP/1.1\r\nHost: hub.test\r\nAuthorization: {token}\r\n\r\n")
}

const LIST: &str = "/devices?api-version=2021-04-12";

#[tokio::test(start_paused = true)]
async fn one_connection_serves_request_after_request() {
    let hub = Installation::new().await;
    let mut connection = connect(&hub, 65536, None);
    for _ in 0..3 {
        connection.write(&get(&hub, LIST)).await;
        let answer = connection.until("\r\n\r\n[]").await;
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
        assert!(
            answer.contains("x-ms-request-id: ") && answer.contains("date: "),
            "{answer}"
        );
        tokio::time::sleep(Duration::from_secs(100)).await;
    }
    let start = Instant::now();
    assert_eq!(connection.rest().await, "");
    assert_eq!(
        start.elapsed().as_secs(),
        20,
        "closed 120 s after the last answer"
    );
}

#[tokio::test(start_paused = true)]
async fn http_2_is_served_on_the_same_face() {
    let hub = Installation::new().await;
    let Connection {
        stream,
        served,
        shutdown,
    } = connect(&hub, 65536, None);
    let (mut sender, client) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
            .await
            .unwrap();
    let client = tokio::spawn(client);
    for _ in 0..2 {
        let request = Request::builder()
            .uri(format!("https://hub.test{LIST}"))
            .header("authorization", hub.token("registryRead"))
            .body(Body::empty())
            .unwrap();
        let answer = Answer::read(sender.send_request(request).await.unwrap().map(Body::new)).await;
        assert_eq!(answer.ok(), serde_json::json!([]));
    }
    shutdown.send(()).unwrap();
    served.await.unwrap();
    client.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn an_idle_http_2_connection_is_closed_although_it_answers_pings() {
    let hub = Installation::new().await;
    let Connection { stream, served, .. } = connect(&hub, 65536, None);
    let (_sender, client) = hyper::client::conn::http2::handshake::<_, _, Body>(
        TokioExecutor::new(),
        TokioIo::new(stream),
    )
    .await
    .unwrap();
    let start = Instant::now();
    let (closed, _) = tokio::join!(served, client);
    closed.unwrap();
    let limit = HttpConfig::default().first_request_timeout;
    assert!(
        (limit..limit + PING_INTERVAL).contains(&start.elapsed()),
        "{:?}",
        start.elapsed()
    );
}

#[tokio::test(start_paused = true)]
async fn a_silent_client_is_closed_whatever_part_of_a_head_it_sent() {
    let hub = Installation::new().await;
    for sent in ["", "P", "PRI * HTTP/2", "GET / HTTP/1.1\r\nHost: hu"] {
        let mut connection = connect(&hub, 65536, None);
        let start = Instant::now();
        connection.write(sent).await;
        connection.rest().await;
        connection.served.await.unwrap();
        let waited = start.elapsed().as_secs();
        assert!((30..=40).contains(&waited), "{sent:?} {waited}");
    }
}

#[tokio::test(start_paused = true)]
async fn bytes_that_are_no_http_are_answered_and_closed() {
    let hub = Installation::new().await;
    for sent in [
        "\x16\x03\x01\x02\x00\x01\x00\r\n\r\n",
        "HELLO\r\n\r\n",
        "GET / HTTP/9.9\r\n\r\n",
    ] {
        let mut connection = connect(&hub, 65536, None);
        connection.write(sent).await;
        let answer = connection.rest().await;
        assert!(
            answer.is_empty() || answer.starts_with("HTTP/1.1 400 "),
            "{answer}"
        );
        connection.served.await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_head_without_end_is_cut() {
    let hub = Installation::new().await;
    let mut connection = connect(&hub, 65536, None);
    connection
        .write("GET / HTTP/1.1\r\nHost: hub.test\r\nx: ")
        .await;
    let filler = [b'y'; 4096];
    let mut sent = 0;
    while connection.stream.write_all(&filler).await.is_ok() {
        sent += filler.len();
        assert!(sent < 4 * 1024 * 1024, "it swallowed {sent} bytes");
    }
    connection.served.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_client_that_reads_nothing_is_closed() {
    let hub = Installation::new().await;
    let mut connection = connect(&hub, 256, None);
    let start = Instant::now();
    connection
        .write("GET / HTTP/1.1\r\nHost: hub.test\r\n\r\n")
        .await;
    connection.served.await.unwrap();
    assert_eq!(start.elapsed(), HttpConfig::default().write_timeout);
}

#[tokio::test(start_paused = true)]
async fn a_stop_lets_the_request_in_progress_finish_and_takes_no_other() {
    let hub = Installation::new().await;
    hub.owner("PUT", "/devices/d1", "{}").await.ok();
    let mut connection = connect(&hub, 65536, None);
    let body = r#"{"methodName":"m","connectTimeoutInSeconds":5}"#;
    let head = get(&hub, "/twins/d1/methods?api-version=2021-04-12").replace("GET ", "POST ");
    let head = head.replace(
        "\r\n\r\n",
        &format!("\r\nContent-Length: {}\r\n\r\n", body.len()),
    );
    connection.write(&head).await;
    connection.write(body).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    connection.shutdown.send(()).unwrap();
    let start = Instant::now();
    let mut text = String::new();
    connection.stream.read_to_string(&mut text).await.unwrap();
    assert!(
        text.starts_with("HTTP/1.1 404 Not Found\r\n") && text.contains("DeviceNotOnline"),
        "{text}"
    );
    assert_eq!(start.elapsed().as_secs(), 4);
    connection.served.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_stop_waits_no_longer_than_it_may() {
    let hub = Installation::new().await;
    hub.owner("PUT", "/devices/d1", "{}").await.ok();
    let mut connection = connect(&hub, 65536, None);
    let body = r#"{"methodName":"m","connectTimeoutInSeconds":300}"#;
    let head = get(&hub, "/twins/d1/methods?api-version=2021-04-12").replace("GET ", "POST ");
    let head = head.replace(
        "\r\n\r\n",
        &format!("\r\nContent-Length: {}\r\n\r\n{body}", body.len()),
    );
    connection.write(&head).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    connection.shutdown.send(()).unwrap();
    let start = Instant::now();
    connection.served.await.unwrap();
    assert_eq!(start.elapsed(), HttpConfig::default().drain_timeout);
}

#[tokio::test(start_paused = true)]
async fn the_dialed_name_finds_the_hub_only_when_the_request_has_no_host() {
    let hub = Installation::new().await;
    let other = hub.add_hub("other").await;
    let token = token_of(
        &other,
        "registryRead",
        &other.policy("registryRead").unwrap().primary,
    );
    for (host, sni, expected) in [
        ("", Some("other.test"), "HTTP/1.0 200"),
        ("", Some("hub.test"), "HTTP/1.0 401"),
        ("", None, "HTTP/1.0 401"),
        ("Host: other.test\r\n", Some("hub.test"), "HTTP/1.0 200"),
        ("Host: unknown.test\r\n", Some("other.test"), "HTTP/1.0 401"),
    ] {
        let mut connection = connect(&hub, 65536, sni);
        connection
            .write(&format!(
                "GET {LIST} HTTP/1.0\r\n{host}Authorization: {token}\r\n\r\n"
            ))
            .await;
        let answer = connection.rest().await;
        assert!(answer.starts_with(expected), "{host} {sni:?}: {answer}");
    }
}

const OPENING: &str = "Host: hub.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
    Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

#[tokio::test(start_paused = true)]
async fn the_stream_of_a_websocket_is_handed_over_with_what_came_early() {
    let hub = Installation::new().await;
    for (path, offer, agreed) in [
        ("/$iothub/websocket", "mqtt", Subprotocol::Mqtt),
        (
            "/%24iothub/websocket/?iothub-no-client-cert=true",
            "AMQPWSB10",
            Subprotocol::Amqp,
        ),
        ("/$servicebus/websocket/", "AMQPWSB10", Subprotocol::Amqp),
    ] {
        let mut connection = connect(&hub, 65536, None);
        // A request before does not hinder.
        connection.write(&get(&hub, LIST)).await;
        connection.until("\r\n\r\n[]").await;
        let request =
            format!("GET {path} HTTP/1.1\r\n{OPENING}Sec-WebSocket-Protocol: {offer}\r\n\r\nearly");
        connection.write(&request).await;
        let answer = connection.until("\r\n\r\n").await;
        assert!(answer.starts_with("HTTP/1.1 101 "), "{answer}");
        let agreed_line = format!("sec-websocket-protocol: {offer}\r\n");
        assert!(answer.contains(&agreed_line), "{answer}");
        assert!(answer.contains("sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"));
        let Connection {
            mut stream, served, ..
        } = connection;
        let mut upgraded = served.await.unwrap().expect("the stream is handed over");
        assert_eq!(upgraded.subprotocol, agreed);
        assert_eq!(&*upgraded.early, b"early");
        upgraded.stream.write_all(b"frames").await.unwrap();
        let mut received = [0; 6];
        stream.read_exact(&mut received).await.unwrap();
        assert_eq!(&received, b"frames");
    }
}

#[tokio::test(start_paused = true)]
async fn a_refused_opening_leaves_http_as_it_was() {
    let hub = Installation::new().await;
    let mut connection = connect(&hub, 65536, None);
    for (head, expected) in [
        (
            "GET /$iothub/websocket HTTP/1.1\r\nHost: h\r\n\r\n".to_owned(),
            "HTTP/1.1 426 ",
        ),
        (
            format!(
                "GET /$iothub/websocket HTTP/1.1\r\n{OPENING}Sec-WebSocket-Protocol: x\r\n\r\n"
            ),
            "HTTP/1.1 400 ",
        ),
        (
            "POST /$iothub/websocket HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n".to_owned(),
            "HTTP/1.1 405 ",
        ),
    ] {
        connection.write(&head).await;
        let answer = connection.until("\r\n\r\n").await;
        assert!(answer.starts_with(expected), "{answer}");
        let length = answer
            .lines()
            .find_map(|line| line.strip_prefix("content-length: "));
        let length: usize = length.unwrap().parse().unwrap();
        for _ in 0..length {
            connection.stream.read_u8().await.unwrap();
        }
    }
    connection.write(&get(&hub, LIST)).await;
    connection.until("\r\n\r\n[]").await;
}

#[tokio::test(start_paused = true)]
async fn a_client_that_sends_a_body_nobody_wants_reads_why() {
    let hub = Installation::new().await;
    for (bytes, expected) in [(3_000_000, "413"), (10, "404")] {
        let mut connection = connect(&hub, 1024, None);
        let target = match expected {
            "413" => "/devices/d?api-version=2021-04-12",
            _ => "/nothing/of/that/kind?api-version=2021-04-12",
        };
        let token = hub.token("iothubowner");
        connection
            .write(&format!(
                "PUT {target} HTTP/1.1\r\nHost: hub.test\r\nAuthorization: {token}\r\nConnection: close\r\n\
                 Content-Type: application/json\r\nContent-Length: {bytes}\r\n\r\n"
            ))
            .await;
        // All of it before the answer is read, as HTTP libraries do.
        connection.write(&" ".repeat(bytes)).await;
        let answer = connection.rest().await;
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {expected}")),
            "{answer}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_that_waits_for_a_word_before_it_sends_is_answered_at_once() {
    let hub = Installation::new().await;
    let mut connection = connect(&hub, 1024, None);
    connection
        .write(
            "PUT /nothing HTTP/1.1\r\nHost: hub.test\r\nExpect: 100-continue\r\nContent-Length: 1000\r\n\r\n",
        )
        .await;
    let before = Instant::now();
    let answer = connection.rest().await;
    assert!(!answer.starts_with("HTTP/1.1 100"), "{answer}");
    assert_eq!(
        before,
        Instant::now(),
        "nobody waits for a body that does not come"
    );
}
