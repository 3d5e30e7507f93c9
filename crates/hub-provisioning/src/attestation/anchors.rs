//! Which certificates vouch for the devices of which group.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use hub_domain::certificate::CertificateOfAuthority;
use hub_domain::provisioning::{
    Attestation, EnrollmentGroup, ProvisioningService, ProvisioningSettings, RegisteredCertificates,
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

/// Why the first of the authorities that an enrollment names and that vouch for nobody does not.
pub(super) fn lacking(
    attestation: &Attestation,
    settings: &ProvisioningSettings,
) -> Option<String> {
    let Attestation::AuthorityReferences(slots) = attestation else {
        return None;
    };
    slots.iter().find_map(|name| {
        let mut known = settings.certificates.iter();
        match known.find(|one| one.name.is(name.as_str())) {
            Some(one) if one.is_verified() => None,
            Some(_) => Some(format!(
                "the CA certificate {name} that the enrollment names is not verified yet"
            )),
            None => Some(format!(
                "the enrollment names the CA certificate {name}, which the service does not have"
            )),
        }
    })
}

/// Whether what vouched for a device when it called still does: the service's certificates may be deleted or lose their
/// verification, and an enrollment that names one stays what it is.
pub(crate) fn still_vouches(
    attestation: &Attestation,
    settings: &ProvisioningSettings,
    shown: Option<&RegisteredCertificates>,
) -> bool {
    let Attestation::AuthorityReferences(_) = attestation else {
        return true;
    };
    let signing = shown.and_then(|shown| shown.signing.as_ref());
    signing.is_some_and(|signing| {
        anchors(attestation, settings).iter().any(|der| {
            Certificate::read(der).is_ok_and(|certificate| certificate.sha256() == signing.sha256)
        })
    })
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
                let known = by_subject.entry(subject).or_default();
                // Of groups with the same certificate the first one takes its devices: the others would be read in vain.
                if known.iter().any(|one| one.der == der) {
                    continue;
                }
                let group = Arc::clone(group);
                known.push(Anchor {
                    der: Arc::clone(&der),
                    group,
                });
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

#[cfg(test)]
mod tests {
    use hub_domain::hub::Revision;
    use hub_domain::provisioning::{CertificateSlot, EnrollmentGroupId, IdScope, Slots, Terms};
    use hub_domain::{Etag, Timestamp};
    use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, KeyPair};

    use super::*;

    fn authority() -> Arc<[u8]> {
        let mut parameters = CertificateParams::default();
        parameters
            .distinguished_name
            .push(DnType::CommonName, "plant");
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        let certificate = parameters.self_signed(&key).expect("a certificate");
        certificate.der().to_vec().into()
    }

    fn group(id: &str, der: &Arc<[u8]>) -> Arc<EnrollmentGroup> {
        let slot = CertificateSlot {
            der: Arc::clone(der),
        };
        Arc::new(EnrollmentGroup {
            id: EnrollmentGroupId::parse(id).expect("an id"),
            attestation: Attestation::SigningCertificates(Slots {
                primary: Some(slot),
                secondary: None,
            }),
            terms: Terms::default(),
            etag: Etag("e".to_owned()),
            created: Timestamp::from_seconds(0),
            updated: Timestamp::from_seconds(0),
            rolled_in: None,
        })
    }

    #[test]
    fn a_certificate_of_many_groups_is_read_once_for_the_first() {
        let (one, other) = (authority(), authority());
        let groups = ["a", "b", "c"].map(|id| group(id, &one));
        let groups = [&groups[..], &[group("d", &other)]].concat();
        let service = ProvisioningService {
            id_scope: IdScope::parse("0ne00000001").expect("a scope"),
            policies: Vec::new(),
            settings: ProvisioningSettings::default(),
            revision: Revision::default(),
        };
        let shown = Certificate::read(&one).expect("a certificate");
        let anchors =
            AnchorTable::default().named_by(&[shown], Arc::new(groups), Arc::new(service));
        let named: Vec<&str> = anchors.iter().map(|one| one.group.id.as_str()).collect();
        assert_eq!(named, ["a", "d"]);
    }
}
