//! `twin …`.

use std::io::Write;

use hub_api::native::{TwinChange, TwinDesired};
use serde_json::{Map, Value};

use super::method::json_argument;
use crate::arguments::{TwinCommand, TwinWrite};
use crate::connect::Connected;
use crate::failure::Failure;
use crate::render;

pub(super) async fn execute(
    command: TwinCommand,
    Connected { client, hub }: &Connected,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    match command {
        TwinCommand::Show(show) => {
            let twin = client
                .twin(hub, (&show.device_id, show.module_id.as_deref()))
                .await?;
            render::answer(show.common.output, &twin, render::twin, out)
        }
        TwinCommand::Update(write) => {
            let change = change(&write)?;
            let target = (write.device_id.as_str(), write.module_id.as_deref());
            let twin = client
                .patch_twin(hub, target, &change, write.etag.as_deref())
                .await?;
            render::answer(write.common.output, &twin, render::twin, out)
        }
        TwinCommand::Replace(write) => {
            let change = change(&write)?;
            let target = (write.device_id.as_str(), write.module_id.as_deref());
            let twin = client
                .replace_twin(hub, target, &change, write.etag.as_deref())
                .await?;
            render::answer(write.common.output, &twin, render::twin, out)
        }
    }
}

fn change(write: &TwinWrite) -> Result<TwinChange, Failure> {
    let desired = write
        .desired
        .as_deref()
        .map(|text| object("--desired", text))
        .transpose()?;
    let tags = write
        .tags
        .as_deref()
        .map(|text| object("--tags", text))
        .transpose()?;
    Ok(TwinChange {
        tags,
        properties: desired.map(|desired| TwinDesired {
            desired: Some(desired),
        }),
    })
}

fn object(argument: &str, text: &str) -> Result<Map<String, Value>, Failure> {
    match json_argument(argument, text)? {
        Value::Object(members) => Ok(members),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
            Err(Failure::usage(format!(
                "{argument} must be a JSON object such as '{{\"interval\":60}}'"
            )))
        }
    }
}
