//! Settings of hubs as records. A part that an older record lacks has its default.

mod queues;

use std::borrow::Cow;
use std::time::Duration;

use hub_domain::fault::FaultInjection;
use hub_domain::routing::{
    EndpointName, Enrichment, EnrichmentKey, FallbackRoute, Route, RouteName, Routing, Source,
};
use hub_domain::{FileUploadSettings, Notifications, QuotaProfile, Settings};
use serde::{Deserialize, Serialize};

use super::certificate::CertificateRecord;
use super::unreadable;
use crate::StoreError;
use queues::{CloudToDeviceRecord, ServiceBoundRecord};

const WHAT: &str = "hub";

#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct SettingsRecord<'a> {
    routing: RoutingRecord<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    quota: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    fault_injection: bool,
    cloud_to_device: CloudToDeviceRecord,
    file_notifications: ServiceBoundRecord,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    certificates: Vec<CertificateRecord<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    file_upload: Option<FileUploadRecord>,
}

#[derive(Serialize, Deserialize)]
struct FileUploadRecord {
    ticket_ttl_s: u64,
    notify: bool,
}

impl<'a> SettingsRecord<'a> {
    pub(super) fn of(settings: &'a Settings) -> Self {
        Self {
            routing: RoutingRecord::of(&settings.routing),
            quota: match settings.quota {
                QuotaProfile::Unlimited => None,
                limited => Some(limited.as_str().into()),
            },
            certificates: settings
                .certificates
                .iter()
                .map(CertificateRecord::of)
                .collect(),
            fault_injection: settings.fault_injection == FaultInjection::On,
            cloud_to_device: CloudToDeviceRecord::of(&settings.cloud_to_device),
            file_notifications: ServiceBoundRecord::of(&settings.file_notifications),
            file_upload: Some(FileUploadRecord {
                ticket_ttl_s: settings.file_upload.ticket_ttl.as_secs(),
                notify: settings.file_upload.notifications == Notifications::On,
            }),
        }
    }

    pub(super) fn settings(self) -> Result<Settings, StoreError> {
        Ok(Settings {
            routing: self.routing.routing()?,
            quota: match self.quota {
                None => QuotaProfile::Unlimited,
                Some(name) => QuotaProfile::parse(&name).ok_or_else(|| unreadable(WHAT))?,
            },
            certificates: self
                .certificates
                .into_iter()
                .map(CertificateRecord::certificate)
                .collect::<Result<_, _>>()?,
            fault_injection: if self.fault_injection {
                FaultInjection::On
            } else {
                FaultInjection::Off
            },
            cloud_to_device: self.cloud_to_device.settings(),
            file_notifications: self.file_notifications.settings(),
            file_upload: self
                .file_upload
                .map(|record| FileUploadSettings {
                    ticket_ttl: Duration::from_secs(record.ticket_ttl_s),
                    notifications: if record.notify {
                        Notifications::On
                    } else {
                        Notifications::Off
                    },
                })
                .unwrap_or_default(),
        })
    }
}

#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
struct RoutingRecord<'a> {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    routes: Vec<RouteRecord<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    fallback: Option<FallbackRecord<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    enrichments: Vec<EnrichmentRecord<'a>>,
}

#[derive(Serialize, Deserialize)]
struct RouteRecord<'a> {
    name: Cow<'a, str>,
    source: Cow<'a, str>,
    condition: Cow<'a, str>,
    endpoints: Vec<Cow<'a, str>>,
    enabled: bool,
}

#[derive(Serialize, Deserialize)]
struct FallbackRecord<'a> {
    condition: Cow<'a, str>,
    enabled: bool,
}

#[derive(Serialize, Deserialize)]
struct EnrichmentRecord<'a> {
    key: Cow<'a, str>,
    value: Cow<'a, str>,
    endpoints: Vec<Cow<'a, str>>,
}

impl<'a> RoutingRecord<'a> {
    fn of(routing: &'a Routing) -> Self {
        Self {
            routes: routing.routes.iter().map(RouteRecord::of).collect(),
            fallback: Some(FallbackRecord {
                condition: routing.fallback.condition.as_str().into(),
                enabled: routing.fallback.enabled,
            }),
            enrichments: routing
                .enrichments
                .iter()
                .map(EnrichmentRecord::of)
                .collect(),
        }
    }

    fn routing(self) -> Result<Routing, StoreError> {
        Ok(Routing {
            routes: self
                .routes
                .into_iter()
                .map(RouteRecord::route)
                .collect::<Result<_, _>>()?,
            fallback: self
                .fallback
                .map_or_else(FallbackRoute::default, |fallback| FallbackRoute {
                    condition: fallback.condition.into_owned(),
                    enabled: fallback.enabled,
                }),
            enrichments: self
                .enrichments
                .into_iter()
                .map(EnrichmentRecord::enrichment)
                .collect::<Result<_, _>>()?,
        })
    }
}

impl<'a> RouteRecord<'a> {
    fn of(route: &'a Route) -> Self {
        Self {
            name: route.name.as_str().into(),
            source: route.source.as_str().into(),
            condition: route.condition.as_str().into(),
            endpoints: names(&route.endpoints),
            enabled: route.enabled,
        }
    }

    fn route(self) -> Result<Route, StoreError> {
        Ok(Route {
            name: RouteName::parse(&self.name).map_err(|_| unreadable(WHAT))?,
            source: Source::parse(&self.source).ok_or_else(|| unreadable(WHAT))?,
            condition: self.condition.into_owned(),
            endpoints: endpoints(&self.endpoints)?,
            enabled: self.enabled,
        })
    }
}

impl<'a> EnrichmentRecord<'a> {
    fn of(enrichment: &'a Enrichment) -> Self {
        Self {
            key: enrichment.key.as_str().into(),
            value: enrichment.value.as_str().into(),
            endpoints: names(&enrichment.endpoints),
        }
    }

    fn enrichment(self) -> Result<Enrichment, StoreError> {
        Ok(Enrichment {
            key: EnrichmentKey::parse(&self.key).map_err(|_| unreadable(WHAT))?,
            value: self.value.into_owned(),
            endpoints: endpoints(&self.endpoints)?,
        })
    }
}

fn names(endpoints: &[EndpointName]) -> Vec<Cow<'_, str>> {
    endpoints.iter().map(|name| name.as_str().into()).collect()
}

fn endpoints(names: &[Cow<'_, str>]) -> Result<Vec<EndpointName>, StoreError> {
    names
        .iter()
        .map(|name| EndpointName::parse(name).map_err(|_| unreadable(WHAT)))
        .collect()
}
