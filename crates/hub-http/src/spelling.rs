//! How a client spelled the names of its headers.
//!
//! HTTP compares names without case, and the parser keeps them in lower case. Over HTTPS the names of a message's
//! application properties are header names, though, and the same device sends `fillLevel` over MQTT. So what a
//! connection sent is looked at on its way to the parser. HTTP/2 has lower case only (RFC 9113, 8.2.1).

use std::collections::HashMap;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// What the names that count begin with.
const PREFIX: &[u8] = b"iothub-app-";
/// Longest name that is remembered, without the prefix.
const NAME_BYTES_MAX: usize = 256;
/// Most names that a connection's memory holds; it begins anew beyond.
const NAMES_MAX: usize = 128;

/// The application property names of one connection as last spelled, by their lower case.
#[derive(Clone, Default)]
pub(crate) struct HeaderSpelling(Arc<Mutex<HashMap<String, String>>>);

impl HeaderSpelling {
    /// The header `name`, which is in lower case, as the client wrote it.
    pub(crate) fn of(&self, name: &str) -> String {
        let names = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        names.get(name).cloned().unwrap_or_else(|| name.to_owned())
    }

    fn remember(&self, name: &[u8]) {
        let Ok(spelled) = std::str::from_utf8(name) else {
            return;
        };
        let name = spelled.to_ascii_lowercase();
        let mut names = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if spelled == name {
            names.remove(&name);
            return;
        }
        if names.len() == NAMES_MAX && !names.contains_key(&name) {
            names.clear();
        }
        names.insert(name, spelled.to_owned());
    }
}

/// A stream whose inbound header names are remembered.
///
/// It looks for the prefix at the start of any line. A line of a body that looks like a header is remembered too,
/// which is harmless: it can only tell how to spell a name that a request of the same connection has.
pub(crate) struct SpellingReader<S> {
    stream: S,
    spelling: HeaderSpelling,
    state: State,
}

enum State {
    /// Within a line that does not count.
    Line,
    /// Within a name: its bytes so far.
    Name(Vec<u8>),
}

impl<S> SpellingReader<S> {
    pub(crate) const fn new(stream: S, spelling: HeaderSpelling) -> Self {
        Self {
            stream,
            spelling,
            state: State::Line,
        }
    }

    /// The stream itself.
    pub(crate) fn into_inner(self) -> S {
        self.stream
    }

    fn observe(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            match &mut self.state {
                State::Line => {
                    let Some(end) = bytes.iter().position(|byte| *byte == b'\n') else {
                        return;
                    };
                    bytes = &bytes[end + 1..];
                    self.state = State::Name(Vec::new());
                }
                State::Name(name) => {
                    let byte = bytes[0];
                    let is_prefix = PREFIX
                        .get(name.len())
                        .is_none_or(|expected| byte.eq_ignore_ascii_case(expected));
                    if byte == b':' && name.len() > PREFIX.len() {
                        self.spelling.remember(name);
                        self.state = State::Line;
                    } else if is_prefix
                        && byte.is_ascii_graphic()
                        && name.len() < PREFIX.len() + NAME_BYTES_MAX
                    {
                        name.push(byte);
                        bytes = &bytes[1..];
                    } else {
                        self.state = State::Line;
                    }
                }
            }
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for SpellingReader<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let result = Pin::new(&mut self.stream).poll_read(cx, buffer);
        self.observe(&buffer.filled()[before..]);
        result
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for SpellingReader<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spelling(parts: &[&str]) -> HeaderSpelling {
        let spelling = HeaderSpelling::default();
        let mut reader = SpellingReader::new(tokio::io::empty(), spelling.clone());
        for part in parts {
            reader.observe(part.as_bytes());
        }
        spelling
    }

    #[test]
    fn names_are_remembered_as_they_were_spelled_wherever_the_reads_end() {
        let text =
            "POST / HTTP/1.1\r\nHost: x\r\nIoTHub-App-fillLevel: 1\r\niothub-app-low: 2\r\n\r\n";
        for at in 0..text.len() {
            let (left, right) = text.split_at(at);
            let spelling = spelling(&[left, right]);
            assert_eq!(
                spelling.of("iothub-app-filllevel"),
                "IoTHub-App-fillLevel",
                "{at}"
            );
            assert_eq!(spelling.of("iothub-app-low"), "iothub-app-low");
        }
    }

    #[test]
    fn the_last_spelling_counts_and_memory_is_bounded() {
        let spelling = spelling(&["\niothub-app-A:\niothub-app-a:"]);
        assert_eq!(spelling.of("iothub-app-a"), "iothub-app-a");
        for number in 0..10_000 {
            spelling.remember(format!("iothub-app-X{number}").as_bytes());
        }
        assert!(spelling.0.lock().unwrap().len() <= NAMES_MAX);
        let long = format!("\niothub-app-{}:", "X".repeat(NAME_BYTES_MAX + 1));
        let spelling = self::spelling(&[&long, "\niothub-app-:", "\niothub-app-\u{e9}X:"]);
        assert!(spelling.0.lock().unwrap().is_empty());
    }
}
