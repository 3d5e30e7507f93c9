//! What became of devices.

use std::cmp::Reverse;

use axum::Json;
use http::StatusCode;
use hub_api::native::{
    DevicePlace, Moment, Page, Refusal, Refusals, RegisteredCertificate, Registration,
    RegistrationStatus,
};
use hub_domain::Timestamp;
use hub_domain::certificate::CertificateInfo;
use hub_domain::provisioning::{self as domain, EnrollmentGroupId, Origin, RegistrationId};
use hub_provisioning::{RefusalPosition, RegistrationFilter};

use super::super::hubs::page;
use super::super::{Failure, Guarded, Query, Scope};
use super::{Administration, full_page, wire};

pub(in super::super) async fn list(
    scope: Scope,
    mut query: Query,
) -> Result<Json<Page<Registration>>, Failure> {
    let Administration { service, ctx } = Administration::of(&scope)?;
    let group: Option<String> = query.take("group")?;
    let named: Option<String> = query.take("filter")?;
    let filter = filter(named.as_deref(), group.as_deref())?;
    let (after, max) = page(query)?;
    let after = after.map(|after| after.to_ascii_lowercase());
    let found = service
        .registrations
        .list(&ctx, filter, after.as_deref(), max)
        .await?;
    let items = found.iter().map(shown).collect();
    Ok(Json(full_page(
        items,
        |one: &Registration| &one.registration_id,
        max,
    )))
}

fn filter(named: Option<&str>, group: Option<&str>) -> Result<RegistrationFilter, Failure> {
    match (named, group) {
        (None | Some("all"), Some(group)) => EnrollmentGroupId::parse(group)
            .map(RegistrationFilter::OfGroup)
            .map_err(|error| Failure::invalid(error.to_string())),
        (Some(_), Some(_)) => Err(Failure::invalid(
            "filter and group cannot be used together, but for filter=all",
        )),
        (None | Some("all"), None) => Ok(RegistrationFilter::All),
        (Some("assigning"), None) => Ok(RegistrationFilter::Unfinished),
        (Some("failed"), None) => Ok(RegistrationFilter::Failed),
        (Some("individual"), None) => Ok(RegistrationFilter::Individual),
        (Some(_), None) => Err(Failure::invalid(
            "filter must be all, assigning, failed or individual",
        )),
    }
}

pub(in super::super) async fn get(scope: Scope) -> Result<Json<Registration>, Failure> {
    let Administration { service, ctx } = Administration::of(&scope)?;
    let found = service.registrations.fetch(&ctx, &id(&scope)?).await?;
    Ok(Json(shown(&found)))
}

pub(in super::super) async fn delete(
    scope: Scope,
    Guarded(if_match): Guarded,
) -> Result<StatusCode, Failure> {
    let Administration { service, ctx } = Administration::of(&scope)?;
    let registrations = &service.registrations;
    registrations.delete(&ctx, &id(&scope)?, if_match).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(in super::super) async fn refusals(
    scope: Scope,
    query: Query,
) -> Result<Json<Refusals>, Failure> {
    let Administration { service, ctx } = Administration::of(&scope)?;
    let (after, max) = page(query)?;
    let after = after.as_deref().map(position).transpose()?;
    let registrations = &service.registrations;
    let found = registrations.refusals(&ctx, after.as_ref(), max).await?;
    let last = found.last().filter(|_| found.len() >= max);
    Ok(Json(Refusals {
        next: last.map(|last| token(&RefusalPosition::of(last))),
        items: found.iter().map(refusal).collect(),
    }))
}

pub(in super::super) async fn get_refusal(scope: Scope) -> Result<Json<Refusal>, Failure> {
    let Administration { service, ctx } = Administration::of(&scope)?;
    let found = service.registrations.refusal(&ctx, &id(&scope)?).await?;
    Ok(Json(refusal(&found)))
}

/// A position as the parameter `after` has it: ids alone do not say where a page ends, for their order is that of time.
fn token(position: &RefusalPosition) -> String {
    let (stranger, last) = (u8::from(position.is_stranger), position.last.0.micros());
    format!("{stranger}:{last}:{}", position.key)
}

fn position(token: &str) -> Result<RefusalPosition, Failure> {
    let wrong = || Failure::invalid("after must be what `next` of the page before said");
    let mut parts = token.splitn(3, ':');
    let (Some(stranger), Some(last), Some(key)) = (parts.next(), parts.next(), parts.next()) else {
        return Err(wrong());
    };
    Ok(RefusalPosition {
        is_stranger: match stranger {
            "0" => false,
            "1" => true,
            _ => return Err(wrong()),
        },
        last: Reverse(Timestamp::from_micros(last.parse().map_err(|_| wrong())?)),
        key: key.to_owned(),
    })
}

fn id(scope: &Scope) -> Result<RegistrationId, Failure> {
    RegistrationId::parse(scope.parameter("registration"))
        .map_err(|error| Failure::invalid(error.to_string()))
}

fn group_of(origin: &Origin) -> Option<String> {
    match origin {
        Origin::Individual => None,
        Origin::Group(group) => Some(group.to_string()),
    }
}

fn shown(registration: &domain::Registration) -> Registration {
    let (status, failure) = match &registration.progress {
        domain::Progress::Assigning(_) => (RegistrationStatus::Assigning, None),
        domain::Progress::Assigned => (RegistrationStatus::Assigned, None),
        domain::Progress::Failed(failure) => (RegistrationStatus::Failed, Some(failure)),
    };
    let assignment = registration.assignment.as_ref();
    let certificates = registration.certificates.as_ref();
    let signing = certificates.and_then(|shown| shown.signing.as_ref());
    Registration {
        registration_id: registration.id.to_string(),
        enrollment_group_id: group_of(&registration.origin),
        attestation: wire::kind(registration.attestation),
        certificate: certificates.map(|shown| certificate(&shown.device)),
        signing_certificate: signing.map(certificate),
        status,
        assigned_hub: assignment.map(|one| one.hub.to_string()),
        device_id: assignment.map(|one| one.device.to_string()),
        substatus: assignment.map(|one| one.substatus.as_str().to_owned()),
        error_code: failure.map(|failure| failure.code),
        error_message: failure.map(|failure| failure.message.clone()),
        operation_id: registration.operation.to_string(),
        etag: registration.etag.0.clone(),
        leaves: registration.left().map(place).collect(),
        created: Moment(registration.created),
        updated: Moment(registration.updated),
    }
}

fn place(place: &domain::Place) -> DevicePlace {
    DevicePlace {
        hub: place.hub.to_string(),
        device_id: place.device.to_string(),
    }
}

fn certificate(info: &CertificateInfo) -> RegisteredCertificate {
    RegisteredCertificate {
        subject: info.subject.clone(),
        issuer: info.issuer.clone(),
        thumbprint: info.sha1.clone(),
        sha256_thumbprint: info.sha256.clone(),
        serial_number: info.serial.clone(),
        not_before: Moment(info.not_before),
        expiry: Moment(info.not_after),
    }
}

fn refusal(refusal: &domain::Refusal) -> Refusal {
    Refusal {
        registration_id: refusal.id.to_string(),
        enrollment_group_id: refusal.origin.as_ref().and_then(group_of),
        error_code: refusal.code,
        error_message: refusal.message.clone(),
        address: refusal.address.map(|address| address.to_string()),
        count: refusal.count,
        first: Moment(refusal.first),
        last: Moment(refusal.last),
    }
}
