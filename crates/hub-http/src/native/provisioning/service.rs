//! The service itself.

use axum::Json;
use hub_api::native::{ProvisioningService, ProvisioningServiceChange, RegistrationCounts};
use hub_domain::provisioning::{OWNER_POLICY, ServicePolicy};
use hub_engine::ErrorKind;

use super::super::{Document, Failure, Scope};
use super::{Administration, wire};

pub(in super::super) async fn get(scope: Scope) -> Result<Json<ProvisioningService>, Failure> {
    let Administration { service, ctx } = Administration::of(&scope)?;
    let allocation = service.service.allocation(&ctx)?;
    let counts = match service.registrations.statistics(&ctx).await {
        Err(error) if error.kind() == ErrorKind::NotAllowed => None,
        counts => Some(counts?),
    };
    Ok(Json(ProvisioningService {
        id_scope: service.service.id_scope().to_string(),
        global_endpoint: endpoint(&scope),
        allocation_policy: wire::policy(allocation),
        registrations: counts.map(|counts| RegistrationCounts {
            assigned: counts.assigned,
            assigning: counts.assigning,
            failed: counts.failed,
        }),
    }))
}

/// The service answers on every host; the default hub's is the one that is said.
pub(super) fn endpoint(scope: &Scope) -> Option<String> {
    let hub = scope.engine().hubs.default_hub()?;
    Some(hub.host.to_string())
}

/// The policy that may everything, for the administrator, when it is still there.
pub(in super::super) fn owner(scope: &Scope) -> Option<ServicePolicy> {
    let Administration { service, ctx } = Administration::of(scope).ok()?;
    service.service.policy(&ctx, OWNER_POLICY).ok()
}

pub(in super::super) async fn patch(
    scope: Scope,
    Document(change): Document<ProvisioningServiceChange>,
) -> Result<Json<ProvisioningService>, Failure> {
    {
        let Administration { service, ctx } = Administration::of(&scope)?;
        if let Some(policy) = change.allocation_policy {
            let policy = wire::domain_policy(policy);
            service.service.set_allocation(&ctx, policy).await?;
        }
    }
    get(scope).await
}
