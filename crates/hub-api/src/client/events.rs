//! The event stream.

use std::time::Duration;

use super::{Call, Client, ClientError, parse};
use crate::native::{EventLine, EventSource, OperationId, StartPosition};

/// The longest line that is read: a message of 256 KiB as base64, with its properties as JSON, has room four times.
const LINE_BYTES_MAX: usize = 4 * 1024 * 1024;
/// How long a token lives that opens a stream: the stream ends with it.
const STREAM_TOKEN_LIFE: Duration = Duration::from_secs(7 * 24 * 3600);

/// Which events.
#[derive(Clone, Debug, Default)]
pub struct EventQuery {
    /// What kind.
    pub source: EventSource,
    /// Where to begin.
    pub from: StartPosition,
    /// Only this partition.
    pub partition: Option<u16>,
    /// Only this device and its modules.
    pub device: Option<String>,
    /// What to do at the end.
    pub at_end: AtEnd,
    /// End after so many events.
    pub max: Option<u64>,
}

/// What a stream does when it has read all there is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AtEnd {
    /// It waits for more.
    #[default]
    Follow,
    /// It ends.
    Stop,
}

/// Lines as they come.
pub struct EventStream {
    response: reqwest::Response,
    buffer: Vec<u8>,
    /// Bytes of the buffer that hold no line end.
    searched: usize,
    base: String,
}

/// What came next.
#[derive(Debug)]
pub enum Received {
    /// A line: what it says, and its text as it came.
    Line(EventLine, String),
    /// A sign of life.
    Heartbeat,
    /// The end of the stream.
    End,
}

impl Client {
    /// Opens the event stream of a hub. Positions are fixed when this returns: what is committed later comes.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn events(&self, hub: &str, query: &EventQuery) -> Result<EventStream, ClientError> {
        let segments = [hub];
        let call = Call::new(OperationId::ReadEvents, &segments)
            .parameter("source", Some(query.source))
            .parameter("from", Some(query.from))
            .parameter("partition", query.partition)
            .parameter("device", query.device.as_ref())
            .parameter("follow", Some(query.at_end == AtEnd::Follow))
            .parameter("max", query.max)
            .timeout(None)
            .token_life(STREAM_TOKEN_LIFE);
        let response = self.send(call, None).await?;
        Ok(EventStream {
            response,
            buffer: Vec::new(),
            searched: 0,
            base: self.base.clone(),
        })
    }
}

impl EventStream {
    /// Waits for the next line. A hub that is alive sends a sign of life every few seconds, so a caller may give up
    /// after a minute of nothing. Dropping the future loses nothing.
    ///
    /// # Errors
    /// When the connection breaks or a line cannot be read.
    pub async fn next(&mut self) -> Result<Received, ClientError> {
        loop {
            if let Some(line) = self.take_line() {
                return if line.is_empty() {
                    Ok(Received::Heartbeat)
                } else {
                    read_line(line)
                };
            }
            if self.buffer.len() > LINE_BYTES_MAX {
                return Err(ClientError::TooLong {
                    bytes_max: LINE_BYTES_MAX,
                });
            }
            let chunk = self
                .response
                .chunk()
                .await
                .map_err(|source| ClientError::Interrupted {
                    base: self.base.clone(),
                    source: source.without_url(),
                })?;
            match chunk {
                Some(chunk) => self.buffer.extend_from_slice(&chunk),
                None => return Ok(Received::End),
            }
        }
    }

    fn take_line(&mut self) -> Option<Vec<u8>> {
        match self.buffer[self.searched..]
            .iter()
            .position(|byte| *byte == b'\n')
        {
            Some(at) => {
                let rest = self.buffer.split_off(self.searched + at + 1);
                let mut line = std::mem::replace(&mut self.buffer, rest);
                line.pop();
                self.searched = 0;
                Some(line)
            }
            None => {
                self.searched = self.buffer.len();
                None
            }
        }
    }
}

fn read_line(line: Vec<u8>) -> Result<Received, ClientError> {
    let parsed = parse(&line)?;
    // JSON that was parsed is UTF-8.
    Ok(Received::Line(
        parsed,
        String::from_utf8_lossy(&line).into_owned(),
    ))
}
