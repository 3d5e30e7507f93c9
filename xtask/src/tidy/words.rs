//! Words that say where somebody works instead of what the product does.

use super::{File, Files, Finding};

/// Put together from halves, so that this file passes its own rule.
const WORDS: &[&str] = &[
    concat!("/wo", "rk/"),
    concat!("../sha", "red"),
    concat!("/tmp/", "brief"),
    concat!("/ro", "ot/"),
    concat!("/home", "/runner"),
    concat!("registry.npm", "js.org"),
    concat!("files.python", "hosted.org"),
    concat!("BEGIN PRIVATE", " KEY"),
    concat!("BEGIN EC PRIVATE", " KEY"),
];

/// Every text file of the tree.
pub(super) fn check(files: &Files) -> Vec<Finding> {
    files.0.iter().flat_map(check_file).collect()
}

pub(super) fn check_file(file: &File) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (number, line) in file.text.lines().enumerate() {
        for word in WORDS.iter().filter(|word| line.contains(**word)) {
            let place = format!("{}:{}", file.path, number + 1);
            findings.push(Finding::new(
                place,
                format_args!("`{word}` has no place in the product"),
            ));
        }
    }
    findings
}
