//! Bulk operations: each enrollment by itself; what is wrong with one is no matter of the others.

use axum::response::Response;
use http::StatusCode;
use hub_api::compat::provisioning::{
    BulkInput, BulkMode as Mode, BulkProblem, EnrollmentGroupInput, EnrollmentInput, bulk_result,
};
use hub_domain::provisioning::{EnrollmentGroupId, RegistrationId, Terms};
use hub_provisioning::{
    BulkError, BulkMode, EnrollmentBulkItem, Error, GroupBulkItem, NewAttestation, NewEnrollment,
    NewGroup,
};

use super::input::{new_enrollment, new_group};
use super::refusal::Refusal;
use super::routes::invalid;
use super::{Call, json};

pub(super) async fn enrollments(call: Call) -> Result<Response, Refusal> {
    let input = BulkInput::<EnrollmentInput>::parse(&call.body)?;
    let mut problems = Vec::new();
    let mut items = Vec::new();
    for item in input.items {
        match enrollment(&call, &item.id, item.document).await {
            Ok(enrollment) => items.push(EnrollmentBulkItem {
                enrollment,
                etag: item.etag,
            }),
            Err(refusal) => problems.push(problem(item.id, refusal.into_error())),
        }
    }
    let mode = mode(input.mode);
    let errors = call
        .service
        .enrollments
        .bulk(&call.ctx, mode, items)
        .await?;
    problems.extend(
        errors
            .into_iter()
            .map(|BulkError { id, error }| problem(id, error)),
    );
    Ok(json(
        StatusCode::OK,
        &bulk_result("registrationId", &problems),
    ))
}

async fn enrollment(
    call: &Call,
    id: &str,
    document: Result<Option<EnrollmentInput>, hub_api::compat::InputError>,
) -> Result<NewEnrollment, Refusal> {
    let id = RegistrationId::parse(id).map_err(invalid)?;
    match document? {
        Some(input) => {
            let former = super::enrollments::former(call, &id, &input).await?;
            new_enrollment(id, input, former.as_ref())
        }
        None => Ok(NewEnrollment {
            id,
            device: None,
            attestation: NewAttestation::Unchanged,
            terms: Terms::default(),
            information: None,
        }),
    }
}

pub(super) async fn groups(call: Call) -> Result<Response, Refusal> {
    let input = BulkInput::<EnrollmentGroupInput>::parse(&call.body)?;
    let mut problems = Vec::new();
    let mut items = Vec::new();
    for item in input.items {
        match group(&call, &item.id, item.document) {
            Ok(group) => items.push(GroupBulkItem {
                group,
                etag: item.etag,
            }),
            Err(refusal) => problems.push(problem(item.id, refusal.into_error())),
        }
    }
    let mode = mode(input.mode);
    let errors = call.service.groups.bulk(&call.ctx, mode, items).await?;
    problems.extend(
        errors
            .into_iter()
            .map(|BulkError { id, error }| problem(id, error)),
    );
    Ok(json(
        StatusCode::OK,
        &bulk_result("enrollmentGroupId", &problems),
    ))
}

fn group(
    call: &Call,
    id: &str,
    document: Result<Option<EnrollmentGroupInput>, hub_api::compat::InputError>,
) -> Result<NewGroup, Refusal> {
    let id = EnrollmentGroupId::parse(id).map_err(invalid)?;
    match document? {
        Some(input) => {
            let former = super::groups::former(call, &id, &input)?;
            new_group(id, input, former.as_ref())
        }
        None => Ok(NewGroup {
            id,
            attestation: NewAttestation::Unchanged,
            terms: Terms::default(),
        }),
    }
}

const fn mode(mode: Mode) -> BulkMode {
    match mode {
        Mode::Create => BulkMode::Create,
        Mode::Update => BulkMode::Update,
        Mode::UpdateIfMatch => BulkMode::UpdateIfMatch,
        Mode::Delete => BulkMode::Delete,
    }
}

fn problem(id: String, error: Error) -> BulkProblem {
    BulkProblem {
        id,
        code: error.code(),
        text: error.message().to_owned(),
    }
}
