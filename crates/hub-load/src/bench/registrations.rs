//! Devices that register: each with a connection of its own, a full TLS handshake (P-256) and a token by a key derived
//! of the group's, over MQTT: CONNECT, SUBSCRIBE, register, ask what became of it, DISCONNECT.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use hub_api::native::{
    EnrollmentAttestation, EnrollmentGroupSettings, EnrollmentTerms, SymmetricKeys,
};
use hub_domain::SymmetricKey;
use hub_domain::provisioning::derived_key;
use hub_domain::sas::sign_token;
use hub_mqtt::{ClientInbound, ClientSession, Connect, KeepAlive, QoS, Window};
use tokio::task::JoinSet;

use super::machine::own_usage;
use super::server::Server;
use crate::connection::{Connection, Endpoint};
use crate::histogram::Histogram;
use crate::hub::Hub;
use crate::sim::now;
use crate::tls;

/// Devices that register at the same time.
const AT_ONCE: usize = 32;
/// What the first and the last ones of a run are, to see whether latency grows.
const EDGE: usize = 5_000;
/// How long a device's token lives.
const TOKEN_LIFE: Duration = Duration::from_secs(3_600);
/// The group's keys.
const KEY: [u8; 64] = [7; 64];
/// What a device subscribes to.
const FILTER: &str = "$dps/registrations/res/#";

/// What one run showed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Outcome {
    pub(super) per_second: f64,
    /// Server time per registration in microseconds, its handshake included.
    pub(super) server_cpu_us: f64,
    pub(super) server_busy: f64,
    pub(super) load_busy: f64,
    /// Median of the first and of the last ones, from connect to the answer, in milliseconds.
    pub(super) first_p50_ms: f64,
    pub(super) last_p50_ms: f64,
}

impl Outcome {
    /// What a core of the server does that does nothing else.
    pub(super) fn per_server_core(&self) -> f64 {
        1e6 / self.server_cpu_us
    }
}

/// How devices reach the service.
struct Fleet {
    endpoint: Endpoint,
    scope: String,
    key: SymmetricKey,
    next: AtomicUsize,
    count: usize,
}

/// Registers `count` devices that were never there before.
pub(super) async fn run(server: &Server, hub: &Hub, count: usize) -> Result<Outcome> {
    let key = SymmetricKey::from_bytes(&KEY).expect("invariant: 64 bytes are a key");
    let group = EnrollmentGroupSettings {
        enrollment_group_id: "bench".to_owned(),
        attestation: EnrollmentAttestation {
            symmetric_key: Some(SymmetricKeys {
                primary_key: Some(key.to_base64()),
                secondary_key: Some(key.to_base64()),
            }),
            ..EnrollmentAttestation::default()
        },
        terms: EnrollmentTerms::default(),
    };
    hub.client.create_enrollment_group(&group).await?;
    let service = hub.document.provisioning.as_ref();
    let service = service.context("the hub says nothing of provisioning")?;
    let fleet = Arc::new(Fleet {
        endpoint: server.endpoint(tls::Version::Tls13)?,
        scope: service.id_scope.clone(),
        key,
        next: AtomicUsize::new(0),
        count,
    });
    let (before, own_before) = (server.process.usage()?, own_usage()?);
    let begun = Instant::now();
    let mut tasks = JoinSet::new();
    for _ in 0..AT_ONCE {
        tasks.spawn(register_next(Arc::clone(&fleet)));
    }
    let (mut first, mut last) = (Histogram::default(), Histogram::default());
    while let Some(times) = tasks.join_next().await {
        for (number, time) in times.context("a device died")?? {
            if number < EDGE {
                first.record(time);
            }
            if number + EDGE >= count {
                last.record(time);
            }
        }
    }
    let elapsed = begun.elapsed();
    let server_cpu = server.process.usage()?.cpu.saturating_sub(before.cpu);
    let own_cpu = own_usage()?.cpu.saturating_sub(own_before.cpu);
    #[expect(clippy::cast_precision_loss, reason = "counts far below 2^52")]
    let registrations = count as f64;
    let median = |times: &Histogram| {
        let median = times.quantile(0.5).context("there were registrations")?;
        anyhow::Ok(median.as_secs_f64() * 1_000.0)
    };
    Ok(Outcome {
        per_second: registrations / elapsed.as_secs_f64(),
        server_cpu_us: server_cpu.as_secs_f64() * 1e6 / registrations,
        server_busy: server_cpu.as_secs_f64() / elapsed.as_secs_f64(),
        load_busy: own_cpu.as_secs_f64() / elapsed.as_secs_f64(),
        first_p50_ms: median(&first)?,
        last_p50_ms: median(&last)?,
    })
}

/// Registers devices until there are enough; the number of each and how long it took.
async fn register_next(fleet: Arc<Fleet>) -> Result<Vec<(usize, Duration)>> {
    let mut times = Vec::new();
    loop {
        let number = fleet.next.fetch_add(1, Ordering::Relaxed);
        if number >= fleet.count {
            return Ok(times);
        }
        let begun = Instant::now();
        let id = format!("bench-registration-{number}");
        register(&fleet, &id)
            .await
            .with_context(|| format!("the device {id} cannot register"))?;
        times.push((number, begun.elapsed()));
    }
}

async fn register(fleet: &Fleet, id: &str) -> Result<()> {
    let resource = format!("{}/registrations/{id}", fleet.scope);
    let token = sign_token(
        &resource,
        &derived_key(&fleet.key, id),
        now().plus(TOKEN_LIFE),
        Some("registration"),
    );
    let user_name = format!("{resource}/api-version=2019-03-31&ClientVersion=thingstead-bench");
    let connect = Connect {
        client_id: id,
        clean_session: true,
        keep_alive: KeepAlive::from_seconds(60),
        will: None,
        user_name: Some(&user_name),
        password: Some(token.as_bytes()),
    };
    let session = ClientSession::<()>::new(Window::new(4).context("the window is zero")?);
    let opened = Connection::open(&fleet.endpoint, &connect, session).await;
    let (mut connection, _) = opened.map_err(|(error, _)| error)?;
    let outgoing = connection.outgoing();
    outgoing.subscribe(&[(FILTER, QoS::AtLeastOnce)])?;
    let body = format!(r#"{{"registrationId":"{id}"}}"#);
    outgoing.publish_once(
        "$dps/registrations/PUT/iotdps-register/?$rid=1",
        body.as_bytes(),
    )?;
    let begun = answer(&mut connection, 202).await?;
    let operation = begun.get("operationId").and_then(serde_json::Value::as_str);
    let operation = operation.context("the answer names no operation")?;
    let topic = format!(
        "$dps/registrations/GET/iotdps-get-operationstatus/?$rid=2&operationId={operation}"
    );
    connection.outgoing().publish_once(&topic, b" ")?;
    let done = answer(&mut connection, 200).await?;
    let status = done.get("status").and_then(serde_json::Value::as_str);
    ensure!(
        status == Some("assigned"),
        "the registration ended as {done}"
    );
    connection.outgoing().disconnect();
    connection.flush().await?;
    Ok(())
}

/// Sends what waits, and reads up to the answer, which has this status.
async fn answer(connection: &mut Connection<()>, status: u16) -> Result<serde_json::Value> {
    let beginning = format!("$dps/registrations/res/{status}/");
    loop {
        connection.flush().await?;
        connection.read().await?;
        let mut found = None;
        connection.receive(|inbound, outgoing| {
            if let ClientInbound::Publish(publish) = inbound {
                if let hub_mqtt::Delivery::AtLeastOnce { id, .. } = publish.delivery {
                    outgoing.acknowledge(id);
                }
                found = Some((
                    publish.topic.to_owned(),
                    serde_json::from_slice(publish.payload),
                ));
            }
            Ok(())
        })?;
        if let Some((topic, document)) = found {
            ensure!(
                topic.starts_with(&beginning),
                "the service answered with {topic}"
            );
            return Ok(document?);
        }
    }
}
