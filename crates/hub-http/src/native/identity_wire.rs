//! Identities between the wire and the engine.

use hub_api::native::{
    Authentication, AuthenticationKind, Capabilities, ConnectionState, Device, DeviceSettings,
    Module, ModuleSettings, Moment, Status, SymmetricKeys, Thumbprints,
};
use hub_domain::identity::{Activity, Thumbprint};
use hub_domain::{DeviceId, Hub, Identity, IdentityId, SymmetricKey};
use hub_engine::{IdentityView, NewAuthentication, NewIdentity};

use super::Failure;

/// What a back end says of a device, parsed.
pub(super) fn device(id: DeviceId, settings: DeviceSettings) -> Result<NewIdentity, Failure> {
    Ok(NewIdentity {
        id: IdentityId::device(id),
        status: match settings.status {
            Status::Enabled => hub_domain::Status::Enabled,
            Status::Disabled => hub_domain::Status::Disabled,
        },
        status_reason: settings.status_reason,
        authentication: authentication(settings.authentication)?,
        iot_edge: settings.capabilities.iot_edge,
        device_scope: settings.device_scope,
        parent_scopes: settings.parent_scopes,
        managed_by: None,
    })
}

/// What a back end says of a module, parsed.
pub(super) fn module(id: IdentityId, settings: ModuleSettings) -> Result<NewIdentity, Failure> {
    Ok(NewIdentity {
        id,
        status: hub_domain::Status::Enabled,
        status_reason: None,
        authentication: authentication(settings.authentication)?,
        iot_edge: false,
        device_scope: None,
        parent_scopes: Vec::new(),
        managed_by: settings.managed_by,
    })
}

/// Keys and thumbprints of another kind than the one named are refused, for they would be dropped in silence.
fn authentication(wire: Authentication) -> Result<NewAuthentication, Failure> {
    let Authentication {
        kind,
        symmetric_key,
        x509_thumbprint,
    } = wire;
    if symmetric_key.is_some() && kind != AuthenticationKind::Sas {
        return Err(Failure::invalid("symmetricKey goes with the type sas"));
    }
    if x509_thumbprint.is_some() && kind != AuthenticationKind::SelfSigned {
        return Err(Failure::invalid(
            "x509Thumbprint goes with the type selfSigned",
        ));
    }
    let keys = symmetric_key.unwrap_or_default();
    let thumbprints = x509_thumbprint.unwrap_or_default();
    Ok(match kind {
        AuthenticationKind::Sas => NewAuthentication::Sas {
            primary: key(keys.primary_key)?,
            secondary: key(keys.secondary_key)?,
        },
        AuthenticationKind::SelfSigned => NewAuthentication::SelfSigned {
            primary: thumbprint(thumbprints.primary_thumbprint)?,
            secondary: thumbprint(thumbprints.secondary_thumbprint)?,
        },
        AuthenticationKind::CertificateAuthority => NewAuthentication::CertificateAuthority,
        AuthenticationKind::None => NewAuthentication::None,
    })
}

fn key(text: Option<String>) -> Result<Option<SymmetricKey>, Failure> {
    let key = text.map(|text| SymmetricKey::parse(&text)).transpose();
    key.map_err(|error| Failure::invalid(error.to_string()))
}

fn thumbprint(text: Option<String>) -> Result<Option<Thumbprint>, Failure> {
    let wrong = || Failure::invalid("a thumbprint has 40 or 64 hexadecimal digits");
    text.map(|text| Thumbprint::parse(&text).ok_or_else(wrong))
        .transpose()
}

/// A device as back ends see it.
pub(super) fn device_of(hub: &Hub, view: &IdentityView) -> Device {
    let IdentityView {
        identity,
        activity,
        message_count,
    } = view;
    Device {
        device_id: identity.id.device.to_string(),
        generation_id: identity.generation.as_str().to_owned(),
        etag: identity.etag.0.clone(),
        status: status_of(identity),
        status_reason: identity.status_reason.clone(),
        status_updated_time: Moment::of(identity.status_updated),
        connection_state: connection_state_of(activity),
        connection_state_updated_time: Moment::of(activity.connection_updated),
        last_activity_time: Moment::of(activity.last_activity),
        cloud_to_device_message_count: *message_count,
        authentication: authentication_of(identity),
        capabilities: Capabilities {
            iot_edge: identity.iot_edge,
        },
        device_scope: identity.device_scope.clone(),
        parent_scopes: identity.parent_scopes.clone(),
        connection_string: connection_string(hub, identity),
    }
}

/// A module as back ends see it.
pub(super) fn module_of(hub: &Hub, view: &IdentityView) -> Module {
    let IdentityView {
        identity,
        activity,
        message_count,
    } = view;
    Module {
        device_id: identity.id.device.to_string(),
        module_id: identity.id.module_text().to_owned(),
        generation_id: identity.generation.as_str().to_owned(),
        etag: identity.etag.0.clone(),
        managed_by: identity.managed_by.clone(),
        connection_state: connection_state_of(activity),
        connection_state_updated_time: Moment::of(activity.connection_updated),
        last_activity_time: Moment::of(activity.last_activity),
        cloud_to_device_message_count: *message_count,
        authentication: authentication_of(identity),
        connection_string: connection_string(hub, identity),
    }
}

pub(super) fn status_of(identity: &Identity) -> Status {
    match identity.status {
        hub_domain::Status::Enabled => Status::Enabled,
        hub_domain::Status::Disabled => Status::Disabled,
    }
}

pub(super) fn connection_state_of(activity: &Activity) -> ConnectionState {
    if activity.connected {
        ConnectionState::Connected
    } else {
        ConnectionState::Disconnected
    }
}

fn authentication_of(identity: &Identity) -> Authentication {
    let of = |kind| Authentication {
        kind,
        symmetric_key: None,
        x509_thumbprint: None,
    };
    match &identity.authentication {
        hub_domain::Authentication::Sas { primary, secondary } => Authentication {
            symmetric_key: Some(SymmetricKeys {
                primary_key: Some(primary.to_base64()),
                secondary_key: Some(secondary.to_base64()),
            }),
            ..of(AuthenticationKind::Sas)
        },
        hub_domain::Authentication::SelfSigned { primary, secondary } => {
            let text = |thumbprint: &Option<Thumbprint>| {
                thumbprint.as_ref().map(|t| t.as_str().to_owned())
            };
            Authentication {
                x509_thumbprint: Some(Thumbprints {
                    primary_thumbprint: text(primary),
                    secondary_thumbprint: text(secondary),
                }),
                ..of(AuthenticationKind::SelfSigned)
            }
        }
        hub_domain::Authentication::CertificateAuthority => {
            of(AuthenticationKind::CertificateAuthority)
        }
        hub_domain::Authentication::None => of(AuthenticationKind::None),
    }
}

/// What the identity's program connects with. The vendor's spelling, without a port.
fn connection_string(hub: &Hub, identity: &Identity) -> Option<String> {
    let (primary, _) = identity.authentication.keys()?;
    let module = identity
        .id
        .module
        .as_ref()
        .map(|module| format!(";ModuleId={module}"))
        .unwrap_or_default();
    let device = &identity.id.device;
    Some(format!(
        "HostName={};DeviceId={device}{module};SharedAccessKey={}",
        hub.host,
        primary.to_base64()
    ))
}
