//! Individual enrollments.

use axum::Json;
use http::StatusCode;
use hub_api::native::{
    Enrollment, EnrollmentAttestation, EnrollmentSettings, KeyRoll, Keys, Moment, Page,
};
use hub_domain::DeviceId;
use hub_domain::provisioning::{self as domain, RegistrationId};
use hub_engine::IfMatch;
use hub_provisioning::NewEnrollment;

use super::super::hubs::page;
use super::super::{Document, Failure, Guarded, Query, Scope, keys};
use super::{Administration, full_page, wire};

pub(in super::super) async fn list(
    scope: Scope,
    query: Query,
) -> Result<Json<Page<Enrollment>>, Failure> {
    let Administration { service, ctx } = Administration::of(&scope)?;
    let (after, max) = page(query)?;
    let after = after.map(|after| after.to_ascii_lowercase());
    let found = service
        .enrollments
        .list(&ctx, after.as_deref(), max)
        .await?;
    let items = found.iter().map(|one| shown(one, Keys::Hidden)).collect();
    Ok(Json(full_page(
        items,
        |one: &Enrollment| &one.registration_id,
        max,
    )))
}

/// Answers with the keys, so that whoever had them made learns them.
pub(in super::super) async fn create(
    scope: Scope,
    Document(settings): Document<EnrollmentSettings>,
) -> Result<(StatusCode, Json<Enrollment>), Failure> {
    let Administration { service, ctx } = Administration::of(&scope)?;
    let new = new(settings)?;
    let created = service.enrollments.put(&ctx, new, IfMatch::Absent).await?;
    Ok((StatusCode::CREATED, Json(shown(&created, Keys::Shown))))
}

pub(in super::super) async fn get(scope: Scope) -> Result<Json<Enrollment>, Failure> {
    let Administration { service, ctx } = Administration::of(&scope)?;
    let found = service.enrollments.fetch(&ctx, &id(&scope)?).await?;
    Ok(Json(shown(&found, Keys::Hidden)))
}

pub(in super::super) async fn replace(
    scope: Scope,
    Guarded(if_match): Guarded,
    Document(settings): Document<EnrollmentSettings>,
) -> Result<Json<Enrollment>, Failure> {
    let Administration { service, ctx } = Administration::of(&scope)?;
    let id = id(&scope)?;
    let new = new(settings)?;
    if new.id != id {
        return Err(Failure::invalid(
            "the id in the body is not the one in the path",
        ));
    }
    let guard = wire::of_replacement(if_match);
    let replaced = service.enrollments.put(&ctx, new, guard).await?;
    Ok(Json(shown(&replaced, Keys::Hidden)))
}

pub(in super::super) async fn delete(
    scope: Scope,
    Guarded(if_match): Guarded,
) -> Result<StatusCode, Failure> {
    let Administration { service, ctx } = Administration::of(&scope)?;
    service
        .enrollments
        .delete(&ctx, &id(&scope)?, if_match)
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(in super::super) async fn keys(scope: Scope) -> Result<Json<EnrollmentAttestation>, Failure> {
    let Administration { service, ctx } = Administration::of(&scope)?;
    let attestation = service.enrollments.attestation(&ctx, &id(&scope)?).await?;
    Ok(Json(wire::attestation(&attestation, Keys::Shown)))
}

pub(in super::super) async fn roll_keys(
    scope: Scope,
    Guarded(if_match): Guarded,
    Document(KeyRoll { slot }): Document<KeyRoll>,
) -> Result<Json<EnrollmentAttestation>, Failure> {
    let Administration { service, ctx } = Administration::of(&scope)?;
    let rolled = service
        .enrollments
        .roll_keys(&ctx, &id(&scope)?, keys::roll(slot), if_match)
        .await?;
    Ok(Json(wire::attestation(&rolled.attestation, Keys::Shown)))
}

fn id(scope: &Scope) -> Result<RegistrationId, Failure> {
    RegistrationId::parse(scope.parameter("registration"))
        .map_err(|error| Failure::invalid(error.to_string()))
}

fn new(settings: EnrollmentSettings) -> Result<NewEnrollment, Failure> {
    let invalid = |error: hub_domain::ids::IdError| Failure::invalid(error.to_string());
    let device = settings.device_id.as_deref().map(DeviceId::parse);
    Ok(NewEnrollment {
        id: RegistrationId::parse(&settings.registration_id).map_err(invalid)?,
        device: device.transpose().map_err(invalid)?,
        attestation: wire::new_attestation(settings.attestation)?,
        terms: wire::new_terms(settings.terms)?,
        information: settings.information,
    })
}

fn shown(enrollment: &domain::Enrollment, keys: Keys) -> Enrollment {
    Enrollment {
        registration_id: enrollment.id.to_string(),
        device_id: enrollment.device.as_ref().map(ToString::to_string),
        attestation: wire::attestation(&enrollment.attestation, keys),
        terms: wire::terms(&enrollment.terms),
        information: enrollment.information.clone(),
        etag: enrollment.etag.0.clone(),
        created: Moment(enrollment.created),
        updated: Moment(enrollment.updated),
    }
}
