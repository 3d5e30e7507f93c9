//! A server of its own for a test, and commands against it.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;

use serde_json::Value;
use tempfile::TempDir;

/// The program under test.
const PROGRAM: &str = env!("CARGO_BIN_EXE_thingstead");

/// A running server. It ends with the test.
pub(crate) struct Server {
    folder: TempDir,
    process: Child,
}

/// How a command ended.
pub(crate) struct Done {
    /// The exit status.
    pub(crate) status: i32,
    /// What went to standard output.
    pub(crate) printed: String,
    /// What went to standard error.
    pub(crate) complaint: String,
}

impl Server {
    /// Starts one on free ports and returns when it listens.
    pub(crate) fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut process = program()
            .args(["serve", "--https-port", "0", "--mqtt-port", "0"])
            .args(["--amqp-port", "0", "--data-dir"])
            .arg(folder.path().join("data"))
            .stderr(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let mut log = BufReader::new(process.stderr.take().unwrap());
        let mut seen = String::new();
        while !seen.contains(" listening ") {
            let read = log.read_line(&mut seen).unwrap();
            assert_ne!(read, 0, "the server ended: {seen}");
        }
        // Somebody has to read the rest, or the server would wait for it. It ends with the server.
        thread::spawn(move || std::io::copy(&mut log, &mut std::io::sink()));
        Self { folder, process }
    }

    /// A folder for the test's own files.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Runs a command line. Words are parted by blanks; quotes hold them together.
    pub(crate) fn run(&self, line: &str) -> Done {
        let output = program()
            .args(words(line))
            .env("THINGSTEAD_DATA_DIR", self.folder().join("data"))
            .current_dir(self.folder())
            .output()
            .unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Done {
            status: output.status.code().unwrap(),
            printed: text(output.stdout),
            complaint: text(output.stderr),
        }
    }

    /// Runs a command that has to succeed; what it printed.
    #[track_caller]
    pub(crate) fn prints(&self, line: &str) -> String {
        let done = self.run(line);
        assert_eq!(done.status, 0, "{line}: {}", done.complaint);
        done.printed
    }

    /// The same with `-o json`.
    #[track_caller]
    pub(crate) fn json(&self, line: &str) -> Value {
        serde_json::from_str(&self.prints(&format!("{line} -o json"))).unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself; then there is nothing to end.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The program, without whatever the caller's environment says of servers and proxies.
pub(crate) fn program() -> Command {
    let mut command = Command::new(PROGRAM);
    let foreign = std::env::vars_os().filter(|(name, _)| {
        name.to_str().is_some_and(|name| {
            name.starts_with("THINGSTEAD_") || name.to_lowercase().ends_with("_proxy")
        })
    });
    for (name, _) in foreign {
        command.env_remove(name);
    }
    command.stdin(Stdio::null());
    command
}

fn words(line: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut is_quoted = false;
    for character in line.chars() {
        match character {
            '\'' => is_quoted = !is_quoted,
            ' ' if !is_quoted => words.push(String::new()),
            character => words.last_mut().unwrap().push(character),
        }
    }
    words
}
