//! The provisioning service itself: its scope, policies, hubs and authorities.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::{AllocationPolicy, IdScope, ServicePolicy};
use crate::certificate::{CertificateName, CertificateOfAuthority};
use crate::ids::IdError;
use crate::{Etag, HostName, Revision, SymmetricKey, Timestamp};

/// The provisioning service of an installation.
#[derive(Clone)]
pub struct ProvisioningService {
    /// What devices name it by.
    pub id_scope: IdScope,
    /// Its shared access policies.
    pub policies: Vec<ServicePolicy>,
    /// What may be set while it runs.
    pub settings: ProvisioningSettings,
    /// Counts its changes.
    pub revision: Revision,
}

impl ProvisioningService {
    /// The policy of that name; names compare without case.
    pub fn policy(&self, name: &str) -> Option<&ServicePolicy> {
        self.policies.iter().find(|policy| policy.name.is(name))
    }
}

/// What may be set while the service runs. The default needs no set-up: every hub of the installation is linked.
#[derive(Clone, Default)]
pub struct ProvisioningSettings {
    /// How a hub is chosen where an enrollment says nothing.
    pub allocation: AllocationPolicy,
    /// Hubs of other installations, and what is set for the own ones. An own hub without an entry has the default.
    pub linked_hubs: Vec<LinkedHub>,
    /// The authorities that may vouch for devices.
    pub certificates: Vec<CertificateOfAuthority>,
    /// In which region a caller of an address is; the longest prefix decides.
    pub address_ranges: Vec<AddressRange>,
    /// How far the regions are from each other.
    pub latencies: Latencies,
    /// Who issues certificates to devices, by the name that enrollments say.
    pub credential_policies: Vec<CredentialPolicy>,
    /// The authorities of this service that issue certificates.
    pub issuers: Vec<CertificateIssuer>,
}

/// A hub that devices can be assigned to.
#[derive(Clone)]
pub struct LinkedHub {
    /// Its host name, by which devices reach it.
    pub host: HostName,
    /// How this service reaches it.
    pub link: Link,
    /// Its share of devices among hubs of the hashed policy, 1 to 1,000.
    pub weight: u32,
    /// False when the policies leave it out, and only static enrollments use it.
    pub allocatable: bool,
    /// Where it is.
    pub region: Option<Region>,
}

impl LinkedHub {
    /// An own hub about which nothing was said.
    pub const fn own(host: HostName) -> Self {
        Self {
            host,
            link: Link::Own,
            weight: 1,
            allocatable: true,
            region: None,
        }
    }
}

/// How the service reaches a hub.
#[derive(Clone)]
pub enum Link {
    /// It is one of this installation.
    Own,
    /// Over the vendor's REST, as the holder of a policy.
    Remote {
        /// The policy: it needs `RegistryWrite` and `ServiceConnect`.
        policy: String,
        /// Its key.
        key: SymmetricKey,
        /// The port of its HTTPS when it is not 443.
        port: Option<u16>,
    },
}

/// The name of a place, compared without case: letters, digits, space, `-`, `_`; 1 to 64 characters.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Region(Arc<str>);

impl Region {
    /// Lower-cases and checks.
    ///
    /// # Errors
    /// When empty, too long, or with another character.
    pub fn parse(text: &str) -> Result<Self, IdError> {
        let text = text.trim();
        name("region", text, |c| matches!(c, '-' | '_' | ' '))?;
        Ok(Self(Arc::from(text.to_ascii_lowercase())))
    }

    /// The name in lower case.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Longest name of a region or policy in characters.
const NAME_CHARS_MAX: usize = 64;

pub(super) fn name(
    what: &'static str,
    text: &str,
    also: impl Fn(char) -> bool,
) -> Result<(), IdError> {
    if text.is_empty() || text.chars().count() > NAME_CHARS_MAX {
        return Err(IdError::Length {
            what,
            max: NAME_CHARS_MAX,
        });
    }
    match text
        .chars()
        .find(|c| !c.is_ascii_alphanumeric() && !also(*c))
    {
        Some(character) => Err(IdError::Character { what, character }),
        None => Ok(()),
    }
}

/// A range of addresses and where they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddressRange {
    /// The first address.
    pub network: IpAddr,
    /// How many leading bits count, at most 32 or 128.
    pub prefix: u8,
    /// Where.
    pub region: Region,
}

impl AddressRange {
    /// Reads `address/prefix`, or an address alone. `None` when it is neither. An IPv4 range written as IPv6
    /// (`::ffff:10.0.0.0/104`) is one of IPv4, and bits behind the prefix do not count: one range has one spelling.
    pub fn parse(range: &str, region: Region) -> Option<Self> {
        let (address, prefix) = match range.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (range, None),
        };
        let network: IpAddr = address.trim().parse().ok()?;
        let max = if network.is_ipv4() { 32 } else { 128 };
        let prefix = match prefix {
            Some(prefix) => prefix
                .trim()
                .parse::<u8>()
                .ok()
                .filter(|prefix| *prefix <= max)?,
            None => max,
        };
        let (network, prefix) = match (network, network.to_canonical()) {
            (IpAddr::V6(_), IpAddr::V4(mapped)) => (IpAddr::V4(mapped), prefix.checked_sub(96)?),
            (_, canonical) => (canonical, prefix),
        };
        Some(Self {
            network: first_of(network, prefix),
            prefix,
            region,
        })
    }

    /// True when the address is in the range. An IPv4 address written as IPv6 counts as IPv4.
    pub fn contains(&self, address: IpAddr) -> bool {
        let same = |network: u128, address: u128, bits: u32| {
            let drop = bits - u32::from(self.prefix).min(bits);
            network.checked_shr(drop).unwrap_or(0) == address.checked_shr(drop).unwrap_or(0)
        };
        match (self.network, address.to_canonical()) {
            (IpAddr::V4(network), IpAddr::V4(address)) => {
                same(u32::from(network).into(), u32::from(address).into(), 32)
            }
            (IpAddr::V6(network), IpAddr::V6(address)) => same(network.into(), address.into(), 128),
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
        }
    }

    /// True when both hold the same addresses.
    pub fn is_same(&self, other: &Self) -> bool {
        self.prefix == other.prefix && self.contains(other.network)
    }
}

/// The first address that has the same leading bits.
fn first_of(address: IpAddr, prefix: u8) -> IpAddr {
    let prefix = u32::from(prefix);
    match address {
        IpAddr::V4(address) => {
            let mask = u32::MAX.checked_shl(32 - prefix).unwrap_or(0);
            Ipv4Addr::from_bits(address.to_bits() & mask).into()
        }
        IpAddr::V6(address) => {
            let mask = u128::MAX.checked_shl(128 - prefix).unwrap_or(0);
            Ipv6Addr::from_bits(address.to_bits() & mask).into()
        }
    }
}

impl fmt::Display for AddressRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.network, self.prefix)
    }
}

/// How far a hub is for callers of a region. A hub in the caller's own region without an entry is at no distance.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Latencies(BTreeMap<(Region, HostName), Duration>);

impl Latencies {
    /// Sets how long callers of `from` take to `hub`.
    pub fn set(&mut self, from: Region, hub: HostName, latency: Duration) {
        self.0.insert((from, hub), latency);
    }

    /// Forgets an entry. True when there was one.
    pub fn remove(&mut self, from: &Region, hub: &HostName) -> bool {
        self.0.remove(&(from.clone(), hub.clone())).is_some()
    }

    /// How long callers of `from` take to `hub`, when that is known.
    pub fn get(&self, from: &Region, hub: &HostName) -> Option<Duration> {
        self.0.get(&(from.clone(), hub.clone())).copied()
    }

    /// All entries, by region and hub.
    pub fn iter(&self) -> impl Iterator<Item = (&Region, &HostName, Duration)> {
        self.0
            .iter()
            .map(|((region, hub), latency)| (region, hub, *latency))
    }
}

/// The name of a credential policy: letters, digits, `-`, `_`; 1 to 64 characters, compared without case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CredentialPolicyName(Arc<str>);

impl CredentialPolicyName {
    /// Checks length and characters.
    ///
    /// # Errors
    /// When empty, too long, or with another character.
    pub fn parse(text: &str) -> Result<Self, IdError> {
        name("credential policy name", text, |c| matches!(c, '-' | '_'))?;
        Ok(Self(Arc::from(text)))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// True when it is the same name; case does not count.
    pub fn is(&self, other: &Self) -> bool {
        self.0.eq_ignore_ascii_case(&other.0)
    }
}

impl fmt::Display for CredentialPolicyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// How certificates are issued to devices.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CredentialPolicy {
    /// Its name.
    pub name: CredentialPolicyName,
    /// Which authority of the service issues them.
    pub issuer: CertificateName,
    /// How many days they are good, 7 to 90.
    pub validity_days: u32,
    /// Changes with every write.
    pub etag: Etag,
    /// When it was created.
    pub created: Timestamp,
    /// When it was last written.
    pub updated: Timestamp,
}

/// An authority of the service that issues certificates.
#[derive(Clone)]
pub struct CertificateIssuer {
    /// Its name.
    pub name: CertificateName,
    /// Its own certificate and what leads to the root, in DER.
    pub chain: Vec<Arc<[u8]>>,
    /// Its private key, PKCS#8 in DER. A secret.
    pub key: Arc<[u8]>,
    /// When it was made or given.
    pub created: Timestamp,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(text: &str) -> AddressRange {
        AddressRange::parse(text, Region::parse("eu").expect("valid")).expect("valid")
    }

    #[test]
    fn address_ranges_hold_the_addresses_of_their_prefix() {
        let yes = [
            ("10.0.0.0/8", "10.255.0.1"),
            ("10.0.0.0/8", "::ffff:10.1.2.3"),
            ("::ffff:10.0.0.0/104", "10.1.2.3"),
            ("0.0.0.0/0", "1.2.3.4"),
            ("192.0.2.7", "192.0.2.7"),
            ("2001:db8::/32", "2001:db8:1::1"),
            ("::/0", "fe80::1"),
        ];
        for (range_text, address) in yes {
            assert!(
                range(range_text).contains(address.parse().expect("an address")),
                "{range_text} {address}"
            );
        }
        let no = [
            ("10.0.0.0/8", "11.0.0.1"),
            ("192.0.2.7", "192.0.2.8"),
            ("2001:db8::/32", "2001:db9::1"),
            ("0.0.0.0/0", "::1"),
        ];
        for (range_text, address) in no {
            assert!(
                !range(range_text).contains(address.parse().expect("an address")),
                "{range_text} {address}"
            );
        }
    }

    #[test]
    fn one_range_has_one_spelling() {
        for (given, shown) in [
            ("10.1.2.3/8", "10.0.0.0/8"),
            ("192.0.2.7", "192.0.2.7/32"),
            ("192.0.2.7/31", "192.0.2.6/31"),
            ("1.2.3.4/0", "0.0.0.0/0"),
            ("2001:DB8::1/32", "2001:db8::/32"),
            ("::1/0", "::/0"),
            ("::1", "::1/128"),
        ] {
            assert_eq!(range(given).to_string(), shown);
        }
    }

    #[test]
    fn what_is_no_range_is_refused() {
        for bad in [
            "",
            "x",
            "10.0.0.0/33",
            "::/129",
            "10.0.0.0/-1",
            "10.0.0/8",
            "::ffff:10.0.0.0/95",
        ] {
            let region = Region::parse("eu").expect("valid");
            assert_eq!(AddressRange::parse(bad, region), None, "{bad}");
        }
    }

    #[test]
    fn ranges_of_the_same_addresses_are_the_same() {
        assert!(range("10.0.0.0/8").is_same(&range("10.1.2.3/8")));
        assert!(!range("10.0.0.0/8").is_same(&range("10.0.0.0/9")));
        assert!(!range("10.0.0.0/8").is_same(&range("::/8")));
    }
}
