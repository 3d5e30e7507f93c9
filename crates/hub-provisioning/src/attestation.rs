//! Who a device is: its proof against its own enrollment, or against the groups.

mod anchors;

pub(crate) use anchors::still_vouches;

use std::net::IpAddr;
use std::sync::Arc;

use hub_domain::certificate::CertificateInfo;
use hub_domain::identity::Thumbprint;
use hub_domain::limits::CLOCK_SKEW;
use hub_domain::provisioning::{
    Attestation, AttestationKind, CertificateSlot, DeviceProof, Enrollment, EnrollmentGroup,
    Origin, RegisteredCertificates, Registration, RegistrationId, Slots, Terms, derived_key,
};
use hub_domain::sas::SasToken;
use hub_domain::{DeviceId, Etag, SymmetricKey, Timestamp};
use hub_engine::x509::{Certificate, CertificateDer, vouch};
use subtle::ConstantTimeEq as _;

use self::anchors::AnchorTable;
use crate::Error;
use crate::challenges::{Challenges, Issued};
use crate::documents::{certificate_info, info_of};
use crate::error::codes;
use crate::groups::Groups;
use crate::parts::Parts;
use crate::service::Service;

/// A call of a device, as a head knows it.
#[derive(Clone)]
pub struct DeviceCall<'a> {
    /// The scope that it names.
    pub id_scope: &'a str,
    /// Under which id it calls.
    pub id: RegistrationId,
    /// How it proves itself.
    pub credential: Credential<'a>,
    /// Where it calls from.
    pub address: Option<IpAddr>,
    /// When.
    pub now: Timestamp,
}

/// How a device proves itself.
#[derive(Clone, Copy)]
pub enum Credential<'a> {
    /// A token.
    Token(&'a str),
    /// The certificates of its TLS connection, its own first.
    Certificates(&'a [CertificateDer<'a>]),
    /// Not at all: the beginning of a TPM's registration.
    None,
}

/// A device whose proof is good, and the enrollment that says so.
pub(crate) struct Attested {
    pub(crate) origin: Origin,
    /// That of the enrollment: a registration is committed only while it is the same.
    pub(crate) etag: Etag,
    pub(crate) terms: Terms,
    pub(crate) device: DeviceId,
    /// The enrollment itself says how the device is called in its hub.
    names_device: bool,
    pub(crate) kind: AttestationKind,
    pub(crate) proof: DeviceProof,
    pub(crate) certificates: Option<Box<RegisteredCertificates>>,
    /// That of the enrollment, when it takes a TPM.
    pub(crate) endorsement_key: Option<Arc<[u8]>>,
}

/// What a device proved itself with.
pub(crate) struct Proven {
    pub(crate) proof: DeviceProof,
    pub(crate) certificates: Option<Box<RegisteredCertificates>>,
}

impl From<DeviceProof> for Proven {
    fn from(proof: DeviceProof) -> Self {
        Self {
            proof,
            certificates: None,
        }
    }
}

/// The enrollment that a device calls by.
pub(crate) enum Found {
    Individual(Box<Enrollment>),
    Group(Arc<EnrollmentGroup>),
}

impl Found {
    /// How its devices prove themselves.
    pub(crate) fn attestation(&self) -> &Attestation {
        match self {
            Self::Individual(enrollment) => &enrollment.attestation,
            Self::Group(group) => &group.attestation,
        }
    }
}

impl Attested {
    /// What an enrollment says of a device that proved itself.
    pub(crate) fn of(found: &Found, id: &RegistrationId, proven: Proven) -> Self {
        match found {
            Found::Individual(enrollment) => Self::by_enrollment(enrollment, proven),
            Found::Group(group) => Self::by_group(group, id, proven),
        }
    }

    /// The key of the challenge that the device answered, if it has a TPM.
    pub(crate) const fn challenge(&self) -> Option<&SymmetricKey> {
        match &self.proof {
            DeviceProof::Tpm { key, .. } => Some(key),
            DeviceProof::Keys { .. } | DeviceProof::Thumbprints { .. } | DeviceProof::Authority => {
                None
            }
        }
    }

    fn by_enrollment(enrollment: &Enrollment, proven: Proven) -> Self {
        let endorsement_key = match &enrollment.attestation {
            Attestation::Tpm {
                endorsement_key, ..
            } => Some(Arc::clone(endorsement_key)),
            Attestation::ClientCertificates(_)
            | Attestation::SigningCertificates(_)
            | Attestation::AuthorityReferences(_)
            | Attestation::SymmetricKey { .. } => None,
        };
        Self {
            origin: Origin::Individual,
            etag: enrollment.etag.clone(),
            terms: enrollment.terms.clone(),
            device: enrollment
                .device
                .clone()
                .unwrap_or_else(|| device_named(&enrollment.id)),
            names_device: enrollment.device.is_some(),
            kind: enrollment.attestation.kind(),
            proof: proven.proof,
            certificates: proven.certificates,
            endorsement_key,
        }
    }

    /// A device keeps its name in the hub when its registration id is spelled another way, by itself or by whoever
    /// enrolls it: registration ids are compared without case, device ids are not.
    pub(crate) fn keep_name(&mut self, existing: Option<&Registration>) {
        let assignment = existing.and_then(|existing| existing.assignment.as_ref());
        if let (false, Some(assignment)) = (self.names_device, assignment)
            && assignment
                .device
                .as_str()
                .eq_ignore_ascii_case(self.device.as_str())
        {
            self.device = assignment.device.clone();
        }
    }

    fn by_group(group: &EnrollmentGroup, id: &RegistrationId, proven: Proven) -> Self {
        Self {
            origin: Origin::Group(group.id.clone()),
            etag: group.etag.clone(),
            terms: group.terms.clone(),
            device: device_named(id),
            names_device: false,
            kind: group.attestation.kind(),
            proof: proven.proof,
            certificates: proven.certificates,
            endorsement_key: None,
        }
    }
}

/// Checks proofs. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Attestor {
    parts: Parts,
    service: Service,
    groups: Groups,
    challenges: Arc<Challenges>,
    anchors: Arc<AnchorTable>,
}

impl Attestor {
    pub(crate) fn new(
        parts: Parts,
        service: Service,
        groups: Groups,
        challenges: Arc<Challenges>,
    ) -> Self {
        Self {
            parts,
            service,
            groups,
            challenges,
            anchors: Arc::default(),
        }
    }

    /// Checks the proof of a call.
    ///
    /// # Errors
    /// The scope is another; nothing is enrolled for the device; the proof is not good. All but the first are
    /// `NotAuthenticated` with one text, so that ids cannot be probed.
    pub(crate) async fn attest(
        &self,
        call: &DeviceCall<'_>,
    ) -> Result<Attested, (Error, Option<Origin>)> {
        self.check_scope(call).map_err(|error| (error, None))?;
        let own = self
            .parts
            .store
            .enrollment(&call.id)
            .await
            .map_err(|error| (error.into(), None))?;
        match own {
            // The device's own enrollment decides alone, whatever group would take it.
            Some(enrollment) => self
                .by_enrollment(call, &enrollment)
                .map_err(|error| (error, Some(Origin::Individual))),
            None => self.by_group(call),
        }
    }

    /// The scope is the service's; ids of scopes are compared without case.
    pub(crate) fn check_scope(&self, call: &DeviceCall<'_>) -> Result<(), Error> {
        if self
            .service
            .id_scope()
            .as_str()
            .eq_ignore_ascii_case(call.id_scope)
        {
            return Ok(());
        }
        Err(Error::new(
            hub_engine::ErrorKind::NotFound,
            "no provisioning service has this id scope",
        )
        .with_code(codes::SCOPE_NOT_FOUND))
    }

    fn by_enrollment(
        &self,
        call: &DeviceCall<'_>,
        enrollment: &Enrollment,
    ) -> Result<Attested, Error> {
        let proven = match (&enrollment.attestation, call.credential) {
            (Attestation::SymmetricKey { primary, secondary }, Credential::Token(token)) => {
                check_token(call, token, [primary, secondary])?;
                DeviceProof::Keys {
                    primary: primary.clone(),
                    secondary: secondary.clone(),
                }
                .into()
            }
            (Attestation::Tpm { .. }, Credential::Token(token)) => {
                let issued = self.answered(call, token)?;
                DeviceProof::Tpm {
                    key: issued.key,
                    storage_root_key: issued.storage_root_key.into(),
                }
                .into()
            }
            (Attestation::ClientCertificates(slots), Credential::Certificates(chain)) => {
                by_client_certificate(call, slots, chain)?
            }
            (Attestation::AuthorityReferences(_), Credential::Certificates(chain)) => {
                let settings = &self.service.current().settings;
                let anchors = anchors::anchors(&enrollment.attestation, settings);
                let anchors: Vec<&[u8]> = anchors.iter().map(|der| &**der).collect();
                by_authority(call, &anchors, chain).map_err(|error| {
                    match anchors::lacking(&enrollment.attestation, settings) {
                        Some(why) => {
                            refused(format!("{}; {why}", error.reason())).with_source(error)
                        }
                        None => error,
                    }
                })?
            }
            (_, Credential::None) => return Err(Error::unauthorized("the call shows no proof")),
            (
                Attestation::SymmetricKey { .. }
                | Attestation::Tpm { .. }
                | Attestation::ClientCertificates(_)
                | Attestation::AuthorityReferences(_)
                | Attestation::SigningCertificates(_),
                Credential::Token(_) | Credential::Certificates(_),
            ) => {
                return Err(refused(
                    "the enrollment takes another kind of proof than the device shows",
                ));
            }
        };
        Ok(Attested::by_enrollment(enrollment, proven))
    }

    fn by_group(&self, call: &DeviceCall<'_>) -> Result<Attested, (Error, Option<Origin>)> {
        let (group, proven) = match call.credential {
            Credential::Token(token) => self.by_group_key(call, token),
            Credential::Certificates(chain) => self.by_group_certificate(call, chain),
            Credential::None => Err(Error::unauthorized("the call shows no proof")),
        }
        .map_err(|error| (error, None))?;
        Ok(Attested::by_group(&group, &call.id, proven))
    }

    /// The group whose key the device's key was derived of. The id may have been written in lower case when that was
    /// done.
    fn by_group_key(
        &self,
        call: &DeviceCall<'_>,
        token: &str,
    ) -> Result<(Arc<EnrollmentGroup>, Proven), Error> {
        let token = read_token(call, token)?;
        let spelled = call.id.as_str();
        let spellings = if spelled == call.id.key() {
            vec![spelled]
        } else {
            vec![spelled, call.id.key()]
        };
        for group in self.groups.all().iter() {
            let Attestation::SymmetricKey { primary, secondary } = &group.attestation else {
                continue;
            };
            for spelling in &spellings {
                let primary = derived_key(primary, spelling);
                let secondary = derived_key(secondary, spelling);
                if token.verify(&primary) | token.verify(&secondary) {
                    check_expiry(call, &token)?;
                    let proof = DeviceProof::Keys { primary, secondary };
                    return Ok((Arc::clone(group), proof.into()));
                }
            }
        }
        Err(refused(
            "no enrollment has this registration id, and no group's key signed the token",
        ))
    }

    /// The group of the nearest certificate above the device's own.
    fn by_group_certificate(
        &self,
        call: &DeviceCall<'_>,
        chain: &[CertificateDer<'_>],
    ) -> Result<(Arc<EnrollmentGroup>, Proven), Error> {
        let leaf = check_name(call, chain)?;
        let shown: Vec<Certificate<'_>> = chain
            .iter()
            .filter_map(|der| Certificate::read(der).ok())
            .collect();
        let anchors = self
            .anchors
            .named_by(&shown, self.groups.all(), self.service.current());
        if anchors.is_empty() {
            return Err(refused(self.why_unknown(&shown)));
        }
        // One search over all of them: it goes upwards from the device, so that what is found is the nearest, in
        // whatever order the device sends its chain.
        let ders: Vec<&[u8]> = anchors.iter().map(|anchor| &*anchor.der).collect();
        let vouched = vouch(chain, &ders, call.now)
            .map_err(|error| refused(error.to_string()).with_source(error))?;
        let anchor = anchors
            .get(vouched.authority)
            .expect("invariant: one of those that were asked vouches");
        Ok((
            Arc::clone(&anchor.group),
            proven_by_issuer(&leaf, &anchor.der),
        ))
    }

    /// Why no group knows an issuer of these certificates.
    fn why_unknown(&self, shown: &[Certificate<'_>]) -> String {
        let unverified = anchors::unverified(&self.groups.all(), &self.service.current().settings)
            .into_iter()
            .find(|one| {
                let authority = Certificate::read(&one.der);
                authority.is_ok_and(|authority| {
                    let subject = authority.subject_der();
                    shown.iter().any(|one| one.issuer_der() == subject)
                })
            });
        let why = match unverified {
            Some(one) => format!(
                "the CA certificate {} that a group names is not verified yet",
                one.name
            ),
            None => "no group knows an issuer of the certificate".to_owned(),
        };
        format!("no enrollment has this registration id, and {why}")
    }

    /// The challenge that the token answers.
    fn answered(&self, call: &DeviceCall<'_>, token: &str) -> Result<Issued, Error> {
        let token = read_token(call, token)?;
        let out = self.challenges.of(&call.id, call.now);
        if out.is_empty() {
            return Err(refused("no challenge is out for this device"));
        }
        let answered = out.into_iter().find(|issued| token.verify(&issued.key));
        let issued = answered.ok_or_else(|| refused("the token does not answer the challenge"))?;
        check_expiry(call, &token)?;
        Ok(issued)
    }
}

fn check_token(call: &DeviceCall<'_>, token: &str, keys: [&SymmetricKey; 2]) -> Result<(), Error> {
    let token = read_token(call, token)?;
    // Both keys are tried whatever the first says, so that the time does not tell which one it was.
    let [primary, secondary] = keys;
    if !(token.verify(primary) | token.verify(secondary)) {
        return Err(refused("the token's signature is wrong"));
    }
    check_expiry(call, &token)
}

/// Reads a token that speaks for `{scope}/registrations/{id}`.
fn read_token<'a>(call: &DeviceCall<'_>, token: &'a str) -> Result<SasToken<'a>, Error> {
    let token = SasToken::parse(token)
        .map_err(|error| refused("the token cannot be read").with_source(error))?;
    let resource = token.resource();
    let speaks_for_it = resource.host().eq_ignore_ascii_case(call.id_scope)
        && matches!(resource.segments(), [collection, id]
            if collection.eq_ignore_ascii_case("registrations") && id.eq_ignore_ascii_case(call.id.key()));
    if speaks_for_it {
        Ok(token)
    } else {
        Err(refused("the token does not speak for this registration"))
    }
}

fn check_expiry(call: &DeviceCall<'_>, token: &SasToken<'_>) -> Result<(), Error> {
    if token.expiry().plus(CLOCK_SKEW) < call.now {
        return Err(Error::unauthorized("the token has expired, make a new one"));
    }
    Ok(())
}

/// The device's own certificate, when its common name is the registration id.
fn check_name<'a>(
    call: &DeviceCall<'_>,
    chain: &'a [CertificateDer<'_>],
) -> Result<Certificate<'a>, Error> {
    let leaf = chain
        .first()
        .ok_or_else(|| refused("the call shows no certificate"))?;
    let leaf = Certificate::read(leaf).map_err(|error| refused(error.to_string()))?;
    let is_named = leaf
        .common_name()
        .is_some_and(|name| name.eq_ignore_ascii_case(call.id.key()));
    if !is_named {
        return Err(refused(
            "the certificate's common name is not the registration id",
        ));
    }
    leaf.check_dates(call.now)
        .map_err(|error| refused(error.to_string()))?;
    Ok(leaf)
}

fn by_client_certificate(
    call: &DeviceCall<'_>,
    slots: &Slots<CertificateSlot>,
    chain: &[CertificateDer<'_>],
) -> Result<Proven, Error> {
    let leaf = check_name(call, chain)?;
    let shown = leaf.fingerprint();
    // Every slot is compared whatever the others say, so that the time does not tell which one it was.
    let matches = slots.iter().fold(subtle::Choice::from(0), |found, slot| {
        found | hub_engine::x509::fingerprint(&slot.der).ct_eq(&shown)
    });
    if !bool::from(matches) {
        return Err(refused(
            "the certificate is neither the primary nor the secondary one of the enrollment",
        ));
    }
    let print = |slot: &CertificateSlot| {
        let certificate = Certificate::read(&slot.der);
        thumbprint(&certificate.expect("invariant: what is enrolled was read when it was stored"))
    };
    let mut prints = slots.iter().map(print);
    let proof = DeviceProof::Thumbprints {
        primary: prints.next().unwrap_or_else(|| thumbprint(&leaf)),
        secondary: prints.next(),
    };
    Ok(proven_with(proof, &leaf, None))
}

fn by_authority(
    call: &DeviceCall<'_>,
    anchors: &[&[u8]],
    chain: &[CertificateDer<'_>],
) -> Result<Proven, Error> {
    let leaf = check_name(call, chain)?;
    let vouched = vouch(chain, anchors, call.now)
        .map_err(|error| refused(error.to_string()).with_source(error))?;
    let authority = anchors.get(vouched.authority).copied().unwrap_or_default();
    Ok(proven_by_issuer(&leaf, authority))
}

/// A device whose certificate is known by who issued it.
fn proven_by_issuer(leaf: &Certificate<'_>, authority: &[u8]) -> Proven {
    let signing =
        certificate_info(authority).expect("invariant: what vouches for a device was read");
    let proof = DeviceProof::Thumbprints {
        primary: thumbprint(leaf),
        secondary: None,
    };
    proven_with(proof, leaf, Some(signing))
}

fn proven_with(
    proof: DeviceProof,
    leaf: &Certificate<'_>,
    signing: Option<CertificateInfo>,
) -> Proven {
    let device = info_of(leaf);
    Proven {
        proof,
        certificates: Some(Box::new(RegisteredCertificates { device, signing })),
    }
}

pub(crate) fn thumbprint(certificate: &Certificate<'_>) -> Thumbprint {
    Thumbprint::parse(&certificate.sha256()).expect("invariant: 64 digits are a thumbprint")
}

/// A device is named by its registration id where the enrollment names it no other way.
pub(crate) fn device_named(id: &RegistrationId) -> DeviceId {
    DeviceId::parse(id.as_str())
        .expect("invariant: a registration id has only characters of device ids")
}

/// The device is told one text, whatever is wrong with its proof, so that nobody finds out by it which ids are enrolled
/// and how. The reason is for the operator.
pub(crate) fn refused(reason: impl Into<String>) -> Error {
    Error::unauthorized("the device's proof is not accepted; the service keeps the reason")
        .with_reason(reason)
}
