//! Which hub a device goes to, and why. Pure: enrollment, hubs and caller come in, a ranked list goes out.
//!
//! The hashed policy is weighted rendezvous hashing: each hub draws a number from its name and the registration id,
//! and the highest one wins. A device keeps its hub when others come or go, and hubs get devices by their weights.

use std::cmp::Ordering;
use std::net::IpAddr;
use std::time::Duration;

use hub_domain::HostName;
use hub_domain::provisioning::{
    AllocationPolicy, LinkedHub, ProvisioningSettings, Region, RegistrationId, Terms,
};
use hub_engine::ErrorKind;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::Error;
use crate::error::codes;

/// The hubs for a device, best first, and how they were found.
#[derive(Clone, Debug, PartialEq)]
pub struct Choice {
    /// By which policy.
    pub policy: AllocationPolicy,
    /// The hubs, best first; the next one is tried when one cannot be reached. Not empty.
    pub ranked: Vec<Ranked>,
    /// Where the caller is, when that is known and asked for.
    pub region: Option<Region>,
    /// What else there is to say, for people.
    pub notes: Vec<String>,
}

/// A hub and why it has its rank.
#[derive(Clone, Debug, PartialEq)]
pub struct Ranked {
    /// The hub.
    pub host: HostName,
    /// Why, for people.
    pub reason: String,
}

/// A hub that devices can be assigned to, by all its names.
#[derive(Clone)]
pub(crate) struct Candidate {
    pub(crate) linked: LinkedHub,
    /// What enrollments and latencies may call it besides: the host name of an own hub can change.
    pub(crate) aliases: Vec<HostName>,
    /// What the hash draws by. It does not change with the host name.
    pub(crate) label: String,
}

impl Candidate {
    /// True when `host` means this hub.
    pub(crate) fn is(&self, host: &HostName) -> bool {
        self.linked.host == *host || self.aliases.contains(host)
    }

    fn names(&self) -> impl Iterator<Item = &HostName> {
        std::iter::once(&self.linked.host).chain(&self.aliases)
    }
}

/// The hubs to choose from: those that take part, and of these the ones that the enrollment names when it names any. One
/// that takes no part gets only the devices of static enrollments ("How to use allocation policies": a hub can be drained).
pub(crate) fn choosable<'a>(terms: &Terms, hubs: &'a [Candidate]) -> Vec<&'a Candidate> {
    let is_named =
        |hub: &Candidate| terms.hubs.is_empty() || terms.hubs.iter().any(|named| hub.is(named));
    hubs.iter()
        .filter(|hub| hub.linked.allocatable && is_named(hub))
        .collect()
}

/// What the choice is made of.
pub(crate) struct Situation<'a> {
    pub(crate) id: &'a RegistrationId,
    pub(crate) terms: &'a Terms,
    pub(crate) settings: &'a ProvisioningSettings,
    pub(crate) hubs: &'a [Candidate],
    pub(crate) address: Option<IpAddr>,
    pub(crate) payload: Option<&'a Value>,
}

impl Situation<'_> {
    /// The policy of the enrollment, or the service's own. An enrollment that only names its hub means that one: the
    /// documents of 2018-04-01 have no policy.
    pub(crate) fn policy(&self) -> AllocationPolicy {
        let named = self.terms.hub.as_ref().map(|_| AllocationPolicy::Static);
        let said = self.terms.allocation.or(named);
        said.unwrap_or(self.settings.allocation)
    }

    /// Chooses by a policy that needs nobody else's answer.
    ///
    /// # Errors
    /// No hub takes part, or the static one is not linked. With the custom policy: always, for the webhook chooses.
    pub(crate) fn choose(&self) -> Result<Choice, Error> {
        let policy = self.policy();
        match policy {
            AllocationPolicy::Hashed => self.hashed(Vec::new()),
            AllocationPolicy::GeoLatency => self.nearest(),
            AllocationPolicy::Static => self.fixed(),
            AllocationPolicy::Custom => Err(Error::new(
                ErrorKind::Internal,
                "the webhook of the custom policy has to be asked",
            )),
        }
    }

    fn hashed(&self, notes: Vec<String>) -> Result<Choice, Error> {
        let mut candidates = choosable(self.terms, self.hubs);
        require_one(&candidates)?;
        by_hash(self.id, &mut candidates);
        let total: u64 = candidates
            .iter()
            .map(|hub| u64::from(hub.linked.weight))
            .sum();
        let ranked = candidates
            .iter()
            .map(|hub| Ranked {
                host: hub.linked.host.clone(),
                reason: format!(
                    "hash of the registration id, weight {} of {total}",
                    hub.linked.weight
                ),
            })
            .collect();
        Ok(Choice {
            policy: self.policy(),
            ranked,
            region: None,
            notes,
        })
    }

    fn fixed(&self) -> Result<Choice, Error> {
        let ((Some(host), _) | (None, [host])) = (&self.terms.hub, self.terms.hubs.as_slice())
        else {
            return Err(no_hub(
                "the static policy needs the enrollment to name one hub",
            ));
        };
        let hub = self.hubs.iter().find(|hub| hub.is(host)).ok_or_else(|| {
            no_hub(format!(
                "the enrollment names the hub {host}, which is not linked"
            ))
        })?;
        Ok(Choice {
            policy: AllocationPolicy::Static,
            ranked: vec![Ranked {
                host: hub.linked.host.clone(),
                reason: "the enrollment names it".to_owned(),
            }],
            region: None,
            notes: Vec::new(),
        })
    }

    fn nearest(&self) -> Result<Choice, Error> {
        let Some((region, origin)) = self.region() else {
            return self.hashed(vec![
                "the caller's region is not known, so the choice is by hash; set an address range, or let the \
                 device send a payload with a member region"
                    .to_owned(),
            ]);
        };
        let mut candidates = choosable(self.terms, self.hubs);
        require_one(&candidates)?;
        by_hash(self.id, &mut candidates);
        let mut with_latency: Vec<(&Candidate, Option<u128>)> = candidates
            .into_iter()
            .map(|hub| (hub, self.latency(&region, hub)))
            .collect();
        if with_latency.iter().all(|(_, latency)| latency.is_none()) {
            let mut choice = self.hashed(vec![format!(
                "no latency from {region} to any hub is known, so the choice is by hash; set or measure latencies"
            )])?;
            choice.region = Some(region);
            return Ok(choice);
        }
        // Stable: hubs of the same latency stay in the order of their hashes.
        with_latency.sort_by(|(_, one), (_, other)| match (one, other) {
            (Some(one), Some(other)) => one.cmp(other),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (None, None) => Ordering::Equal,
        });
        let mut notes = vec![format!("the caller is in {region}, by {origin}")];
        if let [(_, Some(first)), (_, Some(second)), ..] = with_latency.as_slice()
            && first == second
        {
            notes.push("several hubs are equally near, the hash decides among them".to_owned());
        }
        let ranked = with_latency
            .into_iter()
            .map(|(hub, latency)| Ranked {
                host: hub.linked.host.clone(),
                reason: latency.map_or_else(
                    || format!("no latency from {region} is known"),
                    |latency| format!("{latency} ms from {region}"),
                ),
            })
            .collect();
        Ok(Choice {
            policy: AllocationPolicy::GeoLatency,
            ranked,
            region: Some(region),
            notes,
        })
    }

    /// What is set or was measured; a hub in the caller's own region is at no distance. In whole milliseconds: less
    /// than one is chance, and would send all devices to one of two hubs that are side by side.
    fn latency(&self, from: &Region, hub: &Candidate) -> Option<u128> {
        let known = hub
            .names()
            .find_map(|name| self.settings.latencies.get(from, name));
        let latency =
            known.or_else(|| (hub.linked.region.as_ref() == Some(from)).then_some(Duration::ZERO));
        latency.map(|latency| latency.as_millis())
    }

    /// Where the caller is: by the longest address range that holds it, else by what it says of itself.
    fn region(&self) -> Option<(Region, &'static str)> {
        let ranges = self.settings.address_ranges.iter();
        let by_address = self.address.and_then(|address| {
            ranges
                .filter(|range| range.contains(address))
                .max_by_key(|range| range.prefix)
        });
        if let Some(range) = by_address {
            return Some((range.region.clone(), "its address"));
        }
        let said = self.payload?.get("region")?.as_str()?;
        Region::parse(said)
            .ok()
            .map(|region| (region, "its payload"))
    }
}

fn require_one(candidates: &[&Candidate]) -> Result<(), Error> {
    if candidates.is_empty() {
        return Err(no_hub(
            "no linked hub takes part in the allocation; link one, or look at the hubs that the enrollment names",
        ));
    }
    Ok(())
}

pub(crate) fn no_hub(text: impl Into<String>) -> Error {
    Error::invalid(text).with_code(codes::NO_HUB)
}

/// Best first.
fn by_hash(id: &RegistrationId, hubs: &mut [&Candidate]) {
    hubs.sort_by(|one, other| {
        let by_score = score(id, other).total_cmp(&score(id, one));
        by_score.then_with(|| one.label.cmp(&other.label))
    });
}

/// A hub's draw: the logarithm method of weighted rendezvous hashing, on the first eight bytes of a SHA-256.
fn score(id: &RegistrationId, hub: &Candidate) -> f64 {
    let mut hash = Sha256::new();
    hash.update(hub.label.as_bytes());
    hash.update([0]);
    hash.update(id.key().as_bytes());
    let hash: [u8; 32] = hash.finalize().into();
    let first = hash.first_chunk().expect("invariant: 32 bytes have eight");
    // 53 bits, the precision of a double; the half keeps it off zero.
    #[expect(clippy::cast_precision_loss, reason = "53 bits fit a double")]
    let drawn = ((u64::from_be_bytes(*first) >> 11) as f64 + 0.5) / (1_u64 << 53) as f64;
    -f64::from(hub.linked.weight) / drawn.ln()
}

#[cfg(test)]
mod tests;
