//! Tokens of back ends.

use hub_domain::limits::CLOCK_SKEW;
use hub_domain::sas::SasToken;
use hub_domain::{HostName, Timestamp};

use crate::parts::Parts;
use crate::service::Service;
use crate::{Caller, Error};

/// Checks the tokens of back ends. Cheap to clone.
#[derive(Clone)]
pub struct Access {
    parts: Parts,
    service: Service,
}

impl Access {
    pub(crate) const fn new(parts: Parts, service: Service) -> Self {
        Self { parts, service }
    }

    /// Who holds a policy's token. Its resource is a host of the installation, for the service answers on all of them.
    ///
    /// # Errors
    /// `NotAuthenticated` with a public text that names the failed check, never the token.
    pub fn authenticate(&self, token: &str, now: Timestamp) -> Result<Caller, Error> {
        let token = SasToken::parse(token)
            .map_err(|error| Error::unauthorized("the token cannot be read").with_source(error))?;
        let service = self.service.current();
        let name = token
            .policy()
            .ok_or_else(|| Error::unauthorized("the token names no policy"))?;
        let policy = service
            .policy(name)
            .ok_or_else(|| Error::unauthorized("the token's policy does not exist"))?;
        if !token.resource().segments().is_empty() || !self.is_own(token.resource().host()) {
            return Err(Error::unauthorized(
                "the token does not speak for this provisioning service",
            ));
        }
        // Both keys are tried whatever the first says, so that the time does not tell which one it was.
        if !(token.verify(&policy.primary) | token.verify(&policy.secondary)) {
            return Err(Error::unauthorized("the token's signature is wrong"));
        }
        if token.expiry().plus(CLOCK_SKEW) < now {
            return Err(Error::unauthorized("the token has expired, make a new one"));
        }
        Ok(Caller::Policy {
            name: policy.name.clone(),
            permissions: policy.permissions,
        })
    }

    /// With one hub any host will do, because the key names the service already.
    fn is_own(&self, host: &str) -> bool {
        let hubs = self.parts.engine.hubs.list();
        if hubs.len() < 2 {
            return true;
        }
        HostName::parse(host).is_ok_and(|host| hubs.iter().any(|hub| hub.answers_to(&host)))
    }
}
