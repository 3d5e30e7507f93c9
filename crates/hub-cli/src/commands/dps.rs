//! `dps …` and `keys …`.

mod credential;
mod enrollment;
mod group;
mod place;
mod registration;
mod terms;

pub(crate) use registration::Known;

use std::io::Write;
use std::path::Path;

use hub_api::client::{Client, PageQuery};
use hub_api::native::{AllocationRequest, ProvisioningServiceChange};
use serde_json::{Map, Value};

use crate::arguments::{
    AllocationCommand, AllocationPreview, DpsCommand, KeysCommand, OutputFormat, PolicyCommand,
    ServiceUpdate,
};
use crate::connect::{Variables, client, explain};
use crate::failure::Failure;
use crate::render;

pub(super) async fn execute(
    command: DpsCommand,
    variables: Variables<'_>,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    let common = command.common().clone();
    if let DpsCommand::EnrollmentGroup(command) = &command
        && let Some(key) = group::offline_key(command)?
    {
        return group::show_key(common.output, &key, out);
    }
    let client = client(&common, variables)?;
    let result = on_service(command, &client, out).await;
    result.map_err(|failure| explain(failure, &common, variables))
}

pub(super) async fn keys(
    command: KeysCommand,
    variables: Variables<'_>,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    let common = command.common().clone();
    let client = client(&common, variables)?;
    let result = on_keys(command, &client, out).await;
    result.map_err(|failure| explain(failure, &common, variables))
}

pub(crate) async fn on_keys(
    KeysCommand::Expiring { within, common }: KeysCommand,
    client: &Client,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    let report = client.expiring(Some(within)).await?;
    render::answer(common.output, &report, render::dps::expiring, out)
}

pub(crate) async fn on_service(
    command: DpsCommand,
    client: &Client,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    let output = command.common().output;
    match command {
        DpsCommand::Show(_) => show(client, output, out).await,
        DpsCommand::Update(update) => self::update(update, client, out).await,
        DpsCommand::Policy(PolicyCommand::List(_)) => {
            let policies = client.service_policies().await?;
            let table = |policies: &Vec<_>| render::dps::policies(policies);
            render::answer(output, &policies.items, table, out)
        }
        DpsCommand::Policy(PolicyCommand::Show { policy_name, .. }) => {
            let policy = client.service_policy(&policy_name).await?;
            render::answer(output, &policy, render::dps::policy, out)
        }
        DpsCommand::LinkedHub(command) => place::linked_hub(command, client, out).await,
        DpsCommand::Certificate(command) => {
            super::certificate::on(command, client, None, out).await
        }
        DpsCommand::Enrollment(command) => enrollment::execute(command, client, out).await,
        DpsCommand::EnrollmentGroup(command) => group::execute(command, client, out).await,
        DpsCommand::Registration(command) => registration::execute(command, client, out).await,
        DpsCommand::Latency(command) => place::latency(command, client, out).await,
        DpsCommand::AddressRange(command) => place::address_range(command, client, out).await,
        DpsCommand::CredentialPolicy(command) => credential::policy(command, client, out).await,
        DpsCommand::Issuer(command) => credential::issuer(command, client, out).await,
        DpsCommand::Allocation(AllocationCommand::Preview(preview)) => {
            self::preview(preview, client, out).await
        }
    }
}

async fn show(client: &Client, output: OutputFormat, out: &mut dyn Write) -> Result<(), Failure> {
    let service = client.provisioning().await?;
    render::answer(output, &service, render::dps::service, out)
}

/// Without a change it only shows the service.
async fn update(
    update: ServiceUpdate,
    client: &Client,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    let Some(policy) = update.allocation_policy else {
        return show(client, update.common.output, out).await;
    };
    let change = ProvisioningServiceChange {
        allocation_policy: Some(policy.wire()),
    };
    let service = client.patch_provisioning(&change).await?;
    render::answer(update.common.output, &service, render::dps::service, out)
}

async fn preview(
    preview: AllocationPreview,
    client: &Client,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    let payload = preview.payload.as_deref().map(|text| {
        serde_json::from_str(text)
            .map_err(|error| Failure::usage(format!("--payload is no JSON: {error}")))
    });
    let request = AllocationRequest {
        registration_id: preview.registration_id,
        enrollment_group_id: preview.enrollment_id,
        address: preview.address.map(|address| address.to_string()),
        payload: payload.transpose()?,
    };
    let result = client.preview_allocation(&request).await?;
    render::answer(preview.common.output, &result, render::dps::preview, out)
}

/// The next page to ask for; none when there are no more, or `top` is reached.
fn next_page(next: Option<String>, have: usize, top: Option<usize>) -> Option<PageQuery> {
    let after = Some(next?);
    let max = match top {
        Some(top) if have >= top => return None,
        Some(top) => Some((top - have).min(PAGE_MAX)),
        None => Some(PAGE_MAX),
    };
    Some(PageQuery { after, max })
}

/// The first page.
fn first_page(top: Option<usize>) -> PageQuery {
    PageQuery {
        after: None,
        max: Some(top.unwrap_or(PAGE_MAX).clamp(1, PAGE_MAX)),
    }
}

/// Items of a full page.
const PAGE_MAX: usize = hub_domain::limits::PAGE_MAX;

/// A JSON object given as an argument.
fn object(what: &str, text: &str) -> Result<Map<String, Value>, Failure> {
    match serde_json::from_str(text) {
        Ok(Value::Object(map)) => Ok(map),
        Ok(_) => Err(Failure::usage(format!("{what} must be a JSON object"))),
        Err(error) => Err(Failure::usage(format!("{what} is no JSON: {error}"))),
    }
}

/// A file as text.
fn text_of(path: &Path) -> Result<String, Failure> {
    std::fs::read_to_string(path)
        .map_err(|error| Failure::operation(format!("{} cannot be read: {error}", path.display())))
}
