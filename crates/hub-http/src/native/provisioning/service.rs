//! The service itself and its policies.

use axum::Json;
use hub_api::native::{
    ProvisioningService, ProvisioningServiceChange, RegistrationCounts, ServicePolicies,
    ServicePolicy,
};
use hub_domain::provisioning as domain;
use hub_engine::{Error, ErrorKind};

use super::super::{Document, Failure, Scope};
use super::{Administration, wire};

pub(in super::super) async fn get(scope: Scope) -> Result<Json<ProvisioningService>, Failure> {
    let Administration { service, ctx } = Administration::of(&scope)?;
    let counts = service.registrations.statistics(&ctx).await?;
    let current = service.service.current();
    Ok(Json(ProvisioningService {
        id_scope: current.id_scope.to_string(),
        global_endpoint: endpoint(&scope),
        allocation_policy: wire::policy(current.settings.allocation),
        registrations: RegistrationCounts {
            assigned: counts.assigned,
            assigning: counts.assigning,
            failed: counts.failed,
        },
    }))
}

/// The service answers on every host; the default hub's is the one that is said.
fn endpoint(scope: &Scope) -> Option<String> {
    let hub = scope.engine().hubs.default_hub()?;
    Some(hub.host.to_string())
}

pub(in super::super) async fn patch(
    scope: Scope,
    Document(change): Document<ProvisioningServiceChange>,
) -> Result<Json<ProvisioningService>, Failure> {
    {
        let Administration { service, ctx } = Administration::of(&scope)?;
        let decide = |current: &domain::ProvisioningService| {
            let mut next = current.clone();
            if let Some(policy) = change.allocation_policy {
                next.settings.allocation = wire::domain_policy(policy);
            }
            Ok(next)
        };
        service.service.update(&ctx, decide).await?;
    }
    get(scope).await
}

pub(in super::super) async fn list_policies(
    scope: Scope,
) -> Result<Json<ServicePolicies>, Failure> {
    let Administration { service, .. } = Administration::of(&scope)?;
    let current = service.service.current();
    let items = current.policies.iter().map(without_keys).collect();
    Ok(Json(ServicePolicies { items }))
}

fn without_keys(policy: &domain::ServicePolicy) -> ServicePolicy {
    ServicePolicy {
        name: policy.name.clone(),
        permissions: domain::ServicePermission::ALL
            .into_iter()
            .filter(|permission| policy.permissions.allows(*permission))
            .map(|permission| permission.as_str().to_owned())
            .collect(),
        primary_key: None,
        secondary_key: None,
        connection_string: None,
    }
}

pub(in super::super) async fn get_policy(scope: Scope) -> Result<Json<ServicePolicy>, Failure> {
    let Administration { service, .. } = Administration::of(&scope)?;
    let name = scope.parameter("policy");
    let current = service.service.current();
    let policy = current.policy(name).ok_or_else(|| {
        let text = format!("the provisioning service has no policy {name}");
        Failure::from(Error::new(ErrorKind::NotFound, text))
    })?;
    let connection_string = endpoint(&scope).map(|host| {
        let key = policy.primary.to_base64();
        format!(
            "HostName={host};SharedAccessKeyName={};SharedAccessKey={key}",
            policy.name
        )
    });
    Ok(Json(ServicePolicy {
        primary_key: Some(policy.primary.to_base64()),
        secondary_key: Some(policy.secondary.to_base64()),
        connection_string,
        ..without_keys(policy)
    }))
}
