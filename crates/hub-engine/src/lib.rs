//! The hub's operations: registry, twins, methods, messages, telemetry, events, sessions.
//!
//! An operation decides with the pure functions of `hub-domain`, commits the new state and its facts
//! in one unit through the storage ports, and leaves reactions to the dispatcher. The engine knows no
//! protocol and no backend; time and randomness come from the [`Environment`].
//!
//! Invariants:
//! - every operation checks its caller's permission itself;
//! - nothing is acknowledged before its unit is durable;
//! - an identity has at most one session; the newer one wins.

mod access;
mod activity;
pub mod certificates;
mod claims;
mod context;
mod dispatcher;
mod engine;
mod error;
mod events;
mod faults;
mod hubs;
mod maintenance;
pub mod messages;
pub mod methods;
mod quotas;
mod registry;
mod room;
pub mod routing;
pub mod service_bound;
pub mod sessions;
mod telemetry;
mod turns;
mod twins;
pub mod uploads;
pub mod x509;

pub use access::{Access, PolicyProof};
pub use certificates::{CertificateUpload, CertificateView, Certificates, UploadStanding};
pub use context::{Caller, Environment, OpContext};
pub use engine::{Engine, EngineParts, Files};
pub use error::{Error, ErrorKind, Origin};
pub use events::{Events, FactPage};
pub use hub_storage::blobs::{BlobContent, BlobError, BlobState, BlockId, Existing};
pub use hub_storage::bus::{CloseReason, Notice};
pub use hub_storage::log::{
    Appended, LogRecord, PartitionState, Position, ReadLimit, RecordFlags, TelemetrySource,
};
pub use hub_storage::store::{FactNo, Health, MessageNo, StoredMessage};
pub use hubs::{Hubs, NewHub};
pub use messages::{LockToken, Messages};
pub use methods::Methods;
pub use registry::{
    IdentityUpdate, IdentityView, IfMatch, KeyRoll, NewAuthentication, NewIdentity,
    ProvisionedDevice, ProvisionedUnit, Registry, RegistryStatistics, RemovalUnit, Standing,
    initial_twin,
};
pub use routing::Routes;
pub use service_bound::ServiceBound;
pub use sessions::{Session, Sessions};
pub use telemetry::Telemetry;
pub use turns::{Turn, Turns};
pub use twins::{TwinReplacement, TwinView, Twins};
pub use uploads::Uploads;
pub use x509::CertificateDer;
