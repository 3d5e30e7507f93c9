//! The provisioning service itself.

use std::borrow::Cow;
use std::time::Duration;

use hub_domain::certificate::CertificateName;
use hub_domain::provisioning::{
    AddressRange, CertificateIssuer, CredentialPolicy, CredentialPolicyName, IdScope, Latencies,
    Link, LinkedHub, ProvisioningService, ProvisioningSettings, Region, ServicePermissions,
    ServicePolicy, ServicePolicyName,
};
use hub_domain::{Etag, Revision, SymmetricKey, Timestamp};
use serde::{Deserialize, Serialize};

use super::super::certificate::CertificateRecord;
use super::super::{from_json, to_json, unreadable};
use super::enrollment::AllocationRecord;
use super::{
    decode_all_bytes, decode_bytes, decode_host, encode_all_bytes, encode_bytes, encode_host,
};
use crate::StoreError;

const WHAT: &str = "provisioning service";

#[derive(Serialize, Deserialize)]
struct ServiceRecord<'a> {
    id_scope: Cow<'a, str>,
    policies: Vec<PolicyRecord<'a>>,
    settings: SettingsRecord<'a>,
    revision: u64,
}

#[derive(Serialize, Deserialize)]
struct PolicyRecord<'a> {
    name: Cow<'a, str>,
    permissions: u8,
    primary: String,
    secondary: String,
}

#[derive(Serialize, Deserialize)]
struct SettingsRecord<'a> {
    allocation: AllocationRecord,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    linked_hubs: Vec<LinkedHubRecord<'a>>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    certificates: Vec<CertificateRecord<'a>>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    address_ranges: Vec<AddressRangeRecord<'a>>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    latencies: Vec<LatencyRecord<'a>>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    credential_policies: Vec<CredentialPolicyRecord<'a>>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    issuers: Vec<IssuerRecord<'a>>,
}

#[derive(Serialize, Deserialize)]
struct LinkedHubRecord<'a> {
    host: Cow<'a, str>,
    link: LinkRecord<'a>,
    weight: u32,
    allocatable: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    region: Option<Cow<'a, str>>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum LinkRecord<'a> {
    Own,
    Remote {
        policy: Cow<'a, str>,
        key: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        port: Option<u16>,
    },
}

#[derive(Serialize, Deserialize)]
struct AddressRangeRecord<'a> {
    range: String,
    region: Cow<'a, str>,
}

#[derive(Serialize, Deserialize)]
struct LatencyRecord<'a> {
    from: Cow<'a, str>,
    hub: Cow<'a, str>,
    latency_ns: u64,
}

#[derive(Serialize, Deserialize)]
struct CredentialPolicyRecord<'a> {
    name: Cow<'a, str>,
    issuer: Cow<'a, str>,
    validity_days: u32,
    etag: Cow<'a, str>,
    created: i64,
    updated: i64,
}

#[derive(Serialize, Deserialize)]
struct IssuerRecord<'a> {
    name: Cow<'a, str>,
    chain: Vec<String>,
    key: String,
    created: i64,
}

/// The record of `service`.
pub fn encode_provisioning_service(service: &ProvisioningService) -> Vec<u8> {
    to_json(&ServiceRecord {
        id_scope: service.id_scope.as_str().into(),
        policies: service.policies.iter().map(PolicyRecord::of).collect(),
        settings: SettingsRecord::of(&service.settings),
        revision: service.revision.0,
    })
}

/// Reads what [`encode_provisioning_service`] wrote.
///
/// # Errors
/// When the bytes are not such a record.
pub fn decode_provisioning_service(bytes: &[u8]) -> Result<ProvisioningService, StoreError> {
    let record: ServiceRecord<'static> = from_json(WHAT, bytes)?;
    Ok(ProvisioningService {
        id_scope: IdScope::parse(&record.id_scope).map_err(|_| unreadable(WHAT))?,
        policies: all(record.policies, PolicyRecord::policy)?,
        settings: record.settings.settings()?,
        revision: Revision(record.revision),
    })
}

fn all<R, T>(
    records: Vec<R>,
    decode: impl Fn(R) -> Result<T, StoreError>,
) -> Result<Vec<T>, StoreError> {
    records.into_iter().map(decode).collect()
}

fn key_of(text: &str) -> Result<SymmetricKey, StoreError> {
    SymmetricKey::parse(text).map_err(|_| unreadable(WHAT))
}

fn region_of(text: &str) -> Result<Region, StoreError> {
    Region::parse(text).map_err(|_| unreadable(WHAT))
}

fn certificate_name(text: &str) -> Result<CertificateName, StoreError> {
    CertificateName::parse(text).map_err(|_| unreadable(WHAT))
}

impl<'a> PolicyRecord<'a> {
    fn of(policy: &'a ServicePolicy) -> Self {
        Self {
            name: policy.name.as_str().into(),
            permissions: policy.permissions.bits(),
            primary: policy.primary.to_base64(),
            secondary: policy.secondary.to_base64(),
        }
    }

    fn policy(self) -> Result<ServicePolicy, StoreError> {
        Ok(ServicePolicy {
            name: ServicePolicyName::parse(&self.name).map_err(|_| unreadable(WHAT))?,
            permissions: ServicePermissions::from_bits(self.permissions),
            primary: key_of(&self.primary)?,
            secondary: key_of(&self.secondary)?,
        })
    }
}

impl<'a> SettingsRecord<'a> {
    fn of(settings: &'a ProvisioningSettings) -> Self {
        let linked_hubs = settings.linked_hubs.iter();
        let certificates = settings.certificates.iter();
        let address_ranges = settings.address_ranges.iter();
        let credential_policies = settings.credential_policies.iter();
        Self {
            allocation: settings.allocation.into(),
            linked_hubs: linked_hubs.map(LinkedHubRecord::of).collect(),
            certificates: certificates.map(CertificateRecord::of).collect(),
            address_ranges: address_ranges.map(AddressRangeRecord::of).collect(),
            latencies: LatencyRecord::all(&settings.latencies),
            credential_policies: credential_policies
                .map(CredentialPolicyRecord::of)
                .collect(),
            issuers: settings.issuers.iter().map(IssuerRecord::of).collect(),
        }
    }

    fn settings(self) -> Result<ProvisioningSettings, StoreError> {
        let mut latencies = Latencies::default();
        for record in self.latencies {
            latencies.set(
                region_of(&record.from)?,
                decode_host(WHAT, &record.hub)?,
                Duration::from_nanos(record.latency_ns),
            );
        }
        Ok(ProvisioningSettings {
            allocation: self.allocation.into(),
            linked_hubs: all(self.linked_hubs, LinkedHubRecord::linked_hub)?,
            certificates: all(self.certificates, CertificateRecord::certificate)?,
            address_ranges: all(self.address_ranges, AddressRangeRecord::address_range)?,
            latencies,
            credential_policies: all(self.credential_policies, CredentialPolicyRecord::policy)?,
            issuers: all(self.issuers, IssuerRecord::issuer)?,
        })
    }
}

impl<'a> LinkedHubRecord<'a> {
    fn of(hub: &'a LinkedHub) -> Self {
        Self {
            host: encode_host(&hub.host),
            link: match &hub.link {
                Link::Own => LinkRecord::Own,
                Link::Remote { policy, key, port } => LinkRecord::Remote {
                    policy: policy.as_str().into(),
                    key: key.to_base64(),
                    port: *port,
                },
            },
            weight: hub.weight,
            allocatable: hub.allocatable,
            region: hub.region.as_ref().map(|region| region.as_str().into()),
        }
    }

    fn linked_hub(self) -> Result<LinkedHub, StoreError> {
        Ok(LinkedHub {
            host: decode_host(WHAT, &self.host)?,
            link: match self.link {
                LinkRecord::Own => Link::Own,
                LinkRecord::Remote { policy, key, port } => Link::Remote {
                    policy: policy.into_owned(),
                    key: key_of(&key)?,
                    port,
                },
            },
            weight: self.weight,
            allocatable: self.allocatable,
            region: self.region.map(|text| region_of(&text)).transpose()?,
        })
    }
}

impl<'a> AddressRangeRecord<'a> {
    fn of(range: &'a AddressRange) -> Self {
        Self {
            range: range.to_string(),
            region: range.region.as_str().into(),
        }
    }

    fn address_range(self) -> Result<AddressRange, StoreError> {
        let region = region_of(&self.region)?;
        AddressRange::parse(&self.range, region).ok_or_else(|| unreadable(WHAT))
    }
}

impl<'a> LatencyRecord<'a> {
    fn all(latencies: &'a Latencies) -> Vec<Self> {
        latencies
            .iter()
            .map(|(from, hub, latency)| Self {
                from: from.as_str().into(),
                hub: encode_host(hub),
                latency_ns: u64::try_from(latency.as_nanos()).unwrap_or(u64::MAX),
            })
            .collect()
    }
}

impl<'a> CredentialPolicyRecord<'a> {
    fn of(policy: &'a CredentialPolicy) -> Self {
        Self {
            name: policy.name.as_str().into(),
            issuer: policy.issuer.as_str().into(),
            validity_days: policy.validity_days,
            etag: policy.etag.0.as_str().into(),
            created: policy.created.micros(),
            updated: policy.updated.micros(),
        }
    }

    fn policy(self) -> Result<CredentialPolicy, StoreError> {
        Ok(CredentialPolicy {
            name: CredentialPolicyName::parse(&self.name).map_err(|_| unreadable(WHAT))?,
            issuer: certificate_name(&self.issuer)?,
            validity_days: self.validity_days,
            etag: Etag(self.etag.into_owned()),
            created: Timestamp::from_micros(self.created),
            updated: Timestamp::from_micros(self.updated),
        })
    }
}

impl<'a> IssuerRecord<'a> {
    fn of(issuer: &'a CertificateIssuer) -> Self {
        Self {
            name: issuer.name.as_str().into(),
            chain: encode_all_bytes(&issuer.chain),
            key: encode_bytes(&issuer.key),
            created: issuer.created.micros(),
        }
    }

    fn issuer(self) -> Result<CertificateIssuer, StoreError> {
        Ok(CertificateIssuer {
            name: certificate_name(&self.name)?,
            chain: decode_all_bytes(WHAT, &self.chain)?,
            key: decode_bytes(WHAT, &self.key)?,
            created: Timestamp::from_micros(self.created),
        })
    }
}
