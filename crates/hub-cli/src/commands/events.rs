//! `events …`.

use std::io::Write;
use std::time::Duration;

use hub_api::client::{AtEnd, EventQuery, EventStream, Received};
use hub_api::native::{EventLine, Notice, NoticeKind};
use tokio::time::{Instant, timeout_at};

use crate::arguments::{EventsWatch, OutputFormat};
use crate::connect::Connected;
use crate::events_text;
use crate::failure::Failure;

/// A stream that gives no sign of life for so long is dead: the hub gives one every ten seconds.
const SILENCE_MAX: Duration = Duration::from_secs(60);

/// Why the watching ended.
enum Ended {
    /// All that was asked for was shown.
    Done,
    /// No event came for as long as the command allowed.
    Quiet,
}

pub(super) async fn watch(
    watch: EventsWatch,
    Connected { client, hub }: &Connected,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    let query = EventQuery {
        source: watch.source,
        from: watch.from,
        partition: watch.partition,
        device: watch.device_id.clone(),
        at_end: if watch.no_follow {
            AtEnd::Stop
        } else {
            AtEnd::Follow
        },
        max: watch.max,
    };
    let mut stream = client.events(hub, &query).await?;
    let patience = watch.timeout.map(Duration::from_secs);
    match show(&mut stream, &query, patience, watch.common.output, out).await? {
        Ended::Done | Ended::Quiet => Ok(()),
    }
}

async fn show(
    stream: &mut EventStream,
    query: &EventQuery,
    patience: Option<Duration>,
    output: OutputFormat,
    out: &mut dyn Write,
) -> Result<Ended, Failure> {
    let mut shown = 0;
    let mut last_event = Instant::now();
    loop {
        let silence = Instant::now() + SILENCE_MAX;
        let quiet = patience.map(|patience| last_event + patience);
        let deadline = quiet.map_or(silence, |quiet| quiet.min(silence));
        let received = match timeout_at(deadline, stream.next()).await {
            Ok(received) => received?,
            Err(_) if quiet.is_some_and(|quiet| quiet <= Instant::now()) => {
                return Ok(Ended::Quiet);
            }
            Err(_) => return Err(Failure::operation("the hub gives no sign of life")),
        };
        match received {
            Received::Heartbeat => {}
            Received::Line(line, text) => {
                if let Some(notice) = write(&line, &text, output, out)? {
                    end_of(&notice)?;
                } else {
                    shown += 1;
                    last_event = Instant::now();
                }
            }
            Received::End if query.at_end == AtEnd::Stop || query.max == Some(shown) => {
                return Ok(Ended::Done);
            }
            Received::End => {
                let text = "the stream ended: the server stopped";
                return Err(Failure::operation(text)
                    .with_hint("run the command again once the server is back"));
            }
        }
    }
}

/// Writes a line; gives it back when it is a notice. Programs get the line as it came.
fn write(
    line: &EventLine,
    text: &str,
    output: OutputFormat,
    out: &mut dyn Write,
) -> Result<Option<Notice>, Failure> {
    match (output, line) {
        (OutputFormat::Json, _) => writeln!(out, "{text}")?,
        (OutputFormat::Table, EventLine::Event(event)) => {
            writeln!(out, "{}", events_text::event(event))?
        }
        (OutputFormat::Table, EventLine::Notice(notice)) => {
            writeln!(out, "{}", events_text::notice(notice))?
        }
    }
    out.flush()?;
    Ok(match line {
        EventLine::Notice(notice) => Some(notice.clone()),
        EventLine::Event(_) => None,
    })
}

fn end_of(notice: &Notice) -> Result<(), Failure> {
    match notice.notice {
        NoticeKind::BehindRetention => Ok(()),
        NoticeKind::TokenExpired => Err(Failure::operation(
            "the token that opened the stream expired",
        )
        .with_hint("run the command again to go on; --from offset:NUMBER goes on where it ended")),
        NoticeKind::Failed => {
            let text = notice
                .error
                .as_ref()
                .map_or("the hub could not go on", |error| error.message.as_str());
            Err(Failure::operation(text))
        }
    }
}
