//! Identities are kept whole, and end whole.

use hub_domain::identity::{Activity, Thumbprint};
use hub_domain::twin::Twin;
use hub_domain::{Authentication, Identity, Status};

use super::Backend;
use super::fixtures::{
    HUB, OTHER_HUB, abandon, commit, commit_unit, conflict_of, create, created, device, enqueue,
    etag, fact, hub, id, identity, key, message, moment, next_back_end, ordinal_of,
    pages_of_messages, purge, queued, refuse, reopen, settle, store_with_hub, stored, twin,
};
use super::text::{describe_identity, snapshot};
use crate::store::{MessageNo, Op, OpResult, Ordinal, Outcome, Statistics, Subscriptions, Unit};
use crate::{Conflict, Store};

fn rich_identities() -> Vec<Identity> {
    let thumbprint = |digits: &str, times: usize| Thumbprint::parse(&digits.repeat(times));
    vec![
        Identity {
            status: Status::Disabled,
            status_reason: Some("stolen – \"quoted\" \u{1F512}\n".to_owned()),
            status_updated: moment(5),
            authentication: Authentication::SelfSigned {
                primary: thumbprint("aB", 20),
                secondary: None,
            },
            ..identity("all-kinds:of.chars+%_#*?!(),=@;$'")
        },
        Identity {
            authentication: Authentication::SelfSigned {
                primary: None,
                secondary: thumbprint("0f", 32),
            },
            status_reason: Some(String::new()),
            ..identity("self-signed")
        },
        Identity {
            authentication: Authentication::CertificateAuthority,
            ..identity("authority")
        },
        Identity {
            authentication: Authentication::Sas {
                primary: key(0),
                secondary: key(255),
            },
            iot_edge: true,
            device_scope: Some("ms-azure-iot-edge://edge-1".to_owned()),
            parent_scopes: vec![
                "ms-azure-iot-edge://z".to_owned(),
                "ms-azure-iot-edge://a".to_owned(),
            ],
            ..identity("edge")
        },
        Identity {
            authentication: Authentication::None,
            managed_by: Some("iotEdge".to_owned()),
            ..identity("edge/$edgeAgent")
        },
        identity(&"x".repeat(128)),
        identity(&format!("edge/{}", "y".repeat(128))),
    ]
}

/// Nothing of an identity is lost, neither at creation nor at replacement.
pub async fn every_field_of_an_identity_is_kept<B: Backend>(backend: B) {
    let store = store_with_hub(&backend).await;
    for rich in rich_identities() {
        created(&*store, HUB, rich).await;
    }
    let d1 = device(&*store, "d1").await;
    for rich in rich_identities()
        .into_iter()
        .filter(|rich| rich.id.module.is_none())
    {
        let expected = stored(&*store, HUB, "d1").await.identity.etag;
        let next = Identity {
            id: id("d1"),
            etag: etag(&format!("{}-next", expected.0)),
            ..rich
        };
        let described = describe_identity(&next);
        commit(
            &*store,
            Op::ReplaceIdentity {
                identity: d1,
                next: Box::new(next),
                expected,
            },
        )
        .await;
        assert_eq!(
            describe_identity(&stored(&*store, HUB, "d1").await.identity),
            described
        );
    }
    let (_backend, store) = reopen(backend, store).await;
    for rich in rich_identities() {
        let read = stored(&*store, HUB, &rich.id.to_string()).await;
        assert_eq!(describe_identity(&read.identity), describe_identity(&rich));
        assert_eq!((read.activity, read.message_count), (Activity::NONE, 0));
        assert_eq!(read.subscriptions, Subscriptions::default());
    }
}

/// Device and module ids are case-sensitive.
pub async fn ids_differ_by_case<B: Backend>(backend: B) {
    let store = store_with_hub(&backend).await;
    let mut ordinals = Vec::new();
    for text in ["d1", "D1", "d1/m", "d1/M"] {
        ordinals.push(device(&*store, text).await);
    }
    for (text, ordinal) in ["d1", "D1", "d1/m", "d1/M"].into_iter().zip(ordinals) {
        assert_eq!(stored(&*store, HUB, text).await.ordinal, ordinal);
    }
    assert!(
        store
            .modules(HUB, &id("D1").device)
            .await
            .expect("modules can be read")
            .is_empty()
    );
}

async fn full_device(store: &dyn Store, text: &str) -> Ordinal {
    let ordinal = device(store, text).await;
    queued(store, ordinal, b"one").await;
    queued(store, ordinal, b"two").await;
    commit(
        store,
        Op::ReplaceSubscriptions {
            identity: ordinal,
            next: Subscriptions(9),
        },
    )
    .await;
    commit(
        store,
        Op::SetModelId {
            identity: ordinal,
            model_id: "dtmi:a;1".to_owned(),
        },
    )
    .await;
    let activity = Activity {
        connected: true,
        connection_updated: moment(1),
        last_activity: moment(2),
    };
    commit(store, Op::FlushActivity(vec![(ordinal, activity)])).await;
    let back_end = twin(store, text).await.back_end;
    let op = Op::ReplaceBackEnd {
        identity: ordinal,
        next: Box::new(next_back_end(&back_end, 1)),
        expected: back_end.etag,
    };
    commit(store, op).await;
    ordinal
}

/// Modules, twins, queues and subscriptions go with the device; its neighbors stay.
pub async fn a_deleted_device_takes_everything_with_it<B: Backend>(backend: B) {
    let store = store_with_hub(&backend).await;
    for text in ["d", "d10", "D1", "d1-"] {
        full_device(&*store, text).await;
    }
    full_device(&*store, "d10/m1").await;
    let before = snapshot(&*store).await;
    let d1 = full_device(&*store, "d1").await;
    let mut gone = vec![d1];
    for text in ["d1/m1", "d1/m2", "d1/$edgeAgent"] {
        gone.push(full_device(&*store, text).await);
    }
    commit(
        &*store,
        Op::DeleteIdentity {
            identity: d1,
            expected: None,
        },
    )
    .await;
    assert_eq!(snapshot(&*store).await, before);
    for text in ["d1", "d1/m1", "d1/m2", "d1/$edgeAgent"] {
        assert!(
            store
                .identity(HUB, &id(text))
                .await
                .expect("an identity can be read")
                .is_none()
        );
        assert!(
            store
                .twin(HUB, &id(text))
                .await
                .expect("a twin can be read")
                .is_none()
        );
    }
    assert!(
        store
            .modules(HUB, &id("d1").device)
            .await
            .expect("modules can be read")
            .is_empty()
    );
    for ordinal in gone {
        assert!(pages_of_messages(&*store, ordinal, 10).await.is_empty());
    }
    let (_backend, store) = reopen(backend, store).await;
    assert_eq!(snapshot(&*store).await, before);
}

/// A module goes alone.
pub async fn a_deleted_module_leaves_its_device<B: Backend>(backend: B) {
    let store = store_with_hub(&backend).await;
    full_device(&*store, "d1").await;
    full_device(&*store, "d1/m2").await;
    let before = snapshot(&*store).await;
    let module = full_device(&*store, "d1/m1").await;
    commit(
        &*store,
        Op::DeleteIdentity {
            identity: module,
            expected: Some(etag("e1")),
        },
    )
    .await;
    assert_eq!(snapshot(&*store).await, before);
}

/// Nothing of an earlier life comes back.
pub async fn an_identity_created_again_is_new<B: Backend>(backend: B) {
    let store = store_with_hub(&backend).await;
    let before = full_device(&*store, "d1").await;
    full_device(&*store, "d1/m1").await;
    let delete = Op::DeleteIdentity {
        identity: before,
        expected: None,
    };
    let ops = vec![
        delete,
        create(HUB, identity("d1")),
        create(HUB, identity("d1/m1")),
    ];
    let committed = commit_unit(
        &*store,
        Unit {
            op_id: None,
            ops,
            facts: Vec::new(),
        },
    )
    .await;
    for (text, result) in ["d1", "d1/m1"].into_iter().zip(&committed.results[1..]) {
        let read = stored(&*store, HUB, text).await;
        assert_eq!(read.ordinal, ordinal_of(*result));
        assert!(read.ordinal > before);
        assert_eq!((read.activity, read.message_count), (Activity::NONE, 0));
        assert_eq!(read.subscriptions, Subscriptions::default());
        assert_eq!(twin(&*store, text).await, Twin::new());
        assert!(
            pages_of_messages(&*store, read.ordinal, 10)
                .await
                .is_empty()
        );
    }
}

/// Not even when the newest identity was deleted, and not over a reopening.
pub async fn an_ordinal_is_never_used_again<B: Backend>(mut backend: B) {
    let mut store = store_with_hub(&backend).await;
    let mut seen: Vec<Ordinal> = Vec::new();
    for _ in 0..3 {
        for text in ["d1", "d2", "d2/m1"] {
            let ordinal = device(&*store, text).await;
            assert!(!seen.contains(&ordinal), "{ordinal:?} was used before");
            seen.push(ordinal);
        }
        for text in ["d2", "d1"] {
            let identity = stored(&*store, HUB, text).await.ordinal;
            commit(
                &*store,
                Op::DeleteIdentity {
                    identity,
                    expected: None,
                },
            )
            .await;
        }
        (backend, store) = reopen(backend, store).await;
    }
}

/// A write that was decided on a deleted identity does not touch its successor of the same name.
pub async fn a_write_to_a_deleted_identity_conflicts<B: Backend>(backend: B) {
    let store = store_with_hub(&backend).await;
    let gone = full_device(&*store, "d1").await;
    let Twin {
        back_end, reported, ..
    } = twin(&*store, "d1").await;
    commit(
        &*store,
        Op::DeleteIdentity {
            identity: gone,
            expected: None,
        },
    )
    .await;
    device(&*store, "d1").await;
    let writes = vec![
        Op::ReplaceIdentity {
            identity: gone,
            next: Box::new(identity("d1")),
            expected: etag("e1"),
        },
        Op::DeleteIdentity {
            identity: gone,
            expected: None,
        },
        Op::ReplaceBackEnd {
            identity: gone,
            expected: back_end.etag,
            next: Box::new(back_end),
        },
        Op::ReplaceReported {
            identity: gone,
            expected: reported.version,
            next: Box::new(reported),
        },
        Op::SetModelId {
            identity: gone,
            model_id: "dtmi:b;1".to_owned(),
        },
        enqueue(gone, message(b"late")),
        settle(gone, MessageNo(1), Outcome::Completed),
        abandon(gone, MessageNo(1)),
        purge(gone),
        Op::ReplaceSubscriptions {
            identity: gone,
            next: Subscriptions(1),
        },
    ];
    for (n, op) in writes.into_iter().enumerate() {
        refuse(&*store, op, Conflict::NotFound, &format!("write {n}")).await;
    }
    let before = snapshot(&*store).await;
    let activity = Activity {
        connected: true,
        ..Activity::NONE
    };
    assert_eq!(
        commit(&*store, Op::FlushActivity(vec![(gone, activity)])).await,
        OpResult::Done
    );
    assert_eq!(snapshot(&*store).await, before);
}

/// Devices are counted by status, modules not at all.
pub async fn statistics_follow_every_change<B: Backend>(backend: B) {
    let store = store_with_hub(&backend).await;
    commit(&*store, Op::CreateHub(Box::new(hub(OTHER_HUB)))).await;
    created(&*store, OTHER_HUB, identity("d1")).await;
    let check = async |devices: u64, enabled: u64| {
        let read = store.statistics(HUB).await.expect("statistics can be read");
        assert_eq!(read, Statistics { devices, enabled });
    };
    let with_status = |text: &str, status: Status| Identity {
        status,
        ..identity(text)
    };
    let replace = |identity: Ordinal, next: Identity| Op::ReplaceIdentity {
        identity,
        next: Box::new(next),
        expected: etag("e1"),
    };
    check(0, 0).await;
    let d1 = device(&*store, "d1").await;
    let d2 = created(&*store, HUB, with_status("d2", Status::Disabled)).await;
    let module = device(&*store, "d1/m1").await;
    check(2, 1).await;
    commit(&*store, replace(d2, with_status("d2", Status::Enabled))).await;
    check(2, 2).await;
    commit(&*store, replace(d2, with_status("d2", Status::Enabled))).await;
    commit(
        &*store,
        replace(module, with_status("d1/m1", Status::Disabled)),
    )
    .await;
    check(2, 2).await;
    commit(&*store, replace(d1, with_status("d1", Status::Disabled))).await;
    check(2, 1).await;
    let ops = vec![
        Op::DeleteIdentity {
            identity: d2,
            expected: None,
        },
        create(HUB, with_status("d3", Status::Enabled)),
        create(HUB, with_status("d3", Status::Enabled)),
    ];
    let unit = Unit {
        op_id: None,
        ops,
        facts: Vec::new(),
    };
    assert_eq!(
        conflict_of(store.submit(unit).await),
        Conflict::AlreadyExists
    );
    check(2, 1).await;
    commit(
        &*store,
        Op::DeleteIdentity {
            identity: d1,
            expected: None,
        },
    )
    .await;
    check(1, 1).await;
    commit(
        &*store,
        Op::DeleteIdentity {
            identity: d2,
            expected: None,
        },
    )
    .await;
    check(0, 0).await;
    device(&*store, "d4").await;
    let (_backend, store) = reopen(backend, store).await;
    let read = store.statistics(HUB).await.expect("statistics can be read");
    assert_eq!(
        read,
        Statistics {
            devices: 1,
            enabled: 1
        }
    );
}

/// Everything that was acknowledged is there again.
pub async fn a_reopening_keeps_everything<B: Backend>(backend: B) {
    let store = store_with_hub(&backend).await;
    for n in 0..30 {
        let device = full_device(&*store, &format!("d{n}")).await;
        full_device(&*store, &format!("d{n}/m")).await;
        let unit = Unit::new(
            enqueue(device, message(b"three")),
            vec![fact("d1", n), fact("d2", n)],
        );
        commit_unit(&*store, unit).await;
    }
    let before = snapshot(&*store).await;
    let (backend, store) = reopen(backend, store).await;
    assert_eq!(snapshot(&*store).await, before);
    let (_backend, store) = reopen(backend, store).await;
    assert_eq!(snapshot(&*store).await, before);
    full_device(&*store, "another").await;
}
