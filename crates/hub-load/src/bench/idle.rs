//! Memory of sessions that say nothing.

use std::time::Duration;

use anyhow::Result;

use super::server::Server;
use super::sessions;
use crate::amqp::device::Links;
use crate::tls;

/// How long the server may put its memory in order before it is looked at.
const SETTLE: Duration = Duration::from_secs(2);

/// Memory per MQTT session in KiB at each of the counts, which rise.
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
        found.push((*count, growth(server, before, *count).await?));
    }
    Ok(found)
}

/// The same for AMQP sessions with these links.
pub(super) async fn run_amqp(
    server: &Server,
    version: tls::Version,
    counts: &[usize],
    links: Links,
) -> Result<Vec<(usize, f64)>> {
    let before = server.process.usage()?.resident;
    let mut open = Vec::new();
    let mut found = Vec::new();
    for count in counts {
        let more = sessions::open_amqp(server, version, open.len()..*count, links).await?;
        open.extend(more);
        found.push((*count, growth(server, before, *count).await?));
    }
    Ok(found)
}

/// Resident memory above `before`, in KiB for each of `count` sessions.
async fn growth(server: &Server, before: u64, count: usize) -> Result<f64> {
    tokio::time::sleep(SETTLE).await;
    let resident = server.process.usage()?.resident;
    Ok(kibibytes_each(resident.saturating_sub(before), count))
}

#[expect(clippy::cast_precision_loss, reason = "bytes far below 2^52")]
fn kibibytes_each(bytes: u64, count: usize) -> f64 {
    bytes as f64 / count as f64 / 1_024.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_shared_among_the_sessions() {
        assert!((kibibytes_each(40 * 1_024 * 1_024, 2_000) - 20.48).abs() < 1e-9);
    }
}
