//! Values that scenarios are made of.

use std::time::Duration;

use bytes::Bytes;
use hub_domain::message::{CloudToDeviceDraft, CloudToDeviceMessage};
use hub_domain::{HostName, IdentityId, Status, SymmetricKey};
use hub_engine::methods::MethodRequest;
use hub_engine::{NewAuthentication, NewIdentity};
use serde_json::{Map, Value};

use super::BEGINNING;

pub(crate) fn id(text: &str) -> IdentityId {
    IdentityId::parse(text).unwrap()
}

pub(crate) fn host(text: &str) -> HostName {
    HostName::parse(text).unwrap()
}

pub(crate) fn key(fill: u8) -> SymmetricKey {
    SymmetricKey::from_bytes(&[fill; 32]).unwrap()
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

/// The members of a JSON object.
pub(crate) fn members(text: &str) -> Map<String, Value> {
    match json(text) {
        Value::Object(members) => members,
        other => panic!("{other} is no object"),
    }
}

/// An enabled device or module whose keys the hub makes.
pub(crate) fn device(text: &str) -> NewIdentity {
    NewIdentity {
        id: id(text),
        status: Status::Enabled,
        status_reason: None,
        authentication: NewAuthentication::Sas {
            primary: None,
            secondary: None,
        },
        iot_edge: false,
        device_scope: None,
        parent_scopes: Vec::new(),
        managed_by: None,
    }
}

/// A device that runs modules.
pub(crate) fn edge(text: &str) -> NewIdentity {
    NewIdentity {
        iot_edge: true,
        ..device(text)
    }
}

/// A device in the scope of an edge device.
pub(crate) fn leaf(text: &str, scope: &str) -> NewIdentity {
    NewIdentity {
        device_scope: Some(scope.to_owned()),
        ..device(text)
    }
}

/// A message that expires in the default time.
pub(crate) fn message(body: &str) -> CloudToDeviceMessage {
    let draft = CloudToDeviceDraft::new(
        &id("d1"),
        Bytes::copy_from_slice(body.as_bytes()),
        BEGINNING,
    );
    CloudToDeviceMessage::parse(draft).unwrap()
}

/// A call that waits for no connection and 30 s for the answer.
pub(crate) fn method(name: &str) -> MethodRequest {
    MethodRequest {
        name: name.to_owned(),
        payload: Some(Bytes::from_static(b"1")),
        connect: Duration::ZERO,
        response: Duration::from_secs(30),
    }
}
