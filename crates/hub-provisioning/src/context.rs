//! What every operation of a back end carries: who asks, which request it is, and the moment.

use hub_domain::Timestamp;
use hub_domain::provisioning::{ServicePermission, ServicePermissions};
use hub_engine::ErrorKind;

use crate::Error;

/// Made at the entrance and handed down.
#[derive(Clone)]
pub struct Context {
    /// Who asks, as authenticated.
    pub caller: Caller,
    /// Names the request in logs and error bodies.
    pub request_id: String,
    /// The moment at which the operation is decided.
    pub now: Timestamp,
}

/// Who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Caller {
    /// A shared access policy of the service.
    Policy {
        /// The policy's name.
        name: String,
        /// What it allows.
        permissions: ServicePermissions,
    },
    /// The holder of the installation's local admin token.
    Admin,
    /// The service itself.
    System,
}

impl Context {
    /// Checks that the caller may do all that `permissions` allow.
    ///
    /// # Errors
    /// `NotAllowed` when it may not.
    pub(crate) fn require_all(&self, permissions: ServicePermissions) -> Result<(), Error> {
        permissions.given().try_for_each(|one| self.require(one))
    }

    /// Checks that the caller may do `permission`.
    ///
    /// # Errors
    /// `NotAllowed` when it may not.
    pub fn require(&self, permission: ServicePermission) -> Result<(), Error> {
        let allowed = match &self.caller {
            Caller::Policy { permissions, .. } => permissions.allows(permission),
            Caller::Admin | Caller::System => true,
        };
        if allowed {
            return Ok(());
        }
        Err(Error::new(
            ErrorKind::NotAllowed,
            format!("this needs the permission {}", permission.as_str()),
        ))
    }
}
