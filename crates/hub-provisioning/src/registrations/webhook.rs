//! The custom policy: a webhook names the hub ("How to use custom allocation policies").

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hub_api::client::{OutsideAnswer, OutsideCall, OutsideError, OutsideMethod};
use hub_api::compat::provisioning::{enrollment_document, enrollment_group_document};
use hub_api::native::Keys;
use hub_domain::limits::ALLOCATION_WEBHOOK_TIME_MAX;
use hub_domain::provisioning::{AllocationWebhook, InitialTwin, Origin};
use hub_domain::{HostName, Timestamp};
use hub_engine::ErrorKind;
use serde_json::{Map, Value, json};

use super::Room;
use super::assign::{Attempt, Given};
use crate::Error;
use crate::allocation::{Candidate, choosable};
use crate::documents::certificate_info;
use crate::error::codes;
use crate::rules::twin_of;

impl Room {
    /// Asks the webhook.
    ///
    /// # Errors
    /// It does not answer, answers with a failure, or names no hub that is linked.
    pub(super) async fn ask_webhook(
        &self,
        webhook: &AllocationWebhook,
        attempt: &Attempt<'_>,
    ) -> Result<(HostName, Given), Error> {
        let hubs = self.service.candidates();
        let hubs = choosable(&attempt.attested.terms, &hubs);
        let question = question(
            attempt,
            &hubs,
            self.told_enrollment(webhook, attempt).await?,
        );
        let call = OutsideCall {
            method: OutsideMethod::Post,
            url: webhook.url.as_str(),
            authorization: None,
            if_match: None,
            body: Some(question.to_string().into_bytes()),
            timeout: ALLOCATION_WEBHOOK_TIME_MAX,
        };
        let answer = self.parts.outside.call(call).await;
        let OutsideAnswer { status, body, .. } = answer.map_err(|error| {
            tracing::warn!(
                registration = %attempt.id,
                webhook = address(webhook),
                error = &error as &dyn std::error::Error,
                "the webhook of the custom allocation gives no answer"
            );
            let (kind, code) = match &error {
                OutsideError::Silent => (ErrorKind::TimedOut, codes::WEBHOOK_SILENT),
                OutsideError::Unreachable(_) | OutsideError::TooLong => {
                    (ErrorKind::Invalid, codes::ALLOCATION_WEBHOOK_FAILED)
                }
            };
            let text = format!("the webhook of the custom allocation cannot be used: {error}");
            Error::new(kind, text).with_code(code).with_source(error)
        })?;
        if !(200..300).contains(&status) {
            // The vendor's words: clients show them.
            let text = format!("Custom allocation failed with status code: {status}");
            return Err(Error::invalid(text).with_code(codes::ALLOCATION_WEBHOOK_FAILED));
        }
        read_answer(&body, &hubs, attempt.now).map_err(|text| {
            Error::invalid(format!("the webhook of the custom allocation {text}"))
                .with_code(codes::ALLOCATION_WEBHOOK_FAILED)
        })
    }
}

impl Room {
    /// The enrollment as back ends read it, without keys.
    async fn told_enrollment(
        &self,
        webhook: &AllocationWebhook,
        attempt: &Attempt<'_>,
    ) -> Result<(&'static str, Value), Error> {
        let describe = |der: &[u8]| certificate_info(der).ok().map(Into::into);
        let version = webhook.api_version.as_str();
        let (name, mut document) = match &attempt.attested.origin {
            Origin::Individual => {
                let found = self.parts.store.enrollment(attempt.id).await?;
                let own = found.ok_or_else(|| Error::not_found("enrollment", attempt.id))?;
                let mut document = enrollment_document(&own, Keys::Hidden, &describe, version);
                if let Some(members) = document.as_object_mut() {
                    let device = attempt.attested.device.as_str();
                    members.insert("deviceId".into(), json!(device));
                }
                ("individualEnrollment", document)
            }
            Origin::Group(id) => {
                let group = self.groups.find(id)?;
                let document = enrollment_group_document(&group, Keys::Hidden, &describe, version);
                ("enrollmentGroup", document)
            }
        };
        if let Some(members) = document.as_object_mut() {
            complete(members, webhook);
        }
        Ok((name, document))
    }
}

/// What the webhook is told. It never sees keys.
fn question(
    attempt: &Attempt<'_>,
    hubs: &[&Candidate],
    (name, enrollment): (&'static str, Value),
) -> Value {
    let attested = attempt.attested;
    let mut context = Map::new();
    context.insert("registrationId".into(), json!(attempt.id.as_str()));
    if let Some(current) = attempt.existing.and_then(|one| one.assignment.as_ref()) {
        context.insert("currentIotHubHostName".into(), json!(current.hub.as_str()));
        context.insert("currentDeviceId".into(), json!(current.device.as_str()));
    }
    let certificate = attempt.request.certificate.as_ref();
    let proof = match certificate {
        // As webhooks of the vendor's users read it: DER in base64.
        Some(der) => json!({"clientCertificate": STANDARD.encode(der)}),
        None => json!({}),
    };
    context.insert(attested.kind.as_str().into(), proof);
    if let Some(payload) = &attempt.request.payload {
        context.insert("payload".into(), payload.clone());
    }
    let linked: Vec<&str> = hubs.iter().map(|hub| hub.linked.host.as_str()).collect();
    json!({
        name: enrollment,
        "deviceRuntimeContext": context,
        "linkedHubs": linked,
    })
}

/// Adds what back ends are not shown when it is not set, and takes out the query of the webhook's address, which may hold
/// a key of its own ("Understand custom allocation policies").
fn complete(enrollment: &mut Map<String, Value>, webhook: &AllocationWebhook) {
    let defaults = [
        ("allocationPolicy", json!("custom")),
        (
            "initialTwin",
            json!({"tags": {}, "properties": {"desired": {}}}),
        ),
        (
            "reprovisionPolicy",
            json!({"updateHubAssignment": true, "migrateDeviceData": true}),
        ),
    ];
    for (name, value) in defaults {
        enrollment.entry(name).or_insert(value);
    }
    let shown = if webhook.url.as_str().contains('?') {
        format!("{}?****", address(webhook))
    } else {
        address(webhook).to_owned()
    };
    enrollment.insert(
        "customAllocationDefinition".into(),
        json!({"webhookUrl": shown, "apiVersion": webhook.api_version}),
    );
}

/// Where a webhook is, without the query.
fn address(webhook: &AllocationWebhook) -> &str {
    let url = webhook.url.as_str();
    url.split_once('?').map_or(url, |(address, _)| address)
}

/// Reads the answer: the hub, and perhaps a twin and a payload.
fn read_answer(
    body: &[u8],
    hubs: &[&Candidate],
    now: Timestamp,
) -> Result<(HostName, Given), String> {
    let answer: Map<String, Value> = serde_json::from_slice(body)
        .map_err(|_| "answered with something that is no JSON object".to_owned())?;
    let host = answer
        .get("iotHubHostName")
        .and_then(Value::as_str)
        .ok_or_else(|| "named no iotHubHostName".to_owned())?;
    let host = HostName::parse(host).map_err(|_| "named something that is no host".to_owned())?;
    let chosen = hubs.iter().find(|hub| hub.is(&host));
    let host = chosen
        .map(|hub| hub.linked.host.clone())
        .ok_or_else(|| format!("named the hub {host}, which it was not given"))?;
    let members = |value: Option<&Value>, what: &str| match value {
        None | Some(Value::Null) => Ok(Map::new()),
        Some(Value::Object(members)) => Ok(members.clone()),
        Some(_) => Err(format!("answered with {what} that is no JSON object")),
    };
    let twin = match answer.get("initialTwin") {
        None | Some(Value::Null) => None,
        twin => {
            let twin = members(twin, "initialTwin")?;
            let properties = members(twin.get("properties"), "initialTwin.properties")?;
            let desired = properties.get("desired");
            Some(InitialTwin {
                tags: members(twin.get("tags"), "initialTwin.tags")?,
                desired: members(desired, "initialTwin.properties.desired")?,
            })
        }
    };
    if let Some(twin) = &twin {
        twin_of(twin, now).map_err(|error| format!("answered with {}", error.message()))?;
    }
    let payload = answer.get("payload").filter(|value| !value.is_null());
    Ok((
        host,
        Given {
            twin,
            payload: payload.cloned(),
        },
    ))
}

#[cfg(test)]
mod tests {
    use hub_domain::provisioning::LinkedHub;

    use super::*;

    #[expect(
        clippy::unwrap_in_result,
        reason = "a test fails by panic, its helpers too"
    )]
    fn read(body: &str) -> Result<String, String> {
        let hub = Candidate {
            linked: LinkedHub::own(HostName::parse("a.test").expect("a name")),
            aliases: Vec::new(),
            label: "a".to_owned(),
        };
        read_answer(body.as_bytes(), &[&hub], Timestamp::from_seconds(0)).map(|(host, given)| {
            format!(
                "{host} twin {} payload {}",
                given
                    .twin
                    .map_or(0, |twin| twin.tags.len() + twin.desired.len()),
                given.payload.unwrap_or_default()
            )
        })
    }

    #[test]
    fn an_answer_names_a_linked_hub() {
        assert_eq!(
            read(r#"{"iotHubHostName":"A.test"}"#).as_deref(),
            Ok("a.test twin 0 payload null")
        );
        assert_eq!(
            read(
                r#"{"iotHubHostName":"a.test","initialTwin":{"tags":{"a":1},"properties":{"desired":{"b":2}}},"payload":{"c":3}}"#
            )
            .as_deref(),
            Ok(r#"a.test twin 2 payload {"c":3}"#)
        );
    }

    #[test]
    fn an_answer_that_lies_is_refused() {
        for bad in [
            "",
            "[]",
            "{}",
            r#"{"iotHubHostName":1}"#,
            r#"{"iotHubHostName":"b.test"}"#,
            r#"{"iotHubHostName":"a.test","initialTwin":{"tags":[]}}"#,
            r#"{"iotHubHostName":"a.test","initialTwin":"x"}"#,
            r#"{"iotHubHostName":"a.test","initialTwin":{"properties":[]}}"#,
            r#"{"iotHubHostName":"a.test","initialTwin":{"tags":{"a.b":1}}}"#,
        ] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }
}
