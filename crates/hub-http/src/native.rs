//! The routes of `/api/v1`: one handler per operation of [`hub_api::native::OPERATIONS`].
//!
//! A handler proves who asks ([`Scope`]), reads the wire types, calls one operation of the engine and answers. What
//! fails becomes a [`Failure`], which one place renders and logs.

mod certificates;
mod devices;
mod events;
mod failure;
mod files;
mod hubs;
mod identity_wire;
mod input;
mod messages;
mod methods;
mod modules;
mod queues;
mod routing;
mod scope;
#[cfg(test)]
mod tests;
mod twins;

use axum::Router;
use axum::routing::{MethodFilter, MethodRouter, on};
use hub_api::native::{OPERATIONS, Operation, OperationId, Verb};

use crate::AppState;
use failure::Failure;
use input::{Document, Guarded, Query};
use scope::Scope;

/// The native routes, mounted under `/api/v1`.
pub(crate) fn routes() -> Router<AppState> {
    let mut router = Router::new();
    for operation in OPERATIONS {
        router = router.route(operation.path, handler(operation));
    }
    router
        .fallback(|| async { Failure::unknown_route() })
        .method_not_allowed_fallback(|| async { Failure::wrong_method() })
        .layer(axum::middleware::from_fn(failure::render))
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
        OperationId::GetDeviceTwin | OperationId::GetModuleTwin => on(verb, twins::get),
        OperationId::PatchDeviceTwin | OperationId::PatchModuleTwin => on(verb, twins::patch),
        OperationId::ReplaceDeviceTwin | OperationId::ReplaceModuleTwin => on(verb, twins::replace),
        OperationId::InvokeDeviceMethod | OperationId::InvokeModuleMethod => {
            on(verb, methods::invoke)
        }
        OperationId::SendMessage => on(verb, messages::send),
        OperationId::PurgeMessages => on(verb, messages::purge),
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
    }
}
