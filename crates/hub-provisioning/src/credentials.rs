//! Certificates for devices: who issues them, and how long they are good ("Certificate management").

mod settings;

use std::sync::Arc;

use hub_domain::certificate::CertificateName;
use hub_domain::provisioning::{CredentialPolicyName, DeviceProof};
use hub_domain::{DeviceId, Timestamp};
use hub_engine::x509::Certificate;

use crate::Error;
use crate::attestation::thumbprint;
use crate::error::codes;
use crate::issuance::{CertificateRequest, IssuingAuthority};
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

    /// Signs a request of a device, whose name in the request was checked. The certificate is for its name in the hub: that
    /// is what the hub compares, letter by letter.
    ///
    /// # Errors
    /// The enrollment names no policy, or one that is gone; the policy's issuer cannot sign. All of them are for the device.
    pub(crate) fn issue(
        &self,
        policy: Option<&CredentialPolicyName>,
        device: &DeviceId,
        request: &CertificateRequest,
        now: Timestamp,
    ) -> Result<IssuedChain, Error> {
        let name = policy.ok_or_else(|| {
            refused("the enrollment names no credential policy, so it takes no certificate signing request".to_owned())
        })?;
        let service = self.service.current();
        let settings = &service.settings;
        let policy = settings
            .credential_policies
            .iter()
            .find(|one| one.name.is(name));
        let policy =
            policy.ok_or_else(|| refused(format!("there is no credential policy {name}")))?;
        let mut issuers = settings.issuers.iter();
        let issuer = issuers
            .find(|one| one.name.is(policy.issuer.as_str()))
            .ok_or_else(|| refused(format!("there is no issuer {}", policy.issuer)))?;
        let authority = IssuingAuthority::read(&issuer.chain, &issuer.key, now)
            .map_err(|error| refused(error.to_string()).with_source(error))?;
        let mut random = |bytes: &mut [u8]| self.parts.environment.fill_random(bytes);
        let chain = authority
            .issue(
                request,
                device.as_str(),
                policy.validity_days,
                now,
                &mut random,
            )
            .map_err(|error| refused(error.to_string()).with_source(error))?;
        let authority = issuer.chain.first().map(Arc::clone);
        Ok(IssuedChain {
            chain: chain.into_iter().map(Arc::from).collect(),
            issuer: issuer.name.clone(),
            authority: authority
                .ok_or_else(|| refused("the issuer has no certificate".to_owned()))?,
        })
    }
}

/// The device gets no certificate.
pub(crate) fn refused(text: String) -> Error {
    Error::invalid(text).with_code(codes::SIGNING_REQUEST)
}

/// Certificates for a device.
pub(crate) struct IssuedChain {
    /// The device's own and what leads to the root, in DER.
    pub(crate) chain: Vec<Arc<[u8]>>,
    /// Who issued it: the hub has to trust that one.
    pub(crate) issuer: CertificateName,
    /// Its certificate, in DER.
    pub(crate) authority: Arc<[u8]>,
}

impl IssuedChain {
    /// What a hub that does not know the issuer accepts: this certificate alone.
    pub(crate) fn thumbprint(&self) -> DeviceProof {
        let leaf = self
            .chain
            .first()
            .and_then(|der| Certificate::read(der).ok());
        DeviceProof::Thumbprints {
            primary: thumbprint(&leaf.expect("invariant: what was issued is a certificate")),
            secondary: None,
        }
    }
}
