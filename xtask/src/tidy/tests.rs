//! One breaking sample per rule, and one that holds.

use std::path::PathBuf;

use super::code::blank;
use super::{File, Finding, directions, manifests, sources, words};
use crate::workspace::{Crate, Dependency, Kind};

fn file(path: &str, text: &str) -> File {
    File {
        path: path.to_owned(),
        text: text.to_owned(),
    }
}

fn member(name: &str, dependencies: &[(&str, Kind)]) -> Crate {
    let dependencies = dependencies
        .iter()
        .map(|(name, kind)| Dependency {
            name: (*name).to_owned(),
            kind: *kind,
        })
        .collect();
    Crate {
        name: name.to_owned(),
        folder: PathBuf::from("crates").join(name),
        dependencies,
    }
}

#[track_caller]
fn breaks(findings: &[Finding], part: &str) {
    let texts: Vec<&str> = findings.iter().map(|Finding(text)| text.as_str()).collect();
    assert!(
        texts.len() == 1 && texts[0].contains(part),
        "expected one finding with `{part}`, got {texts:#?}"
    );
}

#[track_caller]
fn holds(findings: &[Finding]) {
    assert!(findings.is_empty(), "{findings:#?}");
}

#[test]
fn a_crate_names_only_what_its_row_allows() {
    let normal = |name, other| directions::check_crate(&member(name, &[(other, Kind::Normal)]));
    breaks(
        &normal("hub-gateway", "hub-storage"),
        "may not name `hub-storage`",
    );
    breaks(&normal("hub-engine", "hub-mqtt"), "may not name `hub-mqtt`");
    breaks(
        &normal("hub-storage-sqlite", "hub-engine"),
        "may not name `hub-engine`",
    );
    breaks(
        &normal("hub-http", "hub-gateway"),
        "may not name `hub-gateway`",
    );
    holds(&normal("hub-server", "hub-storage-sqlite"));
}

#[test]
fn tests_may_name_more_where_the_table_says_so() {
    let development =
        |name, other| directions::check_crate(&member(name, &[(other, Kind::Development)]));
    holds(&development("hub-gateway", "hub-storage"));
    breaks(
        &development("hub-mqtt", "hub-engine"),
        "may not name `hub-engine`",
    );
}

#[test]
fn a_heavy_dependency_stays_at_home() {
    let normal = |name, other| directions::check_crate(&member(name, &[(other, Kind::Normal)]));
    breaks(&normal("hub-engine", "axum"), "its home: hub-http");
    breaks(
        &normal("hub-server", "rusqlite"),
        "its home: hub-storage-sqlite",
    );
    breaks(&normal("hub-domain", "tokio"), "no runtime");
    holds(&normal("hub-storage-sqlite", "rusqlite"));
    holds(&normal("hub-engine", "thiserror"));
}

#[test]
fn an_unknown_crate_and_a_wrong_folder_are_found() {
    breaks(
        &directions::check_crate(&member("hub-utils", &[])),
        "not in the table",
    );
    let moved = Crate {
        folder: PathBuf::from("crates/domain"),
        ..member("hub-domain", &[])
    };
    breaks(&directions::check_crate(&moved), "folder = crate name");
}

const MANIFEST: &str = "\
[package]
name = \"hub-x\"
edition.workspace = true
rust-version.workspace = true
license.workspace = true

[lints]
workspace = true

[dependencies]
bytes.workspace = true
";

#[test]
fn a_manifest_inherits_lints_and_versions() {
    let check = |text: &str| {
        let root = "[workspace.dependencies]\ntokio = \"1\"\n";
        manifests::check_manifest(&file("crates/hub-x/Cargo.toml", text), root)
    };
    holds(&check(MANIFEST));
    breaks(
        &check(&MANIFEST.replace("[lints]\nworkspace = true\n", "")),
        "lints",
    );
    breaks(
        &check(&format!("{MANIFEST}rand = \"0.9\"\n")),
        "root manifest",
    );
    breaks(
        &check(&MANIFEST.replace("edition.workspace = true", "edition = \"2021\"")),
        "edition",
    );
}

#[test]
fn a_lock_file_names_no_registry() {
    let lock = file(
        "tests/sdk/node/package-lock.json",
        "{\n\"resolved\": \"https://example.com/x.tgz\"\n}",
    );
    breaks(&manifests::check_lock(&lock), "package-lock.json:2");
    let requirements = file(
        "tests/sdk/python/requirements.txt",
        "--index-url https://example.com\nsix==1.17.0",
    );
    breaks(&manifests::check_lock(&requirements), "requirements.txt:1");
    holds(&manifests::check_lock(&file(
        "requirements.txt",
        "# --index-url\nsix==1.17.0 --hash=sha256:00",
    )));
}

#[test]
fn unfinished_and_silenced_code_is_found() {
    let check = |text: &str| sources::check_file(&file("crates/hub-x/src/lib.rs", text));
    breaks(&check("fn f() { todo!() }"), "todo!");
    breaks(&check("fn f() { unimplemented!() }"), "unimplemented!");
    breaks(&check("#[ignore = \"later\"]"), "#[ignore");
    breaks(&check("#[allow(dead_code)]"), "expect");
    breaks(&check("#![allow(dead_code)]"), "expect");
    holds(&check(
        "// todo!() in words\nconst TEXT: &str = \"#[ignore]\";",
    ));
}

#[test]
fn module_files_are_named_after_their_module() {
    breaks(
        &sources::check_file(&file("crates/hub-x/src/twins/mod.rs", "")),
        "after its module",
    );
}

#[test]
fn long_files_are_found_and_tests_do_not_count() {
    let long = "fn f() {}\n".repeat(801);
    breaks(
        &sources::check_file(&file("crates/hub-x/src/lib.rs", &long)),
        "801 lines",
    );
    holds(&sources::check_file(&file(
        "crates/hub-x/src/twins/tests.rs",
        &long,
    )));
    holds(&sources::check_file(&file(
        "crates/hub-x/src/lib.rs",
        &format!("#[cfg(test)]\nmod tests {{\n{long}}}"),
    )));
}

#[test]
fn clocks_files_randomness_and_tasks_are_arguments_in_the_pure_crates() {
    let check = |name: &str, text: &str| {
        sources::check_file(&file(&format!("crates/{name}/src/lib.rs"), text))
    };
    breaks(
        &check("hub-domain", "let now = SystemTime::now();"),
        "time is an argument",
    );
    breaks(
        &check("hub-mqtt", "let now = Instant::now();"),
        "time is an argument",
    );
    breaks(&check("hub-engine", "use std::fs;"), "files belong");
    breaks(&check("hub-engine", "tokio::spawn(work);"), "owner");
    breaks(
        &check("hub-engine", "getrandom::fill(&mut key);"),
        "randomness",
    );
    breaks(
        &check("hub-domain", "let x = rand::random();"),
        "randomness",
    );
    breaks(&check("hub-mqtt", "use std::net::TcpStream;"), "sockets");
    breaks(&check("hub-mqtt", "async fn read() {}"), "no runtime");
    breaks(
        &check("hub-engine", "let home = std::env::var(name);"),
        "settings",
    );
    breaks(&check("hub-engine", "std::thread::sleep(pause);"), "blocks");
    breaks(
        &check("hub-domain", "OffsetDateTime::now_utc()"),
        "time is an argument",
    );
    holds(&check("hub-server", "let now = SystemTime::now();"));
    holds(&check("hub-domain", "operand::parse(); // SystemTime::now"));
    holds(&check(
        "hub-domain",
        "#[cfg(test)]\nmod tests {\n    use std::fs;\n}",
    ));
}

#[test]
fn words_of_a_workplace_are_found() {
    let text = format!("see {}{}", "/wo", "rk/main");
    breaks(&words::check_file(&file("README.md", &text)), "README.md:1");
    holds(&words::check_file(&file(
        "README.md",
        "a network of devices",
    )));
}

#[test]
fn comments_and_literals_are_blanked_and_lines_kept() {
    assert_eq!(blank("a // b\nc"), "a     \nc");
    assert_eq!(blank("a /* b /* c\n */ */ d"), "a          \n       d");
    assert_eq!(blank(r#"x("a\"b") y"#), "x(      ) y");
    assert_eq!(blank("r#\"a\"b\"# y"), "         y");
    assert_eq!(
        blank("fn f<'a>(c: &'a u8) { '\"' }"),
        "fn f<'a>(c: &'a u8) {     }"
    );
    assert_eq!(blank("'\\'' y"), "     y");
}
