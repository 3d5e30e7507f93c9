//! Events: what back ends read of facts ("Azure IoT Hub non-telemetry event schemas").

use serde_json::{Map, Value, json};

use crate::fact::SectionChange;
use crate::message::{PropertyBag, SystemProperty};
use crate::routing::Source;
use crate::twin::{BackEnd, Section, SectionView, Twin, TwinEtag, TwinPart, written_section};
use crate::{Fact, FactKind, HubName, IdentityId, Timestamp, TwinChange};

/// An event, before it is addressed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// What kind.
    pub source: Source,
    /// `opType`.
    pub operation: &'static str,
    /// The body, JSON.
    pub body: String,
}

/// Whether an identity is connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConnectionState {
    /// It is.
    Connected,
    /// It is not.
    Disconnected,
}

/// What kind of event a fact is, if it is one.
pub const fn source_of(kind: &FactKind) -> Option<Source> {
    match kind {
        FactKind::IdentityCreated { .. } | FactKind::IdentityDeleted { .. } => {
            Some(Source::DeviceLifecycleEvents)
        }
        FactKind::TwinChanged(_) => Some(Source::TwinChangeEvents),
        FactKind::IdentityUpdated { .. } | FactKind::MessageQueued | FactKind::MessagesPurged => {
            None
        }
    }
}

/// The event that a fact is.
pub fn event_of(fact: &Fact) -> Option<Event> {
    let (operation, body) = match &fact.kind {
        FactKind::IdentityCreated { .. } => (
            "createDeviceIdentity",
            whole_twin(&fact.id, &Twin::new(), EmptyTags::Left),
        ),
        FactKind::IdentityDeleted {
            twin: Some(twin), ..
        } => (
            "deleteDeviceIdentity",
            whole_twin(&fact.id, twin, EmptyTags::Left),
        ),
        FactKind::IdentityDeleted { twin: None, .. } => (
            "deleteDeviceIdentity",
            Value::Object(identity_members(&fact.id)),
        ),
        FactKind::TwinChanged(change) if change.replaced => {
            ("replaceTwin", replaced(&fact.id, change, fact.at))
        }
        FactKind::TwinChanged(change) => ("updateTwin", updated(change, fact.at)),
        FactKind::IdentityUpdated { .. } | FactKind::MessageQueued | FactKind::MessagesPurged => {
            return None;
        }
    };
    Some(Event {
        source: source_of(&fact.kind)?,
        operation,
        body: body.to_string(),
    })
}

/// The event of a connection that began or ended. `sequence` grows with every one of them.
pub fn connection_event(state: ConnectionState, sequence: u128) -> Event {
    Event {
        source: Source::DeviceConnectionStateEvents,
        operation: match state {
            ConnectionState::Connected => "deviceConnected",
            ConnectionState::Disconnected => "deviceDisconnected",
        },
        body: json!({ "sequenceNumber": format!("{sequence:064X}") }).to_string(),
    }
}

impl Event {
    /// `iothub-message-schema`.
    pub const fn schema(&self) -> &'static str {
        match self.source {
            Source::DeviceMessages => "",
            Source::TwinChangeEvents => "twinChangeNotification",
            Source::DeviceLifecycleEvents => "deviceLifecycleNotification",
            Source::DeviceJobLifecycleEvents => "deviceJobNotification",
            Source::DigitalTwinChangeEvents => "digitalTwinChangeNotification",
            Source::DeviceConnectionStateEvents => "deviceConnectionStateNotification",
        }
    }

    /// The system and application properties of the event, as a message carries them. `correlation` tells it from
    /// others.
    pub fn properties(
        &self,
        hub: &HubName,
        id: &IdentityId,
        at: Timestamp,
        correlation: &str,
    ) -> PropertyBag {
        let mut bag = PropertyBag::default();
        let mut add = |name: &str, value: &str| bag.push(name, Some(value));
        add(SystemProperty::ContentType.mqtt_name(), "application/json");
        add(SystemProperty::ContentEncoding.mqtt_name(), "utf-8");
        add(SystemProperty::CorrelationId.mqtt_name(), correlation);
        add(SystemProperty::UserId.mqtt_name(), hub.as_str());
        add("hubName", hub.as_str());
        add("deviceId", id.device.as_str());
        if let Some(module) = &id.module {
            add("moduleId", module.as_str());
        }
        add("opType", self.operation);
        add("iothub-message-schema", self.schema());
        add("operationTimestamp", &at.to_rfc3339());
        bag
    }
}

fn identity_members(id: &IdentityId) -> Map<String, Value> {
    let mut members = Map::new();
    members.insert("deviceId".to_owned(), id.device.as_str().into());
    if let Some(module) = &id.module {
        members.insert("moduleId".to_owned(), module.as_str().into());
    }
    members
}

/// What becomes of a twin's tags when there are none.
#[derive(Clone, Copy, PartialEq, Eq)]
enum EmptyTags {
    Shown,
    Left,
}

fn whole_twin(id: &IdentityId, twin: &Twin, empty_tags: EmptyTags) -> Value {
    let mut members = identity_members(id);
    members.insert("etag".to_owned(), twin.back_end.etag.to_string().into());
    members.insert("version".to_owned(), twin.version().into());
    if !twin.back_end.tags.is_empty() || empty_tags == EmptyTags::Shown {
        members.insert("tags".to_owned(), Value::Object(twin.back_end.tags.clone()));
    }
    members.insert(
        "properties".to_owned(),
        json!({
            "desired": section(&twin.back_end.desired),
            "reported": section(&twin.reported),
        }),
    );
    Value::Object(members)
}

fn replaced(id: &IdentityId, change: &TwinChange, at: Timestamp) -> Value {
    let reported = change
        .untouched_reported
        .as_deref()
        .cloned()
        .unwrap_or_default();
    let desired = change
        .desired
        .as_ref()
        .map(|desired| written_section(desired, TwinPart::Desired, at));
    let twin = Twin {
        back_end: BackEnd {
            tags: change.tags.clone().unwrap_or_default(),
            desired: desired.unwrap_or_default(),
            // The version of a twin is the sum of the two counters.
            etag: TwinEtag(change.version.saturating_sub(reported.version)),
        },
        reported,
        model_id: None,
    };
    whole_twin(id, &twin, EmptyTags::Shown)
}

fn updated(change: &TwinChange, at: Timestamp) -> Value {
    let mut members = Map::new();
    members.insert("version".to_owned(), change.version.into());
    if let Some(tags) = &change.tags {
        members.insert("tags".to_owned(), Value::Object(tags.clone()));
    }
    let written = |change: &Option<SectionChange>, part| {
        change
            .as_ref()
            .map(|change| section(&written_section(change, part, at)))
    };
    let parts = [
        ("desired", written(&change.desired, TwinPart::Desired)),
        ("reported", written(&change.reported, TwinPart::Reported)),
    ];
    let properties: Map<String, Value> = parts
        .into_iter()
        .filter_map(|(name, section)| Some((name.to_owned(), section?)))
        .collect();
    if !properties.is_empty() {
        members.insert("properties".to_owned(), Value::Object(properties));
    }
    Value::Object(members)
}

fn section(section: &Section) -> Value {
    serde_json::to_value(SectionView::with_metadata(section))
        .expect("invariant: JSON values with text keys always serialize")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::GenerationId;
    use crate::HubNo;
    use crate::twin::{
        BackEndPatch, BackEndReplacement, patch_back_end, patch_reported, replace_back_end,
    };

    const AT: Timestamp = Timestamp::from_seconds(1_700_000_000);

    fn fact(id: &str, kind: FactKind) -> Fact {
        Fact {
            hub: HubNo(1),
            id: IdentityId::parse(id).unwrap(),
            at: AT,
            kind,
        }
    }

    fn told(id: &str, kind: FactKind) -> String {
        let event = event_of(&fact(id, kind)).unwrap();
        format!("{} {} {}", event.source, event.operation, event.body)
    }

    fn object(value: Value) -> Map<String, Value> {
        value.as_object().unwrap().clone()
    }

    #[test]
    fn a_new_identity_is_told_with_its_first_twin() {
        let generation = GenerationId("1".into());
        assert_eq!(
            told("d1/m1", FactKind::IdentityCreated { generation }),
            r#"DeviceLifecycleEvents createDeviceIdentity {"deviceId":"d1","etag":"AAAAAAAAAAE=","moduleId":"m1","properties":{"desired":{"$metadata":{"$lastUpdated":"0001-01-01T00:00:00Z"},"$version":1},"reported":{"$metadata":{"$lastUpdated":"0001-01-01T00:00:00Z"},"$version":1}},"version":2}"#
        );
    }

    #[test]
    fn an_update_is_told_as_what_was_written() {
        let desired = object(json!({"interval": 5, "gone": null}));
        let patch = BackEndPatch {
            tags: Some(object(json!({"site": "x"}))),
            desired: Some(desired),
        };
        let change = patch_back_end(&BackEnd::new(), &patch, AT).unwrap();
        let kind = FactKind::TwinChanged(TwinChange {
            replaced: false,
            version: 3,
            tags: change.tags,
            desired: change.desired,
            reported: None,
            untouched_reported: None,
        });
        assert_eq!(
            told("d1", kind),
            r#"TwinChangeEvents updateTwin {"properties":{"desired":{"$metadata":{"$lastUpdated":"2023-11-14T22:13:20.0000000Z","$lastUpdatedVersion":2,"interval":{"$lastUpdated":"2023-11-14T22:13:20.0000000Z","$lastUpdatedVersion":2}},"$version":2,"gone":null,"interval":5}},"tags":{"site":"x"},"version":3}"#
        );
    }

    #[test]
    fn a_replacement_is_told_as_the_whole_twin() {
        let reported = object(json!({"level": 1}));
        let mut twin = Twin::new();
        twin.reported = patch_reported(&twin.reported, &reported, None, AT).unwrap();
        let replacement = BackEndReplacement {
            tags: Some(Map::new()),
            desired: Some(object(json!({"a": {"b": 1}}))),
        };
        let change = replace_back_end(&twin.back_end, &replacement, AT).unwrap();
        twin.back_end = change.next;
        let kind = FactKind::TwinChanged(TwinChange {
            replaced: true,
            version: twin.version(),
            tags: change.tags,
            desired: change.desired,
            reported: None,
            untouched_reported: Some(Box::new(twin.reported.clone())),
        });
        let event = event_of(&fact("d1", kind)).unwrap();
        assert_eq!(event.operation, "replaceTwin");
        let id = IdentityId::parse("d1").unwrap();
        let whole = whole_twin(&id, &twin, EmptyTags::Shown);
        assert_eq!(serde_json::from_str::<Value>(&event.body).unwrap(), whole);
    }

    #[test]
    fn connections_are_told_with_a_number_that_grows_as_text() {
        let event = connection_event(ConnectionState::Disconnected, 0xab);
        assert_eq!(event.operation, "deviceDisconnected");
        let expected = format!(r#"{{"sequenceNumber":"{}AB"}}"#, "0".repeat(62));
        assert_eq!(event.body, expected);
        let id = IdentityId::parse("d1").unwrap();
        let hub = HubName::parse("hub").unwrap();
        assert_eq!(
            event.properties(&hub, &id, AT, "c1").encode(),
            "%24.ct=application%2Fjson&%24.ce=utf-8&%24.cid=c1&%24.uid=hub&hubName=hub&deviceId=d1&opType=deviceDisconnected&iothub-message-schema=deviceConnectionStateNotification&operationTimestamp=2023-11-14T22%3A13%3A20.0000000Z"
        );
    }
}
