//! A hub of another installation, or the vendor's, over the REST that both have.
//!
//! Every write may be done again: an identity is created or replaced whatever is there, a twin replaced, a deletion of
//! what is gone is done. So a crash between two of them is mended by doing them all again.

use hub_api::client::{Outside, OutsideCall, OutsideError, OutsideMethod};
use hub_domain::provisioning::{DeviceProof, InitialTwin};
use hub_domain::{DeviceId, HostName, SymmetricKey, Timestamp};
use hub_engine::ErrorKind;
use serde_json::{Map, Value, json};

use super::{Bring, CALL_TIMEOUT, HubError, HubProof, WantedDevice};
use crate::Error;
use crate::error::codes;

/// The version of the REST that is spoken: the newest that every hub in use knows.
const API_VERSION: &str = "2021-04-12";
/// How long a token lives that a call is signed with.
const TOKEN_SECONDS: u64 = 300;

/// One hub of another installation.
#[derive(Clone)]
pub(crate) struct Remote {
    outside: Outside,
    host: HostName,
    port: Option<u16>,
    policy: String,
    key: SymmetricKey,
}

impl Remote {
    pub(crate) const fn new(
        outside: Outside,
        host: HostName,
        port: Option<u16>,
        policy: String,
        key: SymmetricKey,
    ) -> Self {
        Self {
            outside,
            host,
            port,
            policy,
            key,
        }
    }

    /// Tags and desired properties of a device; `None` when it is not there.
    pub(super) async fn twin(
        &self,
        device: &DeviceId,
        now: Timestamp,
    ) -> Result<Option<InitialTwin>, HubError> {
        let Some(twin) = self.read("twins", device, now).await? else {
            return Ok(None);
        };
        let members = |value: Option<&Value>| -> Map<String, Value> {
            let members = value.and_then(Value::as_object).into_iter().flatten();
            members
                .filter(|(name, _)| !name.starts_with('$'))
                .map(|(name, value)| (name.clone(), value.clone()))
                .collect()
        };
        Ok(Some(InitialTwin {
            tags: members(twin.get("tags")),
            desired: members(twin.pointer("/properties/desired")),
        }))
    }

    /// Creates the device or brings it in line, then its twin.
    pub(super) async fn ensure(
        &self,
        wanted: &WantedDevice,
        twin: &InitialTwin,
        bring: Bring,
        now: Timestamp,
    ) -> Result<(), HubError> {
        let present = self.read("devices", &wanted.id, now).await?;
        let is_new = present.is_none();
        let mut document = present.unwrap_or_else(|| json!({"status": "enabled"}));
        let members = document
            .as_object_mut()
            .ok_or_else(|| self.strange("the identity is no JSON object"))?;
        members.insert("deviceId".into(), json!(wanted.id.as_str()));
        members.insert("authentication".into(), authentication(&wanted.proof));
        members.insert("capabilities".into(), json!({"iotEdge": wanted.iot_edge}));
        // A new one is created without a guard, so that it is not taken over when somebody else was faster.
        let guard = (!is_new).then_some("*");
        self.write("devices", &wanted.id, &document, guard, now)
            .await?;
        // A device whose twin could not be written is found as existing the next time, and shall get it then.
        if (is_new || bring == Bring::Also) && !(is_new && twin.is_empty()) {
            let document = json!({"tags": twin.tags, "properties": {"desired": twin.desired}});
            let written = self
                .write("twins", &wanted.id, &document, Some("*"), now)
                .await;
            if let Err(error) = written {
                if is_new {
                    // Nothing half: the next try begins anew. What cannot be removed now is found as existing.
                    let _ = self.remove(&wanted.id, now).await;
                }
                return Err(error);
            }
        }
        Ok(())
    }

    pub(super) async fn remove(&self, device: &DeviceId, now: Timestamp) -> Result<(), HubError> {
        let answer = self
            .call(
                OutsideMethod::Delete,
                "devices",
                device,
                None,
                Some("*"),
                now,
            )
            .await?;
        match answer {
            (200..=299 | 404, _) => Ok(()),
            (status, body) => Err(self.refusal(status, &body)),
        }
    }

    async fn read(
        &self,
        collection: &str,
        device: &DeviceId,
        now: Timestamp,
    ) -> Result<Option<Value>, HubError> {
        let answer = self
            .call(OutsideMethod::Get, collection, device, None, None, now)
            .await?;
        match answer {
            (200, body) => serde_json::from_slice(&body)
                .map(Some)
                .map_err(|_| self.strange("its answer is no JSON document")),
            (404, _) => Ok(None),
            (status, body) => Err(self.refusal(status, &body)),
        }
    }

    async fn write(
        &self,
        collection: &str,
        device: &DeviceId,
        document: &Value,
        if_match: Option<&str>,
        now: Timestamp,
    ) -> Result<(), HubError> {
        let body = document.to_string().into_bytes();
        let answer = self
            .call(
                OutsideMethod::Put,
                collection,
                device,
                Some(body),
                if_match,
                now,
            )
            .await?;
        match answer {
            (200..=299, _) => Ok(()),
            (status, body) => Err(self.refusal(status, &body)),
        }
    }

    async fn call(
        &self,
        method: OutsideMethod,
        collection: &str,
        device: &DeviceId,
        body: Option<Vec<u8>>,
        if_match: Option<&str>,
        now: Timestamp,
    ) -> Result<(u16, Vec<u8>), HubError> {
        let port = self
            .port
            .map_or_else(String::new, |port| format!(":{port}"));
        let device = hub_api::client::path_segment(device.as_str());
        let url = format!(
            "https://{}{port}/{collection}/{device}?api-version={API_VERSION}",
            self.host
        );
        let expiry = now.plus(std::time::Duration::from_secs(TOKEN_SECONDS));
        let token =
            hub_domain::sas::sign_token(self.host.as_str(), &self.key, expiry, Some(&self.policy));
        let call = OutsideCall {
            method,
            url: &url,
            authorization: Some(&token),
            if_match,
            body,
            timeout: CALL_TIMEOUT,
        };
        self.outside.call(call).await.map_err(|error| {
            let text = format!("the hub {} cannot be used: {error}", self.host);
            let kind = match &error {
                OutsideError::Silent => ErrorKind::TimedOut,
                OutsideError::Unreachable(_) | OutsideError::TooLong => ErrorKind::Unavailable,
            };
            HubError::Unreachable(
                Error::new(kind, text)
                    .with_code(codes::HUB_UNREACHABLE)
                    .with_source(error),
            )
        })
    }

    /// What a status that is no success means: the other side's trouble, or a refusal of this device.
    fn refusal(&self, status: u16, body: &[u8]) -> HubError {
        let said: String = String::from_utf8_lossy(body).chars().take(200).collect();
        let said = serde_json::from_slice::<Value>(body)
            .ok()
            .and_then(|body| {
                let message = body.get("Message").or_else(|| body.get("message"))?;
                message
                    .as_str()
                    .map(|text| text.chars().take(200).collect())
            })
            .unwrap_or(said);
        let text = format!("the hub {} answered with {status}: {said}", self.host);
        match status {
            401 | 403 | 429 | 500.. => HubError::Unreachable(
                Error::new(ErrorKind::Unavailable, text).with_code(codes::HUB_UNREACHABLE),
            ),
            _ => HubError::Refused(Error::invalid(text).with_code(codes::HUB_REFUSED)),
        }
    }

    fn strange(&self, what: &str) -> HubError {
        HubError::Refused(
            Error::invalid(format!("the hub {} cannot be used: {what}", self.host))
                .with_code(codes::HUB_REFUSED),
        )
    }
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
