//! What may stand in a query.

use super::super::{Parameter, ParameterKind};

pub(super) const PAGE: &[Parameter] = &[
    Parameter {
        name: "after",
        summary: "the id after which the page begins",
        kind: ParameterKind::Text,
    },
    Parameter {
        name: "max",
        summary: "the most items of the page; 100 when absent",
        kind: ParameterKind::Number(1, 1000),
    },
];

pub(super) const FILE_PAGE: &[Parameter] = &[
    PAGE[0],
    PAGE[1],
    Parameter {
        name: "device",
        summary: "only this device",
        kind: ParameterKind::Text,
    },
];

pub(super) const EVENT_STREAM: &[Parameter] = &[
    Parameter {
        name: "source",
        summary: "which events; Telemetry when absent",
        kind: ParameterKind::OneOf(&["Telemetry", "twinChangeEvents", "deviceLifecycleEvents"]),
    },
    Parameter {
        name: "from",
        summary: "where to begin: start, end (when absent), offset:NUMBER (telemetry: with partition) or time:RFC3339",
        kind: ParameterKind::Text,
    },
    Parameter {
        name: "partition",
        summary: "only this partition; telemetry only",
        kind: ParameterKind::Number(0, 127),
    },
    Parameter {
        name: "device",
        summary: "only this device and its modules",
        kind: ParameterKind::Text,
    },
    Parameter {
        name: "follow",
        summary: "true (when absent): wait for more; false: end where the events ended when the stream opened",
        kind: ParameterKind::OneOf(&["true", "false"]),
    },
    Parameter {
        name: "max",
        summary: "end after so many events",
        kind: ParameterKind::Number(1, u64::MAX),
    },
];

pub(super) const LOCK: &[Parameter] = &[Parameter {
    name: "lockSeconds",
    summary: "how long nobody else gets the message; 60 when absent",
    kind: ParameterKind::Number(5, 300),
}];
