//! Rolling the keys of identities: one slot becomes new while the other is in use.

use futures_util::future::join_all;
use hub_domain::limits::BULK_IDENTITIES_MAX;
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
    /// Both become new ones, as after a breach.
    Both,
}

impl KeyRoll {
    /// The two keys after it.
    pub fn roll(
        self,
        primary: SymmetricKey,
        secondary: SymmetricKey,
        mut new: impl FnMut() -> SymmetricKey,
    ) -> (SymmetricKey, SymmetricKey) {
        match self {
            Self::Primary => (new(), secondary),
            Self::Secondary => (primary, new()),
            Self::Swap => (secondary, primary),
            Self::Both => (new(), new()),
        }
    }
}

impl Registry {
    /// Rolls the keys of an identity. Its connections are cut; with the other key it comes back.
    ///
    /// # Errors
    /// Needs `RegistryWrite`. It does not exist (404001, 404010), has no symmetric keys (400003), or another etag than
    /// `if_match` says (412001).
    pub async fn roll_keys(
        &self,
        ctx: &OpContext,
        hub: HubNo,
        id: &IdentityId,
        roll: KeyRoll,
        if_match: &IfMatch,
    ) -> Result<IdentityView, Error> {
        ctx.caller.require(hub, Permission::RegistryWrite)?;
        let mut attempt = 0;
        loop {
            let former = self.stored(hub, id).await?.identity;
            if_match.check(&former.etag.0)?;
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
                    if error.kind() == ErrorKind::PreconditionFailed
                        && if_match.allows_retry()
                        && attempt < RETRIES_MAX =>
                {
                    attempt += 1;
                }
                result => return result,
            }
        }
    }

    /// Rolls the keys of several identities, each by itself; the outcomes stand in the order of `ids`.
    ///
    /// # Errors
    /// Needs `RegistryWrite`. More than [`BULK_IDENTITIES_MAX`] ids (400004).
    pub async fn roll_keys_of(
        &self,
        ctx: &OpContext,
        hub: HubNo,
        ids: &[IdentityId],
        roll: KeyRoll,
    ) -> Result<Vec<Result<IdentityView, Error>>, Error> {
        ctx.caller.require(hub, Permission::RegistryWrite)?;
        if ids.len() > BULK_IDENTITIES_MAX {
            let text = format!("at most {BULK_IDENTITIES_MAX} identities at once");
            return Err(Error::new(ErrorKind::Invalid, text));
        }
        // At the same time, so that they share a group of the committer.
        let each = ids
            .iter()
            .map(|id| self.roll_keys(ctx, hub, id, roll, &IfMatch::Any));
        Ok(join_all(each).await)
    }
}
