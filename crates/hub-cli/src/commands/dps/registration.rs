//! `dps registration …`.

use std::io::Write;

use hub_api::client::{Client, ClientError};
use hub_api::native::{Refusal, Registration};
use serde::Serialize;

use super::{first_page, next_page};
use crate::arguments::{RegistrationCommand, RegistrationFilter, RegistrationList};
use crate::failure::Failure;
use crate::render;

/// What is known of a device.
#[derive(Serialize)]
#[serde(untagged)]
pub(crate) enum Known {
    /// It registered.
    Registration {
        /// What became of it.
        #[serde(flatten)]
        registration: Box<Registration>,
        /// How it was turned away since.
        #[serde(skip_serializing_if = "Option::is_none")]
        refusal: Option<Refusal>,
    },
    /// It was turned away before.
    Refusal(Refusal),
}

pub(super) async fn execute(
    command: RegistrationCommand,
    client: &Client,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    let output = command.common().output;
    match command {
        RegistrationCommand::List(list) => self::list(list, client, out).await,
        RegistrationCommand::Show(name) => {
            let known = show(&name.registration_id, client).await?;
            render::answer(output, &known, render::dps::known, out)
        }
        RegistrationCommand::Delete(delete) => {
            let (id, etag) = (&delete.name.registration_id, delete.etag.as_deref());
            client.delete_registration(id, etag).await?;
            render::deleted(output, id, out)
        }
    }
}

/// A device may have been turned away before it registered, or since: that is what people look for.
async fn show(id: &str, client: &Client) -> Result<Known, Failure> {
    let registration = match client.registration(id).await {
        Err(error) if !is_missing(&error) => return Err(error.into()),
        found => found,
    };
    let refusal = match client.refusal(id).await {
        Ok(refusal) => Some(refusal),
        Err(error) if is_missing(&error) => None,
        Err(error) => return Err(error.into()),
    };
    match (registration, refusal) {
        (Ok(registration), refusal) => Ok(Known::Registration {
            registration: Box::new(registration),
            refusal,
        }),
        (Err(_), Some(refusal)) => Ok(Known::Refusal(refusal)),
        (Err(error), None) => Err(Failure::from(error).with_hint(
            "the device has not asked yet, or not here: does it have the right id scope (`thingstead dps show`) and endpoint?",
        )),
    }
}

fn is_missing(error: &ClientError) -> bool {
    error
        .refusal()
        .is_some_and(|detail| detail.code / 1000 == 404)
}

async fn list_refusals(
    list: &RegistrationList,
    client: &Client,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    let mut items: Vec<Refusal> = Vec::new();
    let mut query = first_page(list.top);
    loop {
        let page = client.refusals(&query).await?;
        items.extend(page.items);
        match next_page(page.next, items.len(), list.top) {
            Some(next) => query = next,
            None => break,
        }
    }
    let table = |refusals: &Vec<Refusal>| render::dps::refusals(refusals);
    render::answer(list.common.output, &items, table, out)
}

async fn list(list: RegistrationList, client: &Client, out: &mut dyn Write) -> Result<(), Failure> {
    let output = list.common.output;
    let Some(filter) = list.filter.wire() else {
        return list_refusals(&list, client, out).await;
    };
    if list.enrollment_id.is_some() && list.filter != RegistrationFilter::All {
        return Err(Failure::usage(
            "--filter and --enrollment-id cannot be used together",
        ));
    }
    let mut items: Vec<Registration> = Vec::new();
    let mut query = first_page(list.top);
    loop {
        let group = list.enrollment_id.as_deref();
        let page = client
            .list_registrations(Some(filter), group, &query)
            .await?;
        items.extend(page.items);
        match next_page(page.next, items.len(), list.top) {
            Some(next) => query = next,
            None => break,
        }
    }
    if let (true, Some(group)) = (items.is_empty(), &list.enrollment_id)
        && let Err(error) = client.enrollment_group(group).await
        && is_missing(&error)
    {
        // Registrations may outlive their group, but none of this one are left.
        return Err(Failure::from(error)
            .with_hint("`thingstead dps enrollment-group list` shows what there is"));
    }
    let table = |items: &Vec<Registration>| render::dps::registrations(items);
    render::answer(output, &items, table, out)
}
