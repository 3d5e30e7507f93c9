//! The vendor-compatible types: what the service SDKs send and read.
//!
//! Requests are read member by member, so that a wrong type is answered with the member's path and
//! never with its value; members that only the hub writes are ignored, because SDKs send whole objects
//! back. Answers are `serde` types in the vendor's spelling.

mod authentication;
mod device;
mod error;
mod event;
mod key_regeneration;
mod message;
mod method;
mod module;
pub mod provisioning;
mod read;
mod statistics;
mod twin;
mod upload;

#[cfg(test)]
mod tests;

pub use authentication::{
    AuthenticationInput, AuthenticationMechanism, SymmetricKeys, Thumbprints,
};
pub use device::{Capabilities, Device, DeviceInput};
pub use error::ErrorBody;
pub use event::{EVENT_BATCH_MEDIA_TYPE, EventInput, push_event_property};
pub use key_regeneration::{
    KeyOwner, KeyRegeneration, KeyRegenerationError, KeyRegenerationResult, PolicyKey,
};
pub use message::draft_from_headers;
pub use method::{MethodInput, MethodResult};
pub use module::{Module, ModuleInput};
pub use read::{InputError, JsonType};
pub use statistics::{DeviceStatistics, PurgeResult, ServiceStatistics};
pub use twin::{Twin, TwinInput};
pub use upload::{UploadInput, UploadNotification, UploadTicket};

use hub_domain::identity::Activity;

/// The vendor's spelling of a connection state.
const fn connection_state(activity: &Activity) -> &'static str {
    if activity.connected {
        "Connected"
    } else {
        "Disconnected"
    }
}
