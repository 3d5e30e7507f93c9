//! A hub of another installation, or the vendor's, over the REST that both have.
//!
//! Every write may be done again: an identity is created or replaced whatever is there, a twin replaced, a deletion of
//! what is gone is done. So a crash between two of them is mended by doing them all again. What is there is replaced and
//! deleted on the etag that was read, so that a request that arrives late changes nothing.

mod calls;

use std::sync::Arc;
use std::time::Duration;

use hub_api::client::{Outside, OutsideMethod};
use hub_domain::provisioning::{DeviceProof, InitialTwin};
use hub_domain::{DeviceId, HostName, Status, SymmetricKey};
use hub_engine::{Environment, Standing};
use serde_json::{Map, Value, json};

use super::throttles::Throttles;
use super::{Former, HubError, HubProof, Outages, TwinContent, WantedDevice};
use crate::parts::Parts;
use calls::Call;

/// How long a call is tried again at a hub that has too much to do.
const PATIENCE: Duration = Duration::from_secs(60);
/// How often a write is decided anew when somebody else changed the identity meanwhile.
const RETRIES_MAX: u32 = 5;

/// The device that is asked for when a link is tried: nobody has it.
const PROBE: &str = "thingstead-link-probe";

/// An identity as the hub shows it.
pub(crate) struct Present {
    document: Map<String, Value>,
    etag: String,
}

/// What tells an identity from every other, in whatever hub: its id, and what its hub made up when it was created.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Generation {
    device: String,
    text: String,
}

impl Present {
    /// None from a hub that does not tell.
    pub(crate) fn generation(&self) -> Option<Generation> {
        let text = |name: &str| self.document.get(name).and_then(Value::as_str);
        Some(Generation {
            device: text("deviceId")?.to_owned(),
            text: text("generationId")?.to_owned(),
        })
    }
}

/// What became of a guarded write.
enum Written {
    Done,
    /// What is there is not what was read.
    Changed,
}

/// One hub of another installation.
#[derive(Clone)]
pub(crate) struct Remote {
    host: HostName,
    port: Option<u16>,
    policy: String,
    key: SymmetricKey,
    outside: Outside,
    environment: Arc<dyn Environment>,
    outages: Outages,
    throttles: Throttles,
    patience: Duration,
}

impl Remote {
    /// `policy` and `key` sign the calls.
    pub(crate) fn new(
        (host, port): (HostName, Option<u16>),
        (policy, key): (String, SymmetricKey),
        parts: &Parts,
        (outages, throttles): (Outages, Throttles),
    ) -> Self {
        Self {
            host,
            port,
            policy,
            key,
            outside: parts.outside.clone(),
            environment: Arc::clone(&parts.environment),
            outages,
            throttles,
            patience: PATIENCE,
        }
    }

    /// Tags, desired properties and standing of a device; `None` when it is not there. A hub that is away is not asked by
    /// everybody.
    pub(super) async fn former(&self, device: &DeviceId) -> Result<Option<Former>, HubError> {
        if !self.outages.try_again(&self.host) {
            return Err(self.unusable(format!(
                "the hub {} cannot be used: it gave no answer a moment ago",
                self.host
            )));
        }
        let Some(twin) = self.read("twins", device).await? else {
            return Ok(None);
        };
        let Some(present) = self.identity(device).await? else {
            return Ok(None);
        };
        let generation = present.generation();
        let document = present.document;
        let members = |value: Option<&Value>| -> Map<String, Value> {
            let members = value.and_then(Value::as_object).into_iter().flatten();
            members
                .filter(|(name, _)| !name.starts_with('$'))
                .map(|(name, value)| (name.clone(), value.clone()))
                .collect()
        };
        let text = |name: &str| document.get(name).and_then(Value::as_str);
        let is_disabled = text("status").is_some_and(|one| one.eq_ignore_ascii_case("disabled"));
        Ok(Some(Former {
            twin: TwinContent::Written(InitialTwin {
                tags: members(twin.get("tags")),
                desired: members(twin.get("properties").and_then(|all| all.get("desired"))),
            }),
            standing: Standing {
                status: if is_disabled {
                    Status::Disabled
                } else {
                    Status::Enabled
                },
                reason: text("statusReason").map(str::to_owned),
            },
            generation,
        }))
    }

    /// The identity of a device; `None` when it is not there.
    pub(crate) async fn identity(&self, device: &DeviceId) -> Result<Option<Present>, HubError> {
        let Some(document) = self.read("devices", device).await? else {
            return Ok(None);
        };
        let etag = document.get("etag").and_then(Value::as_str);
        let etag = etag.ok_or_else(|| self.strange("the identity has no etag"))?;
        // In documents it has no quotes, in headers it has ("Get Identity"); some clients write them in both.
        let etag = format!("\"{}\"", etag.trim_matches('"'));
        Ok(Some(Present { document, etag }))
    }

    /// Creates the device, or brings the one that is there in line: its status, scopes and twin stay what they are.
    pub(crate) async fn put(
        &self,
        wanted: &WantedDevice,
        mut present: Option<Present>,
    ) -> Result<(), HubError> {
        for _ in 0..RETRIES_MAX {
            let (mut document, guard) = match present {
                // Without a guard, so that it is not taken for new when somebody else was faster.
                None => (standing(&wanted.standing), None),
                Some(Present { document, etag }) => (document, Some(etag)),
            };
            document.insert("deviceId".into(), json!(wanted.id.as_str()));
            document.insert("authentication".into(), authentication(&wanted.proof));
            document.insert("capabilities".into(), json!({"iotEdge": wanted.iot_edge}));
            let written = self
                .write("devices", &wanted.id, document, guard.as_deref())
                .await?;
            match written {
                Written::Done => return Ok(()),
                Written::Changed => present = self.identity(&wanted.id).await?,
            }
        }
        Err(self.busy())
    }

    /// Asks for everything that registrations do, with a write that changes nothing: it is guarded by an etag that no
    /// identity has.
    pub(super) async fn probe(&self) -> Result<(), HubError> {
        // Who looks wants to know now.
        let hub = Self {
            patience: Duration::ZERO,
            ..self.clone()
        };
        let device = DeviceId::parse(PROBE).expect("invariant: it is an id");
        hub.read("devices", &device).await?;
        hub.read("twins", &device).await?;
        let document = Map::from_iter([("deviceId".into(), json!(PROBE))]);
        let guard = Some("\"none\"");
        hub.write("devices", &device, document, guard)
            .await
            .map(drop)
    }

    /// Replaces tags and desired properties of a device that is there.
    pub(super) async fn put_twin(
        &self,
        device: &DeviceId,
        twin: &InitialTwin,
    ) -> Result<(), HubError> {
        let properties = json!({"desired": twin.desired});
        let document = Map::from_iter([
            ("tags".into(), Value::Object(twin.tags.clone())),
            ("properties".into(), properties),
        ]);
        match self.write("twins", device, document, Some("*")).await? {
            Written::Done => Ok(()),
            Written::Changed => Err(self.busy()),
        }
    }

    /// Removes a device, unless it is the one that is spared. One that is gone is no error.
    pub(crate) async fn remove(
        &self,
        device: &DeviceId,
        spared: Option<&Generation>,
    ) -> Result<(), HubError> {
        for _ in 0..RETRIES_MAX {
            let Some(present) = self.identity(device).await? else {
                return Ok(());
            };
            if spared.is_some() && present.generation().as_ref() == spared {
                return Ok(());
            }
            let etag = present.etag;
            let call = Call {
                method: OutsideMethod::Delete,
                collection: "devices",
                device,
                body: None,
                if_match: Some(&etag),
            };
            match self.call(call).await? {
                (204, _) => return Ok(()),
                (404, body) if is_missing(&body) => return Ok(()),
                (412, _) => {}
                (200..=299, _) => {
                    return Err(self.strange("it does not say that the device was deleted"));
                }
                (status, body) => return Err(self.refusal(status, &body)),
            }
        }
        Err(self.busy())
    }

    async fn read(
        &self,
        collection: &str,
        device: &DeviceId,
    ) -> Result<Option<Map<String, Value>>, HubError> {
        let call = Call {
            method: OutsideMethod::Get,
            collection,
            device,
            body: None,
            if_match: None,
        };
        match self.call(call).await? {
            (200, body) => self.document_of(device, &body).map(Some),
            (404, body) if is_missing(&body) => Ok(None),
            (status, body) => Err(self.refusal(status, &body)),
        }
    }

    async fn write(
        &self,
        collection: &str,
        device: &DeviceId,
        document: Map<String, Value>,
        if_match: Option<&str>,
    ) -> Result<Written, HubError> {
        let body = Value::Object(document).to_string().into_bytes();
        let call = Call {
            method: OutsideMethod::Put,
            collection,
            device,
            body: Some(&body),
            if_match,
        };
        match self.call(call).await? {
            (200 | 201, body) => self.document_of(device, &body).map(|_| Written::Done),
            // It is there already; it is another; it is gone.
            (409, _) if if_match.is_none() => Ok(Written::Changed),
            (412, _) if if_match.is_some() => Ok(Written::Changed),
            (404, body) if if_match.is_some() && is_missing(&body) => Ok(Written::Changed),
            (status, body) => Err(self.refusal(status, &body)),
        }
    }

    /// The document of this device. Whoever answers with anything else is no hub.
    fn document_of(&self, device: &DeviceId, body: &[u8]) -> Result<Map<String, Value>, HubError> {
        let document = serde_json::from_slice::<Map<String, Value>>(body).ok();
        document
            .filter(|document| document.get("deviceId") == Some(&json!(device.as_str())))
            .ok_or_else(|| self.strange("its answer is not the document of the device"))
    }
}

/// Whether a 404 speaks of a device that is not there: `ErrorCode:DeviceNotFound` ("IoT Hub error codes", 404001). A proxy in
/// front of a hub that is down says 404 of everything, and a device that is taken for gone loses its twin.
fn is_missing(body: &[u8]) -> bool {
    let text = String::from_utf8_lossy(body);
    ["DeviceNotFound", "404001"]
        .into_iter()
        .any(|code| text.contains(code))
}

fn standing(standing: &Standing) -> Map<String, Value> {
    let mut members = Map::new();
    members.insert("status".into(), json!(standing.status.as_str()));
    if let Some(reason) = &standing.reason {
        members.insert("statusReason".into(), json!(reason));
    }
    members
}

fn authentication(proof: &HubProof) -> Value {
    let keys = |primary: &SymmetricKey, secondary: &SymmetricKey| {
        json!({
            "type": "sas",
            "symmetricKey": {
                "primaryKey": primary.to_base64(),
                "secondaryKey": secondary.to_base64(),
            },
        })
    };
    match proof {
        HubProof::Given(DeviceProof::Keys { primary, secondary }) => keys(primary, secondary),
        HubProof::Given(DeviceProof::Tpm { key, .. }) | HubProof::Key(key) => keys(key, key),
        HubProof::Given(DeviceProof::Thumbprints { primary, secondary }) => json!({
            "type": "selfSigned",
            "x509Thumbprint": {
                "primaryThumbprint": primary.as_str(),
                "secondaryThumbprint": secondary.as_ref().unwrap_or(primary).as_str(),
            },
        }),
        HubProof::Given(DeviceProof::Authority) => json!({"type": "certificateAuthority"}),
    }
}
