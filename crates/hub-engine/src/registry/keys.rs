//! Rolling the keys of identities: one slot becomes new while the other is in use.

use hub_domain::{Authentication, HubNo, IdentityId, Permission, SymmetricKey};

use super::{IdentityUpdate, IdentityView, IfMatch, NewAuthentication, RETRIES_MAX, Registry};
use crate::{Error, ErrorKind, OpContext};

/// How keys are rolled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyRoll {
    /// The primary key becomes a new one.
    Primary,
    /// The secondary key becomes a new one.
    Secondary,
    /// They change places.
    Swap,
}

impl KeyRoll {
    /// The two keys after it.
    pub fn roll(
        self,
        primary: SymmetricKey,
        secondary: SymmetricKey,
        new: impl FnOnce() -> SymmetricKey,
    ) -> (SymmetricKey, SymmetricKey) {
        match self {
            Self::Primary => (new(), secondary),
            Self::Secondary => (primary, new()),
            Self::Swap => (secondary, primary),
        }
    }
}

impl Registry {
    /// Rolls the keys of an identity. Its connections are cut; with the other key it comes back.
    ///
    /// # Errors
    /// Needs `RegistryWrite`. It does not exist (404001, 404010), or has no symmetric keys (400003).
    pub async fn roll_keys(
        &self,
        ctx: &OpContext,
        hub: HubNo,
        id: &IdentityId,
        roll: KeyRoll,
    ) -> Result<IdentityView, Error> {
        ctx.caller.require(hub, Permission::RegistryWrite)?;
        let mut attempt = 0;
        loop {
            let former = self.stored(hub, id).await?.identity;
            let Authentication::Sas { primary, secondary } = former.authentication else {
                let text = format!("{id} has no symmetric keys");
                return Err(Error::new(ErrorKind::Invalid, text)
                    .with_code(hub_domain::ErrorCode::InvalidOperation));
            };
            let (primary, secondary) = roll.roll(primary, secondary, || {
                crate::hubs::random_key(&*self.parts.environment)
            });
            let update = IdentityUpdate {
                id: former.id,
                status: former.status,
                status_reason: former.status_reason,
                authentication: NewAuthentication::Sas {
                    primary: Some(primary),
                    secondary: Some(secondary),
                },
                iot_edge: former.iot_edge,
                device_scope: former.device_scope,
                parent_scopes: former.parent_scopes,
                managed_by: former.managed_by,
            };
            let guard = IfMatch::Etag(former.etag.0);
            match self.replace(ctx, hub, update, guard).await {
                Err(error)
                    if error.kind() == ErrorKind::PreconditionFailed && attempt < RETRIES_MAX =>
                {
                    attempt += 1;
                }
                result => return result,
            }
        }
    }
}
