//! A hub of another installation, on this machine, that fails when it is told to.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use hub_domain::HostName;
use hub_domain::provisioning::{Link, LinkedHub};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

use crate::support::key;

/// How a call fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Nothing is done, and there is no answer.
    Before(Failure),
    /// It is done, and there is no answer, or that one.
    After(Failure),
}

/// What the caller gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// Nothing for ever: the test kills the caller meanwhile.
    Kill,
    /// The end of the connection.
    Drop,
    /// 503.
    Unavailable,
    /// 200 with a web page.
    Page,
    /// 404 of whatever stands in front of the hub.
    NotFoundPage,
}

/// What becomes of calls that arrive.
#[derive(Clone, PartialEq, Eq)]
enum Gate {
    Open,
    /// They wait.
    Held,
    /// Those to this method and path are done, and their answers wait.
    HeldAt(String),
    /// Nothing is done, and there is too much at once.
    Throttled,
    /// Nothing is done, and the connection ends.
    Cut,
}

#[derive(Clone)]
pub(crate) struct Device {
    pub(crate) document: Value,
    pub(crate) twin: Value,
    etag: u64,
}

#[derive(Default)]
struct State {
    /// What its generations begin with: no other hub has these.
    name: String,
    devices: BTreeMap<String, Device>,
    etag: u64,
    calls: Vec<String>,
    /// The call that fails, counted from now.
    fault: Option<(usize, Fault)>,
}

pub(crate) struct RemoteHub {
    pub(crate) host: HostName,
    /// PEM of its certificate.
    pub(crate) certificate: String,
    /// A call is held for ever.
    pub(crate) held: Arc<Notify>,
    state: Arc<Mutex<State>>,
    gate: watch::Sender<Gate>,
    port: u16,
    task: JoinHandle<()>,
}

impl RemoteHub {
    /// `host` leads to this machine.
    pub(crate) async fn new(host: &str) -> Self {
        Self::with_names(host, &[]).await
    }

    /// A hub that has other names as well.
    pub(crate) async fn with_names(host: &str, others: &[&str]) -> Self {
        let names = [&[host], others].concat();
        let names: Vec<_> = names.into_iter().map(str::to_owned).collect();
        let made = rcgen::generate_simple_self_signed(names).unwrap();
        let private =
            PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
        let config = ServerConfig::builder()
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], private)
            .unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let state = Arc::new(Mutex::new(State {
            name: port.to_string(),
            ..State::default()
        }));
        let held = Arc::new(Notify::new());
        let (shared, notify) = (Arc::clone(&state), Arc::clone(&held));
        let (gate, opens) = watch::channel(Gate::Open);
        let task = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let (acceptor, opens) = (acceptor.clone(), opens.clone());
                let (shared, notify) = (Arc::clone(&shared), Arc::clone(&notify));
                tokio::spawn(async move {
                    if let Ok(stream) = acceptor.accept(stream).await {
                        serve(stream, &shared, &notify, opens).await;
                    }
                });
            }
        });
        Self {
            host: HostName::parse(host).unwrap(),
            certificate: made.cert.pem(),
            held,
            state,
            gate,
            port,
            task,
        }
    }

    pub(crate) fn link(&self) -> LinkedHub {
        LinkedHub {
            link: Link::Remote {
                policy: "iothubowner".to_owned(),
                key: key(9),
                port: Some(self.port),
            },
            ..LinkedHub::own(self.host.clone())
        }
    }

    /// The same by another of its names.
    pub(crate) fn link_as(&self, host: HostName) -> LinkedHub {
        LinkedHub {
            host,
            ..self.link()
        }
    }

    pub(crate) const fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn device(&self, id: &str) -> Option<Device> {
        self.state.lock().unwrap().devices.get(id).cloned()
    }

    /// Somebody makes a device, with a tag.
    pub(crate) fn create(&self, id: &str, tag: &str) {
        let path = format!("/devices/{id}");
        let document = json!({"deviceId": id, "status": "disabled", "statusReason": "broken"});
        let mut state = self.state.lock().unwrap();
        state.answer("PUT", &path, None, Some(document));
        let twin = json!({"tags": {"by": tag}, "properties": {"desired": {}}});
        state.answer("PUT", &format!("/twins/{id}"), Some("*"), Some(twin));
    }

    /// A back end writes another tag.
    pub(crate) fn live(&self, id: &str, tag: &str) {
        let mut state = self.state.lock().unwrap();
        let device = state.devices.get_mut(id).unwrap();
        device.twin["tags"] = json!({"by": tag});
    }

    /// Call number `at` from now fails, once.
    pub(crate) fn fail(&self, at: usize, fault: Fault) {
        let mut state = self.state.lock().unwrap();
        state.calls.clear();
        state.fault = Some((at, fault));
    }

    /// Calls wait from now on, until [`RemoteHub::open`] or [`RemoteHub::cut`].
    pub(crate) fn hold(&self) {
        self.state.lock().unwrap().calls.clear();
        self.gate.send_replace(Gate::Held);
    }

    /// Calls of this method and path are done from now on, and their answers wait.
    pub(crate) fn hold_at(&self, call: &str) {
        self.state.lock().unwrap().calls.clear();
        self.gate.send_replace(Gate::HeldAt(call.to_owned()));
    }

    /// Calls are refused for a while, because there are too many.
    pub(crate) fn throttle(&self) {
        self.state.lock().unwrap().calls.clear();
        self.gate.send_replace(Gate::Throttled);
    }

    /// Calls are answered, also those that wait.
    pub(crate) fn open(&self) {
        self.gate.send_replace(Gate::Open);
    }

    /// Calls get the end of the connection, also those that wait.
    pub(crate) fn cut(&self) {
        self.gate.send_replace(Gate::Cut);
    }

    /// Waits until there were so many calls.
    pub(crate) async fn called(&self, times: usize) {
        let wait = async {
            while self.calls().len() < times {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        let called = tokio::time::timeout(Duration::from_secs(60), wait);
        called.await.expect("the hub is called");
    }

    /// Waits until this was called.
    pub(crate) async fn called_at(&self, call: &str) {
        let wait = async {
            while !self.calls().iter().any(|one| one == call) {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        let called = tokio::time::timeout(Duration::from_secs(60), wait);
        called.await.expect("the hub is called");
    }

    /// Whether it failed as it was told to. It will not any more.
    pub(crate) fn has_failed(&self) -> bool {
        self.state.lock().unwrap().fault.take().is_none()
    }

    /// What was called, as method and path.
    pub(crate) fn calls(&self) -> Vec<String> {
        self.state.lock().unwrap().calls.clone()
    }
}

impl Drop for RemoteHub {
    fn drop(&mut self) {
        self.task.abort();
    }
}

type Answer = (u16, Value);

impl State {
    fn fault(&mut self) -> Option<Fault> {
        let (left, fault) = self.fault.as_mut()?;
        if *left > 0 {
            *left -= 1;
            return None;
        }
        let fault = *fault;
        self.fault = None;
        Some(fault)
    }

    fn answer(
        &mut self,
        method: &str,
        path: &str,
        guard: Option<&str>,
        body: Option<Value>,
    ) -> Answer {
        let (collection, id) = path.trim_start_matches('/').split_once('/').unwrap();
        let present = self.devices.get(id).cloned();
        let matches = |device: &Device| {
            guard.is_none_or(|guard| {
                let guard = guard.trim_matches('"');
                guard == "*" || guard == device.etag.to_string()
            })
        };
        match (method, collection, present) {
            ("GET", "devices", Some(device)) => (200, device.document),
            ("GET", "twins", Some(device)) => (200, device.twin),
            ("DELETE", _, Some(device)) if matches(&device) => {
                self.devices.remove(id);
                (204, Value::Null)
            }
            ("PUT", "devices", None) if guard.is_none() => self.put(id, body.unwrap(), None),
            ("PUT", "devices", Some(_)) if guard.is_none() => {
                (409, json!({"Message": "it exists"}))
            }
            ("PUT", "devices", Some(device)) if matches(&device) => {
                self.put(id, body.unwrap(), Some(device.twin))
            }
            ("PUT", "twins", Some(device)) => {
                let mut twin = body.unwrap();
                twin["deviceId"] = json!(id);
                let changed = Device {
                    twin: twin.clone(),
                    ..device
                };
                self.devices.insert(id.to_owned(), changed);
                (200, twin)
            }
            (_, _, Some(_)) => (412, json!({"Message": "it is another"})),
            (_, _, None) => (
                404,
                json!({"Message": "ErrorCode:DeviceNotFound;it is not there"}),
            ),
        }
    }

    fn put(&mut self, id: &str, mut document: Value, twin: Option<Value>) -> Answer {
        self.etag += 1;
        document["etag"] = json!(self.etag.to_string());
        let present = self.devices.get(id);
        document["generationId"] = match present {
            Some(device) => device.document["generationId"].clone(),
            None => json!(format!("{}-{}", self.name, self.etag)),
        };
        let empty = || json!({"deviceId": id, "tags": {}, "properties": {"desired": {"$version": 1}, "reported": {}}});
        let device = Device {
            document: document.clone(),
            twin: twin.unwrap_or_else(empty),
            etag: self.etag,
        };
        self.devices.insert(id.to_owned(), device);
        (200, document)
    }
}

async fn serve<S>(
    mut stream: S,
    state: &Mutex<State>,
    held: &Notify,
    mut gate: watch::Receiver<Gate>,
) where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
{
    while let Some((method, path, guard, body)) = read(&mut stream).await {
        let call = format!("{method} {path}");
        state.lock().unwrap().calls.push(call.clone());
        let opened = gate.wait_for(|gate| *gate != Gate::Held);
        let now = opened.await.map_or(Gate::Open, |gate| gate.clone());
        if now == Gate::Cut {
            return;
        }
        let is_throttled = now == Gate::Throttled;
        let (fault, answer) = if is_throttled {
            (None, Some((429, json!({}))))
        } else {
            let mut state = state.lock().unwrap();
            let fault = state.fault();
            let is_done = !matches!(fault, Some(Fault::Before(_)));
            let answer = is_done.then(|| state.answer(&method, &path, guard.as_deref(), body));
            (fault, answer)
        };
        let (status, text) = match (fault, answer) {
            (None, Some((status, body))) => (status, body.to_string()),
            (Some(Fault::Before(failure) | Fault::After(failure)), _) => match failure {
                Failure::Kill => {
                    held.notify_one();
                    return std::future::pending().await;
                }
                Failure::Drop => return,
                Failure::Unavailable => (503, "{}".to_owned()),
                Failure::Page => (200, "<html></html>".to_owned()),
                Failure::NotFoundPage => (404, "<html></html>".to_owned()),
            },
            (None, None) => return,
        };
        if now == Gate::HeldAt(call) {
            let _ = gate.wait_for(|gate| *gate == Gate::Open).await;
        }
        let text = if status == 204 { String::new() } else { text };
        let head = format!(
            "HTTP/1.1 {status} X\r\nretry-after: 1\r\ncontent-length: {}\r\n\r\n",
            text.len()
        );
        if stream.write_all((head + &text).as_bytes()).await.is_err() {
            return;
        }
    }
}

type Request = (String, String, Option<String>, Option<Value>);

async fn read<S: tokio::io::AsyncRead + Unpin>(stream: &mut S) -> Option<Request> {
    let mut bytes = Vec::new();
    loop {
        let mut part = [0; 4096];
        let count = stream
            .read(&mut part)
            .await
            .ok()
            .filter(|count| *count > 0)?;
        bytes.extend_from_slice(part.get(..count).unwrap());
        let text = String::from_utf8(bytes.clone()).unwrap();
        let Some((head, body)) = text.split_once("\r\n\r\n") else {
            continue;
        };
        let header = |name: &str| {
            head.lines().find_map(|line| {
                let (found, value) = line.split_once(": ")?;
                found.eq_ignore_ascii_case(name).then(|| value.to_owned())
            })
        };
        let length = header("content-length").map_or(0, |text| text.parse().unwrap());
        if body.len() < length {
            continue;
        }
        let mut words = head.split(' ');
        let method = words.next().unwrap().to_owned();
        let path = words.next().unwrap().split('?').next().unwrap().to_owned();
        return Some((
            method,
            path,
            header("if-match"),
            serde_json::from_str(body).ok(),
        ));
    }
}
