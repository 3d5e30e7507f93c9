//! One stream: pages of its source as chunks of lines, signs of life between them, and its end.

use std::time::Duration;

use bytes::Bytes;
use hub_api::native::{Notice, NoticeKind};
use hub_domain::Timestamp;
use hub_engine::Error;
use serde::Serialize;
use tokio::time::Instant;

use super::super::Scope;
use super::super::failure::detail;
use super::request::{AtEnd, EventRequest};
use super::{facts, telemetry};
use crate::connection::Closing;

/// How long a stream may be silent: readers give up after a few of these.
pub(super) const HEARTBEAT: Duration = Duration::from_secs(10);

/// Where events come from.
pub(super) enum Source {
    Telemetry(telemetry::Reader),
    Facts(facts::Reader),
}

/// What reading a source gave.
pub(super) enum Page {
    /// Lines, perhaps none because nothing of what was read is wanted; there may be more.
    Read,
    /// There is nothing more at the moment.
    End,
}

/// Lines that are being collected.
pub(super) struct Lines {
    bytes: Vec<u8>,
    remaining: Option<u64>,
}

pub(super) struct EventStream {
    scope: Scope,
    source: Source,
    at_end: AtEnd,
    lines: Lines,
    last_sent: Instant,
    ended: bool,
}

impl Lines {
    /// True when the reader has got as many events as it wanted.
    pub(super) fn is_full(&self) -> bool {
        self.remaining == Some(0)
    }

    pub(super) fn push_event(&mut self, event: &impl Serialize) {
        self.push(event);
        if let Some(remaining) = &mut self.remaining {
            *remaining = remaining.saturating_sub(1);
        }
    }

    pub(super) fn push_notice(&mut self, notice: &Notice) {
        self.push(notice);
    }

    fn push(&mut self, line: &impl Serialize) {
        serde_json::to_writer(&mut self.bytes, line)
            .expect("wire types always serialize into memory");
        self.bytes.push(b'\n');
    }
}

/// What a stream that has nothing to send waited for.
enum Woken {
    /// There may be more.
    News,
    /// Nothing came.
    Silence,
    /// The installation is going away.
    Gone,
}

impl EventStream {
    pub(super) fn new(scope: Scope, source: Source, request: &EventRequest) -> Self {
        let lines = Lines {
            bytes: Vec::new(),
            remaining: request.max,
        };
        Self {
            scope,
            source,
            at_end: request.at_end,
            lines,
            last_sent: Instant::now(),
            ended: false,
        }
    }

    /// The next lines; `None` at the end.
    pub(super) async fn next_chunk(&mut self) -> Option<Bytes> {
        while !self.ended {
            self.read_on().await;
            if !self.lines.bytes.is_empty() {
                self.last_sent = Instant::now();
                return Some(Bytes::from(std::mem::take(&mut self.lines.bytes)));
            }
        }
        None
    }

    /// Reads a page, or waits for one.
    async fn read_on(&mut self) {
        if self.scope.closing.as_ref().is_some_and(Closing::has_begun) {
            self.ended = true;
            return;
        }
        if self.is_expired() {
            return self.end_with(NoticeKind::TokenExpired, None);
        }
        let (engine, ctx) = (self.scope.app.engine(), &self.scope.ctx);
        let page = match &mut self.source {
            Source::Telemetry(reader) => reader.read(engine, ctx, &mut self.lines).await,
            Source::Facts(reader) => reader.read(engine, ctx, &mut self.lines).await,
        };
        match page {
            Err(error) => self.end_with(NoticeKind::Failed, Some(&error)),
            Ok(_) if self.lines.is_full() => self.ended = true,
            Ok(Page::Read) if self.last_sent.elapsed() >= HEARTBEAT => self.beat(),
            Ok(Page::Read) => {}
            Ok(Page::End) if self.at_end == AtEnd::Stop => self.ended = true,
            Ok(Page::End) if self.lines.bytes.is_empty() => match self.wait().await {
                Woken::News => {}
                Woken::Silence => self.beat(),
                Woken::Gone => self.ended = true,
            },
            Ok(Page::End) => {}
        }
    }

    async fn wait(&mut self) -> Woken {
        let changed = async {
            match &mut self.source {
                Source::Telemetry(reader) => reader.changed().await,
                Source::Facts(reader) => reader.changed().await,
            }
        };
        let closing = async {
            match &mut self.scope.closing {
                Some(closing) => closing.begun().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            changed = changed => match changed {
                Ok(()) => Woken::News,
                Err(_) => Woken::Gone,
            },
            () = closing => Woken::Gone,
            () = tokio::time::sleep(HEARTBEAT) => Woken::Silence,
        }
    }

    fn beat(&mut self) {
        if self.lines.bytes.is_empty() {
            self.lines.bytes.push(b'\n');
        }
    }

    fn is_expired(&self) -> bool {
        let now = || self.scope.engine().environment().now();
        self.scope
            .expires
            .is_some_and(|expires: Timestamp| expires <= now())
    }

    fn end_with(&mut self, notice: NoticeKind, error: Option<&Error>) {
        self.ended = true;
        let error = error.map(|error| {
            tracing::warn!(request_id = self.scope.ctx.request_id, %error, "event stream ended");
            detail(error, self.scope.ctx.request_id.clone())
        });
        self.lines.push_notice(&Notice {
            notice,
            partition: None,
            expected_offset: None,
            resumed_offset: None,
            error,
        });
    }
}
