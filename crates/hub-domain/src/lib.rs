//! Words and rules of the hub: ids, identities, tokens, twins, messages, access, facts and limits.
//!
//! Everything here is a value or a pure function: no runtime, no I/O, no clock, no randomness. The
//! present moment and random bytes are arguments. A value that exists is valid: constructors parse.

pub mod access;
pub mod certificate;
pub mod codes;
pub mod event;
pub mod fact;
pub mod fault;
pub mod hub;
pub mod identity;
pub mod ids;
pub mod limits;
pub mod message;
pub mod partition;
pub mod provisioning;
pub mod quota;
pub mod routing;
pub mod sas;
pub mod service_bound;
pub mod timestamp;
pub mod twin;
pub mod upload;

pub use access::{Permission, Permissions, Policy};
pub use codes::ErrorCode;
pub use fact::{Fact, FactKind, TwinChange};
pub use hub::{
    CloudToDeviceSettings, FileUploadSettings, Hub, Notifications, Revision, ServiceBoundSettings,
    Settings,
};
pub use identity::{Authentication, Identity, Status};
pub use ids::{DeviceId, Etag, GenerationId, HostName, HubName, HubNo, IdentityId, ModuleId};
pub use quota::QuotaProfile;
pub use sas::SymmetricKey;
pub use service_bound::{ServiceBoundKind, ServiceBoundRecord};
pub use timestamp::Timestamp;
