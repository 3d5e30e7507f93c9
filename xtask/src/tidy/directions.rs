//! Which crate may name which: the directions of the architecture, as tables.

use super::Finding;
use crate::workspace::{Crate, Kind, Workspace};

/// Our crates, from the bottom up: what each may name in `[dependencies]`, and what its tests may name besides.
const DIRECTIONS: &[Direction] = &[
    Direction {
        name: "hub-domain",
        may: &[],
        tests: &[],
    },
    Direction {
        name: "hub-mqtt",
        may: &[],
        tests: &[],
    },
    Direction {
        name: "hub-amqp",
        may: &[],
        tests: &[],
    },
    Direction {
        name: "hub-query",
        may: &[],
        tests: &[],
    },
    Direction {
        name: "hub-api",
        may: &["hub-domain"],
        tests: &[],
    },
    Direction {
        name: "hub-storage",
        may: &["hub-domain"],
        tests: &[],
    },
    Direction {
        name: "hub-storage-sqlite",
        may: &["hub-domain", "hub-storage"],
        tests: &["hub-power-cut"],
    },
    // A file layer for tests; as nobody's `may` names it, no program has it.
    Direction {
        name: "hub-power-cut",
        may: &[],
        tests: &[],
    },
    Direction {
        name: "hub-blobs",
        may: &["hub-domain", "hub-storage"],
        tests: &[],
    },
    Direction {
        name: "hub-storage-cluster",
        may: &["hub-domain", "hub-storage"],
        tests: &[],
    },
    Direction {
        name: "hub-engine",
        may: &["hub-domain", "hub-query", "hub-storage"],
        tests: &[],
    },
    Direction {
        name: "hub-provisioning",
        may: &["hub-api", "hub-domain", "hub-engine", "hub-storage"],
        tests: &[],
    },
    Direction {
        name: "hub-gateway",
        may: &[
            "hub-amqp",
            "hub-domain",
            "hub-engine",
            "hub-mqtt",
            "hub-provisioning",
        ],
        // Engines for tests stand on the in-memory reference.
        tests: &["hub-storage"],
    },
    Direction {
        name: "hub-http",
        may: &["hub-api", "hub-domain", "hub-engine", "hub-provisioning"],
        tests: &["hub-storage"],
    },
    Direction {
        name: "hub-server",
        may: &[
            "hub-amqp",
            "hub-api",
            "hub-blobs",
            "hub-domain",
            "hub-engine",
            "hub-gateway",
            "hub-http",
            "hub-mqtt",
            "hub-provisioning",
            "hub-storage",
            "hub-storage-cluster",
            "hub-storage-sqlite",
        ],
        tests: &[],
    },
    Direction {
        name: "hub-edge",
        may: &[
            "hub-amqp",
            "hub-api",
            "hub-domain",
            "hub-engine",
            "hub-gateway",
            "hub-http",
            "hub-mqtt",
            "hub-storage",
            "hub-storage-sqlite",
        ],
        tests: &[],
    },
    Direction {
        name: "hub-cli",
        may: &["hub-api", "hub-domain"],
        tests: &[],
    },
    Direction {
        name: "hub-load",
        may: &["hub-amqp", "hub-api", "hub-domain", "hub-mqtt"],
        tests: &[],
    },
    Direction {
        name: "hub-sim",
        may: &[
            "hub-amqp",
            "hub-api",
            "hub-domain",
            "hub-engine",
            "hub-gateway",
            "hub-http",
            "hub-mqtt",
            "hub-storage",
            "hub-storage-cluster",
            "hub-storage-sqlite",
        ],
        tests: &[],
    },
    Direction {
        name: "thingstead",
        may: &["hub-cli", "hub-edge", "hub-load", "hub-server"],
        tests: &[],
    },
    Direction {
        name: "xtask",
        may: &[],
        tests: &[],
    },
];

/// Outside crates that shape whatever names them, and the crates that may. Tests may name them freely.
const HOMES: &[Home] = &[
    Home {
        name: "axum",
        at: &["hub-http"],
    },
    Home {
        name: "hyper",
        at: &["hub-http"],
    },
    Home {
        name: "hyper-util",
        at: &["hub-http"],
    },
    Home {
        name: "http",
        at: &["hub-http"],
    },
    Home {
        name: "http-body",
        at: &["hub-http"],
    },
    Home {
        name: "http-body-util",
        at: &["hub-http"],
    },
    Home {
        name: "tower",
        at: &["hub-http"],
    },
    Home {
        name: "reqwest",
        at: &["hub-api", "hub-cli"],
    },
    Home {
        name: "rusqlite",
        at: &["hub-storage-sqlite", "hub-power-cut"],
    },
    // The server declares `serve` beside its configuration; load declares `sim` and `bench`.
    Home {
        name: "clap",
        at: &["hub-cli", "hub-load", "hub-server", "thingstead"],
    },
    Home {
        name: "rustls",
        at: &[
            "hub-cli",
            "hub-edge",
            "hub-gateway",
            "hub-load",
            "hub-server",
        ],
    },
    Home {
        name: "aws-lc-rs",
        at: &["hub-provisioning"],
    },
    Home {
        name: "tokio-rustls",
        at: &["hub-edge", "hub-gateway", "hub-load", "hub-server"],
    },
    Home {
        name: "tokio-tungstenite",
        at: &["hub-gateway"],
    },
    Home {
        name: "rustls-platform-verifier",
        at: &["hub-api", "hub-cli", "hub-load"],
    },
    Home {
        name: "rcgen",
        at: &["hub-server"],
    },
    Home {
        name: "yasna",
        at: &["hub-provisioning"],
    },
    Home {
        name: "toml",
        at: &["hub-server"],
    },
    Home {
        name: "tracing-subscriber",
        at: &["hub-edge", "hub-server", "thingstead"],
    },
    Home {
        name: "comfy-table",
        at: &["hub-cli", "hub-load"],
    },
    Home {
        name: "indicatif",
        at: &["hub-cli", "hub-load"],
    },
    // Randomness and clocks are arguments below these crates.
    Home {
        name: "getrandom",
        at: &[
            "hub-cli",
            "hub-edge",
            "hub-gateway",
            "hub-http",
            "hub-load",
            "hub-server",
        ],
    },
    Home {
        name: "socket2",
        at: &["hub-edge", "hub-gateway", "hub-load", "hub-server"],
    },
    Home {
        name: "rlimit",
        at: &["hub-load", "hub-server"],
    },
    Home {
        name: "anyhow",
        at: &["hub-cli", "hub-load", "hub-server", "thingstead", "xtask"],
    },
];

/// Crates without a runtime, and what brings one.
const PURE: &[&str] = &["hub-domain", "hub-mqtt", "hub-amqp", "hub-api"];
const RUNTIMES: &[&str] = &[
    "tokio",
    "tokio-util",
    "futures-util",
    "futures",
    "async-std",
    "smol",
    "mio",
];

struct Direction {
    name: &'static str,
    may: &'static [&'static str],
    tests: &'static [&'static str],
}

struct Home {
    name: &'static str,
    at: &'static [&'static str],
}

/// Checks every manifest against the tables.
pub(super) fn check(workspace: &Workspace) -> Vec<Finding> {
    workspace.crates.iter().flat_map(check_crate).collect()
}

pub(super) fn check_crate(member: &Crate) -> Vec<Finding> {
    let mut findings = Vec::new();
    let folder = member
        .folder
        .file_name()
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default();
    if folder != member.name {
        findings.push(Finding::new(
            &member.name,
            format_args!("its folder is called `{folder}`; folder = crate name"),
        ));
    }
    let Some(direction) = DIRECTIONS
        .iter()
        .find(|direction| direction.name == member.name)
    else {
        let hint = "not in the table of directions; add a row to xtask/src/tidy/directions.rs and say why in docs/adr/";
        findings.push(Finding::new(&member.name, hint));
        return findings;
    };
    for dependency in &member.dependencies {
        let name = dependency.name.as_str();
        let problem = match DIRECTIONS.iter().any(|direction| direction.name == name) {
            true => direction.refuses(name, dependency.kind),
            false => refuses_outside(&member.name, name, dependency.kind),
        };
        findings.extend(problem.map(|text| Finding::new(&member.name, text)));
    }
    findings
}

impl Direction {
    fn refuses(&self, name: &str, kind: Kind) -> Option<String> {
        // A crate's tests may name the crate itself, to switch on a feature of its own.
        let allowed = self.may.contains(&name)
            || (kind == Kind::Development && (self.tests.contains(&name) || name == self.name));
        let text = format!(
            "may not name `{name}`; it may name: {}",
            or_nothing(self.may)
        );
        (!allowed).then_some(text)
    }
}

fn refuses_outside(member: &str, name: &str, kind: Kind) -> Option<String> {
    if kind == Kind::Development {
        return None;
    }
    if PURE.contains(&member) && RUNTIMES.contains(&name) {
        return Some(format!(
            "may not name `{name}`: no runtime and no I/O here; time and seeds are arguments"
        ));
    }
    let home = HOMES.iter().find(|home| home.name == name)?;
    let text = format!("may not name `{name}`; its home: {}", or_nothing(home.at));
    (!home.at.contains(&member)).then_some(text)
}

fn or_nothing(names: &[&str]) -> String {
    if names.is_empty() {
        "none of ours".to_owned()
    } else {
        names.join(", ")
    }
}
