//! Linked hubs, address ranges, latencies.

use std::io::Write;
use std::time::{Duration, Instant};

use hub_api::client::Client;
use hub_api::native::{
    AddressRanges, Latencies, Latency, LatencyValue, LinkedHub, LinkedHubChange, LinkedHubCheck,
    NewLinkedHub, RegionName,
};

use super::{list_of, nothing_to_change};
use crate::arguments::{
    AddressRangeCommand, LatencyCommand, LatencyMeasure, LinkedHubCommand, LinkedHubCreate,
    LinkedHubUpdate, ListFile,
};
use crate::connect::default_hub;
use crate::failure::Failure;
use crate::render;

/// How long one connection may take.
const MEASURE_TIMEOUT: Duration = Duration::from_secs(5);
/// Where hubs usually listen.
const HTTPS_PORT: u16 = 443;

pub(super) async fn linked_hub(
    command: LinkedHubCommand,
    client: &Client,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    let output = command.common().output;
    let mut is_new_link = false;
    let hub = match command {
        LinkedHubCommand::Create(LinkedHubCreate {
            hub_connection_string,
            settings,
            common: _,
        }) => {
            let new = NewLinkedHub {
                connection_string: hub_connection_string,
                allocation_weight: settings.allocation_weight,
                apply_allocation_policy: settings.apply_allocation_policy,
                region: settings.region,
            };
            is_new_link = true;
            client.create_linked_hub(&new).await?
        }
        LinkedHubCommand::List(_) => {
            let hubs = client.linked_hubs().await?.items;
            let table = |hubs: &Vec<LinkedHub>| render::dps::linked_hubs(hubs);
            return render::answer(output, &hubs, table, out);
        }
        LinkedHubCommand::Show(name) => client.linked_hub(&name.linked_hub).await?,
        LinkedHubCommand::Update(LinkedHubUpdate {
            name,
            hub_connection_string,
            settings,
        }) => {
            if hub_connection_string.is_none() && settings.is_empty() {
                return Err(nothing_to_change("linked-hub"));
            }
            is_new_link = hub_connection_string.is_some();
            let change = LinkedHubChange {
                connection_string: hub_connection_string,
                allocation_weight: settings.allocation_weight,
                apply_allocation_policy: settings.apply_allocation_policy,
                region: settings.region,
            };
            client.patch_linked_hub(&name.linked_hub, &change).await?
        }
        LinkedHubCommand::Check(name) => {
            let check = client.check_linked_hub(&name.linked_hub).await?;
            render::answer(output, &check, render::dps::linked_hub_check, out)?;
            return match check.is_usable {
                true => Ok(()),
                false => Err(unusable(&check)),
            };
        }
        LinkedHubCommand::Delete(name) => {
            client.delete_linked_hub(&name.linked_hub).await?;
            // Those of the installation stay linked, as they were before anything was set.
            match client.linked_hub(&name.linked_hub).await {
                Ok(hub) if hub.is_own => hub,
                Ok(_) | Err(_) => return render::deleted(output, &name.linked_hub, out),
            }
        }
    };
    let table = |hub: &LinkedHub| render::dps::linked_hubs(std::slice::from_ref(hub));
    render::answer(output, &hub, table, out)?;
    if is_new_link {
        tell_unusable(client, &hub.host_name).await;
    }
    Ok(())
}

/// Warns of a new link that leads nowhere: otherwise the first device would find out. The hub may be away for now, so that
/// the command succeeds all the same.
async fn tell_unusable(client: &Client, host: &str) {
    let failure = match client.check_linked_hub(host).await {
        Ok(check) => check.failure,
        Err(error) => Some(error.to_string()),
    };
    if let Some(failure) = failure {
        let _ = writeln!(
            std::io::stderr(),
            "warning: {failure}; it is linked all the same"
        );
    }
}

fn unusable(check: &LinkedHubCheck) -> Failure {
    let text = format!("devices cannot be assigned to {}", check.host_name);
    Failure::operation(text).with_hint(
        "the key and rights of its policy: `dps linked-hub update --hub-connection-string`; \
         its certificate: `[provisioning] trusted_certificates` of the server",
    )
}

pub(super) async fn address_range(
    command: AddressRangeCommand,
    client: &Client,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    match command {
        AddressRangeCommand::List(common) => {
            let ranges = client.address_ranges().await?.items;
            let table = |ranges: &Vec<_>| render::dps::address_ranges(ranges);
            render::answer(common.output, &ranges, table, out)
        }
        AddressRangeCommand::Set {
            range,
            region,
            common,
        } => {
            let range = client
                .put_address_range(&range, &RegionName { region })
                .await?;
            let table = |range: &_| render::dps::address_ranges(std::slice::from_ref(range));
            render::answer(common.output, &range, table, out)
        }
        AddressRangeCommand::Replace(ListFile { file, common }) => {
            let items = list_of(&file)?;
            let kept = client
                .replace_address_ranges(&AddressRanges { items })
                .await?;
            let table = |ranges: &Vec<_>| render::dps::address_ranges(ranges);
            render::answer(common.output, &kept.items, table, out)
        }
        AddressRangeCommand::Delete { range, common } => {
            client.delete_address_range(&range).await?;
            render::deleted(common.output, &range, out)
        }
    }
}

pub(super) async fn latency(
    command: LatencyCommand,
    client: &Client,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    match command {
        LatencyCommand::List(common) => {
            let latencies = client.latencies().await?.items;
            let table = |latencies: &Vec<Latency>| render::dps::latencies(latencies);
            render::answer(common.output, &latencies, table, out)
        }
        LatencyCommand::Set {
            region,
            linked_hub,
            milliseconds,
            common,
        } => {
            let value = LatencyValue {
                microseconds: microseconds(milliseconds)?,
            };
            let latency = client.put_latency(&region, &linked_hub, &value).await?;
            let table = |latency: &_| render::dps::latencies(std::slice::from_ref(latency));
            render::answer(common.output, &latency, table, out)
        }
        LatencyCommand::Replace(ListFile { file, common }) => {
            let items = list_of(&file)?;
            let kept = client.replace_latencies(&Latencies { items }).await?;
            let table = |latencies: &Vec<Latency>| render::dps::latencies(latencies);
            render::answer(common.output, &kept.items, table, out)
        }
        LatencyCommand::Delete {
            region,
            linked_hub,
            common,
        } => {
            client.delete_latency(&region, &linked_hub).await?;
            let what = format!("{region} to {linked_hub}");
            render::deleted(common.output, &what, out)
        }
        LatencyCommand::Measure(measure) => self::measure(measure, client, out).await,
    }
}

fn microseconds(milliseconds: f64) -> Result<u64, Failure> {
    let duration = Duration::try_from_secs_f64(milliseconds / 1000.0)
        .map_err(|_| Failure::usage("--milliseconds must be a number from 0"))?;
    u64::try_from(duration.as_micros()).map_err(|_| Failure::usage("--milliseconds is too large"))
}

/// The time of a TCP handshake is one round trip, which is what a device waits for too.
async fn measure(
    measure: LatencyMeasure,
    client: &Client,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    let mut measured = Vec::new();
    let mut silent = Vec::new();
    let ports = ports(measure.port, client).await?;
    for hub in client.linked_hubs().await?.items {
        let port = if hub.is_own { ports.own } else { ports.others };
        let target = (hub.host_name.as_str(), port);
        match fastest(target, measure.count).await {
            Some(latency) => measured.push(Latency {
                region: measure.region.clone(),
                host_name: hub.host_name,
                microseconds: u64::try_from(latency.as_micros()).unwrap_or(u64::MAX),
            }),
            None => silent.push(format!("{}:{port}", hub.host_name)),
        }
    }
    if !measure.dry_run && !measured.is_empty() {
        let items = measured.clone();
        client.patch_latencies(&Latencies { items }).await?;
    }
    let table = |latencies: &Vec<Latency>| render::dps::latencies(latencies);
    render::answer(measure.common.output, &measured, table, out)?;
    if silent.is_empty() {
        return Ok(());
    }
    Err(
        Failure::operation(format!("no answer from {}", silent.join(", "))).with_hint(
            "what was known of them stays; is the port open there? --port chooses another",
        ),
    )
}

/// Where hubs are measured.
struct Ports {
    /// Hubs of this installation.
    own: u16,
    /// Others.
    others: u16,
}

/// The one that is given, else the one of HTTPS: what this installation listens on, and the usual one elsewhere.
async fn ports(given: Option<u16>, client: &Client) -> Result<Ports, Failure> {
    if let Some(port) = given {
        return Ok(Ports {
            own: port,
            others: port,
        });
    }
    let own = match own_port(client).await {
        // Who may use the provisioning service alone is not told where this installation listens.
        Err(failure) if failure.is_refused() => None,
        result => result?,
    };
    Ok(Ports {
        own: own.unwrap_or(HTTPS_PORT),
        others: HTTPS_PORT,
    })
}

async fn own_port(client: &Client) -> Result<Option<u16>, Failure> {
    let name = default_hub(client).await?;
    Ok(client.hub(&name).await?.ports.https)
}

async fn fastest(target: (&str, u16), count: u32) -> Option<Duration> {
    let mut best = None;
    for _ in 0..count {
        let begun = Instant::now();
        let connecting = tokio::net::TcpStream::connect(target);
        if let Ok(Ok(_)) = tokio::time::timeout(MEASURE_TIMEOUT, connecting).await {
            let took = begun.elapsed();
            best = Some(best.map_or(took, |best: Duration| best.min(took)));
        }
    }
    best
}
