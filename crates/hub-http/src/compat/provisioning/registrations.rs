//! What back ends see of registrations.

use axum::response::Response;
use http::StatusCode;
use hub_provisioning::{RegistrationFilter, registration_document};

use super::page::{Page, PageRequest};
use super::refusal::Refusal;
use super::{Call, json, no_content};

/// The value of the header `x-ms-item-type`.
const ITEM_TYPE: &str = "deviceRegistration";

pub(super) async fn get(call: Call) -> Result<Response, Refusal> {
    let id = call.ids.registration()?;
    let registration = call.service.registrations.fetch(&call.ctx, &id).await?;
    Ok(json(StatusCode::OK, &registration_document(&registration)))
}

pub(super) async fn delete(call: Call) -> Result<Response, Refusal> {
    let id = call.ids.registration()?;
    let guard = call.guard()?;
    let registrations = &call.service.registrations;
    registrations.delete(&call.ctx, &id, guard).await?;
    Ok(no_content())
}

/// The registrations of one group. The group need not be there any more: they outlive it.
pub(super) async fn query(call: Call) -> Result<Response, Refusal> {
    let filter = RegistrationFilter::OfGroup(call.ids.group()?);
    let PageRequest { after, max } = PageRequest::read(&call.parts)?;
    let registrations = &call.service.registrations;
    let found = registrations
        .list(&call.ctx, filter, after.as_deref(), max)
        .await?;
    let next = (found.len() == max)
        .then(|| found.last().map(|one| one.id.key().to_owned()))
        .flatten();
    let page = Page {
        items: found.iter().map(registration_document).collect(),
        next,
        max,
        item_type: ITEM_TYPE,
    };
    Ok(page.render())
}
