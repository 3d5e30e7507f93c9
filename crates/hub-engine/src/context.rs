//! What every operation carries: who asks, which request it is, and the moment.

use hub_domain::{DeviceId, HubNo, IdentityId, Permission, Permissions, Timestamp};

use crate::{Error, ErrorKind};

/// Made at the entrance (request, session, background run, test) and handed down.
#[derive(Clone)]
pub struct OpContext {
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
    /// A shared access policy of a hub.
    Policy {
        /// Which hub.
        hub: HubNo,
        /// The policy's name.
        name: String,
        /// What it allows.
        permissions: Permissions,
    },
    /// A device or module.
    Identity {
        /// Which hub.
        hub: HubNo,
        /// Who.
        id: IdentityId,
    },
    /// The holder of the installation's local admin token.
    Admin,
    /// The engine itself: sweepers, reconcilers.
    System,
}

impl Caller {
    /// Checks that the caller may do `permission` in `hub`.
    ///
    /// # Errors
    /// `NotAllowed` when it may not.
    pub fn require(&self, hub: HubNo, permission: Permission) -> Result<(), Error> {
        let allowed = match self {
            Self::Policy {
                hub: own,
                permissions,
                ..
            } => *own == hub && permissions.allows(permission),
            Self::Identity { .. } => false,
            Self::Admin | Self::System => true,
        };
        if allowed {
            return Ok(());
        }
        Err(Error::new(
            ErrorKind::NotAllowed,
            format!("this needs the permission {}", permission.as_str()),
        )
        .with_code(hub_domain::ErrorCode::IotHubUnauthorizedAccess))
    }

    /// True for the device itself, by its own credentials. A device has its modules in its hands.
    pub(crate) fn is_device(&self, hub: HubNo, device: &DeviceId) -> bool {
        match self {
            Self::Identity { hub: own, id } => {
                *own == hub && id.module.is_none() && id.device == *device
            }
            Self::Policy { .. } | Self::Admin | Self::System => false,
        }
    }

    /// Checks that the caller is the identity, or may connect as any of the hub.
    ///
    /// # Errors
    /// `NotAllowed` when it may not.
    pub fn require_identity(&self, hub: HubNo, id: &IdentityId) -> Result<(), Error> {
        match self {
            Self::Identity {
                hub: own_hub,
                id: own,
            } => {
                if *own_hub == hub && own == id {
                    return Ok(());
                }
                Err(Error::new(
                    ErrorKind::NotAllowed,
                    "only the identity itself may do this",
                )
                .with_code(hub_domain::ErrorCode::IotHubUnauthorizedAccess))
            }
            Self::Policy { .. } | Self::Admin | Self::System => {
                self.require(hub, Permission::DeviceConnect)
            }
        }
    }

    /// Checks that the caller may administer the installation.
    ///
    /// # Errors
    /// `NotAllowed` when it may not.
    pub fn require_admin(&self) -> Result<(), Error> {
        match self {
            Self::Admin | Self::System => Ok(()),
            Self::Policy { .. } | Self::Identity { .. } => Err(Error::new(
                ErrorKind::NotAllowed,
                "only the administrator of the installation may do this",
            )),
        }
    }
}

/// The engine's only source of time and randomness: the system's in the server, a scripted one in tests.
pub trait Environment: Send + Sync + 'static {
    /// The present moment.
    fn now(&self) -> Timestamp;

    /// Fills `bytes` with random bytes fit for keys.
    fn fill_random(&self, bytes: &mut [u8]);
}
