//! `hub …`.

use std::io::Write;

use hub_api::client::{Client, ClientError, PageQuery};
use hub_api::native::{
    CloudToDeviceSettingsChange, FileUploadSettingsChange, HubDocument, HubSettingsChange,
    HubSummary, NewHub, QueueSettingsChange,
};

use crate::arguments::{Common, HubCommand, HubCreate, HubUpdate, QueueArguments};
use crate::connect::{Place, Variables, beside, client, connect, default_hub, explain};
use crate::failure::Failure;
use crate::offline::Offline;
use crate::render;

pub(super) async fn execute(
    command: HubCommand,
    offline: &dyn Offline,
    variables: Variables<'_>,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    match command {
        HubCommand::Show { name, common } => {
            let name = name.or_else(|| common.hub.clone());
            let document = document(&common, name, offline, variables).await?;
            render::answer(common.output, &document, render::hub_document, out)
        }
        HubCommand::Create(create) => self::create(create, variables, out).await,
        HubCommand::Update(update) => self::update(update, variables, out).await,
        HubCommand::List(common) => {
            let hubs = list(&common, variables)
                .await
                .map_err(|failure| explain(failure, &common, variables))?;
            render::answer(common.output, &hubs, |hubs| render::hubs(hubs), out)
        }
        HubCommand::Statistics(common) => {
            let connected = connect(&common, variables).await?;
            let statistics = connected.client.statistics(&connected.hub).await?;
            render::answer(common.output, &statistics, render::statistics, out)
        }
        HubCommand::Certificate(command) => {
            super::certificate::execute(command, variables, out).await
        }
    }
}

/// Asks the server that runs on the directory. Where none does, the directory itself says it: a server that was killed
/// leaves its run file behind, so one that does not answer counts as none.
async fn document(
    common: &Common,
    name: Option<String>,
    offline: &dyn Offline,
    variables: Variables<'_>,
) -> Result<HubDocument, Failure> {
    let data_dir = match Place::of(common, variables)? {
        Place::DataDir(data_dir) => data_dir,
        Place::ConnectionString(_) => {
            let connected = connect(
                &Common {
                    hub: name,
                    ..common.clone()
                },
                variables,
            )
            .await?;
            return Ok(connected.client.hub(&connected.hub).await?);
        }
    };
    if let Some(client) = beside(&data_dir)? {
        match online(&client, name.as_deref()).await {
            Err(failure)
                if matches!(failure.client_error(), Some(ClientError::Transport { .. })) => {}
            result => return result,
        }
    }
    Ok(offline.hub_document(&data_dir, name.as_deref()).await?)
}

async fn online(client: &Client, name: Option<&str>) -> Result<HubDocument, Failure> {
    let name = match name {
        Some(name) => name.to_owned(),
        None => default_hub(client).await?,
    };
    Ok(client.hub(&name).await?)
}

async fn list(common: &Common, variables: Variables<'_>) -> Result<Vec<HubSummary>, Failure> {
    let client = client(common, variables)?;
    let mut hubs = Vec::new();
    let mut query = PageQuery::default();
    loop {
        let page = client.list_hubs(&query).await?;
        hubs.extend(page.items);
        match page.next {
            Some(next) => query.after = Some(next),
            None => return Ok(hubs),
        }
    }
}

async fn create(
    create: HubCreate,
    variables: Variables<'_>,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    let HubCreate {
        name,
        hostname,
        aliases,
        partition_count,
        common,
    } = create;
    let client = client(&common, variables)?;
    let new = NewHub {
        name,
        host_name: hostname,
        aliases,
        partition_count,
    };
    let created = client.create_hub(&new).await;
    let hub = created.map_err(|error| explain(Failure::from(error), &common, variables))?;
    render::answer(
        common.output,
        &hub,
        |hub| render::hubs(std::slice::from_ref(hub)),
        out,
    )
}

/// Without a change it only shows the settings.
async fn update(
    update: HubUpdate,
    variables: Variables<'_>,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    let HubUpdate {
        quota_profile,
        fault_injection,
        queues,
        common,
    } = update;
    let connected = connect(&common, variables).await?;
    let change = HubSettingsChange {
        quota_profile,
        fault_injection,
        cloud_to_device: cloud_to_device(&queues),
        file_notifications: file_notifications(&queues),
        file_upload: file_upload(&queues),
    };
    let settings = if change == HubSettingsChange::default() {
        connected.client.settings(&connected.hub).await?
    } else {
        connected
            .client
            .patch_settings(&connected.hub, &change)
            .await?
    };
    render::answer(common.output, &settings, render::hub_settings, out)
}

fn cloud_to_device(queues: &QueueArguments) -> Option<CloudToDeviceSettingsChange> {
    let feedback = QueueSettingsChange {
        lock_seconds: queues.feedback_lock_duration,
        ttl_seconds: queues.feedback_ttl,
        max_delivery_count: queues.feedback_max_delivery_count,
    };
    let change = CloudToDeviceSettingsChange {
        default_ttl_seconds: queues.c2d_ttl,
        max_delivery_count: queues.c2d_max_delivery_count,
        feedback: (feedback != QueueSettingsChange::default()).then_some(feedback),
    };
    (change != CloudToDeviceSettingsChange::default()).then_some(change)
}

fn file_upload(queues: &QueueArguments) -> Option<FileUploadSettingsChange> {
    let change = FileUploadSettingsChange {
        ticket_ttl_seconds: queues.fileupload_sas_ttl,
        notifications: queues.fileupload_notifications,
    };
    (change != FileUploadSettingsChange::default()).then_some(change)
}

fn file_notifications(queues: &QueueArguments) -> Option<QueueSettingsChange> {
    let change = QueueSettingsChange {
        lock_seconds: queues.fileupload_notification_lock_duration,
        ttl_seconds: queues.fileupload_notification_ttl,
        max_delivery_count: queues.fileupload_notification_max_delivery_count,
    };
    (change != QueueSettingsChange::default()).then_some(change)
}
