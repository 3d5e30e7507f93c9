//! `device …`.

use std::io::Write;

use hub_api::client::PageQuery;
use hub_api::native::{Authentication, Capabilities, Device, DeviceSettings, Status};
use hub_domain::limits::PAGE_MAX;

use super::identity::{UPDATE_TRIES, authentication, or_none};
use super::renewal;
use crate::arguments::{DeviceCommand, DeviceCreate, DeviceUpdate, OutputFormat, StatusArgument};
use crate::connect::Connected;
use crate::failure::Failure;
use crate::render;

pub(super) async fn execute(
    command: DeviceCommand,
    Connected { client, hub }: &Connected,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    match command {
        DeviceCommand::Create(create) => {
            let output = create.common.output;
            let device = client.create_device(hub, &settings(create)?).await?;
            render::answer(output, &device, render::device, out)
        }
        DeviceCommand::List(list) => {
            let devices = self::list(client, hub, list.max).await?;
            render::answer(
                list.common.output,
                &devices,
                |devices| render::devices(devices),
                out,
            )
        }
        DeviceCommand::Show(show) => {
            let device = client.device(hub, &show.device_id).await?;
            render::answer(show.common.output, &device, render::device, out)
        }
        DeviceCommand::Update(update) => {
            let output = update.common.output;
            let device = self::update(client, hub, update).await?;
            render::answer(output, &device, render::device, out)
        }
        DeviceCommand::Delete(delete) => {
            client
                .delete_device(hub, &delete.device_id, delete.etag.as_deref())
                .await?;
            match delete.common.output {
                OutputFormat::Table => Ok(writeln!(out, "deleted {}", delete.device_id)?),
                OutputFormat::Json => Ok(()),
            }
        }
        DeviceCommand::RenewKey(renew) => renewal::devices(renew, client, hub, out).await,
    }
}

fn settings(create: DeviceCreate) -> Result<DeviceSettings, Failure> {
    Ok(DeviceSettings {
        device_id: Some(create.device_id),
        status: create.status.map(status).unwrap_or_default(),
        status_reason: create.status_reason,
        authentication: authentication(create.keys, Authentication::default())?,
        capabilities: Capabilities {
            iot_edge: create.edge_enabled.unwrap_or_default(),
        },
        device_scope: create.device_scope,
        parent_scopes: Vec::new(),
    })
}

const fn status(argument: StatusArgument) -> Status {
    match argument {
        StatusArgument::Enabled => Status::Enabled,
        StatusArgument::Disabled => Status::Disabled,
    }
}

pub(super) async fn list(
    client: &hub_api::client::Client,
    hub: &str,
    max: Option<usize>,
) -> Result<Vec<Device>, Failure> {
    let wanted = max.unwrap_or(usize::MAX);
    let mut devices: Vec<Device> = Vec::new();
    let mut after = None;
    while devices.len() < wanted {
        let query = PageQuery {
            after,
            max: Some((wanted - devices.len()).min(PAGE_MAX)),
        };
        let page = client.list_devices(hub, &query).await?;
        devices.extend(page.items);
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    Ok(devices)
}

/// Changes what the arguments name and keeps the rest: reads, changes, and writes while nobody else has.
async fn update(
    client: &hub_api::client::Client,
    hub: &str,
    update: DeviceUpdate,
) -> Result<Device, Failure> {
    if is_empty(&update) {
        return Err(Failure::usage(
            "nothing to change; `thingstead device update --help` lists what can be",
        ));
    }
    let mut tries = 0;
    loop {
        let device = client.device(hub, &update.device_id).await?;
        let etag = update.etag.clone().unwrap_or_else(|| device.etag.clone());
        let settings = changed(device.settings(), update.clone())?;
        tries += 1;
        match client
            .replace_device(hub, &update.device_id, &settings, Some(&etag))
            .await
        {
            Err(error)
                if error.is_precondition_failed()
                    && update.etag.is_none()
                    && tries < UPDATE_TRIES => {}
            result => return Ok(result?),
        }
    }
}

const fn is_empty(update: &DeviceUpdate) -> bool {
    update.edge_enabled.is_none()
        && update.status.is_none()
        && update.status_reason.is_none()
        && update.device_scope.is_none()
        && update.keys.is_empty()
}

fn changed(mut settings: DeviceSettings, update: DeviceUpdate) -> Result<DeviceSettings, Failure> {
    if let Some(argument) = update.status {
        settings.status = status(argument);
    }
    if let Some(reason) = update.status_reason {
        settings.status_reason = or_none(reason);
    }
    if let Some(iot_edge) = update.edge_enabled {
        settings.capabilities.iot_edge = iot_edge;
    }
    if let Some(scope) = update.device_scope {
        settings.device_scope = or_none(scope);
        settings.parent_scopes.clear();
    }
    if !update.keys.is_empty() {
        settings.authentication = authentication(update.keys, settings.authentication)?;
    }
    Ok(settings)
}
