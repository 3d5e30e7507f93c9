//! Command lines with what they print, kept in files.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::PathBuf;

use super::scrub::scrubbed;
use super::server::{Done, Server};

/// Runs the lines of a transcript that begin with `$ thingstead` against the server, and holds what they print against it.
#[track_caller]
pub(crate) fn play(server: &Server, name: &str) {
    let path = path(name);
    let kept = std::fs::read_to_string(&path).unwrap();
    let mut made = String::new();
    for line in kept.lines() {
        if line.starts_with('#') {
            writeln!(made, "{line}").unwrap();
        }
        if let Some(command) = line.strip_prefix("$ thingstead ") {
            made.push_str(&exchange(command, &server.run(command)));
        }
    }
    if std::env::var_os("UPDATE_TRANSCRIPTS").is_some() {
        std::fs::write(&path, &made).unwrap();
        return;
    }
    let difference = made.lines().zip(kept.lines()).enumerate();
    let difference = difference
        .into_iter()
        .find(|(_, (made, kept))| made != kept);
    assert!(
        made == kept,
        "{name} is not what the program prints, first at {difference:?}; when that is right, write it anew: \
         UPDATE_TRANSCRIPTS=1 cargo test -p thingstead --test cli"
    );
}

fn exchange(command: &str, done: &Done) -> String {
    let mut text = format!("$ thingstead {command}\n{}", scrubbed(&done.printed));
    text.push_str(&scrubbed(&done.complaint));
    if done.status != 0 {
        writeln!(text, "[{}]", done.status).unwrap();
    }
    text.push('\n');
    text
}

/// The commands that stand in transcripts, words up to the first option.
pub(crate) fn commands(names: &[&str]) -> BTreeSet<String> {
    let mut commands = BTreeSet::new();
    for name in names {
        let text = std::fs::read_to_string(path(name)).unwrap();
        let lines = text
            .lines()
            .filter_map(|line| line.strip_prefix("$ thingstead "));
        commands.extend(lines.map(|line| {
            let words: Vec<&str> = line
                .split(' ')
                .take_while(|word| !word.starts_with('-'))
                .collect();
            words.join(" ")
        }));
    }
    commands
}

fn path(name: &str) -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    folder.join("tests/cli").join(format!("{name}.txt"))
}
