//! Answers of the provisioning service as tables.

use hub_api::native::{
    AddressRange, AllocationPreview, CredentialPolicy, DevicePlace, Enrollment,
    EnrollmentAttestation, EnrollmentCertificates, EnrollmentGroup, EnrollmentTerms, Expiry,
    ExpiryReport, Issuer, KeyRollResult, Latency, LinkedHub, LinkedHubCheck, ProvisioningService,
    Refusal, Registration, ServicePolicy,
};
use serde_json::{Map, Value};

use super::{columns, pairs, yes_or_no};
use crate::commands::dps::Known;
use crate::text::shortened;

/// Characters of a reason that a row shows.
const REASON_CHARACTERS_MAX: usize = 60;

fn or_dash(text: Option<&str>) -> String {
    text.unwrap_or("-").to_owned()
}

pub(crate) fn service(service: &ProvisioningService) -> String {
    let mut rows = vec![
        ("id scope", service.id_scope.clone()),
        ("endpoint", or_dash(service.global_endpoint.as_deref())),
        (
            "allocation policy",
            service.allocation_policy.as_str().to_owned(),
        ),
    ];
    if let Some(counts) = service.registrations {
        rows.push(("assigned", counts.assigned.to_string()));
        rows.push(("assigning", counts.assigning.to_string()));
        rows.push(("failed", counts.failed.to_string()));
    }
    pairs(rows)
}

pub(crate) fn policies(policies: &[ServicePolicy]) -> String {
    let row = |policy: &ServicePolicy| vec![policy.name.clone(), policy.permissions.join(", ")];
    columns(&["NAME", "PERMISSIONS"], policies.iter().map(row))
}

pub(crate) fn policy(policy: &ServicePolicy) -> String {
    let mut rows = vec![
        ("name", policy.name.clone()),
        ("permissions", policy.permissions.join(", ")),
    ];
    let optional = [
        ("primary key", &policy.primary_key),
        ("secondary key", &policy.secondary_key),
        ("connection string", &policy.connection_string),
    ];
    for (name, value) in optional {
        rows.extend(value.clone().map(|value| (name, value)));
    }
    pairs(rows)
}

pub(crate) fn linked_hubs(hubs: &[LinkedHub]) -> String {
    let row = |hub: &LinkedHub| {
        vec![
            hub.host_name.clone(),
            hub.policy
                .clone()
                .unwrap_or_else(|| "this installation".to_owned()),
            hub.allocation_weight.to_string(),
            yes_or_no(hub.apply_allocation_policy),
            or_dash(hub.region.as_deref()),
        ]
    };
    columns(
        &["HOST NAME", "BY", "WEIGHT", "ALLOCATED", "REGION"],
        hubs.iter().map(row),
    )
}

pub(crate) fn linked_hub_check(check: &LinkedHubCheck) -> String {
    let row = vec![
        check.host_name.clone(),
        yes_or_no(check.is_usable),
        or_dash(check.failure.as_deref()),
    ];
    columns(&["HOST NAME", "USABLE", "WHY NOT"], [row])
}

pub(crate) fn address_ranges(ranges: &[AddressRange]) -> String {
    let row = |range: &AddressRange| vec![range.range.clone(), range.region.clone()];
    columns(&["RANGE", "REGION"], ranges.iter().map(row))
}

pub(crate) fn latencies(latencies: &[Latency]) -> String {
    let row = |latency: &Latency| {
        let (whole, part) = (latency.microseconds / 1000, latency.microseconds % 1000);
        vec![
            latency.region.clone(),
            latency.host_name.clone(),
            format!("{whole}.{part:03} ms"),
        ]
    };
    columns(&["REGION", "HUB", "LATENCY"], latencies.iter().map(row))
}

pub(crate) fn enrollments(enrollments: &[Enrollment]) -> String {
    let row = |one: &Enrollment| {
        vec![
            one.registration_id.clone(),
            one.attestation.kind.as_str().to_owned(),
            one.terms.status.as_str().to_owned(),
            allocation(&one.terms),
            or_dash(one.device_id.as_deref()),
            one.updated.to_string(),
        ]
    };
    columns(
        &[
            "REGISTRATION ID",
            "PROOF",
            "STATUS",
            "ALLOCATION",
            "DEVICE ID",
            "UPDATED",
        ],
        enrollments.iter().map(row),
    )
}

pub(crate) fn groups(groups: &[EnrollmentGroup]) -> String {
    let row = |one: &EnrollmentGroup| {
        vec![
            one.enrollment_group_id.clone(),
            one.attestation.kind.as_str().to_owned(),
            one.terms.status.as_str().to_owned(),
            allocation(&one.terms),
            one.updated.to_string(),
        ]
    };
    columns(
        &["GROUP", "PROOF", "STATUS", "ALLOCATION", "UPDATED"],
        groups.iter().map(row),
    )
}

fn allocation(terms: &EnrollmentTerms) -> String {
    terms
        .allocation_policy
        .map_or("as the service", |policy| policy.as_str())
        .to_owned()
}

pub(crate) fn enrollment(enrollment: &Enrollment) -> String {
    let mut rows = vec![
        ("registration id", enrollment.registration_id.clone()),
        ("device id", or_dash(enrollment.device_id.as_deref())),
    ];
    rows.extend(proof(&enrollment.attestation));
    rows.extend(terms(&enrollment.terms));
    if let Some(information) = &enrollment.information {
        rows.push(("information", json(information)));
    }
    rows.push(("etag", enrollment.etag.clone()));
    rows.push(("created", enrollment.created.to_string()));
    rows.push(("updated", enrollment.updated.to_string()));
    pairs(rows)
}

pub(crate) fn group(group: &EnrollmentGroup) -> String {
    let mut rows = vec![("group", group.enrollment_group_id.clone())];
    rows.extend(proof(&group.attestation));
    rows.extend(terms(&group.terms));
    rows.push(("etag", group.etag.clone()));
    rows.push(("created", group.created.to_string()));
    rows.push(("updated", group.updated.to_string()));
    pairs(rows)
}

pub(crate) fn attestation(attestation: &EnrollmentAttestation) -> String {
    pairs(proof(attestation))
}

pub(crate) fn rolled(result: &KeyRollResult) -> String {
    format!(
        "rolled {}, left alone {} without keys",
        result.rolled, result.skipped
    )
}

fn proof(attestation: &EnrollmentAttestation) -> Vec<(&'static str, String)> {
    let mut rows = vec![("proof", attestation.kind.as_str().to_owned())];
    if let Some(keys) = &attestation.symmetric_key {
        rows.extend(keys.primary_key.clone().map(|key| ("primary key", key)));
        rows.extend(keys.secondary_key.clone().map(|key| ("secondary key", key)));
    }
    if let Some(keys) = &attestation.tpm {
        rows.push(("endorsement key", keys.endorsement_key.clone()));
        let storage = keys.storage_root_key.clone();
        rows.extend(storage.map(|key| ("storage root key", key)));
    }
    let both = [
        &attestation.client_certificates,
        &attestation.signing_certificates,
    ];
    for certificates in both.into_iter().flatten() {
        rows.extend(slots(certificates));
    }
    if let Some(names) = &attestation.ca_references {
        rows.extend(
            names
                .primary
                .clone()
                .map(|name| ("primary authority", name)),
        );
        rows.extend(
            names
                .secondary
                .clone()
                .map(|name| ("secondary authority", name)),
        );
    }
    rows
}

fn slots(certificates: &EnrollmentCertificates) -> Vec<(&'static str, String)> {
    let both = [
        ("primary certificate", &certificates.primary),
        ("secondary certificate", &certificates.secondary),
    ];
    let row = |(name, slot): (&'static str, &Option<_>)| {
        let slot: &hub_api::native::EnrollmentCertificate = slot.as_ref()?;
        let expiry = slot
            .expiry
            .map_or_else(String::new, |expiry| format!(", until {expiry}"));
        let subject = or_dash(slot.subject.as_deref());
        Some((name, format!("{subject}{expiry}")))
    };
    both.into_iter().filter_map(row).collect()
}

fn terms(terms: &EnrollmentTerms) -> Vec<(&'static str, String)> {
    let mut rows = vec![
        ("status", terms.status.as_str().to_owned()),
        ("edge device", yes_or_no(terms.iot_edge)),
        ("allocation", allocation(terms)),
    ];
    let hubs: Vec<&str> = terms
        .hub
        .iter()
        .chain(&terms.hubs)
        .map(String::as_str)
        .collect();
    if !hubs.is_empty() {
        rows.push(("hubs", hubs.join(" ")));
    }
    if let Some(webhook) = &terms.webhook {
        // What stands behind the question mark may be the webhook's key.
        let address = webhook.url.split('?').next().unwrap_or_default();
        rows.push(("webhook", address.to_owned()));
    }
    let reprovision = match &terms.reprovision_policy {
        None => "hub chosen anew, twin goes along",
        Some(policy) => match (policy.update_hub_assignment, policy.migrate_device_data) {
            (true, true) => "hub chosen anew, twin goes along",
            (true, false) => "hub chosen anew, twin begins anew",
            (false, _) => "stays where it is",
        },
    };
    rows.push(("on new registration", reprovision.to_owned()));
    if let Some(twin) = &terms.initial_twin {
        rows.push(("initial tags", json(&twin.tags)));
        rows.push(("initial desired", json(&twin.desired)));
    }
    if let Some(name) = &terms.credential_policy {
        rows.push(("credential policy", name.clone()));
    }
    rows
}

fn json(map: &Map<String, Value>) -> String {
    Value::Object(map.clone()).to_string()
}

pub(crate) fn registrations(registrations: &[Registration]) -> String {
    let row = |one: &Registration| {
        let leaves = leaves(one).map(|hubs| format!("still to be removed from {hubs}"));
        let reason = one.error_message.clone().or(leaves).unwrap_or_default();
        vec![
            one.registration_id.clone(),
            or_dash(one.enrollment_group_id.as_deref()),
            one.status.as_str().to_owned(),
            or_dash(one.assigned_hub.as_deref()),
            one.updated.to_string(),
            shortened(&reason, REASON_CHARACTERS_MAX),
        ]
    };
    columns(
        &[
            "REGISTRATION ID",
            "GROUP",
            "STATUS",
            "HUB",
            "UPDATED",
            "REASON",
        ],
        registrations.iter().map(row),
    )
}

pub(crate) fn refusals(refusals: &[Refusal]) -> String {
    let row = |one: &Refusal| {
        vec![
            one.registration_id.clone(),
            or_dash(one.enrollment_group_id.as_deref()),
            one.error_code.to_string(),
            one.count.to_string(),
            one.last.to_string(),
            or_dash(one.address.as_deref()),
            shortened(&one.error_message, REASON_CHARACTERS_MAX),
        ]
    };
    columns(
        &[
            "REGISTRATION ID",
            "GROUP",
            "CODE",
            "TIMES",
            "LAST",
            "FROM",
            "REASON",
        ],
        refusals.iter().map(row),
    )
}

pub(crate) fn known(known: &Known) -> String {
    match known {
        Known::Registration {
            registration,
            refusal: None,
        } => self::registration(registration),
        Known::Registration {
            registration,
            refusal: Some(refusal),
        } => format!(
            "{}\n\nturned away since:\n{}",
            self::registration(registration),
            self::refusal(refusal)
        ),
        Known::Refusal(refusal) => self::refusal(refusal),
    }
}

fn registration(one: &Registration) -> String {
    let mut rows = vec![
        ("registration id", one.registration_id.clone()),
        ("group", or_dash(one.enrollment_group_id.as_deref())),
        ("proof", one.attestation.as_str().to_owned()),
    ];
    for (name, certificate) in [
        ("certificate", &one.certificate),
        ("signed by", &one.signing_certificate),
    ] {
        rows.extend(certificate.as_ref().map(|shown| {
            let (subject, thumbprint, expiry) = (&shown.subject, &shown.thumbprint, &shown.expiry);
            (name, format!("{subject}, {thumbprint}, expires {expiry}"))
        }));
    }
    rows.extend([
        ("status", one.status.as_str().to_owned()),
        ("hub", or_dash(one.assigned_hub.as_deref())),
        ("device id", or_dash(one.device_id.as_deref())),
        ("how", or_dash(one.substatus.as_deref())),
    ]);
    if let Some(code) = one.error_code {
        let message = one.error_message.as_deref().unwrap_or_default();
        rows.push(("reason", format!("{code} {message}")));
    }
    rows.extend(leaves(one).map(|hubs| ("leaves", hubs)));
    rows.push(("operation", one.operation_id.clone()));
    rows.push(("etag", one.etag.clone()));
    rows.push(("created", one.created.to_string()));
    rows.push(("updated", one.updated.to_string()));
    pairs(rows)
}

/// Where a device is still to be removed.
fn leaves(one: &Registration) -> Option<String> {
    let place = |place: &DevicePlace| format!("{}/{}", place.hub, place.device_id);
    let places: Vec<String> = one.leaves.iter().map(place).collect();
    (!places.is_empty()).then(|| places.join(", "))
}

fn refusal(one: &Refusal) -> String {
    pairs([
        ("registration id", one.registration_id.clone()),
        ("group", or_dash(one.enrollment_group_id.as_deref())),
        ("status", "refused".to_owned()),
        (
            "reason",
            format!("{} {}", one.error_code, one.error_message),
        ),
        ("from", or_dash(one.address.as_deref())),
        ("times", one.count.to_string()),
        ("first", one.first.to_string()),
        ("last", one.last.to_string()),
    ])
}

pub(crate) fn preview(preview: &AllocationPreview) -> String {
    let whose = match (&preview.enrollment_group_id, preview.is_policy_of_service) {
        (_, true) => "of the service".to_owned(),
        (Some(group), false) => format!("of the group {group}"),
        (None, false) => "of its enrollment".to_owned(),
    };
    let mut rows = vec![("policy", format!("{}, {whose}", preview.policy.as_str()))];
    rows.extend(preview.region.clone().map(|region| ("region", region)));
    if let Some(hub) = &preview.current_hub {
        let stays = if preview.stays {
            ", where it stays"
        } else {
            ""
        };
        rows.push(("has", format!("{hub}{stays}")));
    }
    for (place, hub) in preview.hubs.iter().enumerate() {
        let name = if place == 0 { "goes to" } else { "else to" };
        rows.push((name, format!("{}: {}", hub.host_name, hub.reason)));
    }
    rows.extend(preview.waits_for.as_ref().map(|hub| {
        let text = format!("for {hub} while that does not answer: its twin comes along from there");
        ("would wait", text)
    }));
    rows.extend(preview.notes.iter().map(|note| ("note", note.clone())));
    rows.extend(preview.failure.clone().map(|failure| ("no hub", failure)));
    if !preview.is_enabled {
        rows.push((
            "note",
            "the enrollment is disabled: it is turned away".to_owned(),
        ));
    }
    pairs(rows)
}

pub(crate) fn issuers(issuers: &[Issuer]) -> String {
    let row = |one: &Issuer| {
        vec![
            one.name.clone(),
            one.subject.clone(),
            one.expiry.to_string(),
        ]
    };
    columns(&["NAME", "SUBJECT", "EXPIRES"], issuers.iter().map(row))
}

pub(crate) fn issuer(issuer: &Issuer) -> String {
    let table = pairs([
        ("name", issuer.name.clone()),
        ("subject", issuer.subject.clone()),
        ("thumbprint", issuer.thumbprint.clone()),
        ("expires", issuer.expiry.to_string()),
        ("created", issuer.created.to_string()),
    ]);
    format!("{table}\n{}", issuer.certificate_chain.trim_end())
}

pub(crate) fn credential_policies(policies: &[CredentialPolicy]) -> String {
    let row = |one: &CredentialPolicy| {
        vec![
            one.name.clone(),
            one.issuer.clone(),
            format!("{} d", one.validity_days),
            one.updated.to_string(),
        ]
    };
    columns(
        &["NAME", "ISSUER", "VALIDITY", "UPDATED"],
        policies.iter().map(row),
    )
}

pub(crate) fn expiring(report: &ExpiryReport) -> String {
    let mut items = expiring_items(report);
    if report.is_cut {
        items.push_str("\nand more, which expire later");
    }
    if report.left_out.is_empty() {
        return items;
    }
    let left_out: Vec<&str> = report.left_out.iter().map(|one| one.as_str()).collect();
    format!("{items}\nnot shown to this policy: {}", left_out.join(", "))
}

fn expiring_items(report: &ExpiryReport) -> String {
    if report.items.is_empty() {
        return format!("nothing expires until {}", report.until);
    }
    let row = |one: &Expiry| {
        vec![
            one.what.as_str().to_owned(),
            one.name.clone(),
            or_dash(one.slot.as_deref()),
            one.subject.clone(),
            one.expiry.to_string(),
            if one.is_expired { "expired" } else { "" }.to_owned(),
        ]
    };
    columns(
        &["WHAT", "NAME", "SLOT", "SUBJECT", "EXPIRES", ""],
        report.items.iter().map(row),
    )
}
