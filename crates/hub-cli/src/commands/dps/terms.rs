//! What enrollments of both kinds have in common: proof and terms.

use std::path::Path;

use hub_api::native::{
    AllocationPolicy, AllocationWebhook, AttestationType, AuthorityReferences,
    EnrollmentAttestation, EnrollmentCertificate, EnrollmentCertificates, EnrollmentTerms, Status,
    SymmetricKeys,
};

use super::object;
use crate::arguments::{AttestationChoice, Proof, StatusArgument, TermsArguments};
use crate::commands::certificate::read;
use crate::failure::Failure;

/// The version of documents that a webhook is sent when nothing is said.
const WEBHOOK_API_VERSION: &str = "2021-10-01";

/// Whose certificates an enrollment has.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Certified {
    /// The device itself.
    Device,
    /// Those that sign for the devices of a group.
    Signers,
}

impl Proof {
    pub(super) const fn is_empty(&self) -> bool {
        self.attestation_type.is_none()
            && self.primary_key.is_none()
            && self.secondary_key.is_none()
            && self.certificate_path.is_none()
            && self.secondary_certificate_path.is_none()
            && self.ca_name.is_none()
            && self.secondary_ca_name.is_none()
            && !self.remove_certificate
            && !self.remove_secondary_certificate
    }

    /// What the other arguments tell of the kind.
    fn kind(&self) -> Option<AttestationType> {
        match self.attestation_type {
            Some(AttestationChoice::SymmetricKey) => Some(AttestationType::SymmetricKey),
            Some(AttestationChoice::X509) => Some(AttestationType::X509),
            Some(AttestationChoice::Tpm) => Some(AttestationType::Tpm),
            None if self.certificate_path.is_some()
                || self.secondary_certificate_path.is_some()
                || self.ca_name.is_some()
                || self.secondary_ca_name.is_some() =>
            {
                Some(AttestationType::X509)
            }
            None if self.primary_key.is_some() || self.secondary_key.is_some() => {
                Some(AttestationType::SymmetricKey)
            }
            None => None,
        }
    }

    /// A change of the kind of proof locks out every device that has the other kind, so it has to be said.
    pub(super) fn check_kind(&self, former: AttestationType) -> Result<(), Failure> {
        match self.kind() {
            Some(kind) if kind != former && self.attestation_type.is_none() => {
                Err(kind_changes(former, kind))
            }
            Some(_) | None => Ok(()),
        }
    }

    /// Changes `former`, which is the default one for a new enrollment.
    pub(super) fn apply(
        &self,
        former: EnrollmentAttestation,
        certified: Certified,
    ) -> Result<EnrollmentAttestation, Failure> {
        if self.is_empty() {
            return Ok(former);
        }
        let kind = self.kind().unwrap_or(former.kind);
        let mut next = if kind == former.kind {
            former
        } else {
            EnrollmentAttestation {
                kind,
                ..EnrollmentAttestation::default()
            }
        };
        let removes = self.remove_certificate || self.remove_secondary_certificate;
        match kind {
            AttestationType::SymmetricKey | AttestationType::Tpm if removes => {
                return Err(Failure::usage("it has no certificates to remove"));
            }
            AttestationType::SymmetricKey => {
                if self.primary_key.is_some() || self.secondary_key.is_some() {
                    next.symmetric_key = Some(SymmetricKeys {
                        primary_key: self.primary_key.clone(),
                        secondary_key: self.secondary_key.clone(),
                    });
                }
            }
            AttestationType::X509 => self.apply_certificates(&mut next, certified)?,
            AttestationType::Tpm => {}
        }
        Ok(next)
    }

    fn apply_certificates(
        &self,
        next: &mut EnrollmentAttestation,
        certified: Certified,
    ) -> Result<(), Failure> {
        if self.ca_name.is_some() || self.secondary_ca_name.is_some() {
            let mut names = next.ca_references.take().unwrap_or_default();
            names.primary = self.ca_name.clone().or(names.primary);
            names.secondary = self.secondary_ca_name.clone().or(names.secondary);
            next.ca_references = Some(names);
            next.client_certificates = None;
            next.signing_certificates = None;
        }
        let paths = (&self.certificate_path, &self.secondary_certificate_path);
        if paths.0.is_some() || paths.1.is_some() {
            let former = match certified {
                Certified::Device => next.client_certificates.take(),
                Certified::Signers => next.signing_certificates.take(),
            };
            let mut slots = former.unwrap_or_default();
            set(&mut slots.primary, paths.0.as_deref())?;
            set(&mut slots.secondary, paths.1.as_deref())?;
            next.ca_references = None;
            match certified {
                Certified::Device => next.client_certificates = Some(slots),
                Certified::Signers => next.signing_certificates = Some(slots),
            }
        }
        if self.remove_certificate {
            remove(
                next,
                |slots| slots.primary = None,
                |names| names.primary = None,
            );
        }
        if self.remove_secondary_certificate {
            remove(
                next,
                |slots| slots.secondary = None,
                |names| names.secondary = None,
            );
        }
        let has_some = next.client_certificates.is_some()
            || next.signing_certificates.is_some()
            || next.ca_references.is_some();
        if has_some {
            return Ok(());
        }
        Err(Failure::usage(
            "x509 needs --certificate-path FILE, or --ca-name NAME of a certificate of the service",
        ))
    }
}

pub(super) fn kind_changes(former: AttestationType, kind: AttestationType) -> Failure {
    let word = |kind| match kind {
        AttestationType::SymmetricKey => "symmetrickey",
        AttestationType::X509 => "x509",
        AttestationType::Tpm => "tpm",
    };
    Failure::usage(format!(
        "its devices prove themselves by {}; to change that for all of them, add --attestation-type {}",
        word(former),
        word(kind)
    ))
}

fn set(slot: &mut Option<EnrollmentCertificate>, path: Option<&Path>) -> Result<(), Failure> {
    if let Some(path) = path {
        *slot = Some(EnrollmentCertificate {
            certificate: read(path)?,
            subject: None,
            thumbprint: None,
            expiry: None,
        });
    }
    Ok(())
}

fn remove(
    attestation: &mut EnrollmentAttestation,
    from_slots: impl Fn(&mut EnrollmentCertificates),
    from_names: impl Fn(&mut AuthorityReferences),
) {
    let slots = [
        &mut attestation.client_certificates,
        &mut attestation.signing_certificates,
    ];
    for slots in slots.into_iter().flatten() {
        from_slots(slots);
    }
    if let Some(names) = &mut attestation.ca_references {
        from_names(names);
    }
}

impl TermsArguments {
    /// Changes `terms`, which are the default ones for a new enrollment.
    pub(super) fn apply(&self, terms: &mut EnrollmentTerms) -> Result<(), Failure> {
        match self.provisioning_status {
            Some(StatusArgument::Enabled) => terms.status = Status::Enabled,
            Some(StatusArgument::Disabled) => terms.status = Status::Disabled,
            None => {}
        }
        if let Some(edge) = self.edge_enabled {
            terms.iot_edge = edge;
        }
        if let Some(policy) = self.reprovision_policy {
            terms.reprovision_policy = Some(policy.wire());
        }
        if let Some(name) = &self.credential_policy {
            terms.credential_policy = (!name.is_empty()).then(|| name.clone());
        }
        self.apply_twin(terms)?;
        self.apply_allocation(terms)
    }

    fn apply_twin(&self, terms: &mut EnrollmentTerms) -> Result<(), Failure> {
        if self.initial_twin_tags.is_none() && self.initial_twin_properties.is_none() {
            return Ok(());
        }
        let twin = terms.initial_twin.get_or_insert_default();
        if let Some(text) = &self.initial_twin_tags {
            twin.tags = object("--initial-twin-tags", text)?;
        }
        if let Some(text) = &self.initial_twin_properties {
            twin.desired = object("--initial-twin-properties", text)?;
        }
        Ok(())
    }

    fn apply_allocation(&self, terms: &mut EnrollmentTerms) -> Result<(), Failure> {
        if let Some(choice) = self.allocation_policy {
            terms.allocation_policy = choice.wire();
        }
        if let Some(hubs) = &self.iot_hubs {
            // `az iot dps` takes them as one text with blanks.
            let hubs = hubs.iter().flat_map(|hubs| hubs.split_whitespace());
            terms.hubs = hubs.map(str::to_owned).collect();
            terms.hub = None;
        }
        if self.webhook_url.is_some() && self.allocation_policy.is_none() {
            terms.allocation_policy = Some(AllocationPolicy::Custom);
        }
        let is_static = terms.allocation_policy == Some(AllocationPolicy::Static);
        if is_static && terms.hub.is_none() && terms.hubs.len() != 1 {
            return Err(Failure::usage(
                "the static policy takes one hub: --iot-hubs HOST",
            ));
        }
        if self.webhook_url.is_some() || self.api_version.is_some() {
            let former = terms.webhook.take();
            let former_url = former.as_ref().map(|webhook| webhook.url.clone());
            let url = self.webhook_url.clone().or(former_url).ok_or_else(|| {
                Failure::usage("--api-version needs --webhook-url, for there is no webhook yet")
            })?;
            let api_version = self
                .api_version
                .clone()
                .or_else(|| former.map(|webhook| webhook.api_version))
                .unwrap_or_else(|| WEBHOOK_API_VERSION.to_owned());
            terms.webhook = Some(AllocationWebhook { url, api_version });
        }
        let is_custom = terms.allocation_policy == Some(AllocationPolicy::Custom);
        if is_custom && terms.webhook.is_none() {
            return Err(Failure::usage("the custom policy needs --webhook-url"));
        }
        Ok(())
    }
}
