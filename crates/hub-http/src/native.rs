//! The routes of `/api/v1`: one handler per operation of [`hub_api::native::OPERATIONS`].
//!
//! A handler proves who asks ([`Scope`]), reads the wire types, calls one operation of the engine and answers. What
//! fails becomes a [`Failure`], which one place renders and logs.

mod certificates;
mod deadline;
mod devices;
mod events;
mod failure;
mod files;
mod hubs;
mod identity_wire;
mod input;
mod keys;
mod messages;
mod methods;
mod modules;
mod provisioning;
mod queues;
mod routing;
mod scope;
#[cfg(test)]
mod tests;
mod twins;

use axum::middleware::{from_fn, from_fn_with_state};
use axum::routing::{MethodFilter, MethodRouter, on};
use axum::{Extension, Router};
use hub_api::native::{OPERATIONS, Operation, OperationId, Verb};

use crate::AppState;
use failure::Failure;
use input::{Document, Guarded, Query};
use scope::Scope;

/// The native routes, mounted under `/api/v1`.
pub(crate) fn routes(app: &AppState) -> Router<AppState> {
    let mut router = Router::new();
    for operation in OPERATIONS {
        // Whoever proves himself asks what the operation needs, before its body is read.
        let mut handler = handler(operation).route_layer(Extension(operation.needs));
        if !deadline::is_the_callers(operation.id) {
            handler = {
                let limit = deadline::Limit::of(operation.id, app);
                handler.route_layer(from_fn_with_state(limit, deadline::keep))
            };
        }
        router = router.route(operation.path, handler);
    }
    router
        .fallback(|| async { Failure::unknown_route() })
        .method_not_allowed_fallback(|| async { Failure::wrong_method() })
        .layer(from_fn(failure::render))
}

fn handler(operation: &Operation) -> MethodRouter<AppState> {
    let verb = match operation.verb {
        Verb::Get => MethodFilter::GET,
        Verb::Post => MethodFilter::POST,
        Verb::Put => MethodFilter::PUT,
        Verb::Patch => MethodFilter::PATCH,
        Verb::Delete => MethodFilter::DELETE,
    };
    match operation.id {
        OperationId::ListHubs => on(verb, hubs::list),
        OperationId::CreateHub => on(verb, hubs::create),
        OperationId::GetHub => on(verb, hubs::get),
        OperationId::GetSettings => on(verb, hubs::settings),
        OperationId::PatchSettings => on(verb, hubs::patch_settings),
        OperationId::GetStatistics => on(verb, hubs::statistics),
        OperationId::ListCertificates => on(verb, certificates::list),
        OperationId::CreateCertificate => on(verb, certificates::create),
        OperationId::GetCertificate => on(verb, certificates::get),
        OperationId::ReplaceCertificate => on(verb, certificates::replace),
        OperationId::DeleteCertificate => on(verb, certificates::delete),
        OperationId::GenerateVerificationCode => on(verb, certificates::generate_verification_code),
        OperationId::VerifyCertificate => on(verb, certificates::verify),
        OperationId::ListDevices => on(verb, devices::list),
        OperationId::CreateDevice => on(verb, devices::create),
        OperationId::GetDevice => on(verb, devices::get),
        OperationId::ReplaceDevice => on(verb, devices::replace),
        OperationId::DeleteDevice => on(verb, devices::delete),
        OperationId::ListModules => on(verb, modules::list),
        OperationId::CreateModule => on(verb, modules::create),
        OperationId::GetModule => on(verb, modules::get),
        OperationId::ReplaceModule => on(verb, modules::replace),
        OperationId::DeleteModule => on(verb, modules::delete),
        OperationId::RollDeviceKeys => on(verb, keys::roll_device),
        OperationId::RollModuleKeys => on(verb, keys::roll_module),
        OperationId::RollIdentityKeys => on(verb, keys::roll_many),
        OperationId::GetDeviceTwin | OperationId::GetModuleTwin => on(verb, twins::get),
        OperationId::PatchDeviceTwin | OperationId::PatchModuleTwin => on(verb, twins::patch),
        OperationId::ReplaceDeviceTwin | OperationId::ReplaceModuleTwin => on(verb, twins::replace),
        OperationId::InvokeDeviceMethod | OperationId::InvokeModuleMethod => {
            on(verb, methods::invoke)
        }
        OperationId::SendMessage => on(verb, messages::send),
        OperationId::PurgeMessages => on(verb, messages::purge),
        OperationId::ReceiveMessage => on(verb, messages::receive),
        OperationId::CompleteMessage => on(verb, messages::complete),
        OperationId::RejectMessage => on(verb, messages::reject),
        OperationId::AbandonMessage => on(verb, messages::abandon),
        OperationId::ReceiveBatch => on(verb, queues::receive),
        OperationId::CompleteBatch => on(verb, queues::complete),
        OperationId::AbandonBatch => on(verb, queues::abandon),
        OperationId::ReadEvents => on(verb, events::read),
        OperationId::ListFiles => on(verb, files::list),
        OperationId::GetFile => on(verb, files::get),
        OperationId::DeleteFile => on(verb, files::delete),
        OperationId::GetRouting => on(verb, routing::get),
        OperationId::ReplaceFallbackRoute => on(verb, routing::replace_fallback),
        OperationId::PutEnrichment => on(verb, routing::put_enrichment),
        OperationId::DeleteEnrichment => on(verb, routing::delete_enrichment),
        OperationId::TestRouting => on(verb, routing::test),
        OperationId::ListRoutes => on(verb, routing::list_routes),
        OperationId::CreateRoute => on(verb, routing::create_route),
        OperationId::GetRoute => on(verb, routing::get_route),
        OperationId::ReplaceRoute => on(verb, routing::replace_route),
        OperationId::DeleteRoute => on(verb, routing::delete_route),
        OperationId::GetProvisioning => on(verb, provisioning::service::get),
        OperationId::PatchProvisioning => on(verb, provisioning::service::patch),
        OperationId::ListServicePolicies => on(verb, provisioning::policies::list),
        OperationId::GetServicePolicy => on(verb, provisioning::policies::get),
        OperationId::CreateServicePolicy => on(verb, provisioning::policies::create),
        OperationId::PatchServicePolicy => on(verb, provisioning::policies::patch),
        OperationId::RollServicePolicyKeys => on(verb, provisioning::policies::roll_keys),
        OperationId::DeleteServicePolicy => on(verb, provisioning::policies::delete),
        OperationId::ListLinkedHubs => on(verb, provisioning::linked_hubs::list),
        OperationId::CreateLinkedHub => on(verb, provisioning::linked_hubs::create),
        OperationId::GetLinkedHub => on(verb, provisioning::linked_hubs::get),
        OperationId::PatchLinkedHub => on(verb, provisioning::linked_hubs::patch),
        OperationId::CheckLinkedHub => on(verb, provisioning::linked_hubs::check),
        OperationId::DeleteLinkedHub => on(verb, provisioning::linked_hubs::delete),
        OperationId::ListAddressRanges => on(verb, provisioning::places::list_ranges),
        OperationId::ReplaceAddressRanges => on(verb, provisioning::places::replace_ranges),
        OperationId::PutAddressRange => on(verb, provisioning::places::put_range),
        OperationId::DeleteAddressRange => on(verb, provisioning::places::delete_range),
        OperationId::ListLatencies => on(verb, provisioning::places::list_latencies),
        OperationId::ReplaceLatencies => on(verb, provisioning::places::replace_latencies),
        OperationId::PatchLatencies => on(verb, provisioning::places::patch_latencies),
        OperationId::PutLatency => on(verb, provisioning::places::put_latency),
        OperationId::DeleteLatency => on(verb, provisioning::places::delete_latency),
        OperationId::ListAuthorities => on(verb, provisioning::authorities::list),
        OperationId::CreateAuthority => on(verb, provisioning::authorities::create),
        OperationId::GetAuthority => on(verb, provisioning::authorities::get),
        OperationId::ReplaceAuthority => on(verb, provisioning::authorities::replace),
        OperationId::DeleteAuthority => on(verb, provisioning::authorities::delete),
        OperationId::GenerateAuthorityCode => on(verb, provisioning::authorities::generate_code),
        OperationId::VerifyAuthority => on(verb, provisioning::authorities::verify),
        OperationId::ListEnrollments => on(verb, provisioning::enrollments::list),
        OperationId::CreateEnrollment => on(verb, provisioning::enrollments::create),
        OperationId::GetEnrollment => on(verb, provisioning::enrollments::get),
        OperationId::ReplaceEnrollment => on(verb, provisioning::enrollments::replace),
        OperationId::DeleteEnrollment => on(verb, provisioning::enrollments::delete),
        OperationId::GetEnrollmentKeys => on(verb, provisioning::enrollments::keys),
        OperationId::RollEnrollmentKeys => on(verb, provisioning::enrollments::roll_keys),
        OperationId::ListEnrollmentGroups => on(verb, provisioning::groups::list),
        OperationId::CreateEnrollmentGroup => on(verb, provisioning::groups::create),
        OperationId::GetEnrollmentGroup => on(verb, provisioning::groups::get),
        OperationId::ReplaceEnrollmentGroup => on(verb, provisioning::groups::replace),
        OperationId::DeleteEnrollmentGroup => on(verb, provisioning::groups::delete),
        OperationId::GetEnrollmentGroupKeys => on(verb, provisioning::groups::keys),
        OperationId::RollEnrollmentGroupKeys => on(verb, provisioning::groups::roll_keys),
        OperationId::RollAllKeys => on(verb, provisioning::rolling::roll_all),
        OperationId::ListRegistrations => on(verb, provisioning::registrations::list),
        OperationId::GetRegistration => on(verb, provisioning::registrations::get),
        OperationId::DeleteRegistration => on(verb, provisioning::registrations::delete),
        OperationId::ListRefusals => on(verb, provisioning::registrations::refusals),
        OperationId::GetRefusal => on(verb, provisioning::registrations::get_refusal),
        OperationId::PreviewAllocation => on(verb, provisioning::allocation::preview),
        OperationId::ListIssuers => on(verb, provisioning::credentials::list_issuers),
        OperationId::CreateIssuer => on(verb, provisioning::credentials::create_issuer),
        OperationId::GetIssuer => on(verb, provisioning::credentials::get_issuer),
        OperationId::DeleteIssuer => on(verb, provisioning::credentials::delete_issuer),
        OperationId::ListCredentialPolicies => on(verb, provisioning::credentials::list_policies),
        OperationId::CreateCredentialPolicy => on(verb, provisioning::credentials::create_policy),
        OperationId::GetCredentialPolicy => on(verb, provisioning::credentials::get_policy),
        OperationId::ReplaceCredentialPolicy => on(verb, provisioning::credentials::replace_policy),
        OperationId::DeleteCredentialPolicy => on(verb, provisioning::credentials::delete_policy),
        OperationId::ListExpiring => on(verb, provisioning::expiry::list),
    }
}
