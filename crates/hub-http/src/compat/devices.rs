//! Identities of devices and modules, and their counts.

use axum::response::Response;
use hub_api::compat::{
    AuthenticationInput, Device, DeviceInput, DeviceStatistics, Module, ModuleInput,
    ServiceStatistics,
};
use hub_domain::limits::PAGE_MAX;
use hub_domain::{ErrorCode, IdentityId, Status};
use hub_engine::{IdentityView, IfMatch, NewAuthentication, NewIdentity};

use super::etag::if_match;
use super::refusal::Refusal;
use super::{Call, json, json_with_etag, no_content};

pub(super) async fn list(call: Call) -> Result<Response, Refusal> {
    let top = top(call.query.value("top"))?;
    let views = call
        .engine
        .registry
        .list(&call.ctx, call.hub.no, None, top)
        .await?;
    json(&views.iter().map(device).collect::<Vec<_>>())
}

/// "Any value outside the range of 1-1000 is considered to be 1000" (REST reference, "Get Devices").
fn top(text: Option<&str>) -> Result<usize, Refusal> {
    let Some(text) = text else {
        return Ok(PAGE_MAX);
    };
    let digits = text.strip_prefix('-').unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(Refusal::new(
            ErrorCode::ArgumentInvalid,
            "top must be an integer",
        ));
    }
    Ok(text
        .parse()
        .ok()
        .filter(|top| (1..=PAGE_MAX).contains(top))
        .unwrap_or(PAGE_MAX))
}

pub(super) async fn list_modules(call: Call) -> Result<Response, Refusal> {
    let id = call.id()?;
    let views = call
        .engine
        .registry
        .modules(&call.ctx, call.hub.no, &id.device)
        .await?;
    json(&views.iter().map(module).collect::<Vec<_>>())
}

pub(super) async fn get(call: Call) -> Result<Response, Refusal> {
    let view = call
        .engine
        .registry
        .fetch(&call.ctx, call.hub.no, &call.id()?)
        .await?;
    show(&view)
}

pub(super) async fn put_device(call: Call) -> Result<Response, Refusal> {
    let id = call.id()?;
    let input = DeviceInput::parse(&call.body)?;
    same_id("deviceId", input.device_id.as_deref(), id.device.as_str())?;
    let next = NewIdentity {
        id,
        status: input.status,
        status_reason: input.status_reason,
        authentication: authentication(input.authentication),
        iot_edge: input.iot_edge,
        device_scope: input.device_scope,
        parent_scopes: input.parent_scopes,
        managed_by: None,
    };
    put(&call, next).await
}

pub(super) async fn put_module(call: Call) -> Result<Response, Refusal> {
    let id = call.id()?;
    let input = ModuleInput::parse(&call.body)?;
    same_id("deviceId", input.device_id.as_deref(), id.device.as_str())?;
    same_id("moduleId", input.module_id.as_deref(), id.module_text())?;
    let next = NewIdentity {
        id,
        status: Status::Enabled,
        status_reason: None,
        authentication: authentication(input.authentication),
        iot_edge: false,
        device_scope: None,
        parent_scopes: Vec::new(),
        managed_by: input.managed_by,
    };
    put(&call, next).await
}

/// Without a guard a PUT creates, with one it replaces ("Update Device": the header is what tells them apart).
async fn put(call: &Call, next: NewIdentity) -> Result<Response, Refusal> {
    let registry = &call.engine.registry;
    let view = match if_match(&call.parts.headers)? {
        IfMatch::Absent => registry.create(&call.ctx, call.hub.no, next).await?,
        guard @ (IfMatch::Any | IfMatch::Etag(_)) => {
            registry
                .replace(&call.ctx, call.hub.no, next, guard)
                .await?
        }
    };
    show(&view)
}

pub(super) async fn delete(call: Call) -> Result<Response, Refusal> {
    let guard = if_match(&call.parts.headers)?;
    call.engine
        .registry
        .delete(&call.ctx, call.hub.no, &call.id()?, guard)
        .await?;
    Ok(no_content())
}

pub(super) async fn device_statistics(call: Call) -> Result<Response, Refusal> {
    let counts = call
        .engine
        .registry
        .statistics(&call.ctx, call.hub.no)
        .await?;
    json(&DeviceStatistics::new(counts.devices, counts.enabled))
}

pub(super) async fn service_statistics(call: Call) -> Result<Response, Refusal> {
    let counts = call
        .engine
        .registry
        .statistics(&call.ctx, call.hub.no)
        .await?;
    json(&ServiceStatistics {
        connected_device_count: counts.connected,
    })
}

fn show(view: &IdentityView) -> Result<Response, Refusal> {
    let etag = &view.identity.etag.0;
    if is_module(&view.identity.id) {
        json_with_etag(&module(view), etag)
    } else {
        json_with_etag(&device(view), etag)
    }
}

const fn is_module(id: &IdentityId) -> bool {
    id.module.is_some()
}

fn device(view: &IdentityView) -> Device {
    Device::new(&view.identity, &view.activity, view.message_count)
}

fn module(view: &IdentityView) -> Module {
    Module::new(&view.identity, &view.activity, view.message_count)
}

fn same_id(member: &str, in_body: Option<&str>, in_path: &str) -> Result<(), Refusal> {
    if in_body.is_none_or(|id| id == in_path) {
        return Ok(());
    }
    Err(Refusal::new(
        ErrorCode::ArgumentInvalid,
        format!("{member} is not the one in the path"),
    ))
}

fn authentication(input: AuthenticationInput) -> NewAuthentication {
    match input {
        AuthenticationInput::Sas { primary, secondary } => {
            NewAuthentication::Sas { primary, secondary }
        }
        AuthenticationInput::SelfSigned { primary, secondary } => {
            NewAuthentication::SelfSigned { primary, secondary }
        }
        AuthenticationInput::CertificateAuthority => NewAuthentication::CertificateAuthority,
        AuthenticationInput::None => NewAuthentication::None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_top_out_of_range_means_a_thousand() {
        let tops = [
            None,
            Some("1"),
            Some("1000"),
            Some("1001"),
            Some("0"),
            Some("-1"),
            Some("99999999999999999999"),
        ];
        let read: Vec<_> = tops.into_iter().map(|text| top(text).unwrap()).collect();
        assert_eq!(read, [1000, 1, 1000, 1000, 1000, 1000, 1000]);
        assert!(top(Some("ten")).is_err() && top(Some("")).is_err() && top(Some("-")).is_err());
    }
}
