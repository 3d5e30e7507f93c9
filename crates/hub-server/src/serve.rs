//! The server: parts in the order of their directions, then a wait for the end.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::FutureExt as _;
use hub_api::native::{Ports, Reach, RunFile};
use hub_blobs::{FolderError, ObjectError};
use hub_domain::limits::PARTITIONS_DEFAULT;
use hub_domain::{HostName, Hub, HubName};
use hub_engine::{Caller, Engine, EngineParts, Environment, Files, NewHub, OpContext};
use hub_gateway::{
    Admission, AdmissionConfig, Amqp, Counters, Heads, ListenError, Mqtt, serve_amqp, serve_https,
    serve_mqtt, server_config,
};
use hub_http::{AdminToken, HttpConfig, HttpService, ShownCertificate};
use hub_storage::bus::LocalBus;
use hub_storage_sqlite::{OpenError, Opened, SqliteStorage};
use rustls::ServerConfig;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_rustls::server::TlsStream;

use crate::certificates::{CertificateError, Certificates};
use crate::config::Config;
use crate::environment::SystemEnvironment;
use crate::{files, listen, logging, provisioning, run_file};

/// How often certificates are looked at.
const CERTIFICATE_INTERVAL: Duration = Duration::from_secs(60);

/// The server cannot start or had to stop.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The log filter is not valid.
    #[error("{0}")]
    Logging(String),
    /// The data directory cannot be made or written.
    #[error("the data directory {} cannot be used", path.display())]
    DataDirectory {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The storage cannot be opened.
    #[error("the storage cannot be opened")]
    Storage(#[from] OpenError),
    /// The place of uploaded files cannot be opened.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// The object store of uploaded files cannot be used.
    #[error(transparent)]
    ObjectStore(#[from] ObjectError),
    /// Certificates cannot be read or made.
    #[error("the certificates cannot be used")]
    Certificates(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// TLS cannot be set up.
    #[error("TLS cannot be set up")]
    Tls(#[from] rustls::Error),
    /// A port cannot be bound.
    #[error(
        "a port cannot be bound; another hub or web server may be running, or choose ports with --https-port, --mqtt-port and --amqp-port"
    )]
    Listen(#[from] ListenError),
    /// The certificates that calls to others trust cannot be read.
    #[error("the file {} cannot be used as certificates to trust", path.display())]
    Trust {
        /// Which.
        path: PathBuf,
        /// Why.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// Provisioning cannot start.
    #[error("provisioning cannot start")]
    Provisioning(#[from] hub_provisioning::Error),
    /// The hub failed.
    #[error("the hub failed")]
    Engine(#[from] hub_engine::Error),
    /// The default hub cannot have the host name of the configuration.
    #[error("the default hub cannot have the host name {host}, choose another one with --hostname")]
    HostTaken {
        /// Which.
        host: HostName,
        /// Why not.
        source: hub_engine::Error,
    },
    /// The default hub cannot be named.
    #[error("no hub name can be made of the host name {0}, begin it with a letter or digit")]
    HubName(HostName),
}

impl From<CertificateError> for ServeError {
    fn from(error: CertificateError) -> Self {
        Self::Certificates(Box::new(error))
    }
}

/// Serves until SIGINT or SIGTERM. Answers what is in progress, closes sessions, flushes, and removes the run file.
///
/// # Errors
/// When a part cannot start, or the hub has to stop because its storage is broken.
pub async fn serve(config: Config, data_dir: &Path) -> Result<(), ServeError> {
    let started = Instant::now();
    logging::init(&config.log).map_err(ServeError::Logging)?;
    raise_descriptor_limit();
    let data_dir = make_data_dir(data_dir)?;
    let storage = SqliteStorage::open(&data_dir, &hub_storage_sqlite::Config::default())?;
    let result = serve_storage(&config, &data_dir, &storage, started).await;
    storage.close();
    tracing::info!("stopped");
    result
}

async fn serve_storage(
    config: &Config,
    data_dir: &Path,
    storage: &Opened,
    started: Instant,
) -> Result<(), ServeError> {
    let engine = open_engine(storage, files::open(&config.files, data_dir)?).await?;
    let host = config
        .host()
        .unwrap_or_else(|_| HostName::parse("localhost").expect("invariant: a valid name"));
    let hub = ensure_default_hub(&engine, &host).await?;
    let provisioning = provisioning::open(&config.provisioning, storage, &engine).await?;
    let now = engine.environment().now();
    let certificates = Certificates::open(
        &config.tls,
        data_dir,
        &certificate_names(&engine, config),
        now,
    )?;
    let https = listen::https(&config.listen)?;
    let mqtt = listen::mqtt(&config.listen)?;
    let amqp = listen::amqp(&config.listen)?;
    let ports = Ports {
        https: Some(https.port),
        mqtt: Some(mqtt.port),
        amqp: Some(amqp.port),
    };
    let ca_certificate = certificates.trust_file().display().to_string();
    let admin_token = random_token(engine.environment());
    let leaf = Arc::clone(&certificates);
    let http = HttpService::new(
        Arc::clone(&engine),
        Arc::clone(&provisioning),
        AdminToken::new(admin_token.clone()),
        env!("CARGO_PKG_VERSION"),
        HttpConfig {
            reach: Reach {
                ports,
                ca_certificate: Some(ca_certificate.clone()),
            },
            shown_certificate: Some(ShownCertificate::new(move || leaf.leaf())),
            ..HttpConfig::default()
        },
    );
    let (stop, stopped) = watch::channel(());
    let (https_tls, mqtt_tls) = (
        tls_config(&certificates, &[b"h2", b"http/1.1"])?,
        tls_config(&certificates, &[])?,
    );
    let admission = Admission::new(AdmissionConfig::default());
    let counters = Arc::new(Counters::default());
    let mut tasks = JoinSet::new();
    let mqtt_head = Mqtt::new(Arc::clone(&engine), Some(Arc::clone(&provisioning)));
    for listener in mqtt.listeners {
        tasks.spawn(serve_mqtt(
            listener,
            Arc::clone(&mqtt_tls),
            Arc::clone(&mqtt_head),
            Arc::clone(&admission),
            Arc::clone(&counters),
            ended(stopped.clone()),
        ));
    }
    let amqp_head = Amqp::new(
        Arc::clone(&engine),
        Some(Arc::clone(&provisioning)),
        amqp.port,
    );
    for listener in amqp.listeners {
        tasks.spawn(serve_amqp(
            listener,
            Arc::clone(&mqtt_tls),
            Arc::clone(&amqp_head),
            Arc::clone(&admission),
            Arc::clone(&counters),
            ended(stopped.clone()),
        ));
    }
    let heads = Heads {
        mqtt: mqtt_head,
        amqp: amqp_head,
    };
    for listener in https.listeners {
        let (http, stopped) = (http.clone(), stopped.clone());
        let until = ended(stopped.clone());
        let service = move |stream: TlsStream<TcpStream>, peer, name| {
            let (http, stopped) = (http.clone(), stopped.clone());
            let certificates = stream.get_ref().1.peer_certificates();
            let client = hub_http::Client {
                address: peer,
                server_name: name,
                certificates: certificates.unwrap_or_default().to_vec(),
            };
            async move {
                let upgraded = http.serve(stream, client, ended(stopped)).await?;
                Some(hub_gateway::Upgraded {
                    stream: upgraded.stream,
                    early: upgraded.early.into(),
                    subprotocol: match upgraded.subprotocol {
                        hub_http::Subprotocol::Mqtt => hub_gateway::Subprotocol::Mqtt,
                        hub_http::Subprotocol::Amqp => hub_gateway::Subprotocol::Amqp,
                    },
                })
            }
        };
        let (admission, counters) = (Arc::clone(&admission), Arc::clone(&counters));
        tasks.spawn(serve_https(
            listener,
            Arc::clone(&https_tls),
            heads.clone(),
            admission,
            counters,
            service,
            until,
        ));
    }
    tasks.spawn(keep_certificates(
        Arc::clone(&certificates),
        Arc::clone(&engine),
        config.clone(),
        stopped.clone(),
    ));

    let until = ended(stopped.clone());
    tasks.spawn(async move { provisioning.run(until).await });

    let server_name = hub.host.to_string();
    let address = config
        .listen
        .addresses
        .first()
        .copied()
        .filter(|address| !address.is_unspecified());
    let run = RunFile {
        pid: std::process::id(),
        ports,
        address,
        server_name: Some(server_name),
        ca_certificate,
        admin_token,
    };
    let run_file = run_file::write(data_dir, &run).map_err(|source| ServeError::DataDirectory {
        path: data_dir.to_owned(),
        source,
    })?;
    let started_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
    tracing::info!(host = %hub.host, hub = %hub.name, https = https.port, mqtt = mqtt.port, amqp = amqp.port, started_ms, "listening");

    let (engine_stop, engine_stopped) = watch::channel(());
    let result = {
        let mut run = std::pin::pin!(engine.run(ended(engine_stopped)));
        let result = tokio::select! {
            result = &mut run => result,
            () = termination() => Ok(()),
        };
        tracing::info!("stopping");
        drop(run_file);
        stop.send_replace(());
        engine.sessions.close_all();
        if result.is_ok() {
            // Facts and chores go on until the connections are closed.
            let closed = async { while tasks.join_next().await.is_some() {} };
            tokio::select! {
                () = closed => {}
                _ = &mut run => {}
            }
            engine_stop.send_replace(());
            run.await
        } else {
            result
        }
    };
    Ok(result?)
}

/// Completes when the channel's value was sent or its sender is gone.
async fn ended(mut stopped: watch::Receiver<()>) {
    drop(stopped.changed().await);
}

fn make_data_dir(path: &Path) -> Result<PathBuf, ServeError> {
    let unusable = |source| ServeError::DataDirectory {
        path: path.to_owned(),
        source,
    };
    std::fs::create_dir_all(path).map_err(unusable)?;
    path.canonicalize().map_err(unusable)
}

/// The engine over a storage, with the bus of one node.
pub(crate) async fn open_engine(
    storage: &Opened,
    files: Files,
) -> Result<Arc<Engine>, hub_engine::Error> {
    Engine::open(EngineParts {
        files,
        store: storage.store.clone(),
        logs: storage.logs.clone(),
        bus: Arc::new(LocalBus::new(|duration| {
            tokio::time::sleep(duration).boxed()
        })),
        environment: Arc::new(SystemEnvironment),
    })
    .await
}

/// The first hub; made at the first start, named after the first label of its host name.
pub(crate) async fn ensure_default_hub(
    engine: &Engine,
    host: &HostName,
) -> Result<Arc<Hub>, ServeError> {
    let ctx = OpContext {
        caller: Caller::System,
        request_id: "start".to_owned(),
        now: engine.environment().now(),
    };
    engine
        .hubs
        .rename_first(&ctx, host)
        .await
        .map_err(|source| ServeError::HostTaken {
            host: host.clone(),
            source,
        })?;
    if let Some(hub) = engine.hubs.default_hub() {
        return Ok(hub);
    }
    let label = host.as_str().split('.').next().unwrap_or_default();
    let name = HubName::parse(label)
        .or_else(|_| HubName::parse("hub"))
        .map_err(|_| ServeError::HubName(host.clone()))?;
    let new = NewHub {
        name,
        host: host.clone(),
        aliases: Vec::new(),
        partition_count: PARTITIONS_DEFAULT,
    };
    Ok(engine.hubs.create(&ctx, new).await?)
}

fn certificate_names(engine: &Engine, config: &Config) -> BTreeSet<String> {
    let hubs = engine.hubs.list();
    let hosts = hubs
        .iter()
        .flat_map(|hub| std::iter::once(&hub.host).chain(&hub.aliases));
    hosts
        .map(ToString::to_string)
        .chain(
            config
                .host_names
                .iter()
                .map(|name| name.to_ascii_lowercase()),
        )
        .collect()
}

/// Renews the leaf in time, and makes it anew when a hub came.
async fn keep_certificates(
    certificates: Arc<Certificates>,
    engine: Arc<Engine>,
    config: Config,
    stopped: watch::Receiver<()>,
) {
    let mut hubs = engine.hubs.changes();
    let mut stopped = std::pin::pin!(ended(stopped));
    loop {
        tokio::select! {
            () = &mut stopped => return,
            _ = hubs.changed() => {}
            () = tokio::time::sleep(CERTIFICATE_INTERVAL) => {}
        }
        let names = certificate_names(&engine, &config);
        let now = engine.environment().now();
        if let Err(error) = certificates.refresh(&names, now) {
            tracing::error!(
                error = &error as &dyn std::error::Error,
                "the certificate cannot be renewed, the present one stays in use"
            );
        }
    }
}

fn tls_config(
    certificates: &Arc<Certificates>,
    protocols: &[&[u8]],
) -> Result<Arc<ServerConfig>, rustls::Error> {
    server_config(Arc::clone(certificates) as Arc<_>, protocols)
}

fn random_token(environment: &dyn Environment) -> String {
    let mut bytes = [0; 32];
    environment.fill_random(&mut bytes);
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Raises the descriptor limit to the hard one: each session is a descriptor.
fn raise_descriptor_limit() {
    /// Descriptors for files, listeners and readers.
    const OWN: u64 = 256;
    match rlimit::increase_nofile_limit(u64::MAX) {
        Ok(limit) => tracing::info!(
            descriptors = limit,
            sessions_max = limit.saturating_sub(OWN),
            "descriptor limit"
        ),
        Err(error) => tracing::warn!(%error, "the descriptor limit cannot be raised"),
    }
}

/// Waits for SIGINT or SIGTERM.
async fn termination() {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        let interrupt = signal(SignalKind::interrupt());
        let terminate = signal(SignalKind::terminate());
        if let (Ok(mut interrupt), Ok(mut terminate)) = (interrupt, terminate) {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            return;
        }
    }
    drop(tokio::signal::ctrl_c().await);
}
