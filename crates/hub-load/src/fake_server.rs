//! A server for tests: MQTT over TLS in this process, which acknowledges, answers and records.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use hub_mqtt::{
    Attempt, ConnAck, Delivery, Publish, Refusal, Role, ServerInbound, ServerSession,
    SubscribeReturn, Window, decode, encode,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_rustls::TlsAcceptor;

use crate::connection::Endpoint;
use crate::tls;

/// What happened at the server, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Seen {
    Connect {
        client_id: String,
        user_name: String,
        clean_session: bool,
    },
    Publish {
        topic: String,
        payload: Vec<u8>,
        qos: u8,
        duplicate: bool,
    },
    Subscribe(Vec<String>),
    Delivered(&'static str),
    Disconnect,
    Closed,
}

/// What the server does beside the protocol's duties.
#[derive(Clone, Default)]
pub(crate) struct Script {
    /// Refuses everyone.
    pub(crate) refusal: Option<Refusal>,
    /// Closes each of the first connections without an acknowledgement at its first QoS 1 telemetry message.
    pub(crate) drops: usize,
    /// Topics and payloads to send after SUBACK, all with QoS 1.
    pub(crate) messages: Vec<(&'static str, &'static str)>,
    /// The answer to a read of the twin.
    pub(crate) twin: &'static str,
}

pub(crate) struct FakeServer {
    address: SocketAddr,
    directory: TempDir,
    seen: mpsc::UnboundedReceiver<Seen>,
    acceptor: tokio::task::JoinHandle<()>,
}

impl FakeServer {
    pub(crate) async fn start(script: Script) -> Self {
        let directory = TempDir::new().unwrap();
        let issued = rcgen::generate_simple_self_signed(vec!["hub.test".to_owned()]).unwrap();
        std::fs::write(directory.path().join("ca.pem"), issued.cert.pem()).unwrap();
        let key = PrivateKeyDer::try_from(issued.signing_key.serialize_der()).unwrap();
        let certificate = CertificateDer::from(issued.cert.der().to_vec());
        let config = rustls::ServerConfig::builder()
            .with_no_client_auth()
            .with_single_cert(vec![certificate], key)
            .unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (sender, seen) = mpsc::unbounded_channel();
        let acceptor = tokio::spawn(async move {
            let mut drops = script.drops;
            // One connection after the other: what a test sees has one order.
            while let Ok((tcp, _)) = listener.accept().await {
                if let Ok(stream) = acceptor.accept(tcp).await {
                    serve(stream, &script, drops > 0, &sender).await;
                    drops = drops.saturating_sub(1);
                }
                drop(sender.send(Seen::Closed));
            }
        });
        Self {
            address,
            directory,
            seen,
            acceptor,
        }
    }

    pub(crate) fn ca(&self) -> PathBuf {
        self.directory.path().join("ca.pem")
    }

    pub(crate) fn endpoint(&self) -> Endpoint {
        Endpoint {
            address: self.address,
            name: ServerName::try_from("hub.test").unwrap(),
            tls: tls::trusting(&self.ca(), &tls::Version::BOTH).unwrap(),
        }
    }

    /// The next thing that happened.
    pub(crate) async fn next(&mut self) -> Seen {
        self.seen.recv().await.expect("the server runs")
    }

    /// The topic and payload of the next message, whatever happened before.
    pub(crate) async fn next_publish(&mut self) -> (String, String) {
        self.next_publish_of("").await
    }

    /// The topic and payload of the next message whose topic begins so.
    pub(crate) async fn next_publish_of(&mut self, prefix: &str) -> (String, String) {
        loop {
            if let Seen::Publish { topic, payload, .. } = self.next().await
                && topic.starts_with(prefix)
            {
                return (topic, String::from_utf8(payload).unwrap());
            }
        }
    }

    /// Waits until this happens.
    pub(crate) async fn until(&mut self, wanted: &Seen) {
        while self.next().await != *wanted {}
    }
}

impl Drop for FakeServer {
    fn drop(&mut self) {
        self.acceptor.abort();
    }
}

type Stream = tokio_rustls::server::TlsStream<tokio::net::TcpStream>;

async fn serve(
    mut stream: Stream,
    script: &Script,
    is_dropping: bool,
    seen: &mpsc::UnboundedSender<Seen>,
) {
    let mut session = ServerSession::new(Window::default());
    let mut input = Vec::new();
    loop {
        let mut output = Vec::new();
        let mut used = 0;
        while let Some((packet, length)) = decode(&input[used..], 1 << 20, Role::Server).unwrap() {
            used += length;
            let inbound = session.receive(packet).unwrap();
            if is_dropping && is_acknowledged_telemetry(&inbound) {
                return;
            }
            answer(inbound, &mut session, script, seen, &mut output);
        }
        input.drain(..used);
        if stream.write_all(&output).await.is_err() || stream.flush().await.is_err() {
            return;
        }
        match stream.read_buf(&mut input).await {
            Ok(0) | Err(_) => return,
            Ok(_) => {}
        }
    }
}

fn is_acknowledged_telemetry(inbound: &ServerInbound<'_, &'static str>) -> bool {
    matches!(inbound, ServerInbound::Publish(publish)
        if publish.topic.contains("/messages/events/") && publish.delivery.id().is_some())
}

fn answer(
    inbound: ServerInbound<'_, &'static str>,
    session: &mut ServerSession<&'static str>,
    script: &Script,
    seen: &mpsc::UnboundedSender<Seen>,
    output: &mut Vec<u8>,
) {
    let event = match inbound {
        ServerInbound::Connect(connect) => {
            encode::connack(
                script.refusal.map_or(
                    ConnAck::Accepted {
                        session_present: false,
                    },
                    ConnAck::Refused,
                ),
                output,
            );
            Seen::Connect {
                client_id: connect.client_id.to_owned(),
                user_name: connect.user_name.unwrap_or_default().to_owned(),
                clean_session: connect.clean_session,
            }
        }
        ServerInbound::Publish(publish) => {
            if let Some(id) = publish.delivery.id() {
                encode::puback(id, output);
            }
            if let Some(rid) = publish.topic.strip_prefix("$iothub/twin/GET/?") {
                let topic = format!("$iothub/twin/res/200/?{rid}");
                put(&topic, script.twin, Delivery::AtMostOnce, output);
            }
            if let Some(rid) = publish
                .topic
                .strip_prefix("$iothub/twin/PATCH/properties/reported/?")
            {
                let topic = format!("$iothub/twin/res/204/?{rid}&$version=2");
                put(&topic, "", Delivery::AtMostOnce, output);
            }
            Seen::Publish {
                topic: publish.topic.to_owned(),
                payload: publish.payload.to_vec(),
                qos: publish.delivery.qos() as u8,
                duplicate: publish.delivery.is_duplicate(),
            }
        }
        ServerInbound::Subscribe(subscribe) => {
            let filters: Vec<_> = subscribe.requests().collect();
            let granted: Vec<_> = filters
                .iter()
                .map(|request| SubscribeReturn::Granted(request.qos))
                .collect();
            encode::suback(subscribe.id, &granted, output).unwrap();
            for (topic, payload) in &script.messages {
                let delivery = session.deliver(topic, Attempt::First).unwrap();
                put(topic, payload, delivery, output);
            }
            let names = filters.iter().map(|request| request.filter.to_owned());
            Seen::Subscribe(names.collect())
        }
        ServerInbound::Delivered(topic) => Seen::Delivered(topic),
        ServerInbound::Ping => return encode::pingresp(output),
        ServerInbound::Disconnect => Seen::Disconnect,
        ServerInbound::Unsubscribe(_) | ServerInbound::UnmatchedAck(_) => return,
    };
    drop(seen.send(event));
}

fn put(topic: &str, payload: &str, delivery: Delivery, output: &mut Vec<u8>) {
    let publish = Publish {
        topic,
        payload: payload.as_bytes(),
        delivery,
        retain: false,
    };
    encode::publish(&publish, output).unwrap();
}
