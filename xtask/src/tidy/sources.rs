//! Rules about Rust sources.

use super::code::blank;
use super::{File, Files, Finding};

/// A file longer than this is two rooms in one.
const LINES_MAX: usize = 800;

/// Crates that decide from what they are given.
const PURE: &[&str] = &["hub-domain", "hub-mqtt", "hub-amqp"];
/// Those, and the crates whose time, randomness and tasks come from their owner.
const DETERMINISTIC: &[&str] = &["hub-domain", "hub-mqtt", "hub-amqp", "hub-engine"];

/// Code that some crates do without; tests are free.
const BANS: &[Ban] = &[
    Ban {
        code: "SystemTime::now",
        at: DETERMINISTIC,
        reason: "time is an argument",
    },
    Ban {
        code: "Instant::now",
        at: DETERMINISTIC,
        reason: "time is an argument",
    },
    Ban {
        code: "OffsetDateTime::now",
        at: DETERMINISTIC,
        reason: "time is an argument",
    },
    Ban {
        code: "getrandom",
        at: DETERMINISTIC,
        reason: "randomness is an argument",
    },
    Ban {
        code: "rand::",
        at: DETERMINISTIC,
        reason: "randomness is an argument",
    },
    Ban {
        code: "thread::sleep",
        at: DETERMINISTIC,
        reason: "nothing here blocks a thread",
    },
    Ban {
        code: "std::fs",
        at: DETERMINISTIC,
        reason: "files belong to the backends",
    },
    Ban {
        code: "std::net",
        at: PURE,
        reason: "sockets belong to the gateway",
    },
    Ban {
        code: "std::env",
        at: DETERMINISTIC,
        reason: "settings are arguments",
    },
    Ban {
        code: "tokio::spawn",
        at: DETERMINISTIC,
        reason: "every task has an owner, a name and an end",
    },
    Ban {
        code: "async fn",
        at: PURE,
        reason: "no runtime here",
    },
];

/// Code that no crate has, tests included.
const NOWHERE: &[(&str, &str)] = &[
    ("todo!", "finish it or leave it out"),
    ("unimplemented!", "finish it or leave it out"),
    ("#[ignore", "a test runs or is deleted"),
    ("#![allow(", "write `#[expect(lint, reason = \"…\")]`"),
    ("#[allow(", "write `#[expect(lint, reason = \"…\")]`"),
];

struct Ban {
    code: &'static str,
    at: &'static [&'static str],
    reason: &'static str,
}

/// Every Rust file of the tree.
pub(super) fn check(files: &Files) -> Vec<Finding> {
    files.ending_in(".rs").flat_map(check_file).collect()
}

pub(super) fn check_file(file: &File) -> Vec<Finding> {
    let mut findings = Vec::new();
    if file.path.ends_with("/mod.rs") {
        findings.push(Finding::new(
            &file.path,
            "name it after its module, beside the module's folder",
        ));
    }
    let code = blank(&file.text);
    let product = product_lines(file, &code);
    if product > LINES_MAX {
        let text = format_args!("{product} lines, {LINES_MAX} at most; split it by subject");
        findings.push(Finding::new(&file.path, text));
    }
    for (number, line) in code.lines().enumerate() {
        let place = format!("{}:{}", file.path, number + 1);
        let nowhere = NOWHERE.iter().filter(|(text, _)| line.contains(text));
        findings.extend(
            nowhere.map(|(text, hint)| Finding::new(&place, format_args!("`{text}`: {hint}"))),
        );
        if number < product {
            let bans = BANS
                .iter()
                .filter(|ban| ban.holds_in(file) && has_word(line, ban.code));
            findings.extend(
                bans.map(|ban| {
                    Finding::new(&place, format_args!("`{}`: {}", ban.code, ban.reason))
                }),
            );
        }
    }
    findings
}

impl Ban {
    fn holds_in(&self, file: &File) -> bool {
        file.crate_name()
            .is_some_and(|name| self.at.contains(&name))
    }
}

/// How many lines of a file are not tests; tests stand last.
fn product_lines(file: &File, code: &str) -> usize {
    if file.is_test() {
        return 0;
    }
    let lines: Vec<&str> = code.lines().collect();
    let tests = lines.windows(2).position(|pair| {
        pair[0].trim() == "#[cfg(test)]"
            && pair[1].trim_start().starts_with("mod ")
            && pair[1].contains('{')
    });
    tests.unwrap_or(lines.len())
}

/// Whether the code stands there as words of its own: `operand::` is not `rand::`.
fn has_word(line: &str, code: &str) -> bool {
    line.match_indices(code).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        before.is_none_or(|character| !character.is_alphanumeric() && character != '_')
    })
}
