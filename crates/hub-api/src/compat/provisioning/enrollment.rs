//! `IndividualEnrollment` and `EnrollmentGroup`.

use hub_domain::provisioning::{
    AllocationPolicy, AllocationWebhook, Attestation, Capabilities, CredentialPolicyName,
    Enrollment, EnrollmentGroup, InitialTwin, ReprovisionPolicy, Terms, WebhookUrl,
};
use hub_domain::{DeviceId, Etag, HostName, Status, Timestamp};
use serde_json::{Map, Value, json};

use super::attestation::{AttestationInput, Describe, attestation_document};
use crate::compat::read::{InputError, Members, object_body};
use crate::native::Keys;

/// An individual enrollment that is to be written. What only the service writes is ignored.
#[derive(Clone)]
pub struct EnrollmentInput {
    /// The id in the body, to be compared with the path's.
    pub registration_id: Option<String>,
    /// Its id in the hub.
    pub device: Option<DeviceId>,
    /// What it shows as proof.
    pub attestation: AttestationInput,
    /// What it gets.
    pub terms: Terms,
    /// Whatever the back end wants to remember of it.
    pub information: Option<Map<String, Value>>,
    /// The etag in the body, unquoted; only bulk operations look at it.
    pub etag: Option<String>,
}

/// An enrollment group that is to be written.
#[derive(Clone)]
pub struct EnrollmentGroupInput {
    /// The id in the body, to be compared with the path's.
    pub group_id: Option<String>,
    /// What a device shows as proof.
    pub attestation: AttestationInput,
    /// What it gets.
    pub terms: Terms,
    /// The etag in the body, unquoted; only bulk operations look at it.
    pub etag: Option<String>,
}

impl EnrollmentInput {
    /// Reads a request body.
    ///
    /// # Errors
    /// When it is no JSON object, or a member is missing or has a wrong type or value.
    pub fn parse(body: &[u8]) -> Result<Self, InputError> {
        let map = object_body(body)?;
        Self::read(&Members::of_body(&map))
    }

    pub(super) fn read(members: &Members<'_>) -> Result<Self, InputError> {
        Ok(Self {
            registration_id: members.text("registrationId")?.map(str::to_owned),
            device: device(members)?,
            attestation: AttestationInput::read(members)?,
            terms: terms(members)?,
            information: members.map("optionalDeviceInformation")?.cloned(),
            etag: etag(members)?,
        })
    }
}

impl EnrollmentGroupInput {
    /// Reads a request body.
    ///
    /// # Errors
    /// When it is no JSON object, or a member is missing or has a wrong type or value.
    pub fn parse(body: &[u8]) -> Result<Self, InputError> {
        let map = object_body(body)?;
        Self::read(&Members::of_body(&map))
    }

    pub(super) fn read(members: &Members<'_>) -> Result<Self, InputError> {
        Ok(Self {
            group_id: members.text("enrollmentGroupId")?.map(str::to_owned),
            attestation: AttestationInput::read(members)?,
            terms: terms(members)?,
            etag: etag(members)?,
        })
    }
}

fn device(members: &Members<'_>) -> Result<Option<DeviceId>, InputError> {
    match members.text("deviceId")?.filter(|text| !text.is_empty()) {
        None => Ok(None),
        Some(text) => DeviceId::parse(text)
            .map(Some)
            .map_err(|error| InputError::invalid(members.path_of("deviceId"), error)),
    }
}

/// The etag of a body, without the quotes that it has there.
pub(super) fn etag(members: &Members<'_>) -> Result<Option<String>, InputError> {
    let text = members.text("etag")?.map(str::trim);
    Ok(text.filter(|text| !text.is_empty()).map(|text| {
        let inner = text
            .strip_prefix('"')
            .and_then(|text| text.strip_suffix('"'));
        inner.unwrap_or(text).to_owned()
    }))
}

fn terms(members: &Members<'_>) -> Result<Terms, InputError> {
    let status = match members.text("provisioningStatus")? {
        None => Status::Enabled,
        Some(text) => Status::parse(text).ok_or_else(|| {
            let path = members.path_of("provisioningStatus");
            InputError::invalid(path, "it must be enabled or disabled")
        })?,
    };
    let capabilities = match members.object("capabilities")? {
        None => Capabilities::default(),
        Some(capabilities) => Capabilities {
            iot_edge: capabilities.boolean("iotEdge")?.unwrap_or(false),
        },
    };
    let reprovision = match members.object("reprovisionPolicy")? {
        None => None,
        Some(policy) => {
            let default = ReprovisionPolicy::default();
            let or_default = |value: Option<bool>, default| value.unwrap_or(default);
            Some(ReprovisionPolicy {
                update_hub_assignment: or_default(
                    policy.boolean("updateHubAssignment")?,
                    default.update_hub_assignment,
                ),
                migrate_device_data: or_default(
                    policy.boolean("migrateDeviceData")?,
                    default.migrate_device_data,
                ),
            })
        }
    };
    Ok(Terms {
        status,
        capabilities,
        initial_twin: initial_twin(members)?,
        reprovision,
        allocation: allocation(members)?,
        hub: hub(members)?,
        hubs: hubs(members)?,
        webhook: webhook(members)?,
        credential_policy: credential_policy(members)?,
    })
}

fn allocation(members: &Members<'_>) -> Result<Option<AllocationPolicy>, InputError> {
    match members
        .text("allocationPolicy")?
        .filter(|text| !text.is_empty())
    {
        None => Ok(None),
        Some(text) => AllocationPolicy::parse(text).map(Some).ok_or_else(|| {
            let path = members.path_of("allocationPolicy");
            InputError::invalid(path, "it must be hashed, geoLatency, static or custom")
        }),
    }
}

fn hub(members: &Members<'_>) -> Result<Option<HostName>, InputError> {
    match members
        .text("iotHubHostName")?
        .filter(|text| !text.is_empty())
    {
        None => Ok(None),
        Some(text) => HostName::parse(text)
            .map(Some)
            .map_err(|error| InputError::invalid(members.path_of("iotHubHostName"), error)),
    }
}

fn hubs(members: &Members<'_>) -> Result<Vec<HostName>, InputError> {
    let texts = members.texts("iotHubs")?;
    let host = |(at, text): (usize, &String)| {
        HostName::parse(text).map_err(|error| {
            InputError::invalid(format!("{}[{at}]", members.path_of("iotHubs")), error)
        })
    };
    texts.iter().enumerate().map(host).collect()
}

fn webhook(members: &Members<'_>) -> Result<Option<AllocationWebhook>, InputError> {
    let Some(definition) = members.object("customAllocationDefinition")? else {
        return Ok(None);
    };
    let Some(url) = definition
        .text("webhookUrl")?
        .filter(|text| !text.is_empty())
    else {
        return Err(InputError::Missing {
            path: definition.path_of("webhookUrl"),
        });
    };
    let url = WebhookUrl::parse(url)
        .map_err(|error| InputError::invalid(definition.path_of("webhookUrl"), error))?;
    let api_version = definition
        .text("apiVersion")?
        .filter(|text| !text.is_empty())
        .ok_or_else(|| InputError::Missing {
            path: definition.path_of("apiVersion"),
        })?;
    Ok(Some(AllocationWebhook {
        url,
        api_version: api_version.to_owned(),
    }))
}

/// What the preview versions of 2025 call the credential policy.
pub(super) const CREDENTIAL_POLICY: &str = "credentialPolicyName";
/// What the versions of 2026 call it (Azure/azure-iot-cli-extension, `azext_iot/operations/dps.py`).
pub(super) const CERTIFICATE_POLICY: &str = "certificatePolicyName";

/// The name that a version has for the credential policy; versions are dates.
fn credential_policy_name(api_version: &str) -> &'static str {
    if api_version < "2026" {
        CREDENTIAL_POLICY
    } else {
        CERTIFICATE_POLICY
    }
}

/// By either name, whatever the version: some clients send a newer document than they ask for.
fn credential_policy(members: &Members<'_>) -> Result<Option<CredentialPolicyName>, InputError> {
    let named = |name: &str| match members.text(name)?.filter(|text| !text.is_empty()) {
        None => Ok(None),
        Some(text) => CredentialPolicyName::parse(text)
            .map(Some)
            .map_err(|error| InputError::invalid(members.path_of(name), error)),
    };
    match (named(CREDENTIAL_POLICY)?, named(CERTIFICATE_POLICY)?) {
        (Some(one), Some(other)) if one != other => Err(InputError::invalid(
            members.path_of(CERTIFICATE_POLICY),
            format!("it is another name for {CREDENTIAL_POLICY}, which says something else"),
        )),
        (one, other) => Ok(one.or(other)),
    }
}

fn initial_twin(members: &Members<'_>) -> Result<InitialTwin, InputError> {
    let Some(twin) = members.object("initialTwin")? else {
        return Ok(InitialTwin::default());
    };
    let desired = match twin.object("properties")? {
        None => None,
        Some(properties) => properties.map("desired")?.cloned(),
    };
    Ok(InitialTwin {
        tags: collection(twin.map("tags")?.cloned()),
        desired: collection(desired),
    })
}

/// A collection of the twin without what SDKs add to it when they send back what they read.
fn collection(map: Option<Map<String, Value>>) -> Map<String, Value> {
    let mut map = map.unwrap_or_default();
    map.retain(|name, _| !matches!(name.as_str(), "$metadata" | "$version"));
    map
}

/// An individual enrollment as answered, in the words of a version.
pub fn enrollment_document(
    enrollment: &Enrollment,
    keys: Keys,
    describe: Describe<'_>,
    api_version: &str,
) -> Value {
    let mut document = Map::new();
    document.insert("registrationId".to_owned(), enrollment.id.as_str().into());
    if let Some(device) = &enrollment.device {
        document.insert("deviceId".to_owned(), device.to_string().into());
    }
    if let Some(information) = &enrollment.information {
        let information = Value::Object(information.clone());
        document.insert("optionalDeviceInformation".to_owned(), information);
    }
    let attestation = &enrollment.attestation;
    shared(
        &mut document,
        (attestation, keys, describe),
        (&enrollment.terms, api_version),
    );
    written(
        &mut document,
        &enrollment.etag,
        (enrollment.created, enrollment.updated),
    );
    Value::Object(document)
}

/// An enrollment group as answered, in the words of a version.
pub fn enrollment_group_document(
    group: &EnrollmentGroup,
    keys: Keys,
    describe: Describe<'_>,
    api_version: &str,
) -> Value {
    let mut document = Map::new();
    document.insert("enrollmentGroupId".to_owned(), group.id.as_str().into());
    shared(
        &mut document,
        (&group.attestation, keys, describe),
        (&group.terms, api_version),
    );
    written(&mut document, &group.etag, (group.created, group.updated));
    Value::Object(document)
}

/// The etag as it stands in bodies: with quotes within the text.
pub fn quoted_etag(etag: &Etag) -> String {
    format!("\"{}\"", etag.0)
}

fn written(
    document: &mut Map<String, Value>,
    etag: &Etag,
    (created, updated): (Timestamp, Timestamp),
) {
    document.insert("etag".to_owned(), quoted_etag(etag).into());
    document.insert("createdDateTimeUtc".to_owned(), created.to_rfc3339().into());
    document.insert(
        "lastUpdatedDateTimeUtc".to_owned(),
        updated.to_rfc3339().into(),
    );
}

fn shared(
    document: &mut Map<String, Value>,
    (attestation, keys, describe): (&Attestation, Keys, Describe<'_>),
    (terms, api_version): (&Terms, &str),
) {
    let mut put = |name: &str, value: Value| {
        document.insert(name.to_owned(), value);
    };
    put(
        "attestation",
        attestation_document(attestation, keys, describe),
    );
    put("provisioningStatus", terms.status.as_str().into());
    put(
        "capabilities",
        json!({ "iotEdge": terms.capabilities.iot_edge }),
    );
    if !terms.initial_twin.is_empty() {
        let InitialTwin { tags, desired } = &terms.initial_twin;
        put(
            "initialTwin",
            json!({ "tags": tags, "properties": { "desired": desired } }),
        );
    }
    let reprovision = terms.reprovision.map(|policy| {
        json!({
            "updateHubAssignment": policy.update_hub_assignment,
            "migrateDeviceData": policy.migrate_device_data,
        })
    });
    let webhook = terms
        .webhook
        .as_ref()
        .map(|hook| json!({ "webhookUrl": hook.url.as_str(), "apiVersion": hook.api_version }));
    let hubs = (!terms.hubs.is_empty()).then(|| {
        let hosts = terms.hubs.iter().map(HostName::as_str);
        hosts.map(Value::from).collect::<Vec<_>>().into()
    });
    let optional = [
        ("reprovisionPolicy", reprovision),
        (
            "allocationPolicy",
            terms.allocation.map(|policy| policy.as_str().into()),
        ),
        (
            "iotHubHostName",
            terms.hub.as_ref().map(|host| host.as_str().into()),
        ),
        ("iotHubs", hubs),
        ("customAllocationDefinition", webhook),
        (
            credential_policy_name(api_version),
            terms
                .credential_policy
                .as_ref()
                .map(|policy| policy.as_str().into()),
        ),
    ];
    for (name, value) in optional {
        if let Some(value) = value {
            put(name, value);
        }
    }
}
