//! Enrollments between the wire and the service.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hub_api::compat::provisioning::{certificate_bytes, pem};
use hub_api::native::{
    self, AuthorityReferences, EnrollmentAttestation, EnrollmentCertificate,
    EnrollmentCertificates, EnrollmentTerms, Keys, Moment, SymmetricKeys, TpmKeys,
};
use hub_domain::certificate::CertificateName;
use hub_domain::provisioning::{
    AllocationPolicy, AllocationWebhook, Attestation, AttestationKind, Capabilities,
    CertificateSlot, CredentialPolicyName, InitialTwin, ReprovisionPolicy, Slots, Terms,
    WebhookUrl,
};
use hub_domain::{HostName, Status, SymmetricKey};
use hub_engine::IfMatch;
use hub_provisioning::{NewAttestation, certificate_info};

use super::super::Failure;

/// A replacement without a guard replaces whatever is there.
pub(super) fn of_replacement(if_match: IfMatch) -> IfMatch {
    match if_match {
        IfMatch::Absent => IfMatch::Any,
        guard @ (IfMatch::Any | IfMatch::Etag(_)) => guard,
    }
}

fn invalid(what: &str) -> impl Fn(&dyn std::fmt::Display) -> Failure {
    move |error| Failure::invalid(format!("{what}: {error}"))
}

pub(super) const fn policy(policy: AllocationPolicy) -> native::AllocationPolicy {
    match policy {
        AllocationPolicy::Hashed => native::AllocationPolicy::Hashed,
        AllocationPolicy::GeoLatency => native::AllocationPolicy::GeoLatency,
        AllocationPolicy::Static => native::AllocationPolicy::Static,
        AllocationPolicy::Custom => native::AllocationPolicy::Custom,
    }
}

pub(super) const fn domain_policy(policy: native::AllocationPolicy) -> AllocationPolicy {
    match policy {
        native::AllocationPolicy::Hashed => AllocationPolicy::Hashed,
        native::AllocationPolicy::GeoLatency => AllocationPolicy::GeoLatency,
        native::AllocationPolicy::Static => AllocationPolicy::Static,
        native::AllocationPolicy::Custom => AllocationPolicy::Custom,
    }
}

pub(super) const fn kind(kind: AttestationKind) -> native::AttestationType {
    match kind {
        AttestationKind::SymmetricKey => native::AttestationType::SymmetricKey,
        AttestationKind::X509 => native::AttestationType::X509,
        AttestationKind::Tpm => native::AttestationType::Tpm,
    }
}

pub(super) fn attestation(attestation: &Attestation, keys: Keys) -> EnrollmentAttestation {
    let mut shown = EnrollmentAttestation {
        kind: kind(attestation.kind()),
        ..EnrollmentAttestation::default()
    };
    match attestation {
        Attestation::Tpm {
            endorsement_key,
            storage_root_key,
        } => {
            shown.tpm = Some(TpmKeys {
                endorsement_key: STANDARD.encode(endorsement_key),
                storage_root_key: storage_root_key.as_ref().map(|key| STANDARD.encode(key)),
            });
        }
        Attestation::ClientCertificates(slots) => {
            shown.client_certificates = Some(certificates(slots));
        }
        Attestation::SigningCertificates(slots) => {
            shown.signing_certificates = Some(certificates(slots));
        }
        Attestation::AuthorityReferences(slots) => {
            let name = |name: &Option<CertificateName>| name.as_ref().map(ToString::to_string);
            shown.ca_references = Some(AuthorityReferences {
                primary: name(&slots.primary),
                secondary: name(&slots.secondary),
            });
        }
        Attestation::SymmetricKey { primary, secondary } => {
            shown.symmetric_key = match keys {
                Keys::Hidden => None,
                Keys::Shown => Some(SymmetricKeys {
                    primary_key: Some(primary.to_base64()),
                    secondary_key: Some(secondary.to_base64()),
                }),
            };
        }
    }
    shown
}

fn certificates(slots: &Slots<CertificateSlot>) -> EnrollmentCertificates {
    let slot = |slot: &Option<CertificateSlot>| {
        let slot = slot.as_ref()?;
        let info = certificate_info(&slot.der).ok();
        Some(EnrollmentCertificate {
            certificate: pem(&slot.der),
            subject: info.as_ref().map(|info| info.subject.clone()),
            thumbprint: info.as_ref().map(|info| info.sha1.clone()),
            expiry: info.map(|info| Moment(info.not_after)),
        })
    };
    EnrollmentCertificates {
        primary: slot(&slots.primary),
        secondary: slot(&slots.secondary),
    }
}

pub(super) fn new_attestation(given: EnrollmentAttestation) -> Result<NewAttestation, Failure> {
    match given.kind {
        native::AttestationType::SymmetricKey => {
            let keys = given.symmetric_key.unwrap_or_default();
            let key = |what: &str, text: Option<String>| match text {
                None => Ok(None),
                Some(text) => SymmetricKey::parse(&text)
                    .map(Some)
                    .map_err(|error| invalid(what)(&error)),
            };
            Ok(NewAttestation::SymmetricKey {
                primary: key("attestation.symmetricKey.primaryKey", keys.primary_key)?,
                secondary: key("attestation.symmetricKey.secondaryKey", keys.secondary_key)?,
            })
        }
        native::AttestationType::Tpm => {
            let keys = given
                .tpm
                .ok_or_else(|| Failure::invalid("attestation.tpm is missing"))?;
            let bytes = |what: &str, text: &str| {
                STANDARD
                    .decode(text.trim())
                    .map_err(|error| invalid(what)(&error))
            };
            let storage = keys.storage_root_key.as_deref();
            Ok(NewAttestation::Tpm {
                endorsement_key: bytes("attestation.tpm.endorsementKey", &keys.endorsement_key)?,
                storage_root_key: storage
                    .map(|text| bytes("attestation.tpm.storageRootKey", text))
                    .transpose()?,
            })
        }
        native::AttestationType::X509 => x509(given),
    }
}

fn x509(given: EnrollmentAttestation) -> Result<NewAttestation, Failure> {
    let EnrollmentAttestation {
        client_certificates,
        signing_certificates,
        ca_references,
        ..
    } = given;
    match (client_certificates, signing_certificates, ca_references) {
        (Some(client), None, None) => Ok(NewAttestation::ClientCertificates(certificate_slots(
            client,
        )?)),
        (None, Some(signing), None) => Ok(NewAttestation::SigningCertificates(certificate_slots(
            signing,
        )?)),
        (None, None, Some(names)) => {
            let name = |name: Option<String>| {
                let name = name.map(|name| CertificateName::parse(&name)).transpose();
                name.map_err(|error| invalid("attestation.caReferences")(&error))
            };
            Ok(NewAttestation::AuthorityReferences(Slots {
                primary: name(names.primary)?,
                secondary: name(names.secondary)?,
            }))
        }
        (None, None, None) | (Some(_), _, _) | (_, Some(_), _) => Err(Failure::invalid(
            "attestation must have one of clientCertificates, signingCertificates and caReferences",
        )),
    }
}

fn certificate_slots(given: EnrollmentCertificates) -> Result<Slots<CertificateSlot>, Failure> {
    let slot = |what: &str, given: Option<EnrollmentCertificate>| match given {
        None => Ok(None),
        Some(given) => certificate_bytes(&given.certificate)
            .map(|der| Some(CertificateSlot { der: der.into() }))
            .ok_or_else(|| {
                Failure::invalid(format!("{what} is neither PEM nor a certificate in base64"))
            }),
    };
    Ok(Slots {
        primary: slot("the primary certificate", given.primary)?,
        secondary: slot("the secondary certificate", given.secondary)?,
    })
}

pub(super) fn terms(terms: &Terms) -> EnrollmentTerms {
    let InitialTwin { tags, desired } = terms.initial_twin.clone();
    EnrollmentTerms {
        status: match terms.status {
            Status::Enabled => native::Status::Enabled,
            Status::Disabled => native::Status::Disabled,
        },
        iot_edge: terms.capabilities.iot_edge,
        initial_twin: (!terms.initial_twin.is_empty())
            .then_some(native::InitialTwin { tags, desired }),
        reprovision_policy: terms.reprovision.map(|policy| native::ReprovisionPolicy {
            update_hub_assignment: policy.update_hub_assignment,
            migrate_device_data: policy.migrate_device_data,
        }),
        allocation_policy: terms.allocation.map(policy),
        hub: terms.hub.as_ref().map(ToString::to_string),
        hubs: terms.hubs.iter().map(ToString::to_string).collect(),
        webhook: terms
            .webhook
            .as_ref()
            .map(|webhook| native::AllocationWebhook {
                url: webhook.url.as_str().to_owned(),
                api_version: webhook.api_version.clone(),
            }),
        credential_policy: terms.credential_policy.as_ref().map(ToString::to_string),
    }
}

pub(super) fn new_terms(given: EnrollmentTerms) -> Result<Terms, Failure> {
    let host = |what: &'static str| {
        move |text: String| HostName::parse(&text).map_err(|error| invalid(what)(&error))
    };
    let twin = given.initial_twin.unwrap_or_default();
    let webhook = match given.webhook {
        None => None,
        Some(webhook) => Some(AllocationWebhook {
            url: WebhookUrl::parse(&webhook.url)
                .map_err(|error| invalid("terms.webhook.url")(&error))?,
            api_version: webhook.api_version,
        }),
    };
    let credential_policy = given
        .credential_policy
        .map(|name| CredentialPolicyName::parse(&name))
        .transpose()
        .map_err(|error| invalid("terms.credentialPolicy")(&error))?;
    Ok(Terms {
        status: match given.status {
            native::Status::Enabled => Status::Enabled,
            native::Status::Disabled => Status::Disabled,
        },
        capabilities: Capabilities {
            iot_edge: given.iot_edge,
        },
        initial_twin: InitialTwin {
            tags: twin.tags,
            desired: twin.desired,
        },
        reprovision: given.reprovision_policy.map(|policy| ReprovisionPolicy {
            update_hub_assignment: policy.update_hub_assignment,
            migrate_device_data: policy.migrate_device_data,
        }),
        allocation: given.allocation_policy.map(domain_policy),
        hub: given.hub.map(host("terms.hub")).transpose()?,
        hubs: given
            .hubs
            .into_iter()
            .map(host("terms.hubs"))
            .collect::<Result<_, _>>()?,
        webhook,
        credential_policy,
    })
}
