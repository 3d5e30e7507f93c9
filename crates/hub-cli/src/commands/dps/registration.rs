//! `dps registration …`.

use std::io::Write;

use hub_api::client::Client;
use hub_api::native::{Refusal, Registration};
use serde::Serialize;

use super::{PAGE_MAX, first_page, next_page};
use crate::arguments::{RegistrationCommand, RegistrationFilter, RegistrationList};
use crate::failure::Failure;
use crate::render;

/// What is known of a device.
#[derive(Serialize)]
#[serde(untagged)]
pub(crate) enum Known {
    /// It registered.
    Registration(Box<Registration>),
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

/// A device without a registration may have been turned away, and that is what people look for.
async fn show(id: &str, client: &Client) -> Result<Known, Failure> {
    let error = match client.registration(id).await {
        Ok(registration) => return Ok(Known::Registration(Box::new(registration))),
        Err(error) => error,
    };
    if error
        .refusal()
        .is_none_or(|detail| detail.code / 1000 != 404)
    {
        return Err(error.into());
    }
    let refusals = client.refusals(Some(PAGE_MAX)).await?.items;
    let mut of_device = refusals
        .into_iter()
        .filter(|refusal| refusal.registration_id.eq_ignore_ascii_case(id));
    match of_device.next() {
        Some(refusal) => Ok(Known::Refusal(refusal)),
        None => Err(Failure::from(error).with_hint(
            "the device has not asked yet, or not here: does it have the right id scope (`thingstead dps show`) and endpoint?",
        )),
    }
}

async fn list(list: RegistrationList, client: &Client, out: &mut dyn Write) -> Result<(), Failure> {
    let output = list.common.output;
    let Some(filter) = list.filter.wire() else {
        let max = list.top.unwrap_or(PAGE_MAX).clamp(1, PAGE_MAX);
        let refusals = client.refusals(Some(max)).await?.items;
        let table = |refusals: &Vec<Refusal>| render::dps::refusals(refusals);
        return render::answer(output, &refusals, table, out);
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
    let table = |items: &Vec<Registration>| render::dps::registrations(items);
    render::answer(output, &items, table, out)
}
