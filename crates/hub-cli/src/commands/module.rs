//! `module …`.

use std::io::Write;

use hub_api::client::Client;
use hub_api::native::{Authentication, Module, ModuleSettings};

use super::identity::{UPDATE_TRIES, authentication, or_none};
use super::renewal;
use crate::arguments::{ModuleCommand, ModuleCreate, ModuleUpdate, OutputFormat};
use crate::connect::Connected;
use crate::failure::Failure;
use crate::render;

pub(super) async fn execute(
    command: ModuleCommand,
    Connected { client, hub }: &Connected,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    match command {
        ModuleCommand::Create(create) => {
            let ModuleCreate {
                device_id,
                module_id,
                managed_by,
                keys,
                common,
            } = create;
            let authentication = authentication(keys, Authentication::default())?;
            let settings = ModuleSettings {
                module_id: Some(module_id),
                managed_by,
                authentication,
            };
            let module = client.create_module(hub, &device_id, &settings).await?;
            render::answer(common.output, &module, render::module, out)
        }
        ModuleCommand::List(list) => {
            let modules = client.list_modules(hub, &list.device_id).await?.items;
            render::answer(
                list.common.output,
                &modules,
                |modules| render::modules(modules),
                out,
            )
        }
        ModuleCommand::Show(show) => {
            let module = client.module(hub, &show.device_id, &show.module_id).await?;
            render::answer(show.common.output, &module, render::module, out)
        }
        ModuleCommand::Update(update) => {
            let output = update.common.output;
            let module = self::update(client, hub, update).await?;
            render::answer(output, &module, render::module, out)
        }
        ModuleCommand::Delete(delete) => {
            client
                .delete_module(
                    hub,
                    &delete.device_id,
                    &delete.module_id,
                    delete.etag.as_deref(),
                )
                .await?;
            match delete.common.output {
                OutputFormat::Table => Ok(writeln!(
                    out,
                    "deleted {}/{}",
                    delete.device_id, delete.module_id
                )?),
                OutputFormat::Json => Ok(()),
            }
        }
        ModuleCommand::RenewKey(renew) => renewal::modules(renew, client, hub, out).await,
    }
}

async fn update(client: &Client, hub: &str, update: ModuleUpdate) -> Result<Module, Failure> {
    if update.managed_by.is_none() && update.keys.is_empty() {
        return Err(Failure::usage(
            "nothing to change; `thingstead module update --help` lists what can be",
        ));
    }
    let (device_id, module_id) = (&update.device_id, &update.module_id);
    let mut tries = 0;
    loop {
        let module = client.module(hub, device_id, module_id).await?;
        let etag = update.etag.clone().unwrap_or_else(|| module.etag.clone());
        let settings = changed(module.settings(), update.clone())?;
        tries += 1;
        match client
            .replace_module(hub, device_id, module_id, &settings, Some(&etag))
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

fn changed(mut settings: ModuleSettings, update: ModuleUpdate) -> Result<ModuleSettings, Failure> {
    if let Some(managed_by) = update.managed_by {
        settings.managed_by = or_none(managed_by);
    }
    if !update.keys.is_empty() {
        settings.authentication = authentication(update.keys, settings.authentication)?;
    }
    Ok(settings)
}
