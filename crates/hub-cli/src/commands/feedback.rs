//! `feedback …`.

use std::io::Write;
use std::time::Duration;

use anyhow::Context as _;
use hub_api::native::QueueRecord;

use crate::arguments::{FeedbackWatch, OutputFormat};
use crate::connect::Connected;
use crate::failure::Failure;

/// How long to wait before an empty queue is asked again.
const PAUSE: Duration = Duration::from_secs(1);

/// Shows batches and completes each once it was shown: what is shown last before a failure may be shown again.
pub(super) async fn watch(
    watch: FeedbackWatch,
    Connected { client, hub }: &Connected,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    let queue = if watch.files {
        "filenotifications"
    } else {
        "feedback"
    };
    let mut shown = 0;
    loop {
        let batch = client.receive_batch(hub, queue).await?;
        let Some(token) = batch.lock_token else {
            if watch.no_follow {
                return Ok(());
            }
            tokio::time::sleep(PAUSE).await;
            continue;
        };
        for record in &batch.records {
            show(record, watch.common.output, out).context("the record cannot be printed")?;
            shown += 1;
        }
        out.flush().context("the records cannot be printed")?;
        client.complete_batch(hub, queue, &token).await?;
        if watch.max.is_some_and(|max| shown >= max) {
            return Ok(());
        }
    }
}

fn show(record: &QueueRecord, output: OutputFormat, out: &mut dyn Write) -> std::io::Result<()> {
    match output {
        OutputFormat::Json => {
            serde_json::to_writer(&mut *out, record)?;
            writeln!(out)
        }
        OutputFormat::Table => writeln!(out, "{}", line(record)),
    }
}

/// `2026-01-31T12:00:00Z d1/m1 Success id-1`.
fn line(record: &QueueRecord) -> String {
    match record {
        QueueRecord::Feedback {
            message_id,
            status,
            time,
            device_id,
            module_id,
            generation_id: _,
        } => {
            let module = module_id
                .as_ref()
                .map_or_else(String::new, |module| format!("/{module}"));
            let message = message_id.as_deref().unwrap_or("-");
            format!("{time} {device_id}{module} {status} {message}")
        }
        QueueRecord::File {
            device_id,
            blob_name,
            size_bytes,
            time,
            blob_uri: _,
            last_updated: _,
        } => format!("{time} {device_id} {blob_name} {size_bytes} bytes"),
    }
}
