//! Which certificates vouch for the devices of which group.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use hub_domain::certificate::CertificateOfAuthority;
use hub_domain::provisioning::{
    Attestation, EnrollmentGroup, ProvisioningService, ProvisioningSettings,
};
use hub_engine::x509::Certificate;

/// The certificates that vouch in an enrollment: its own, or those of the service that it names, when verified.
pub(super) fn anchors(
    attestation: &Attestation,
    settings: &ProvisioningSettings,
) -> Vec<Arc<[u8]>> {
    match attestation {
        Attestation::SigningCertificates(slots) => {
            slots.iter().map(|slot| Arc::clone(&slot.der)).collect()
        }
        Attestation::AuthorityReferences(slots) => slots
            .iter()
            .filter_map(|name| {
                let mut known = settings.certificates.iter();
                known.find(|one| one.name.is(name.as_str()))
            })
            .filter(|one| one.is_verified())
            .map(|one| Arc::clone(&one.der))
            .collect(),
        Attestation::Tpm { .. }
        | Attestation::ClientCertificates(_)
        | Attestation::SymmetricKey { .. } => Vec::new(),
    }
}

/// The authorities that groups name and that nobody has verified: they vouch for nobody yet.
pub(super) fn unverified(
    groups: &[Arc<EnrollmentGroup>],
    settings: &ProvisioningSettings,
) -> Vec<CertificateOfAuthority> {
    let is_named = |authority: &CertificateOfAuthority| {
        groups.iter().any(|group| match &group.attestation {
            Attestation::AuthorityReferences(slots) => {
                slots.iter().any(|name| authority.name.is(name.as_str()))
            }
            Attestation::SigningCertificates(_)
            | Attestation::Tpm { .. }
            | Attestation::ClientCertificates(_)
            | Attestation::SymmetricKey { .. } => false,
        })
    };
    let all = settings.certificates.iter();
    all.filter(|one| !one.is_verified() && is_named(one))
        .cloned()
        .collect()
}

/// A certificate that vouches for the devices of a group.
#[derive(Clone)]
pub(super) struct Anchor {
    pub(super) der: Arc<[u8]>,
    pub(super) group: Arc<EnrollmentGroup>,
}

/// The anchors of all groups by their subjects: most have nothing to do with the certificate that a device shows.
#[derive(Default)]
pub(super) struct AnchorTable(RwLock<Arc<Made>>);

/// The table, and what it was made of.
#[derive(Default)]
struct Made {
    groups: Option<Arc<Vec<Arc<EnrollmentGroup>>>>,
    service: Option<Arc<ProvisioningService>>,
    by_subject: HashMap<Box<[u8]>, Vec<Anchor>>,
}

impl Made {
    fn of(groups: Arc<Vec<Arc<EnrollmentGroup>>>, service: Arc<ProvisioningService>) -> Self {
        let mut by_subject: HashMap<Box<[u8]>, Vec<Anchor>> = HashMap::new();
        for group in groups.iter() {
            for der in anchors(&group.attestation, &service.settings) {
                let Ok(certificate) = Certificate::read(&der) else {
                    continue;
                };
                let subject = certificate.subject_der().into();
                let group = Arc::clone(group);
                let anchor = Anchor {
                    der: Arc::clone(&der),
                    group,
                };
                by_subject.entry(subject).or_default().push(anchor);
            }
        }
        Self {
            groups: Some(groups),
            service: Some(service),
            by_subject,
        }
    }

    fn is_of(
        &self,
        groups: &Arc<Vec<Arc<EnrollmentGroup>>>,
        service: &Arc<ProvisioningService>,
    ) -> bool {
        let same_groups = self.groups.as_ref().map(|one| Arc::ptr_eq(one, groups));
        let same_service = self.service.as_ref().map(|one| Arc::ptr_eq(one, service));
        (same_groups, same_service) == (Some(true), Some(true))
    }
}

impl AnchorTable {
    /// The anchors that one of the certificates of `chain` names as its issuer. Groups come in the order of their ids.
    pub(super) fn named_by(
        &self,
        chain: &[Certificate<'_>],
        groups: Arc<Vec<Arc<EnrollmentGroup>>>,
        service: Arc<ProvisioningService>,
    ) -> Vec<Anchor> {
        let mut made = Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner));
        if !made.is_of(&groups, &service) {
            made = Arc::new(Made::of(groups, service));
            *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::clone(&made);
        }
        let mut issuers: Vec<&[u8]> = chain.iter().map(Certificate::issuer_der).collect();
        issuers.sort_unstable();
        issuers.dedup();
        let named = issuers
            .into_iter()
            .filter_map(|issuer| made.by_subject.get(issuer));
        named.flatten().cloned().collect()
    }
}
