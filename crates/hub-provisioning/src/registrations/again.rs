//! What an enrollment says of a device whose registration is under way, when a job goes on with it.

use hub_domain::Status;
use hub_domain::provisioning::{
    Attestation, DeviceProof, EnrollmentGroup, Origin, Registration, RegistrationId,
    RegistrationRequest, derived_key,
};
use hub_engine::ErrorKind;

use super::Room;
use super::assign::{Attempt, Failed};
use crate::Error;
use crate::attestation::{Attested, Found, Proven, still_vouches};
use crate::error::codes;

impl Room {
    /// The enrollment as it is, and a proof that it takes: keys are those it has by now. What else the device showed
    /// cannot be checked again.
    ///
    /// # Errors
    /// The enrollment is gone or disabled; it changed, so that the device has to register again.
    pub(super) async fn attested_again(
        &self,
        registration: &Registration,
        request: &RegistrationRequest,
    ) -> Result<Attested, Error> {
        let id = &registration.id;
        let own = self.parts.store.enrollment(id).await?;
        let (found, etag, proof) = match (&registration.origin, own) {
            (Origin::Individual, Some(own)) => {
                let (etag, proof) = (own.etag.clone(), keys_of(&own.attestation));
                (Found::Individual(Box::new(own)), etag, proof)
            }
            // An enrollment of its own goes before that of a group; it was made meanwhile.
            (Origin::Group(_), Some(own)) if own.terms.status == Status::Disabled => {
                return Err(disabled());
            }
            (Origin::Group(_), Some(_)) => return Err(changed()),
            (Origin::Individual, None) => return Err(deleted()),
            (Origin::Group(group), None) => {
                let group = self.groups.find(group).map_err(|_| deleted())?;
                let (etag, proof) = (group.etag.clone(), derived_keys(&group, id));
                (Found::Group(group), etag, proof)
            }
        };
        let proof = if etag == request.enrollment {
            Some(request.proof.clone())
        } else {
            proof
        };
        let certificates = registration.certificates.clone();
        if !still_vouches(
            found.attestation(),
            &self.service.current().settings,
            certificates.as_deref(),
        ) {
            return Err(changed());
        }
        let proven = Proven {
            proof: proof.ok_or_else(changed)?,
            certificates,
        };
        let attested = Attested::of(&found, id, proven);
        if attested.terms.status == Status::Disabled {
            return Err(disabled());
        }
        Ok(attested)
    }

    /// Checks that what vouched for the device still does, as the last thing before the commit: unlike the enrollment, which
    /// the commit itself checks, the service's certificates have no etag there.
    pub(super) async fn check_vouched(&self, attempt: &Attempt<'_>) -> Result<(), Failed> {
        let shown = attempt.attested.certificates.as_deref();
        if shown.is_none_or(|shown| shown.signing.is_none()) {
            return Ok(());
        }
        let found = match &attempt.attested.origin {
            Origin::Individual => {
                let own = self.parts.store.enrollment(attempt.id).await?;
                own.map(|own| Found::Individual(Box::new(own)))
            }
            Origin::Group(group) => self.groups.find(group).ok().map(Found::Group),
        };
        let settings = &self.service.current().settings;
        found
            .filter(|found| still_vouches(found.attestation(), settings, shown))
            .map(drop)
            .ok_or(Failed::Changed)
    }
}

fn keys_of(attestation: &Attestation) -> Option<DeviceProof> {
    match attestation {
        Attestation::SymmetricKey { primary, secondary } => Some(DeviceProof::Keys {
            primary: primary.clone(),
            secondary: secondary.clone(),
        }),
        Attestation::Tpm { .. }
        | Attestation::ClientCertificates(_)
        | Attestation::SigningCertificates(_)
        | Attestation::AuthorityReferences(_) => None,
    }
}

/// The keys of a device of a group. One whose id has capital letters may spell it in either way.
fn derived_keys(group: &EnrollmentGroup, id: &RegistrationId) -> Option<DeviceProof> {
    match keys_of(&group.attestation)? {
        DeviceProof::Keys { primary, secondary } if id.as_str() == id.key() => {
            Some(DeviceProof::Keys {
                primary: derived_key(&primary, id.key()),
                secondary: derived_key(&secondary, id.key()),
            })
        }
        DeviceProof::Keys { .. }
        | DeviceProof::Thumbprints { .. }
        | DeviceProof::Authority
        | DeviceProof::Tpm { .. } => None,
    }
}

fn deleted() -> Error {
    let text = "the enrollment was deleted while the device registered";
    Error::new(ErrorKind::NotFound, text)
}

fn changed() -> Error {
    let text = "the enrollment changed while the device registered, register again";
    Error::new(ErrorKind::PreconditionFailed, text)
}

fn disabled() -> Error {
    let text = "the enrollment was disabled while the device registered";
    Error::new(ErrorKind::NotAllowed, text).with_code(codes::DISABLED)
}
