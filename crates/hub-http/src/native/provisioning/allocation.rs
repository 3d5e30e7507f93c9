//! Where a device would go, and why.

use std::net::IpAddr;

use axum::Json;
use hub_api::native::{AllocationCandidate, AllocationPreview, AllocationRequest};
use hub_domain::provisioning::{EnrollmentGroupId, Origin, RegistrationId};
use hub_provisioning::PreviewRequest;

use super::super::{Document, Failure, Scope};
use super::{Administration, wire};

pub(in super::super) async fn preview(
    scope: Scope,
    Document(asked): Document<AllocationRequest>,
) -> Result<Json<AllocationPreview>, Failure> {
    let Administration { service, ctx } = Administration::of(&scope)?;
    let invalid = |error: hub_domain::ids::IdError| Failure::invalid(error.to_string());
    let group = asked.enrollment_group_id.as_deref();
    let address = asked.address.as_deref().map(str::parse::<IpAddr>);
    let request = PreviewRequest {
        id: RegistrationId::parse(&asked.registration_id).map_err(invalid)?,
        group: group
            .map(EnrollmentGroupId::parse)
            .transpose()
            .map_err(invalid)?,
        payload: asked.payload,
        address: address
            .transpose()
            .map_err(|_| Failure::invalid("address must be an IP address"))?,
    };
    let preview = service.registrations.preview(&ctx, request).await?;
    let choice = preview.choice;
    let (hubs, notes, region) = choice.map_or_else(Default::default, |choice| {
        let hubs = choice.ranked.into_iter().map(|ranked| AllocationCandidate {
            host_name: ranked.host.to_string(),
            reason: ranked.reason,
        });
        (hubs.collect(), choice.notes, choice.region)
    });
    Ok(Json(AllocationPreview {
        enrollment_group_id: match preview.origin {
            Origin::Individual => None,
            Origin::Group(group) => Some(group.to_string()),
        },
        is_enabled: preview.enabled,
        policy: wire::policy(preview.policy),
        is_policy_of_service: preview.policy_of_service,
        current_hub: preview.assignment.map(|one| one.hub.to_string()),
        stays: preview.stays,
        region: region.map(|region| region.to_string()),
        hubs,
        waits_for: preview.waits_for.map(|host| host.to_string()),
        notes,
        failure: preview.failure,
    }))
}
