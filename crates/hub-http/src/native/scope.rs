//! Who asks, and for which hub.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::{FromRequestParts, RawPathParams};
use http::header::AUTHORIZATION;
use http::request::Parts;
use hub_api::native::{BASE_PATH, Needs};
use hub_domain::provisioning::ServicePermission;
use hub_domain::sas::SasToken;
use hub_domain::upload::BlobName;
use hub_domain::{DeviceId, HostName, Hub, IdentityId, ModuleId, Permissions, Timestamp};
use hub_engine::{Caller, Engine, Error, ErrorKind, OpContext};

use super::Failure;
use crate::AppState;
use crate::connection::Closing;
use crate::request::RequestId;

/// A request whose caller is proved: before its body is read, and before it learns what there is.
pub(super) struct Scope {
    /// The installation.
    pub(super) app: AppState,
    /// Who asks.
    pub(super) ctx: OpContext,
    /// The policy of the provisioning service that asks, where those may; `ctx` may nothing then.
    pub(super) back_end: Option<hub_provisioning::Caller>,
    /// When the proof ends; the admin token's does not.
    pub(super) expires: Option<Timestamp>,
    /// Says when the connection is about to close; absent where there is no connection.
    pub(super) closing: Option<Closing>,
    hub: Option<Arc<Hub>>,
    parameters: BTreeMap<String, String>,
}

impl Scope {
    pub(super) fn engine(&self) -> &Arc<Engine> {
        self.app.engine()
    }

    /// The hub of the path; on a path without one, the hub of the caller's policy.
    pub(super) fn hub(&self) -> Result<&Arc<Hub>, Failure> {
        self.hub.as_ref().ok_or_else(|| {
            let name = self.parameters.get("hub").map_or("", String::as_str);
            Failure::from(hub_engine::Error::new(
                ErrorKind::NotFound,
                format!("there is no hub named {name}"),
            ))
        })
    }

    /// The hub that the caller's proof is bound to, if it is.
    pub(super) fn hub_of_caller(&self) -> Option<&Arc<Hub>> {
        match self.ctx.caller {
            Caller::Policy { .. } => self.hub.as_ref(),
            Caller::Admin | Caller::System | Caller::Identity { .. } => None,
        }
    }

    /// The file of the path.
    pub(super) fn file(&self) -> Result<BlobName, Failure> {
        BlobName::parse(self.parameter("file")).map_err(|error| Failure::invalid(error.to_string()))
    }

    /// The device of the path.
    pub(super) fn device(&self) -> Result<DeviceId, Failure> {
        DeviceId::parse(self.parameter("device"))
            .map_err(|error| Failure::invalid(error.to_string()))
    }

    /// The device of the path, or its module where the path has one.
    pub(super) fn identity(&self) -> Result<IdentityId, Failure> {
        let device = self.device()?;
        if !self.parameters.contains_key("module") {
            return Ok(IdentityId::device(device));
        }
        let module = ModuleId::parse(self.parameter("module"))
            .map_err(|error| Failure::invalid(error.to_string()))?;
        Ok(IdentityId::module(device, module))
    }

    /// The part of the path of that name; empty where the path has none.
    pub(super) fn parameter(&self, name: &str) -> &str {
        self.parameters.get(name).map_or("", String::as_str)
    }
}

impl FromRequestParts<AppState> for Scope {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, app: &AppState) -> Result<Self, Failure> {
        let parameters = RawPathParams::from_request_parts(parts, app)
            .await
            .map_err(|_| Failure::invalid("the path is not UTF-8"))?;
        let parameters: BTreeMap<String, String> = parameters
            .iter()
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        let now = app.engine().environment().now();
        let proof = match back_end(app, parts, now) {
            None => prove(app, parts, parameters.get("hub").map(String::as_str), now)?,
            Some(Ok(proof)) => proof,
            // A policy of a hub may not, and is told so. Any other token is told what is wrong with it here.
            Some(Err(failure)) => prove(app, parts, None, now).map_err(|_| failure)?,
        };
        let request_id = parts
            .extensions
            .get::<RequestId>()
            .map_or("", |id| &id.0)
            .to_owned();
        if let Some(back_end) = &proof.back_end {
            let ctx = hub_provisioning::Context {
                caller: back_end.clone(),
                request_id: request_id.clone(),
                now,
            };
            check_right(&ctx, parts.extensions.get::<Needs>())?;
        }
        let ctx = OpContext {
            caller: proof.caller,
            request_id,
            now,
        };
        Ok(Self {
            app: app.clone(),
            ctx,
            back_end: proof.back_end,
            expires: proof.expires,
            closing: parts.extensions.get::<Closing>().cloned(),
            hub: proof.hub,
            parameters,
        })
    }
}

/// What the service's operations check themselves, checked before the input is looked at: who may not learns nothing of it.
fn check_right(ctx: &hub_provisioning::Context, needs: Option<&Needs>) -> Result<(), Failure> {
    let mut refused = Failure::from(Error::new(
        ErrorKind::NotAllowed,
        "only the administrator of the installation may do this",
    ));
    let names = needs.map(of_service).unwrap_or_default();
    for permission in names.into_iter().filter_map(ServicePermission::parse) {
        match ctx.require(permission) {
            Ok(()) => return Ok(()),
            Err(error) => refused = error.into(),
        }
    }
    Err(refused)
}

/// The permissions of the provisioning service of which one is needed; none for what is the hubs'.
fn of_service(needs: &Needs) -> Vec<&'static str> {
    match needs {
        Needs::Service(name) => vec![name],
        Needs::AnyOfService(names) => names.to_vec(),
        Needs::Admin | Needs::AnyPolicy | Needs::Permission(_) => Vec::new(),
    }
}

struct Proof {
    caller: Caller,
    back_end: Option<hub_provisioning::Caller>,
    hub: Option<Arc<Hub>>,
    expires: Option<Timestamp>,
}

/// Who asks with a token of the provisioning service; `None` for operations of others and without such a token.
fn back_end(app: &AppState, parts: &Parts, now: Timestamp) -> Option<Result<Proof, Failure>> {
    if of_service(parts.extensions.get::<Needs>()?).is_empty() {
        return None;
    }
    let below = parts.uri.path();
    let header = parts.headers.get(AUTHORIZATION)?.to_str().ok()?;
    let token = SasToken::parse(header).ok()?;
    let hub = app.engine().hubs.default_hub()?;
    let access = &app.provisioning().access;
    let back_end = match access.authenticate(header, &format!("{BASE_PATH}{below}"), now) {
        Ok(back_end) => back_end,
        Err(error) => return Some(Err(error.into())),
    };
    Some(Ok(Proof {
        caller: Caller::Policy {
            hub: hub.no,
            name: token.policy().unwrap_or_default().to_owned(),
            permissions: Permissions::of(&[]),
        },
        back_end: Some(back_end),
        hub: None,
        expires: Some(token.expiry()),
    }))
}

fn prove(
    app: &AppState,
    parts: &Parts,
    hub_name: Option<&str>,
    now: Timestamp,
) -> Result<Proof, Failure> {
    let header = parts.headers.get(AUTHORIZATION).ok_or_else(|| {
        Failure::not_authenticated("there is no Authorization header; send the admin token of run.json or a policy's token")
    })?;
    let header = header
        .to_str()
        .map_err(|_| Failure::not_authenticated("the Authorization header is not ASCII"))?;
    let (scheme, rest) = header.split_once(' ').unwrap_or((header, ""));
    let hubs = &app.engine().hubs;
    if scheme.eq_ignore_ascii_case("Bearer") {
        if !app.admin_token().matches(rest.trim()) {
            return Err(Failure::not_authenticated(
                "the bearer token is not this server's admin token",
            ));
        }
        return Ok(Proof {
            caller: Caller::Admin,
            back_end: None,
            hub: hub_name.and_then(|name| hubs.by_name(name)),
            expires: None,
        });
    }
    if !scheme.eq_ignore_ascii_case("SharedAccessSignature") {
        return Err(Failure::not_authenticated(
            "the Authorization header is neither Bearer nor SharedAccessSignature",
        ));
    }
    let token =
        SasToken::parse(header).map_err(|error| Failure::not_authenticated(error.to_string()))?;
    let hub = match hub_name {
        Some(name) => hubs.by_name(name),
        None => HostName::parse(token.resource().host())
            .ok()
            .and_then(|host| hubs.by_host(Some(&host))),
    };
    // Whoever holds no token of a hub does not learn whether it exists.
    let hub = hub.ok_or_else(|| Failure::not_authenticated("the token is not one of this hub"))?;
    let caller = app.engine().access.authenticate_policy(&hub, header, now)?;
    Ok(Proof {
        caller,
        back_end: None,
        hub: Some(hub),
        expires: Some(token.expiry()),
    })
}
