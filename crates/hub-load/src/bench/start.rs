//! From the start of the program to a socket that can be connected to.

use std::time::Duration;

use anyhow::{Context as _, Result};

use super::report::{Measure, Report};
use super::server::{Kind, start_thingstead};
use super::{Bench, say};

/// How often a full store is opened.
const OPENS_WITH_DEVICES: usize = 3;

/// The first start, which makes certificates and store, and the next one.
pub(super) fn measure(bench: &Bench<'_>, report: &mut Report) -> Result<()> {
    say("starts");
    for _ in 0..bench.plan.rounds.max(3) {
        let data = bench.folder.0.join("start");
        // Left by the round before.
        drop(std::fs::remove_dir_all(&data));
        for what in ["first start, no store", "start, empty store"] {
            let server = start_thingstead(&bench.program, &data)?;
            report.add(
                Kind::Thingstead,
                what,
                Measure::Milliseconds,
                millis(server.started_in),
            );
            server.process.stop()?;
        }
    }
    Ok(())
}

/// The start with a store of this many devices.
pub(super) fn with_devices(bench: &Bench<'_>, devices: u64, report: &mut Report) -> Result<()> {
    let data = bench.folder.0.join("registered");
    std::fs::create_dir_all(&data)?;
    let progress = |written: u64| {
        if written.is_multiple_of(100_000) {
            say(&format!("{written} of {devices} devices"));
        }
    };
    bench
        .seeder
        .seed(&data, "device-", devices, &progress)
        .context("cannot create the devices")?;
    let what = format!("start, {devices} devices");
    for _ in 0..OPENS_WITH_DEVICES {
        let server = start_thingstead(&bench.program, &data)?;
        report.add(
            Kind::Thingstead,
            &what,
            Measure::Milliseconds,
            millis(server.started_in),
        );
        #[expect(clippy::cast_precision_loss, reason = "bytes far below 2^52")]
        let mebibytes = server.process.usage()?.resident as f64 / f64::from(1 << 20);
        report.add(
            Kind::Thingstead,
            &what,
            Measure::ResidentMebibytes,
            mebibytes,
        );
        server.process.stop()?;
    }
    Ok(())
}

fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1_000.0
}
