//! What the registry decides without asking anyone: checks, scopes, facts, errors.

use hub_domain::fact::{SectionChange, TwinChange};
use hub_domain::identity::STATUS_REASON_CHARS_MAX;
use hub_domain::twin::Twin;
use hub_domain::{
    Authentication, ErrorCode, Fact, FactKind, GenerationId, HubNo, Identity, IdentityId, ModuleId,
};
use hub_storage::store::Op;
use hub_storage::{Conflict, StoreError};

use super::{NewAuthentication, NewIdentity};
use crate::{Error, ErrorKind, OpContext};

/// The modules that come and go with an edge device.
pub(super) const SYSTEM_MODULES: [&str; 2] = ["$edgeAgent", "$edgeHub"];

pub(super) fn is_system_module(module: &ModuleId) -> bool {
    SYSTEM_MODULES.contains(&module.as_str())
}

pub(super) fn check(new: &NewIdentity) -> Result<(), Error> {
    let invalid = |text: String| Err(Error::new(ErrorKind::Invalid, text));
    if new
        .status_reason
        .as_ref()
        .is_some_and(|reason| reason.chars().count() > STATUS_REASON_CHARS_MAX)
    {
        return invalid(format!(
            "statusReason has more than {STATUS_REASON_CHARS_MAX} characters"
        ));
    }
    if new.id.module.is_some()
        && (new.iot_edge || new.device_scope.is_some() || !new.parent_scopes.is_empty())
    {
        return invalid("a module has no edge capability and no scopes, its device has".to_owned());
    }
    if let NewAuthentication::SelfSigned {
        primary: None,
        secondary: None,
    } = new.authentication
    {
        return invalid("selfSigned authentication needs a thumbprint".to_owned());
    }
    Ok(())
}

pub(super) fn edge_scope(new: &NewIdentity, generation: &GenerationId) -> Option<String> {
    let own = || {
        format!(
            "ms-azure-iot-edge://{}-{}",
            new.id.device,
            generation.as_str()
        )
    };
    if new.iot_edge {
        Some(own())
    } else {
        new.device_scope.clone()
    }
}

/// A leaf's parent scope is its own device scope (Node end-to-end tests); an edge device's is its parent's.
pub(super) fn parent_scopes(
    given: Vec<String>,
    device_scope: Option<&str>,
    iot_edge: bool,
) -> Vec<String> {
    match device_scope {
        Some(scope) if !iot_edge => vec![scope.to_owned()],
        _ => given,
    }
}

pub(super) fn create_op(hub: HubNo, identity: &Identity) -> Op {
    Op::CreateIdentity {
        hub,
        identity: Box::new(identity.clone()),
        twin: Box::new(Twin::new()),
    }
}

pub(super) fn created_fact(ctx: &OpContext, hub: HubNo, identity: &Identity) -> Fact {
    let kind = FactKind::IdentityCreated {
        generation: identity.generation.clone(),
    };
    Fact {
        hub,
        id: identity.id.clone(),
        at: ctx.now,
        kind,
    }
}

/// What tells of the twin that a device is created with; follows the creation. None when that is as new.
pub(super) fn twin_fact(
    ctx: &OpContext,
    hub: HubNo,
    identity: &Identity,
    twin: &Twin,
) -> Option<Fact> {
    if *twin == Twin::new() {
        return None;
    }
    let desired = &twin.back_end.desired;
    let change = TwinChange {
        replaced: true,
        version: twin.version(),
        tags: Some(twin.back_end.tags.clone()),
        desired: Some(SectionChange {
            members: desired.properties.clone(),
            version: desired.version,
        }),
        reported: None,
        untouched_reported: Some(Box::new(twin.reported.clone())),
    };
    Some(Fact {
        hub,
        id: identity.id.clone(),
        at: ctx.now,
        kind: FactKind::TwinChanged(change),
    })
}

pub(super) fn deleted_fact(
    ctx: &OpContext,
    hub: HubNo,
    identity: &Identity,
    twin: Option<Twin>,
) -> Fact {
    let kind = FactKind::IdentityDeleted {
        generation: identity.generation.clone(),
        twin: twin.map(Box::new),
    };
    Fact {
        hub,
        id: identity.id.clone(),
        at: ctx.now,
        kind,
    }
}

pub(super) fn updated_fact(
    ctx: &OpContext,
    hub: HubNo,
    former: &Identity,
    next: &Identity,
) -> Fact {
    let kind = FactKind::IdentityUpdated {
        enabled: next.is_enabled(),
        credentials_changed: !same_credentials(&former.authentication, &next.authentication),
    };
    Fact {
        hub,
        id: next.id.clone(),
        at: ctx.now,
        kind,
    }
}

pub(super) fn same_credentials(former: &Authentication, next: &Authentication) -> bool {
    use Authentication::{CertificateAuthority, None, Sas, SelfSigned};
    match (former, next) {
        (
            Sas {
                primary: p,
                secondary: s,
            },
            Sas { primary, secondary },
        ) => p == primary && s == secondary,
        (
            SelfSigned {
                primary: p,
                secondary: s,
            },
            SelfSigned { primary, secondary },
        ) => p == primary && s == secondary,
        (CertificateAuthority, CertificateAuthority) | (None, None) => true,
        (Sas { .. } | SelfSigned { .. } | CertificateAuthority | None, _) => false,
    }
}

pub(super) fn create_error(id: &IdentityId, error: StoreError) -> Error {
    match error {
        StoreError::Conflict(Conflict::AlreadyExists) => {
            let (what, code) = match id.module {
                None => ("device", ErrorCode::DeviceAlreadyExists),
                Some(_) => ("module", ErrorCode::ModuleAlreadyExistsOnDevice),
            };
            Error::new(
                ErrorKind::AlreadyExists,
                format!("the {what} {id} is registered already"),
            )
            .with_code(code)
        }
        StoreError::Conflict(Conflict::NotFound) => {
            Error::device_not_found(&IdentityId::device(id.device.clone()))
        }
        other => other.into(),
    }
}
