//! Answers as tables for people and JSON for programs.

mod delivery;
pub(crate) mod dps;
mod renewal;

use std::io::Write;

use comfy_table::{ContentArrangement, LineStyle, Table, TableStyle};
use hub_api::native::{
    Certificate, Device, Enrichment, FallbackRoute, File, HubDocument, HubSettings, HubSummary,
    MethodResult, Module, Moment, PurgedMessages, QueueSettings, Route, Routing, RoutingTestResult,
    SentMessage, Statistics, Twin,
};
use serde::Serialize;
use serde_json::{Map, Value};

use crate::arguments::OutputFormat;
use crate::failure::Failure;
use crate::text::{printable, shortened};
pub(crate) use delivery::delivery;
pub(crate) use renewal::{device_with_keys, module_with_keys, renewed};

/// Characters of a twin's member that one line shows.
const VALUE_CHARACTERS_MAX: usize = 80;

/// Writes an answer in the wanted form.
pub(crate) fn answer<T: Serialize>(
    format: OutputFormat,
    value: &T,
    table: impl Fn(&T) -> String,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    match format {
        OutputFormat::Table => writeln!(out, "{}", table(value))?,
        OutputFormat::Json => {
            writeln!(out, "{}", json(value))?;
        }
    }
    Ok(out.flush()?)
}

/// Tells people that something is gone; programs have the exit status.
pub(crate) fn deleted(
    format: OutputFormat,
    what: &str,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    match format {
        OutputFormat::Table => Ok(writeln!(out, "deleted {}", printable(what))?),
        OutputFormat::Json => Ok(()),
    }
}

fn json(value: &impl Serialize) -> String {
    serde_json::to_string_pretty(value).expect("invariant: wire types always serialize")
}

/// Columns with a rule below their names, as `az iot` prints them.
fn columns(names: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let style = TableStyle::new().header_separator(LineStyle::none().fill('-'));
    let mut table = Table::new();
    table
        .load_style(style)
        .set_content_arrangement(ContentArrangement::Disabled)
        .set_header(names.to_vec());
    for row in rows {
        table.add_row(row.iter().map(|cell| printable(cell)).collect::<Vec<_>>());
    }
    flush_left(&table)
}

/// Names and values of one thing.
fn pairs<'a>(rows: impl IntoIterator<Item = (&'a str, String)>) -> String {
    let mut table = Table::new();
    table
        .load_style(TableStyle::new())
        .set_content_arrangement(ContentArrangement::Disabled);
    for (name, value) in rows {
        table.add_row(vec![name.to_owned(), printable(&value)]);
    }
    flush_left(&table)
}

/// Without the padding at both ends, which nothing needs where there are no borders.
fn flush_left(table: &Table) -> String {
    let lines = table.lines().map(|line| {
        line.strip_prefix(' ')
            .unwrap_or(&line)
            .trim_end()
            .to_owned()
    });
    lines.collect::<Vec<_>>().join("\n")
}

fn moment(moment: Option<Moment>) -> String {
    moment.map_or_else(|| "never".to_owned(), |moment| moment.to_string())
}

fn yes_or_no(value: bool) -> String {
    if value {
        "yes".to_owned()
    } else {
        "no".to_owned()
    }
}

pub(crate) fn hub_document(hub: &HubDocument) -> String {
    let port = |port: Option<u16>| port.map_or_else(|| "none".to_owned(), |port| port.to_string());
    let mut rows = vec![
        ("name", hub.name.clone()),
        ("host name", hub.host_name.clone()),
        ("https port", port(hub.ports.https)),
        ("mqtt port", port(hub.ports.mqtt)),
        ("amqp port", port(hub.ports.amqp)),
    ];
    rows.extend(hub.ca_certificate.clone().map(|path| ("certificate", path)));
    rows.push(("partitions", hub.events.partition_count.to_string()));
    if let Some(strings) = &hub.connection_strings {
        rows.extend(
            strings
                .entries()
                .map(|(policy, string)| (policy, string.to_owned())),
        );
    }
    rows.extend(
        hub.events
            .connection_string
            .clone()
            .map(|string| ("events", string)),
    );
    if let Some(provisioning) = &hub.provisioning {
        rows.push(("provisioning", provisioning.global_endpoint.clone()));
        rows.push(("id scope", provisioning.id_scope.clone()));
        rows.extend(
            provisioning
                .connection_string
                .clone()
                .map(|string| ("provisioning owner", string)),
        );
    }
    pairs(rows)
}

pub(crate) fn hubs(hubs: &[HubSummary]) -> String {
    let row = |hub: &HubSummary| {
        vec![
            hub.name.clone(),
            hub.host_name.clone(),
            hub.aliases.join(" "),
            hub.partition_count.to_string(),
            format!("{} d", hub.retention_days),
            yes_or_no(hub.default),
        ]
    };
    columns(
        &[
            "NAME",
            "HOST NAME",
            "ALIASES",
            "PARTITIONS",
            "RETENTION",
            "DEFAULT",
        ],
        hubs.iter().map(row),
    )
}

pub(crate) fn statistics(statistics: &Statistics) -> String {
    pairs([
        ("devices", statistics.total_device_count.to_string()),
        ("enabled", statistics.enabled_device_count.to_string()),
        ("disabled", statistics.disabled_device_count.to_string()),
        ("connected", statistics.connected_device_count.to_string()),
    ])
}

pub(crate) fn hub_settings(settings: &HubSettings) -> String {
    pairs([
        ("quota profile", settings.quota_profile.clone()),
        ("fault injection", yes_or_no(settings.fault_injection)),
        (
            "c2d time to live",
            format!("{} s", settings.cloud_to_device.default_ttl_seconds),
        ),
        (
            "c2d deliveries",
            settings.cloud_to_device.max_delivery_count.to_string(),
        ),
        ("feedback", queue(&settings.cloud_to_device.feedback)),
        ("file notifications", queue(&settings.file_notifications)),
        (
            "upload tickets",
            format!("time to live {} s", settings.file_upload.ticket_ttl_seconds),
        ),
        (
            "uploads are told",
            yes_or_no(settings.file_upload.notifications),
        ),
    ])
}

fn queue(settings: &QueueSettings) -> String {
    format!(
        "lock {} s, time to live {} s, {} deliveries",
        settings.lock_seconds, settings.ttl_seconds, settings.max_delivery_count
    )
}

pub(crate) fn certificates(certificates: &[Certificate]) -> String {
    let row = |certificate: &Certificate| {
        vec![
            certificate.name.clone(),
            verified(certificate).to_owned(),
            certificate.subject.clone(),
            certificate.thumbprint.clone(),
            certificate.expiry.to_string(),
        ]
    };
    columns(
        &["NAME", "STATUS", "SUBJECT", "THUMBPRINT", "EXPIRES"],
        certificates.iter().map(row),
    )
}

pub(crate) fn certificate(certificate: &Certificate) -> String {
    let code = certificate.verification_code.clone();
    pairs([
        ("name", certificate.name.clone()),
        ("status", verified(certificate).to_owned()),
        (
            "verification code",
            code.unwrap_or_else(|| "none".to_owned()),
        ),
        ("subject", certificate.subject.clone()),
        ("thumbprint", certificate.thumbprint.clone()),
        ("expires", certificate.expiry.to_string()),
        ("created", certificate.created.to_string()),
        ("updated", certificate.updated.to_string()),
        ("etag", certificate.etag.clone()),
    ])
}

const fn verified(certificate: &Certificate) -> &'static str {
    if certificate.is_verified {
        "verified"
    } else {
        "unverified"
    }
}

pub(crate) fn route(route: &Route) -> String {
    pairs([
        ("name", route.name.clone()),
        ("source", route.source.clone()),
        ("condition", route.condition.clone()),
        ("endpoints", route.endpoint_names.join(", ")),
        ("enabled", yes_or_no(route.is_enabled)),
    ])
}

pub(crate) fn fallback_route(route: &FallbackRoute) -> String {
    pairs([
        ("condition", route.condition.clone()),
        ("enabled", yes_or_no(route.is_enabled)),
    ])
}

/// The routes, and below them the fallback route as one more.
pub(crate) fn routing(routing: &Routing) -> String {
    let row = |route: &Route| {
        vec![
            route.name.clone(),
            route.source.clone(),
            route.condition.clone(),
            route.endpoint_names.join(", "),
            yes_or_no(route.is_enabled),
        ]
    };
    let fallback = vec![
        "(fallback)".to_owned(),
        "DeviceMessages".to_owned(),
        routing.fallback_route.condition.clone(),
        "events".to_owned(),
        yes_or_no(routing.fallback_route.is_enabled),
    ];
    columns(
        &["ROUTE", "SOURCE", "CONDITION", "ENDPOINTS", "ENABLED"],
        routing.routes.iter().map(row).chain([fallback]),
    )
}

pub(crate) fn routing_test(result: &RoutingTestResult) -> String {
    if result.routes.is_empty() {
        return format!("result: {}", result.result);
    }
    format!("taken by: {}", printable(&result.routes.join(", ")))
}

pub(crate) fn enrichments(enrichments: &[Enrichment]) -> String {
    let row = |enrichment: &Enrichment| {
        vec![
            enrichment.key.clone(),
            enrichment.value.clone(),
            enrichment.endpoint_names.join(", "),
        ]
    };
    columns(&["KEY", "VALUE", "ENDPOINTS"], enrichments.iter().map(row))
}

pub(crate) fn devices(devices: &[Device]) -> String {
    let row = |device: &Device| {
        vec![
            device.device_id.clone(),
            device.status.as_str().to_owned(),
            device.connection_state.as_str().to_owned(),
            device.authentication.kind.as_str().to_owned(),
            yes_or_no(device.capabilities.iot_edge),
            moment(device.last_activity_time),
        ]
    };
    columns(
        &[
            "DEVICE",
            "STATUS",
            "CONNECTION",
            "AUTHENTICATION",
            "EDGE",
            "LAST ACTIVITY",
        ],
        devices.iter().map(row),
    )
}

pub(crate) fn device(device: &Device) -> String {
    let mut rows = vec![
        ("device", device.device_id.clone()),
        ("status", device.status.as_str().to_owned()),
    ];
    rows.extend(
        device
            .status_reason
            .clone()
            .map(|reason| ("status reason", reason)),
    );
    rows.extend([
        ("connection", device.connection_state.as_str().to_owned()),
        ("last activity", moment(device.last_activity_time)),
        (
            "messages waiting",
            device.cloud_to_device_message_count.to_string(),
        ),
        (
            "authentication",
            device.authentication.kind.as_str().to_owned(),
        ),
    ]);
    rows.extend(thumbprints(&device.authentication));
    rows.push(("edge", yes_or_no(device.capabilities.iot_edge)));
    rows.extend(
        device
            .device_scope
            .clone()
            .map(|scope| ("device scope", scope)),
    );
    rows.push(("etag", device.etag.clone()));
    rows.extend(
        device
            .connection_string
            .clone()
            .map(|string| ("connection string", string)),
    );
    pairs(rows)
}

fn thumbprints(authentication: &hub_api::native::Authentication) -> Vec<(&'static str, String)> {
    let Some(thumbprints) = &authentication.x509_thumbprint else {
        return Vec::new();
    };
    let primary = thumbprints
        .primary_thumbprint
        .clone()
        .map(|text| ("primary thumbprint", text));
    let secondary = thumbprints
        .secondary_thumbprint
        .clone()
        .map(|text| ("secondary thumbprint", text));
    primary.into_iter().chain(secondary).collect()
}

pub(crate) fn modules(modules: &[Module]) -> String {
    let row = |module: &Module| {
        vec![
            module.module_id.clone(),
            module.managed_by.clone().unwrap_or_default(),
            module.connection_state.as_str().to_owned(),
            module.authentication.kind.as_str().to_owned(),
            moment(module.last_activity_time),
        ]
    };
    columns(
        &[
            "MODULE",
            "MANAGED BY",
            "CONNECTION",
            "AUTHENTICATION",
            "LAST ACTIVITY",
        ],
        modules.iter().map(row),
    )
}

pub(crate) fn module(module: &Module) -> String {
    let mut rows = vec![
        ("device", module.device_id.clone()),
        ("module", module.module_id.clone()),
    ];
    rows.extend(module.managed_by.clone().map(|text| ("managed by", text)));
    rows.extend([
        ("connection", module.connection_state.as_str().to_owned()),
        ("last activity", moment(module.last_activity_time)),
        (
            "authentication",
            module.authentication.kind.as_str().to_owned(),
        ),
    ]);
    rows.extend(thumbprints(&module.authentication));
    rows.push(("etag", module.etag.clone()));
    rows.extend(
        module
            .connection_string
            .clone()
            .map(|string| ("connection string", string)),
    );
    pairs(rows)
}

/// Facts about the twin, then a line per member of its three parts.
pub(crate) fn twin(twin: &Twin) -> String {
    let who = match &twin.module_id {
        None => twin.device_id.clone(),
        Some(module) => format!("{}/{module}", twin.device_id),
    };
    let mut head = vec![
        ("twin", who),
        ("version", twin.version.to_string()),
        ("etag", twin.etag.clone()),
        ("status", twin.status.as_str().to_owned()),
        ("connection", twin.connection_state.as_str().to_owned()),
    ];
    head.extend(twin.model_id.clone().map(|model| ("model", model)));
    let mut rows = Vec::new();
    members("tags", &twin.tags, None, &mut rows);
    members(
        "desired",
        &twin.properties.desired,
        twin.properties.desired.get("$metadata"),
        &mut rows,
    );
    members(
        "reported",
        &twin.properties.reported,
        twin.properties.reported.get("$metadata"),
        &mut rows,
    );
    let head = pairs(head);
    if rows.is_empty() {
        head
    } else {
        format!(
            "{head}\n\n{}",
            columns(&["MEMBER", "VALUE", "UPDATED"], rows)
        )
    }
}

fn members(
    path: &str,
    members: &Map<String, Value>,
    metadata: Option<&Value>,
    rows: &mut Vec<Vec<String>>,
) {
    for (name, value) in members.iter().filter(|(name, _)| !name.starts_with('$')) {
        let path = format!("{path}.{name}");
        let metadata = metadata.and_then(|metadata| metadata.get(name));
        match value {
            Value::Object(inner) if !inner.is_empty() => {
                self::members(&path, inner, metadata, rows)
            }
            Value::Object(_)
            | Value::Array(_)
            | Value::Null
            | Value::Bool(_)
            | Value::Number(_)
            | Value::String(_) => {
                let updated = metadata
                    .and_then(|metadata| metadata.get("$lastUpdated"))
                    .and_then(Value::as_str);
                let value = shortened(&value.to_string(), VALUE_CHARACTERS_MAX);
                rows.push(vec![path, value, updated.unwrap_or_default().to_owned()]);
            }
        }
    }
}

pub(crate) fn method_result(result: &MethodResult) -> String {
    let payload = serde_json::to_string_pretty(&result.payload).expect("values always serialize");
    let payload: Vec<String> = payload.lines().map(printable).collect();
    format!("status {}\n{}", result.status, payload.join("\n"))
}

pub(crate) fn sent_message(sent: &SentMessage) -> String {
    let id = sent
        .message_id
        .as_ref()
        .map(|id| format!(" with the id {}", printable(id)))
        .unwrap_or_default();
    format!("queued as message {}{id}", sent.number)
}

pub(crate) fn purged_messages(purged: &PurgedMessages) -> String {
    format!("purged {} messages", purged.purged)
}

pub(crate) fn files(files: &[File]) -> String {
    let row = |file: &File| {
        vec![
            printable(&file.name),
            file.size_bytes.to_string(),
            moment(Some(file.modified_time)),
        ]
    };
    columns(&["FILE", "BYTES", "MODIFIED"], files.iter().map(row))
}
