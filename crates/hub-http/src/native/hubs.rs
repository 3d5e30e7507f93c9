//! Hubs.

use axum::Json;
use http::StatusCode;
use hub_api::native::{
    HubDocument, HubSettings, HubSettingsChange, HubSummary, Keys, NewHub, Page,
    ProvisioningAccess, Statistics,
};
use hub_domain::limits::{PAGE_DEFAULT, PARTITIONS_DEFAULT};
use hub_domain::{HostName, Hub, HubName};
use hub_engine::{Caller, Error, ErrorKind};

use super::{Document, Failure, Query, Scope, provisioning};

pub(super) async fn list(scope: Scope, query: Query) -> Result<Json<Page<HubSummary>>, Failure> {
    let (after, max) = page(query)?;
    let hubs = &scope.engine().hubs;
    let default = hubs.default_hub().map(|hub| hub.no);
    let mut seen = match scope.hub_of_caller() {
        Some(hub) => vec![hub.clone()],
        None => hubs.list(),
    };
    seen.sort_by(|a, b| a.name.cmp(&b.name));
    let mut items: Vec<HubSummary> = seen
        .iter()
        .filter(|hub| {
            after
                .as_deref()
                .is_none_or(|after| hub.name.as_str() > after)
        })
        .map(|hub| HubSummary::of(hub, default))
        .collect();
    let more = items.len() > max;
    items.truncate(max);
    let next = items.last().filter(|_| more).map(|hub| hub.name.clone());
    Ok(Json(Page { items, next }))
}

pub(super) async fn create(
    scope: Scope,
    Document(new): Document<NewHub>,
) -> Result<(StatusCode, Json<HubSummary>), Failure> {
    let invalid = |error: hub_domain::ids::IdError| Failure::invalid(error.to_string());
    let host = |text: &String| HostName::parse(text).map_err(invalid);
    let new = hub_engine::NewHub {
        name: HubName::parse(&new.name).map_err(invalid)?,
        host: host(&new.host_name)?,
        aliases: new.aliases.iter().map(host).collect::<Result<_, _>>()?,
        partition_count: new.partition_count.unwrap_or(PARTITIONS_DEFAULT),
    };
    let hubs = &scope.engine().hubs;
    let hub = hubs.create(&scope.ctx, new).await?;
    let default = hubs.default_hub().map(|hub| hub.no);
    Ok((StatusCode::CREATED, Json(HubSummary::of(&hub, default))))
}

pub(super) async fn get(scope: Scope) -> Result<Json<HubDocument>, Failure> {
    let keys = match scope.ctx.caller {
        Caller::Admin => Keys::Shown,
        Caller::Policy { .. } | Caller::Identity { .. } | Caller::System => Keys::Hidden,
    };
    let document = HubDocument::of(scope.hub()?, &scope.app.config().reach, keys);
    let id_scope = scope.app.provisioning().service.id_scope();
    let owner = provisioning::service::owner(&scope);
    let hub = scope.engine().hubs.default_hub();
    let provisioning = hub.map(|hub| ProvisioningAccess::of(&id_scope, &hub.host, owner.as_ref()));
    Ok(Json(HubDocument {
        provisioning,
        ..document
    }))
}

pub(super) async fn settings(scope: Scope) -> Result<Json<HubSettings>, Failure> {
    Ok(Json(HubSettings::of(&scope.hub()?.settings)))
}

pub(super) async fn patch_settings(
    scope: Scope,
    Document(change): Document<HubSettingsChange>,
) -> Result<Json<HubSettings>, Failure> {
    let decide = |hub: &Hub| {
        let settings = change
            .apply(&hub.settings)
            .map_err(|error| Error::new(ErrorKind::Invalid, error.to_string()))?;
        Ok(Hub {
            settings,
            ..hub.clone()
        })
    };
    let hubs = &scope.engine().hubs;
    let hub = hubs.update(&scope.ctx, scope.hub()?.no, decide).await?;
    Ok(Json(HubSettings::of(&hub.settings)))
}

pub(super) async fn statistics(scope: Scope) -> Result<Json<Statistics>, Failure> {
    let counts = scope
        .engine()
        .registry
        .statistics(&scope.ctx, scope.hub()?.no)
        .await?;
    Ok(Json(Statistics {
        total_device_count: counts.devices,
        enabled_device_count: counts.enabled,
        disabled_device_count: counts.devices.saturating_sub(counts.enabled),
        connected_device_count: counts.connected,
    }))
}

/// The parameters of a list: where the page begins and the most items.
pub(super) fn page(mut query: Query) -> Result<(Option<String>, usize), Failure> {
    let after = query.take("after")?;
    let max = query.take("max")?.unwrap_or(PAGE_DEFAULT);
    query.finish()?;
    if !(1..=hub_domain::limits::PAGE_MAX).contains(&max) {
        return Err(Failure::invalid(format!(
            "max must be 1 to {}",
            hub_domain::limits::PAGE_MAX
        )));
    }
    Ok((after, max))
}
