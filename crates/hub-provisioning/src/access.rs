//! Tokens of back ends.

use hub_domain::limits::CLOCK_SKEW;
use hub_domain::sas::SasToken;
use hub_domain::{HostName, Timestamp};
use percent_encoding::percent_decode_str;

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

    /// Who holds a policy's token. Its resource is a host of the installation, for the service answers on all of them, or
    /// a beginning of `path` there, by segments ("How to control access": a prefix of what may be reached).
    ///
    /// # Errors
    /// `NotAuthenticated` with a public text that names the failed check, never the token.
    pub fn authenticate(&self, token: &str, path: &str, now: Timestamp) -> Result<Caller, Error> {
        let token = SasToken::parse(token)
            .map_err(|error| Error::unauthorized("the token cannot be read").with_source(error))?;
        let service = self.service.current();
        let name = token
            .policy()
            .ok_or_else(|| Error::unauthorized("the token names no policy"))?;
        let policy = service
            .policy(name)
            .ok_or_else(|| Error::unauthorized("the token's policy does not exist"))?;
        let resource = token.resource();
        if !is_below(path, resource.segments()) || !self.is_own(resource.host()) {
            return Err(Error::unauthorized(
                "the token does not speak for this part of the provisioning service",
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
            name: policy.name.to_string(),
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

/// Paths compare without case, as the service's collections and ids do, and decoded: clients encode the colon of an id.
fn is_below(path: &str, beginning: &[String]) -> bool {
    let mut segments = path.split('/').filter(|segment| !segment.is_empty());
    beginning.iter().all(|one| {
        segments.next().is_some_and(|segment| {
            let decoded = percent_decode_str(segment).decode_utf8_lossy();
            decoded.eq_ignore_ascii_case(one)
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_speaks_for_what_its_resource_begins() {
        let path = "/enrollments/D1/attestationmechanism";
        let segments =
            |text: &str| -> Vec<String> { text.split_terminator('/').map(str::to_owned).collect() };
        for yes in ["", "enrollments", "Enrollments/d1"] {
            assert!(is_below(path, &segments(yes)), "{yes}");
        }
        for no in ["enrollment", "enrollments/d", "enrollmentGroups"] {
            assert!(!is_below(path, &segments(no)), "{no}");
        }
        assert!(!is_below("/", &segments("enrollments")));
        assert!(is_below("/enrollments/a%3Ab", &segments("enrollments/a:b")));
    }
}
