//! `method …`.

use std::fs;
use std::io::Write;

use hub_api::native::MethodCall;
use serde_json::Value;

use crate::arguments::MethodInvoke;
use crate::connect::Connected;
use crate::failure::Failure;
use crate::render;

pub(super) async fn invoke(
    invoke: MethodInvoke,
    Connected { client, hub }: &Connected,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    let payload = invoke
        .method_payload
        .as_deref()
        .map(|text| json_argument("--method-payload", text))
        .transpose()?;
    let call = MethodCall {
        method_name: invoke.method_name,
        payload,
        response_timeout_in_seconds: invoke.timeout,
        connect_timeout_in_seconds: invoke.connect_timeout,
    };
    let result = client
        .invoke_method(hub, (&invoke.device_id, invoke.module_id.as_deref()), &call)
        .await?;
    render::answer(invoke.common.output, &result, render::method_result, out)
}

/// Reads JSON, or the file that `@` names.
pub(super) fn json_argument(argument: &str, text: &str) -> Result<Value, Failure> {
    let content = match text.strip_prefix('@') {
        None => text.to_owned(),
        Some(path) => fs::read_to_string(path).map_err(|error| {
            Failure::usage(format!("{argument}: {path} cannot be read: {error}"))
        })?,
    };
    serde_json::from_str(&content).map_err(|error| {
        Failure::usage(format!("{argument} is not JSON: {error}"))
            .with_hint("quote it for the shell, for example '{\"name\":\"value\"}', or put it into a file: @FILE")
    })
}
