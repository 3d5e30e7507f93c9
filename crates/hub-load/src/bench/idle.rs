//! Memory of sessions that say nothing.

use std::time::Duration;

use anyhow::Result;

use super::server::Server;
use super::sessions;
use crate::tls;

/// How long the server may put its memory in order before it is looked at.
const SETTLE: Duration = Duration::from_secs(2);

/// Memory per session in KiB at each of the counts, which rise.
pub(super) async fn run(
    server: &Server,
    version: tls::Version,
    counts: &[usize],
) -> Result<Vec<(usize, f64)>> {
    let before = server.process.usage()?.resident;
    let mut open = Vec::new();
    let mut found = Vec::new();
    for count in counts {
        let more = sessions::open::<()>(server, version, open.len()..*count, 1).await?;
        open.extend(more);
        tokio::time::sleep(SETTLE).await;
        let resident = server.process.usage()?.resident;
        #[expect(clippy::cast_precision_loss, reason = "bytes far below 2^52")]
        let per_session = resident.saturating_sub(before) as f64 / *count as f64 / 1_024.0;
        found.push((*count, per_session));
    }
    Ok(found)
}
