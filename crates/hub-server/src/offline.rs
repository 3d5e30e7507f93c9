//! What can be read from a data directory beside no running server.

use std::path::{Path, PathBuf};

use hub_api::native::{HubDocument, Keys, Ports, ProvisioningAccess, Reach};
use hub_domain::provisioning::OWNER_POLICY;
use hub_storage::Store as _;
use hub_storage_sqlite::{Config as StorageConfig, OpenError, SqliteStorage};

use crate::config::Config;
use crate::serve::open_engine;

/// The data directory says nothing.
#[derive(Debug, thiserror::Error)]
pub enum OfflineError {
    /// There is no hub in it.
    #[error("there is no hub in {}; start one with `thingstead serve --data-dir {}`", path.display(), path.display())]
    NoHub {
        /// Where was looked.
        path: PathBuf,
    },
    /// There is no hub of that name.
    #[error("there is no hub named {name}; there are: {known}")]
    UnknownHub {
        /// The name asked for.
        name: String,
        /// The names there are.
        known: String,
    },
    /// The storage cannot be opened.
    #[error("the data directory cannot be read")]
    Storage(#[from] OpenError),
    /// The storage cannot be read.
    #[error("the data directory cannot be read")]
    Engine(#[from] hub_engine::Error),
}

/// The document of a hub, the default one when `name` is absent. Ports are those of the default configuration.
///
/// # Errors
/// When there is no such hub, or the directory cannot be read.
pub async fn hub_document(
    data_dir: &Path,
    name: Option<&str>,
) -> Result<HubDocument, OfflineError> {
    let no_hub = || OfflineError::NoHub {
        path: data_dir.to_owned(),
    };
    if !data_dir.join("store.db").exists() {
        return Err(no_hub());
    }
    let data_dir = data_dir
        .canonicalize()
        .unwrap_or_else(|_| data_dir.to_owned());
    let storage = SqliteStorage::open(&data_dir, &StorageConfig::default())?;
    let engine = open_engine(&storage, crate::files::none()).await?;
    let hub = match name {
        None => engine.hubs.default_hub().ok_or_else(no_hub)?,
        Some(name) => engine
            .hubs
            .by_name(name)
            .ok_or_else(|| OfflineError::UnknownHub {
                name: name.to_owned(),
                known: engine
                    .hubs
                    .list()
                    .iter()
                    .map(|hub| hub.name.to_string())
                    .collect::<Vec<_>>()
                    .join(", "),
            })?,
    };
    let listen = Config::default().listen;
    let ca_certificate = data_dir.join("tls/ca.pem");
    let reach = Reach {
        ports: Ports {
            https: listen.https_port.or(Some(443)),
            mqtt: Some(listen.mqtt_port),
            amqp: Some(listen.amqp_port),
        },
        ca_certificate: ca_certificate
            .exists()
            .then(|| ca_certificate.display().to_string()),
    };
    let service = storage.store.provisioning_service().await;
    let service = service.map_err(hub_engine::Error::from)?;
    let host = engine.hubs.default_hub().map(|hub| hub.host.clone());
    let provisioning = service.zip(host).map(|(service, host)| {
        ProvisioningAccess::of(&service.id_scope, &host, service.policy(OWNER_POLICY))
    });
    let document = HubDocument {
        provisioning,
        ..HubDocument::of(&hub, &reach, Keys::Shown)
    };
    drop(engine);
    storage.close();
    Ok(document)
}
