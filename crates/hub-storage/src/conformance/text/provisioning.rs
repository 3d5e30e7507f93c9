//! What provisioning keeps, with every field. Records are told apart by it, so that it owes nothing to their encoding.

use std::fmt::Write as _;
use std::sync::Arc;

use hub_domain::provisioning::{
    Attestation, CertificateIssuer, CertificateSlot, DeviceProof, Enrollment, EnrollmentGroup,
    Link, LinkedHub, Progress, ProvisioningService, ProvisioningSettings, Registration,
    RegistrationRequest, ServicePolicy, Slots, Target,
};

use super::line;
use crate::Store;
use crate::store::RegistrationFilter;

/// More than a law ever writes.
const ALL: usize = 100_000;

/// Everything that can be read of provisioning.
pub(super) async fn add(store: &dyn Store, out: &mut String) {
    let service = store.provisioning_service().await;
    if let Some(service) = service.expect("the service can be read") {
        line(out, &describe_service(&service));
    }
    let enrollments = store.enrollments(None, ALL).await;
    for enrollment in enrollments.expect("enrollments can be read") {
        let alone = store.enrollment(&enrollment.id).await;
        let alone = alone.expect("an enrollment can be read");
        let text = describe_enrollment(&enrollment);
        assert_eq!(alone.as_ref().map(describe_enrollment), Some(text.clone()));
        line(out, &text);
    }
    let groups = store.enrollment_groups(None, ALL).await;
    for group in groups.expect("groups can be read") {
        line(out, &describe_group(&group));
    }
    let registrations = store
        .registrations(RegistrationFilter::All, None, ALL)
        .await;
    for registration in registrations.expect("registrations can be read") {
        let alone = store.registration(&registration.id).await;
        let alone = alone.expect("a registration can be read");
        let text = describe_registration(&registration);
        assert_eq!(
            alone.as_ref().map(describe_registration),
            Some(text.clone())
        );
        line(out, &text);
    }
    let statistics = store.registration_statistics().await;
    let statistics = statistics.expect("statistics can be read");
    line(out, &format!("{statistics:?}"));
    for refusal in store
        .refusals(None, ALL)
        .await
        .expect("refusals can be read")
    {
        line(out, &format!("{refusal:?}"));
    }
}

/// An enrollment with every field.
pub(crate) fn describe_enrollment(enrollment: &Enrollment) -> String {
    let Enrollment {
        id,
        device,
        attestation,
        terms,
        information,
        etag,
        created,
        updated,
        rolled_in,
    } = enrollment;
    let attestation = describe_attestation(attestation);
    format!(
        "enrollment {id} {device:?} {attestation} {terms:?} {information:?} {etag:?} {created:?} {updated:?} {rolled_in:?}"
    )
}

/// A group with every field.
pub(crate) fn describe_group(group: &EnrollmentGroup) -> String {
    let EnrollmentGroup {
        id,
        attestation,
        terms,
        etag,
        created,
        updated,
        rolled_in,
    } = group;
    let attestation = describe_attestation(attestation);
    format!("group {id} {attestation} {terms:?} {etag:?} {created:?} {updated:?} {rolled_in:?}")
}

fn describe_attestation(attestation: &Attestation) -> String {
    let certificates = |slots: &Slots<CertificateSlot>| format!("{slots:?}");
    match attestation {
        Attestation::Tpm {
            endorsement_key,
            storage_root_key,
        } => format!("tpm {endorsement_key:?} {storage_root_key:?}"),
        Attestation::ClientCertificates(slots) => format!("client {}", certificates(slots)),
        Attestation::SigningCertificates(slots) => format!("signing {}", certificates(slots)),
        Attestation::AuthorityReferences(slots) => format!("authorities {slots:?}"),
        Attestation::SymmetricKey { primary, secondary } => {
            format!("keys {} {}", primary.to_base64(), secondary.to_base64())
        }
    }
}

/// A registration with every field.
pub(crate) fn describe_registration(registration: &Registration) -> String {
    let Registration {
        id,
        origin,
        attestation,
        operation,
        progress,
        assignment,
        strays,
        payload,
        authentication_key,
        certificates,
        issued_certificates,
        etag,
        created,
        updated,
    } = registration;
    let progress = match progress {
        Progress::Assigning(request) => format!("assigning {}", describe_request(request)),
        Progress::Assigned => "assigned".to_owned(),
        Progress::Failed(failure) => format!("{failure:?}"),
    };
    format!(
        "registration {id} {origin:?} {attestation:?} {operation} {progress} {assignment:?} {strays:?} {payload:?} \
         {authentication_key:?} {certificates:?} {issued_certificates:?} {etag:?} {created:?} {updated:?}"
    )
}

fn describe_request(request: &RegistrationRequest) -> String {
    let RegistrationRequest {
        proof,
        certificate,
        payload,
        address,
        signing_request,
        stays_without_policy,
        enrollment,
        target,
    } = request;
    let proof = match proof {
        DeviceProof::Keys { primary, secondary } => {
            format!("{} {}", primary.to_base64(), secondary.to_base64())
        }
        DeviceProof::Thumbprints { primary, secondary } => format!("{primary:?} {secondary:?}"),
        DeviceProof::Authority => "authority".to_owned(),
        DeviceProof::Tpm {
            key,
            storage_root_key,
        } => format!("{} {storage_root_key:?}", key.to_base64()),
    };
    let target = target.as_deref().map(|target| {
        let Target {
            place,
            twin,
            payload,
        } = target;
        let twin = twin.as_ref().map(|twin| (&twin.tags, &twin.desired));
        format!("{place:?} {twin:?} {payload:?}")
    });
    format!(
        "{proof} {certificate:?} {payload:?} {address:?} {signing_request:?} {stays_without_policy} {enrollment:?} {target:?}"
    )
}

/// The service with every field.
pub(crate) fn describe_service(service: &ProvisioningService) -> String {
    let ProvisioningService {
        id_scope,
        policies,
        settings,
        revision,
    } = service;
    let ProvisioningSettings {
        allocation,
        linked_hubs,
        certificates,
        address_ranges,
        latencies,
        credential_policies,
        issuers,
    } = settings;
    let mut out = format!(
        "service {id_scope} {revision:?} {allocation:?} {certificates:?} {address_ranges:?} {latencies:?} \
         {credential_policies:?}"
    );
    for policy in policies {
        add_policy(policy, &mut out);
    }
    for hub in linked_hubs {
        add_linked_hub(hub, &mut out);
    }
    for issuer in issuers {
        let CertificateIssuer {
            name,
            chain,
            key,
            created,
        } = issuer;
        let chain: &Vec<Arc<[u8]>> = chain;
        write!(out, " issuer {name:?} {chain:?} {key:?} {created:?}")
            .expect("writing to a string works");
    }
    out
}

fn add_policy(policy: &ServicePolicy, out: &mut String) {
    let ServicePolicy {
        name,
        permissions,
        primary,
        secondary,
    } = policy;
    let (primary, secondary) = (primary.to_base64(), secondary.to_base64());
    write!(out, " policy {name} {permissions:?} {primary} {secondary}")
        .expect("writing to a string works");
}

fn add_linked_hub(hub: &LinkedHub, out: &mut String) {
    let LinkedHub {
        host,
        link,
        weight,
        allocatable,
        region,
    } = hub;
    let link = match link {
        Link::Own => "own".to_owned(),
        Link::Remote { policy, key, port } => format!("{policy} {} {port:?}", key.to_base64()),
    };
    write!(out, " hub {host} {link} {weight} {allocatable} {region:?}")
        .expect("writing to a string works");
}
