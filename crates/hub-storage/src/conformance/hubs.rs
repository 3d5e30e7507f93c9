//! Hubs are kept whole and apart.

use std::time::Duration;

use hub_domain::certificate::{
    CertificateName, CertificateOfAuthority, Standing, VerificationCode,
};
use hub_domain::routing::{
    EndpointName, Enrichment, EnrichmentKey, FallbackRoute, Route, RouteName, Routing, Source,
};
use hub_domain::{
    CloudToDeviceSettings, Etag, FileUploadSettings, HostName, HubNo, Notifications, Permission,
    Permissions, Policy, QuotaProfile, Revision, ServiceBoundSettings, Settings, Status,
};

use super::Backend;
use super::fixtures::{
    HUB, OTHER_HUB, bodies, commit, created, hub, id, identity, key, moment, queued, reopen,
    store_with_hub, stored,
};
use super::text::describe_hub;
use crate::store::{Op, Statistics, all_devices};

/// Nothing of a hub is lost, nor its order.
pub async fn every_field_of_a_hub_is_kept<B: Backend>(backend: B) {
    let store = backend.store();
    let mut rich = hub(HubNo(u32::MAX));
    rich.aliases = ["b.test", "a.test", "::1"]
        .map(|name| HostName::parse(name).expect("a valid host name"))
        .to_vec();
    rich.policies = ["zeta", "alpha"]
        .map(|name| Policy {
            name: name.to_owned(),
            permissions: Permissions::of(&Permission::ALL),
            primary: key(9),
            secondary: key(8),
        })
        .to_vec();
    rich.partition_count = 128;
    rich.retention = Duration::from_secs(604_799);
    rich.retention_bytes_max = 1 << 50;
    rich.created = moment(-1);
    rich.settings = rich_settings();
    rich.revision = Revision(1 << 40);
    let mut bare = hub(HubNo(0));
    bare.aliases = Vec::new();
    bare.policies = Vec::new();
    for hub in [&rich, &bare] {
        commit(&*store, Op::CreateHub(Box::new(hub.clone()))).await;
    }
    let expected = [describe_hub(&bare), describe_hub(&rich)];
    let hubs = store.hubs().await.expect("hubs can be read");
    assert_eq!(hubs.iter().map(describe_hub).collect::<Vec<_>>(), expected);
    let (_backend, store) = reopen(backend, store).await;
    let hubs = store.hubs().await.expect("hubs can be read");
    assert_eq!(hubs.iter().map(describe_hub).collect::<Vec<_>>(), expected);
}

fn certificate(name: &str, standing: Standing) -> CertificateOfAuthority {
    CertificateOfAuthority {
        name: CertificateName::parse(name).expect("a valid certificate name"),
        // The store does not look into it.
        der: [0, 0xff, 0x30].into(),
        standing,
        etag: Etag(format!("{name}=/+")),
        created: moment(3),
        updated: moment(4),
    }
}

fn rich_settings() -> Settings {
    let endpoints = || vec![EndpointName::built_in()];
    Settings {
        routing: Routing {
            routes: vec![Route {
                name: RouteName::parse("hot").expect("a valid route name"),
                source: Source::TwinChangeEvents,
                condition: "$twin.tags.a = 'ä\n\u{0}'".to_owned(),
                endpoints: endpoints(),
                enabled: false,
            }],
            fallback: FallbackRoute {
                condition: "level > 3".to_owned(),
                enabled: false,
            },
            enrichments: vec![Enrichment {
                key: EnrichmentKey::parse("site").expect("a valid key"),
                value: "$twin.tags.site".to_owned(),
                endpoints: endpoints(),
            }],
        },
        quota: QuotaProfile::S2,
        fault_injection: hub_domain::fault::FaultInjection::On,
        certificates: vec![
            certificate("B", Standing::Verified),
            certificate("a", Standing::Unverified { code: None }),
            certificate(
                "c",
                Standing::Unverified {
                    code: Some(VerificationCode::from_random([7; 24])),
                },
            ),
        ],
        cloud_to_device: CloudToDeviceSettings {
            default_ttl: Duration::from_secs(61),
            delivery_count_max: 7,
            feedback: ServiceBoundSettings {
                lock: Duration::from_secs(5),
                ttl: Duration::from_secs(62),
                delivery_count_max: 3,
            },
        },
        file_notifications: ServiceBoundSettings {
            lock: Duration::from_secs(300),
            ttl: Duration::from_secs(63),
            delivery_count_max: 100,
        },
        file_upload: FileUploadSettings {
            ticket_ttl: Duration::from_secs(64),
            notifications: Notifications::Off,
        },
    }
}

/// A hub is changed in place: what belongs to it stays.
pub async fn a_replaced_hub_keeps_its_devices<B: Backend>(backend: B) {
    let store = store_with_hub(&backend).await;
    let d1 = created(&*store, HUB, identity("d1")).await;
    let mut next = hub(HUB);
    next.settings = rich_settings();
    next.policies = Vec::new();
    next.revision = next.revision.next();
    let op = Op::ReplaceHub {
        next: Box::new(next.clone()),
        expected: Revision(0),
    };
    commit(&*store, op).await;
    let (_backend, store) = reopen(backend, store).await;
    let hubs = store.hubs().await.expect("hubs can be read");
    assert_eq!(
        hubs.iter().map(describe_hub).collect::<Vec<_>>(),
        [describe_hub(&next)]
    );
    assert_eq!(stored(&*store, HUB, "d1").await.ordinal, d1);
    assert_eq!(
        store
            .statistics(HUB)
            .await
            .expect("statistics can be read")
            .devices,
        1
    );
}

/// Whatever the order in which they were created.
pub async fn hubs_are_listed_by_number<B: Backend>(backend: B) {
    let store = backend.store();
    assert!(store.hubs().await.expect("hubs can be read").is_empty());
    for no in [300, 2, 10, 1] {
        commit(&*store, Op::CreateHub(Box::new(hub(HubNo(no))))).await;
    }
    let numbers: Vec<u32> = store
        .hubs()
        .await
        .expect("hubs can be read")
        .iter()
        .map(|hub| hub.no.0)
        .collect();
    assert_eq!(numbers, [1, 2, 10, 300]);
}

/// The same ids in two hubs are different identities.
pub async fn hubs_do_not_see_each_other<B: Backend>(backend: B) {
    let store = store_with_hub(&backend).await;
    commit(&*store, Op::CreateHub(Box::new(hub(OTHER_HUB)))).await;
    let mut ordinals = Vec::new();
    for no in [HUB, OTHER_HUB] {
        for text in ["d1", "d1/m1", "d2"] {
            ordinals.push(created(&*store, no, identity(text)).await);
        }
    }
    let [here, _, _, there, there_module, there_second] = ordinals[..] else {
        panic!("six identities")
    };
    assert_ne!(here, there);
    queued(&*store, here, b"here").await;
    queued(&*store, there, b"there").await;
    commit(
        &*store,
        Op::DeleteIdentity {
            identity: there_second,
            expected: None,
        },
    )
    .await;
    let mut disabled = identity("d1");
    disabled.status = Status::Disabled;
    let expected = disabled.etag.clone();
    commit(
        &*store,
        Op::ReplaceIdentity {
            identity: there,
            next: Box::new(disabled),
            expected,
        },
    )
    .await;

    assert_eq!(bodies(&*store, here).await, ["here"]);
    assert_eq!(bodies(&*store, there).await, ["there"]);
    assert_eq!(
        stored(&*store, HUB, "d1").await.identity.status,
        Status::Enabled
    );
    let statistics = |devices, enabled| Statistics { devices, enabled };
    assert_eq!(
        store.statistics(HUB).await.expect("statistics can be read"),
        statistics(2, 2)
    );
    assert_eq!(
        store
            .statistics(OTHER_HUB)
            .await
            .expect("statistics can be read"),
        statistics(1, 0)
    );
    assert_eq!(
        all_devices(&*store, HUB)
            .await
            .expect("devices can be read")
            .len(),
        2
    );
    assert_eq!(
        all_devices(&*store, OTHER_HUB)
            .await
            .expect("devices can be read")
            .len(),
        1
    );

    commit(
        &*store,
        Op::DeleteIdentity {
            identity: here,
            expected: None,
        },
    )
    .await;
    assert!(
        store
            .modules(HUB, &id("d1").device)
            .await
            .expect("modules can be read")
            .is_empty()
    );
    assert_eq!(
        stored(&*store, OTHER_HUB, "d1/m1").await.ordinal,
        there_module
    );
    assert_eq!(bodies(&*store, there).await, ["there"]);
}
