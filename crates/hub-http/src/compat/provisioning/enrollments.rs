//! Individual enrollments.

use axum::response::Response;
use http::StatusCode;
use hub_api::compat::provisioning::{
    Collection, EnrollmentInput, EnrollmentQuery, attestation_document, enrollment_document,
};
use hub_api::native::Keys;
use hub_domain::limits::PAGE_MAX;
use hub_domain::provisioning::{Attestation, Enrollment, RegistrationId};
use hub_engine::ErrorKind;
use hub_provisioning::registration_document;
use serde_json::Value;

use super::input::{check_id, describe, needs_former, new_enrollment};
use super::page::{Page, PageRequest};
use super::refusal::Refusal;
use super::{Call, json, no_content};

pub(super) async fn get(call: Call) -> Result<Response, Refusal> {
    let id = call.ids.registration()?;
    let enrollment = call.service.enrollments.fetch(&call.ctx, &id).await?;
    let document = shown(&call, &enrollment, Keys::Hidden).await?;
    Ok(json(StatusCode::OK, &document))
}

/// Answers with the keys, so that whoever had them made learns them.
pub(super) async fn put(call: Call) -> Result<Response, Refusal> {
    let id = call.ids.registration()?;
    let input = EnrollmentInput::parse(&call.body)?;
    check_id(
        id.as_str(),
        input.registration_id.as_deref(),
        "registrationId",
    )?;
    let former = former(&call, &id, &input).await?;
    let new = new_enrollment(id, input, former.as_ref())?;
    let guard = call.guard()?;
    let enrollment = call.service.enrollments.put(&call.ctx, new, guard).await?;
    let document = shown(&call, &enrollment, Keys::Shown).await?;
    Ok(json(StatusCode::OK, &document))
}

/// The stored attestation, where the request needs it.
pub(super) async fn former(
    call: &Call,
    id: &RegistrationId,
    input: &EnrollmentInput,
) -> Result<Option<Attestation>, Refusal> {
    if !needs_former(&input.attestation) {
        return Ok(None);
    }
    match call.service.enrollments.fetch(&call.ctx, id).await {
        Ok(former) => Ok(Some(former.attestation)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error.into()),
    }
}

pub(super) async fn delete(call: Call) -> Result<Response, Refusal> {
    let id = call.ids.registration()?;
    let guard = call.guard()?;
    call.service
        .enrollments
        .delete(&call.ctx, &id, guard)
        .await?;
    Ok(no_content())
}

pub(super) async fn attestation(call: Call) -> Result<Response, Refusal> {
    let id = call.ids.registration()?;
    let attestation = call.service.enrollments.attestation(&call.ctx, &id).await?;
    let document = attestation_document(&attestation, Keys::Shown, &describe);
    Ok(json(StatusCode::OK, &document))
}

/// Enrollments that one request looks at when it has found some, and when it has found none: a rare condition must not run
/// into the deadline, and Python takes an empty page for the end.
const LOOKED_AT_MAX: usize = 20_000;
const LOOKED_AT_IN_VAIN_MAX: usize = 200_000;

/// True when a page is answered as it is, with a continuation.
const fn is_enough(looked_at: usize, found: usize) -> bool {
    looked_at
        >= if found == 0 {
            LOOKED_AT_IN_VAIN_MAX
        } else {
            LOOKED_AT_MAX
        }
}

/// Goes on until the page is full, there are no more, or enough were looked at.
pub(super) async fn query(call: Call) -> Result<Response, Refusal> {
    let query = EnrollmentQuery::parse(&call.body, Collection::Enrollments)?;
    let PageRequest { mut after, max } = PageRequest::read(&call.parts)?;
    let batch_max = if query.is_all() { max } else { PAGE_MAX };
    let mut items = Vec::new();
    let mut looked_at = 0;
    let next = loop {
        let enrollments = &call.service.enrollments;
        let batch = enrollments
            .list(&call.ctx, after.as_deref(), batch_max)
            .await?;
        let is_last = batch.len() < batch_max;
        for enrollment in &batch {
            after = Some(enrollment.id.key().to_owned());
            let document =
                enrollment_document(enrollment, Keys::Hidden, &describe, &call.api_version);
            if query.wants(&document) {
                items.push(with_state(&call, enrollment, document).await?);
            }
            if items.len() == max {
                break;
            }
        }
        let is_at_end = batch.last().map(|one| one.id.key()) == after.as_deref();
        if items.len() == max && !(is_last && is_at_end) {
            break after;
        }
        if is_last {
            break None;
        }
        looked_at += batch.len();
        if is_enough(looked_at, items.len()) {
            break after;
        }
    };
    let page = Page {
        items,
        next,
        max,
        item_type: Collection::Enrollments.item_type(),
    };
    Ok(page.render())
}

/// The document with the device's registration, once there is one.
pub(super) async fn shown(
    call: &Call,
    enrollment: &Enrollment,
    keys: Keys,
) -> Result<Value, Refusal> {
    let document = enrollment_document(enrollment, keys, &describe, &call.api_version);
    with_state(call, enrollment, document).await
}

async fn with_state(
    call: &Call,
    enrollment: &Enrollment,
    mut document: Value,
) -> Result<Value, Refusal> {
    let registrations = &call.service.registrations;
    match registrations.fetch(&call.own(), &enrollment.id).await {
        Ok(registration) => {
            document["registrationState"] = registration_document(&registration);
            Ok(document)
        }
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(document),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_ends_when_enough_were_looked_at() {
        assert!(!is_enough(LOOKED_AT_MAX - 1, 1));
        assert!(is_enough(LOOKED_AT_MAX, 1));
        assert!(
            !is_enough(LOOKED_AT_MAX, 0),
            "an empty page is the end for some"
        );
        assert!(is_enough(LOOKED_AT_IN_VAIN_MAX, 0));
    }
}
