//! Twin changes and device lifecycle: committed facts, read by number.
//!
//! Shapes: "Understand and use device twins" (twin change notification) and "Create and read IoT Hub messages"
//! (device lifecycle notification). A fact carries what was written, not the whole twin, so a replacement shows the
//! replaced parts, and a deletion the ids.

use std::collections::BTreeMap;
use std::sync::Arc;

use hub_api::native::{
    BodyEncoding, Event, EventSource, Moment, Notice, NoticeKind, StartPosition,
};
use hub_domain::fact::SectionChange;
use hub_domain::twin::Twin;
use hub_domain::{DeviceId, Fact, FactKind, Hub, IdentityId, Timestamp, TwinChange};
use hub_engine::{Engine, Error, FactNo, OpContext};
use serde_json::{Map, Value, json};
use tokio::sync::watch;
use tokio::sync::watch::error::RecvError;

use super::super::twins::section;
use super::record::common_annotations;
use super::request::{AtEnd, EventRequest};
use super::stream::{Lines, Page};

/// Facts of one read.
const PAGE_FACTS: usize = 256;

pub(super) struct Reader {
    hub: Arc<Hub>,
    source: EventSource,
    device: Option<DeviceId>,
    after: FactNo,
    /// Whether the next fact's number is known, so that a missing one is noticed.
    is_aligned: bool,
    not_before: Option<Timestamp>,
    until: Option<FactNo>,
    head: watch::Receiver<FactNo>,
}

impl Reader {
    pub(super) async fn open(
        engine: &Engine,
        ctx: &OpContext,
        hub: &Arc<Hub>,
        request: &EventRequest,
    ) -> Result<Self, Error> {
        let head = engine.events.fact_head();
        let newest = *head.borrow();
        let (after, is_aligned, not_before) = match request.from {
            StartPosition::Start => (FactNo(0), false, None),
            StartPosition::End => (newest, true, None),
            StartPosition::Offset(offset) => (FactNo(offset.saturating_sub(1)), true, None),
            StartPosition::Time(time) => (FactNo(0), false, Some(time)),
        };
        // Asks whether the caller may, before the head of the answer is sent.
        engine.events.facts(ctx, hub.no, newest, 1).await?;
        Ok(Self {
            hub: Arc::clone(hub),
            source: request.source,
            device: request.device.clone(),
            after,
            is_aligned,
            not_before,
            until: match request.at_end {
                AtEnd::Follow => None,
                AtEnd::Stop => Some(newest),
            },
            head,
        })
    }

    /// Reads a page.
    pub(super) async fn read(
        &mut self,
        engine: &Engine,
        ctx: &OpContext,
        lines: &mut Lines,
    ) -> Result<Page, Error> {
        self.head.borrow_and_update();
        if self.until.is_some_and(|until| self.after >= until) {
            return Ok(Page::End);
        }
        let page = engine
            .events
            .facts(ctx, self.hub.no, self.after, PAGE_FACTS)
            .await?;
        if page.next == self.after {
            return Ok(Page::End);
        }
        if page.gap && self.is_aligned {
            lines.push_notice(&Notice {
                notice: NoticeKind::BehindRetention,
                partition: None,
                expected_offset: Some((self.after.0 + 1).to_string()),
                resumed_offset: page.facts.first().map(|(no, _)| no.0.to_string()),
                error: None,
            });
        }
        self.is_aligned = true;
        self.after = page.next;
        for (no, fact) in &page.facts {
            if !lines.is_full()
                && self.wants(*no, fact)
                && let Some(event) = event_of(self.source, &self.hub, *no, fact)
            {
                lines.push_event(&event);
            }
        }
        Ok(Page::Read)
    }

    fn wants(&self, no: FactNo, fact: &Fact) -> bool {
        self.until.is_none_or(|until| no <= until)
            && self.not_before.is_none_or(|time| fact.at >= time)
            && self
                .device
                .as_ref()
                .is_none_or(|device| fact.id.device == *device)
    }

    /// Waits for a commit with facts.
    pub(super) async fn changed(&mut self) -> Result<(), RecvError> {
        self.head.changed().await
    }
}

/// The event of a fact, if it is one of that source.
fn event_of(source: EventSource, hub: &Hub, no: FactNo, fact: &Fact) -> Option<Event> {
    let (schema, operation, body) = match (source, &fact.kind) {
        (EventSource::TwinChangeEvents, FactKind::TwinChanged(change)) => {
            let operation = if change.replaced {
                "replaceTwin"
            } else {
                "updateTwin"
            };
            (
                "twinChangeNotification",
                operation,
                twin_change(change, fact.at),
            )
        }
        (EventSource::DeviceLifecycleEvents, FactKind::IdentityCreated { .. }) => (
            lifecycle_schema(&fact.id),
            lifecycle_operation(&fact.id, "create"),
            created(&fact.id),
        ),
        (EventSource::DeviceLifecycleEvents, FactKind::IdentityDeleted { .. }) => (
            lifecycle_schema(&fact.id),
            lifecycle_operation(&fact.id, "delete"),
            ids(&fact.id),
        ),
        (
            EventSource::Telemetry
            | EventSource::TwinChangeEvents
            | EventSource::DeviceLifecycleEvents
            | EventSource::DeviceConnectionStateEvents
            | EventSource::DeviceJobLifecycleEvents
            | EventSource::DigitalTwinChangeEvents,
            FactKind::IdentityCreated { .. }
            | FactKind::IdentityUpdated { .. }
            | FactKind::IdentityDeleted { .. }
            | FactKind::TwinChanged(_)
            | FactKind::MessageQueued
            | FactKind::MessagesPurged,
        ) => return None,
    };
    let time = fact.at.to_rfc3339();
    let mut annotations = common_annotations(source, no.0, &time);
    annotations.insert(
        "iothub-connection-device-id".to_owned(),
        Value::from(fact.id.device.as_str()),
    );
    if let Some(module) = &fact.id.module {
        annotations.insert(
            "iothub-connection-module-id".to_owned(),
            Value::from(module.as_str()),
        );
    }
    Some(Event {
        source,
        device_id: fact.id.device.to_string(),
        module_id: fact.id.module.as_ref().map(ToString::to_string),
        partition: None,
        offset: no.0.to_string(),
        sequence_number: no.0,
        enqueued_time: Moment(fact.at),
        system_properties: texts([
            ("content-type", "application/json"),
            ("content-encoding", "utf-8"),
            ("correlation-id", &format!("{:x}", no.0)),
            ("user-id", hub.name.as_str()),
        ]),
        properties: properties(hub, fact, schema, operation, &time),
        annotations,
        body_encoding: BodyEncoding::Json,
        body,
    })
}

fn properties(
    hub: &Hub,
    fact: &Fact,
    schema: &str,
    operation: &str,
    time: &str,
) -> BTreeMap<String, String> {
    let mut properties = texts([
        ("hubName", hub.name.as_str()),
        ("deviceId", fact.id.device.as_str()),
        ("opType", operation),
        ("iothub-message-schema", schema),
        ("operationTimestamp", time),
    ]);
    if let Some(module) = &fact.id.module {
        properties.insert("moduleId".to_owned(), module.to_string());
    }
    properties
}

fn texts<const N: usize>(entries: [(&str, &str); N]) -> BTreeMap<String, String> {
    entries
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

const fn lifecycle_schema(id: &IdentityId) -> &'static str {
    match id.module {
        None => "deviceLifecycleNotification",
        Some(_) => "moduleLifecycleNotification",
    }
}

fn lifecycle_operation(id: &IdentityId, verb: &str) -> &'static str {
    match (&id.module, verb) {
        (None, "create") => "createDeviceIdentity",
        (None, _) => "deleteDeviceIdentity",
        (Some(_), "create") => "createModuleIdentity",
        (Some(_), _) => "deleteModuleIdentity",
    }
}

fn ids(id: &IdentityId) -> Value {
    let mut body = json!({ "deviceId": id.device.as_str() });
    if let Some(module) = &id.module {
        body["moduleId"] = Value::from(module.as_str());
    }
    body
}

/// A new identity has the initial twin.
fn created(id: &IdentityId) -> Value {
    let twin = Twin::new();
    let mut body = ids(id);
    body["etag"] = Value::from(twin.back_end.etag.to_string());
    body["version"] = Value::from(twin.version());
    body["tags"] = json!({});
    body["properties"] =
        json!({ "desired": section(&twin.back_end.desired), "reported": section(&twin.reported) });
    body
}

fn twin_change(change: &TwinChange, at: Timestamp) -> Value {
    let mut body = json!({ "version": change.version });
    if let Some(tags) = &change.tags {
        body["tags"] = Value::Object(tags.clone());
    }
    let mut properties = Map::new();
    if let Some(desired) = &change.desired {
        properties.insert(
            "desired".to_owned(),
            section_change(desired, at, Some(desired.version)),
        );
    }
    if let Some(reported) = &change.reported {
        properties.insert("reported".to_owned(), section_change(reported, at, None));
    }
    if !properties.is_empty() {
        body["properties"] = Value::Object(properties);
    }
    body
}

fn section_change(change: &SectionChange, at: Timestamp, updated_version: Option<u64>) -> Value {
    let mut members = change.members.clone();
    members.insert(
        "$metadata".to_owned(),
        metadata(&change.members, &at.to_rfc3339(), updated_version),
    );
    members.insert("$version".to_owned(), Value::from(change.version));
    Value::Object(members)
}

/// When each written member was written: at the one moment of the change. A removed member has none.
fn metadata(members: &Map<String, Value>, at: &str, updated_version: Option<u64>) -> Value {
    let mut node = json!({ "$lastUpdated": at });
    if let Some(version) = updated_version {
        node["$lastUpdatedVersion"] = Value::from(version);
    }
    for (name, value) in members {
        match value {
            Value::Null => {}
            Value::Object(inner) => node[name.as_str()] = metadata(inner, at, updated_version),
            Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
                node[name.as_str()] = metadata(&Map::new(), at, updated_version);
            }
        }
    }
    node
}
