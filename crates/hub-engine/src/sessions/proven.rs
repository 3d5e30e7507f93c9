//! An identity that proved itself for one request.

use bytes::Bytes;
use hub_domain::identity::Activity;
use hub_domain::{HubNo, IdentityId};
use hub_storage::store::Ordinal;

use crate::Caller;

/// Made by [`crate::Sessions::identify`] and good for the request it was made for.
pub struct ProvenIdentity {
    pub(crate) hub: HubNo,
    pub(crate) id: IdentityId,
    pub(crate) ordinal: Ordinal,
    pub(crate) partition: u16,
    /// Its telemetry's source, encoded.
    pub(crate) source: Bytes,
    /// As last flushed.
    pub(crate) activity: Activity,
}

impl ProvenIdentity {
    /// Who it is.
    pub const fn id(&self) -> &IdentityId {
        &self.id
    }

    /// In which hub.
    pub const fn hub(&self) -> HubNo {
        self.hub
    }

    /// The identity as the caller of an operation.
    pub fn caller(&self) -> Caller {
        Caller::Identity {
            hub: self.hub,
            id: self.id.clone(),
        }
    }
}
