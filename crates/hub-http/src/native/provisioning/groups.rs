//! Enrollment groups.

use axum::Json;
use http::StatusCode;
use hub_api::native::{
    EnrollmentAttestation, EnrollmentGroup, EnrollmentGroupSettings, KeyRoll, Keys, Moment, Page,
};
use hub_domain::provisioning::{self as domain, EnrollmentGroupId};
use hub_engine::IfMatch;
use hub_provisioning::NewGroup;

use super::super::hubs::page;
use super::super::{Document, Failure, Guarded, Query, Scope, keys};
use super::{Administration, full_page, wire};

pub(in super::super) async fn list(
    scope: Scope,
    query: Query,
) -> Result<Json<Page<EnrollmentGroup>>, Failure> {
    let Administration { service, ctx } = Administration::of(&scope)?;
    let (after, max) = page(query)?;
    let after = after.map(|after| after.to_ascii_lowercase());
    let found = service.groups.list(&ctx, after.as_deref(), max)?;
    let items = found.iter().map(|one| shown(one, Keys::Hidden)).collect();
    Ok(Json(full_page(
        items,
        |one: &EnrollmentGroup| &one.enrollment_group_id,
        max,
    )))
}

/// Answers with the keys, so that whoever had them made learns them.
pub(in super::super) async fn create(
    scope: Scope,
    Document(settings): Document<EnrollmentGroupSettings>,
) -> Result<(StatusCode, Json<EnrollmentGroup>), Failure> {
    let Administration { service, ctx } = Administration::of(&scope)?;
    let new = new(settings)?;
    let created = service.groups.put(&ctx, new, IfMatch::Absent).await?;
    Ok((StatusCode::CREATED, Json(shown(&created, Keys::Shown))))
}

pub(in super::super) async fn get(scope: Scope) -> Result<Json<EnrollmentGroup>, Failure> {
    let Administration { service, ctx } = Administration::of(&scope)?;
    let found = service.groups.fetch(&ctx, &id(&scope)?)?;
    Ok(Json(shown(&found, Keys::Hidden)))
}

pub(in super::super) async fn replace(
    scope: Scope,
    Guarded(if_match): Guarded,
    Document(settings): Document<EnrollmentGroupSettings>,
) -> Result<Json<EnrollmentGroup>, Failure> {
    let Administration { service, ctx } = Administration::of(&scope)?;
    let id = id(&scope)?;
    let new = new(settings)?;
    if new.id != id {
        return Err(Failure::invalid(
            "the id in the body is not the one in the path",
        ));
    }
    let guard = wire::of_replacement(if_match);
    let replaced = service.groups.put(&ctx, new, guard).await?;
    Ok(Json(shown(&replaced, Keys::Hidden)))
}

pub(in super::super) async fn delete(
    scope: Scope,
    Guarded(if_match): Guarded,
) -> Result<StatusCode, Failure> {
    let Administration { service, ctx } = Administration::of(&scope)?;
    service.groups.delete(&ctx, &id(&scope)?, if_match).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(in super::super) async fn keys(scope: Scope) -> Result<Json<EnrollmentAttestation>, Failure> {
    let Administration { service, ctx } = Administration::of(&scope)?;
    let attestation = service.groups.attestation(&ctx, &id(&scope)?)?;
    Ok(Json(wire::attestation(&attestation, Keys::Shown)))
}

pub(in super::super) async fn roll_keys(
    scope: Scope,
    Guarded(if_match): Guarded,
    Document(KeyRoll { slot }): Document<KeyRoll>,
) -> Result<Json<EnrollmentAttestation>, Failure> {
    let Administration { service, ctx } = Administration::of(&scope)?;
    let rolled = service
        .groups
        .roll_keys(&ctx, &id(&scope)?, keys::roll(slot), if_match)
        .await?;
    Ok(Json(wire::attestation(&rolled.attestation, Keys::Shown)))
}

fn id(scope: &Scope) -> Result<EnrollmentGroupId, Failure> {
    EnrollmentGroupId::parse(scope.parameter("group"))
        .map_err(|error| Failure::invalid(error.to_string()))
}

fn new(settings: EnrollmentGroupSettings) -> Result<NewGroup, Failure> {
    Ok(NewGroup {
        id: EnrollmentGroupId::parse(&settings.enrollment_group_id)
            .map_err(|error| Failure::invalid(error.to_string()))?,
        attestation: wire::new_attestation(settings.attestation)?,
        terms: wire::new_terms(settings.terms)?,
    })
}

fn shown(group: &domain::EnrollmentGroup, keys: Keys) -> EnrollmentGroup {
    EnrollmentGroup {
        enrollment_group_id: group.id.to_string(),
        attestation: wire::attestation(&group.attestation, keys),
        terms: wire::terms(&group.terms),
        etag: group.etag.0.clone(),
        created: Moment(group.created),
        updated: Moment(group.updated),
    }
}
