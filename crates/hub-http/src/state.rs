//! What every request handler can reach.

use std::fmt;
use std::sync::Arc;

use hub_engine::Engine;
use hub_provisioning::Provisioning;

use crate::HttpConfig;

/// Shared by all requests; a clone is one reference count.
#[derive(Clone)]
pub struct AppState(Arc<Shared>);

/// What the installation's parts lend to the HTTP face.
struct Shared {
    engine: Arc<Engine>,
    provisioning: Arc<Provisioning>,
    admin_token: AdminToken,
    version: String,
    config: HttpConfig,
}

impl AppState {
    pub(crate) fn new(
        engine: Arc<Engine>,
        provisioning: Arc<Provisioning>,
        admin_token: AdminToken,
        version: String,
        config: HttpConfig,
    ) -> Self {
        Self(Arc::new(Shared {
            engine,
            provisioning,
            admin_token,
            version,
            config,
        }))
    }

    /// The operations.
    pub fn engine(&self) -> &Arc<Engine> {
        &self.0.engine
    }

    /// The provisioning service.
    pub fn provisioning(&self) -> &Arc<Provisioning> {
        &self.0.provisioning
    }

    /// The secret that `/api/v1` asks for.
    pub fn admin_token(&self) -> &AdminToken {
        &self.0.admin_token
    }

    /// The program's version, for people and `Server` headers.
    pub fn version(&self) -> &str {
        &self.0.version
    }

    /// The bounds of the HTTP face.
    pub fn config(&self) -> &HttpConfig {
        &self.0.config
    }
}

/// The installation's local admin token. It has no readable `Debug` and compares in constant time.
#[derive(Clone)]
pub struct AdminToken(String);

impl AdminToken {
    /// Takes the token made at the start of the server.
    pub fn new(token: impl Into<String>) -> Self {
        Self(token.into())
    }

    /// Whether `candidate` is the token, in time that does not depend on where they differ. An empty token matches nothing.
    pub fn matches(&self, candidate: &str) -> bool {
        use subtle::ConstantTimeEq;
        !self.0.is_empty() && bool::from(self.0.as_bytes().ct_eq(candidate.as_bytes()))
    }
}

impl fmt::Debug for AdminToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AdminToken(..)")
    }
}
