//! Enrollment groups.

use axum::response::Response;
use http::StatusCode;
use hub_api::compat::provisioning::{
    Collection, EnrollmentGroupInput, EnrollmentQuery, attestation_document,
    enrollment_group_document,
};
use hub_api::native::Keys;
use hub_domain::limits::PAGE_MAX;
use hub_domain::provisioning::{Attestation, EnrollmentGroupId};
use hub_engine::ErrorKind;

use super::input::{check_id, describe, needs_former, new_group};
use super::page::{Page, PageRequest};
use super::refusal::Refusal;
use super::{Call, json, no_content};

pub(super) fn get(call: &Call) -> Result<Response, Refusal> {
    let group = call.service.groups.fetch(&call.ctx, &call.ids.group()?)?;
    let document = enrollment_group_document(&group, Keys::Hidden, &describe, &call.api_version);
    Ok(json(StatusCode::OK, &document))
}

/// Answers with the keys, so that whoever had them made learns them.
pub(super) async fn put(call: Call) -> Result<Response, Refusal> {
    let id = call.ids.group()?;
    let input = EnrollmentGroupInput::parse(&call.body)?;
    check_id(id.as_str(), input.group_id.as_deref(), "enrollmentGroupId")?;
    let former = former(&call, &id, &input)?;
    let new = new_group(id, input, former.as_ref())?;
    let guard = call.guard()?;
    let group = call.service.groups.put(&call.ctx, new, guard).await?;
    let document = enrollment_group_document(&group, Keys::Shown, &describe, &call.api_version);
    Ok(json(StatusCode::OK, &document))
}

/// The stored attestation, where the request needs it.
pub(super) fn former(
    call: &Call,
    id: &EnrollmentGroupId,
    input: &EnrollmentGroupInput,
) -> Result<Option<Attestation>, Refusal> {
    if !needs_former(&input.attestation) {
        return Ok(None);
    }
    match call.service.groups.fetch(&call.ctx, id) {
        Ok(former) => Ok(Some(former.attestation.clone())),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error.into()),
    }
}

pub(super) async fn delete(call: Call) -> Result<Response, Refusal> {
    let id = call.ids.group()?;
    let guard = call.guard()?;
    call.service.groups.delete(&call.ctx, &id, guard).await?;
    Ok(no_content())
}

pub(super) fn attestation(call: &Call) -> Result<Response, Refusal> {
    let groups = &call.service.groups;
    let attestation = groups.attestation(&call.ctx, &call.ids.group()?)?;
    let document = attestation_document(&attestation, Keys::Shown, &describe);
    Ok(json(StatusCode::OK, &document))
}

pub(super) fn query(call: &Call) -> Result<Response, Refusal> {
    let query = EnrollmentQuery::parse(&call.body, Collection::EnrollmentGroups)?;
    let PageRequest { mut after, max } = PageRequest::read(&call.parts)?;
    let mut items = Vec::new();
    let next = loop {
        let batch = call
            .service
            .groups
            .list(&call.ctx, after.as_deref(), PAGE_MAX)?;
        let is_last = batch.len() < PAGE_MAX;
        let mut wanted = batch.iter().peekable();
        for group in wanted.by_ref() {
            after = Some(group.id.key().to_owned());
            let document =
                enrollment_group_document(group, Keys::Hidden, &describe, &call.api_version);
            if query.wants(&document) {
                items.push(document);
            }
            if items.len() == max {
                break;
            }
        }
        let is_more = wanted.peek().is_some() || !is_last;
        if items.len() == max && is_more {
            break after;
        }
        if !is_more {
            break None;
        }
    };
    let page = Page {
        items,
        next,
        max,
        item_type: Collection::EnrollmentGroups.item_type(),
    };
    Ok(page.render())
}
