//! Twins as back ends read and write them.

use hub_domain::identity::Activity;
use hub_domain::twin::SectionView;
use hub_domain::{Identity, twin};
use serde::Serialize;
use serde_json::{Map, Value};

use super::authentication::Thumbprints;
use super::connection_state;
use super::device::Capabilities;
use super::read::{InputError, Members, object_body};

/// A twin as answered. A module's leaves out what only devices have.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Twin<'a> {
    device_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    module_id: Option<&'a str>,
    etag: String,
    device_etag: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    status_reason: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    status_update_time: Option<String>,
    connection_state: &'static str,
    last_activity_time: String,
    cloud_to_device_message_count: u64,
    authentication_type: &'static str,
    x509_thumbprint: Thumbprints,
    model_id: &'a str,
    version: u64,
    tags: &'a Map<String, Value>,
    properties: Properties<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    capabilities: Option<Capabilities>,
    #[serde(skip_serializing_if = "Option::is_none")]
    device_scope: Option<&'a str>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    parent_scopes: &'a [String],
}

#[derive(Serialize)]
struct Properties<'a> {
    desired: SectionView<'a>,
    reported: SectionView<'a>,
}

impl<'a> Twin<'a> {
    /// The answer for the twin of `identity`.
    pub fn new(
        identity: &'a Identity,
        activity: &Activity,
        message_count: u64,
        twin: &'a twin::Twin,
    ) -> Self {
        let is_device = identity.id.module.is_none();
        let of_devices = |text: &'a Option<String>| text.as_deref().filter(|_| is_device);
        Self {
            device_id: identity.id.device.as_str(),
            module_id: identity
                .id
                .module
                .as_ref()
                .map(hub_domain::ModuleId::as_str),
            etag: twin.back_end.etag.to_string(),
            device_etag: &identity.etag.0,
            status: is_device.then(|| identity.status.as_str()),
            status_reason: of_devices(&identity.status_reason),
            status_update_time: is_device.then(|| identity.status_updated.to_string()),
            connection_state: connection_state(activity),
            last_activity_time: activity.last_activity.to_string(),
            cloud_to_device_message_count: message_count,
            authentication_type: identity.authentication.kind(),
            x509_thumbprint: Thumbprints::new(&identity.authentication),
            model_id: twin.model_id.as_deref().unwrap_or_default(),
            version: twin.version(),
            tags: &twin.back_end.tags,
            properties: Properties {
                desired: SectionView::with_metadata(&twin.back_end.desired),
                reported: SectionView::with_metadata(&twin.reported),
            },
            capabilities: is_device.then_some(Capabilities {
                iot_edge: identity.iot_edge,
            }),
            device_scope: of_devices(&identity.device_scope),
            parent_scopes: if is_device {
                &identity.parent_scopes
            } else {
                &[]
            },
        }
    }
}

/// The body of a twin's PATCH or PUT: the parts that back ends write. Everything else, `properties.reported`
/// too, is ignored, because SDKs send back what they read.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TwinInput {
    /// The tags, if there are any.
    pub tags: Option<Map<String, Value>>,
    /// The desired properties, if there are any. Nulls are kept: they remove.
    pub desired: Option<Map<String, Value>>,
}

impl TwinInput {
    /// Reads a request body.
    ///
    /// # Errors
    /// When it is no JSON object, or a part is no object.
    pub fn parse(body: &[u8]) -> Result<Self, InputError> {
        let map = object_body(body)?;
        let members = Members::of_body(&map);
        let desired = match members.object("properties")? {
            None => None,
            Some(properties) => properties.map("desired")?.cloned(),
        };
        Ok(Self {
            tags: members.map("tags")?.cloned(),
            desired,
        })
    }
}
