//! `dps …` and `keys …`.

mod credential;
mod enrollment;
mod group;
mod place;
mod policy;
mod registration;
mod rolling;
mod terms;

pub(crate) use registration::Known;

use std::io::Write;
use std::path::Path;

use hub_api::client::{Client, ClientError, PageQuery};
use hub_api::native::{AllocationRequest, ProvisioningServiceChange};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use crate::arguments::{
    AllocationCommand, AllocationPreview, ConnectionStringCommand, DpsCommand, KeysCommand,
    OutputFormat, ServiceUpdate, SlotChoice,
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
    let listing = command.listing();
    let result = perform(command, client, out).await;
    result.map_err(|failure| with_next_step(failure, listing))
}

/// What helps with most refusals of this service.
fn with_next_step(failure: Failure, listing: &str) -> Failure {
    match failure.client_error() {
        Some(ClientError::Refused { status: 404, .. }) => {
            failure.or_hint(format!("`thingstead {listing}` shows what there is"))
        }
        Some(ClientError::Refused { status: 409, .. }) => failure.or_hint(format!(
            "`thingstead {listing}` shows what there is; change or delete that one, or choose another name"
        )),
        Some(_) | None => failure,
    }
}

async fn perform(command: DpsCommand, client: &Client, out: &mut dyn Write) -> Result<(), Failure> {
    let output = command.common().output;
    match command {
        DpsCommand::Show(_) => show(client, output, out).await,
        DpsCommand::Update(update) => self::update(update, client, out).await,
        DpsCommand::Policy(command) => policy::execute(command, client, out).await,
        DpsCommand::ConnectionString(ConnectionStringCommand::Show {
            policy_name,
            key_type,
            ..
        }) => connection_string(&policy_name, key_type, output, client, out).await,
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

async fn update(
    update: ServiceUpdate,
    client: &Client,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    let Some(policy) = update.allocation_policy else {
        return Err(Failure::usage(
            "nothing to change; `thingstead dps update --help` lists what can be",
        ));
    };
    let change = ProvisioningServiceChange {
        allocation_policy: Some(policy.wire()),
    };
    let service = client.patch_provisioning(&change).await?;
    render::answer(update.common.output, &service, render::dps::service, out)
}

/// The string alone for people and their scripts.
async fn connection_string(
    policy: &str,
    key: SlotChoice,
    output: OutputFormat,
    client: &Client,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    let policy = client.service_policy(policy).await?;
    let primary = policy.connection_string.unwrap_or_default();
    let string = match key {
        SlotChoice::Primary => primary,
        SlotChoice::Secondary => {
            let head = primary
                .split(";SharedAccessKey=")
                .next()
                .unwrap_or_default();
            let key = policy.secondary_key.unwrap_or_default();
            format!("{head};SharedAccessKey={key}")
        }
    };
    let shown = json!({ "connectionString": string });
    render::answer(output, &shown, |_| string.clone(), out)
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
    let has_group = request.enrollment_group_id.is_some();
    let result = match client.preview_allocation(&request).await {
        Err(error)
            if error
                .refusal()
                .is_some_and(|detail| detail.code / 1000 == 404)
                && !has_group =>
        {
            return Err(Failure::from(error).with_hint(
                "a device without an enrollment of its own registers by a group: name it with --enrollment-id",
            ));
        }
        result => result?,
    };
    render::answer(preview.common.output, &result, render::dps::preview, out)
}

/// An update that would change nothing is a slip.
fn nothing_to_change(noun: &str) -> Failure {
    Failure::usage(format!(
        "nothing to change; `thingstead dps {noun} update --help` lists what can be"
    ))
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

/// A file with a list of JSON objects.
fn list_of<T: DeserializeOwned>(path: &Path) -> Result<Vec<T>, Failure> {
    serde_json::from_str(&text_of(path)?).map_err(|error| {
        let text = format!("{} is no such list: {error}", path.display());
        Failure::usage(text).with_hint("it looks like what the command `list -o json` prints")
    })
}

/// A file as text.
fn text_of(path: &Path) -> Result<String, Failure> {
    std::fs::read_to_string(path)
        .map_err(|error| Failure::operation(format!("{} cannot be read: {error}", path.display())))
}
