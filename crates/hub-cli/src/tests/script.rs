//! A server that answers each request with the next line of its script, over plain HTTP.

use std::sync::{Arc, Mutex};

use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// One answer.
pub(super) struct Exchange {
    status: u16,
    body: String,
}

impl Exchange {
    pub(super) fn json(status: u16, body: &Value) -> Self {
        Self {
            status,
            body: body.to_string(),
        }
    }

    pub(super) fn text(status: u16, body: &str) -> Self {
        Self {
            status,
            body: body.to_owned(),
        }
    }

    /// A refusal as the hub words it.
    pub(super) fn refusal(status: u16, name: &str) -> Self {
        let error = serde_json::json!({
            "code": u32::from(status) * 1000 + 1, "name": name, "message": "it is refused", "requestId": "r1",
        });
        Self::json(status, &serde_json::json!({ "error": error }))
    }
}

pub(super) struct Script {
    address: std::net::SocketAddr,
    requests: Arc<Mutex<Vec<String>>>,
    server: JoinHandle<()>,
}

impl Script {
    pub(super) async fn start(exchanges: Vec<Exchange>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&requests);
        let server = tokio::spawn(async move {
            for exchange in exchanges {
                let (stream, _) = listener.accept().await.unwrap();
                let request = answer(stream, exchange).await;
                seen.lock().unwrap().push(request);
            }
        });
        Self {
            address,
            requests,
            server,
        }
    }

    pub(super) fn base(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What was asked: method, target, guard and body, one line each.
    pub(super) fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }
}

impl Drop for Script {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// Reads a request, answers it and closes.
async fn answer(mut stream: TcpStream, exchange: Exchange) -> String {
    let mut bytes = Vec::new();
    let head_end = loop {
        if let Some(at) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break at + 4;
        }
        assert_ne!(
            stream.read_buf(&mut bytes).await.unwrap(),
            0,
            "the request is cut short"
        );
    };
    let head = String::from_utf8(bytes[..head_end].to_vec()).unwrap();
    let header = |name: &str| {
        let lines = head.lines().filter_map(|line| line.split_once(": "));
        lines
            .filter(|(key, _)| key.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.to_owned())
            .next()
    };
    assert_eq!(header("authorization").as_deref(), Some("Bearer token"));
    let length: usize = header("content-length").map_or(0, |text| text.parse().unwrap());
    while bytes.len() < head_end + length {
        assert_ne!(
            stream.read_buf(&mut bytes).await.unwrap(),
            0,
            "the body is cut short"
        );
    }
    let body = String::from_utf8(bytes[head_end..].to_vec()).unwrap();
    let target = head
        .lines()
        .next()
        .unwrap()
        .trim_end_matches(" HTTP/1.1")
        .to_owned();
    let guard = header("if-match")
        .map(|etag| format!(" if {etag}"))
        .unwrap_or_default();
    let Exchange { status, body: text } = exchange;
    let response = format!(
        "HTTP/1.1 {status} x\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{text}",
        text.len()
    );
    stream.write_all(response.as_bytes()).await.unwrap();
    format!("{target}{guard} {body}").trim_end().to_owned()
}
