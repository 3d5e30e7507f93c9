//! What an enrollment says of a device whose registration is under way, when a job goes on with it.

use hub_domain::Status;
use hub_domain::provisioning::{
    Attestation, DeviceProof, EnrollmentGroup, Origin, Registration, RegistrationId,
    RegistrationRequest, derived_key,
};
use hub_engine::ErrorKind;

use super::Room;
use crate::Error;
use crate::attestation::{Attested, Found, Proven};
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
        let proven = Proven {
            proof: proof.ok_or_else(changed)?,
            certificates: registration.certificates.clone(),
        };
        let attested = Attested::of(&found, id, proven);
        if attested.terms.status == Status::Disabled {
            return Err(disabled());
        }
        Ok(attested)
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
