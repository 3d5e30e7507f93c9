//! The provisioning service over the engine and the storage.

use std::sync::Arc;

use hub_engine::Engine;
use hub_provisioning::{Outside, Parts, Provisioning};
use hub_storage_sqlite::Opened;

use crate::config;
use crate::environment::SystemEnvironment;
use crate::serve::ServeError;

/// Opens the service; the first start makes its id scope and keys.
///
/// # Errors
/// When the certificates to trust cannot be read, or the storage fails.
pub(crate) async fn open(
    config: &config::Provisioning,
    storage: &Opened,
    engine: &Arc<Engine>,
) -> Result<Arc<Provisioning>, ServeError> {
    let parts = Parts {
        engine: Arc::clone(engine),
        store: storage.store.clone(),
        environment: Arc::new(SystemEnvironment),
        outside: outside(config)?,
        limits: config.quota.limits(),
    };
    Ok(Provisioning::open(parts).await?)
}

fn outside(config: &config::Provisioning) -> Result<Outside, ServeError> {
    let Some(path) = &config.trusted_certificates else {
        return Outside::new(None).map_err(|error| ServeError::Certificates(Box::new(error)));
    };
    let untrusted = |source: Box<dyn std::error::Error + Send + Sync>| ServeError::Trust {
        path: path.clone(),
        source,
    };
    let pem = std::fs::read(path).map_err(|error| untrusted(Box::new(error)))?;
    if !String::from_utf8_lossy(&pem).contains("-----BEGIN CERTIFICATE-----") {
        return Err(untrusted("there is no certificate in it, in PEM".into()));
    }
    Outside::new(Some(&pem)).map_err(|error| untrusted(Box::new(error)))
}
