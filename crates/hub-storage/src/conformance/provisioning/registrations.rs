//! Registrations.

use std::collections::BTreeMap;

use hub_domain::provisioning::{
    Assignment, DeviceProof, Origin, Place, Progress, Registration, RegistrationFailure,
    RegistrationRequest, Substatus,
};
use hub_domain::{DeviceId, HostName};

use super::super::Backend;
use super::super::fixtures::{
    HUB, commit, commit_unit, conflict_of, create, fact, id, identity, refuse, reopen,
    store_with_hub, stored,
};
use super::super::generator::Generator;
use super::super::text::{describe_registration, snapshot};
use super::super::values::{Values, group_id};
use super::{
    VALUES, check_enrollment, check_group, delete_registration, enrollment, etag, group, of_group,
    put_enrollment, put_group, put_registration, registration,
};
use crate::store::{Op, OpResult, RegistrationFilter, RegistrationStatistics, Unit};
use crate::{Conflict, Store};

/// Nothing of a registration is lost, however far it is.
pub async fn every_field_of_a_registration_is_kept<B: Backend>(backend: B) {
    let store = backend.store();
    let mut generator = Generator::new(12);
    let mut kept = BTreeMap::new();
    for _ in 0..VALUES {
        let next = Values(&mut generator).registration();
        let text = describe_registration(&next);
        let before = kept.insert(next.id.key().to_owned(), (next.etag.clone(), text));
        let op = Op::PutRegistration {
            next: Box::new(next),
            expected: before.map(|(etag, _)| etag),
        };
        commit(&*store, op).await;
        check(&*store, &kept).await;
    }
    let (_backend, store) = reopen(backend, store).await;
    check(&*store, &kept).await;
}

async fn check<E>(store: &dyn Store, kept: &BTreeMap<String, (E, String)>) {
    let read = store.registrations(RegistrationFilter::All, None, 1_000);
    let read = read.await.expect("registrations can be read");
    let read: Vec<String> = read.iter().map(describe_registration).collect();
    let kept: Vec<&String> = kept.values().map(|(_, text)| text).collect();
    assert_eq!(read.iter().collect::<Vec<_>>(), kept);
}

fn own(id: &str, tag: &str) -> Registration {
    registration(id, Origin::Individual, tag)
}

/// A registration is created once, and changed or deleted only on its etag, or on any.
pub async fn a_registration_is_written_only_on_its_etag<B: Backend>(backend: B) {
    let store = &*backend.store();
    let mismatch = Conflict::VersionMismatch;
    let on_none = put_registration(own("a", "2"), Some("1"));
    refuse(store, on_none, Conflict::NotFound, "there is none").await;
    commit(store, put_registration(own("a", "1"), None)).await;
    let again = put_registration(own("a", "2"), None);
    refuse(store, again, Conflict::AlreadyExists, "it exists").await;
    let stale = put_registration(own("a", "2"), Some("0"));
    refuse(store, stale, mismatch, "another etag").await;
    commit(store, put_registration(own("a", "2"), Some("1"))).await;
    let stale = delete_registration("a", Some("1"));
    refuse(store, stale, mismatch, "it changed").await;
    commit(store, delete_registration("a", Some("2"))).await;
    for gone in [
        delete_registration("a", None),
        delete_registration("a", Some("2")),
    ] {
        refuse(store, gone, Conflict::NotFound, "it is gone").await;
    }
    commit(store, put_registration(own("a", "3"), None)).await;
    commit(store, delete_registration("a", None)).await;
}

/// A device of the hub, what it is registered by and its registration are one unit: each of its preconditions takes
/// all of it back.
pub async fn a_device_and_its_registration_are_kept_together_or_not_at_all<B: Backend>(backend: B) {
    let store = store_with_hub(&backend).await;
    commit(&*store, put_enrollment(enrollment("d1", "1"), None)).await;
    commit(&*store, put_group(group("g", "1"), None)).await;
    let unit = |device: &str, checks: [Op; 2], next: Registration| Unit {
        op_id: None,
        ops: [create(HUB, identity(device)), put_registration(next, None)]
            .into_iter()
            .chain(checks)
            .collect(),
        facts: vec![fact(device, 1)],
    };
    let good = || [check_enrollment("d1", "1"), check_group("g", "1")];
    let before = snapshot(&*store).await;
    let changed = [check_enrollment("d1", "0"), check_group("g", "1")];
    let changed = store.submit(unit("d1", changed, own("d1", "1")));
    // Behind the one that fails, and perhaps in its group.
    let gone = [check_enrollment("d1", "1"), check_group("h", "1")];
    let gone = store.submit(unit("d1", gone, own("d1", "1")));
    assert_eq!(conflict_of(changed.await), Conflict::VersionMismatch);
    assert_eq!(conflict_of(gone.await), Conflict::NotFound);
    assert_eq!(
        snapshot(&*store).await,
        before,
        "a conflict leaves no trace"
    );

    let committed = commit_unit(&*store, unit("d1", good(), own("d1", "1"))).await;
    assert!(matches!(committed.results[0], OpResult::Created(_)));
    assert_eq!(committed.results[1..], [OpResult::Done; 3]);
    let before = snapshot(&*store).await;
    let registered = store.submit(unit("d2", good(), own("D1", "1")));
    let exists = store.submit(unit("d1", good(), own("d2", "1")));
    assert_eq!(conflict_of(registered.await), Conflict::AlreadyExists);
    assert_eq!(conflict_of(exists.await), Conflict::AlreadyExists);
    assert_eq!(
        snapshot(&*store).await,
        before,
        "a conflict leaves no trace"
    );

    let (_backend, store) = reopen(backend, store).await;
    assert_eq!(snapshot(&*store).await, before);
    assert_eq!(stored(&*store, HUB, "d1").await.identity.id, id("d1"));
}

fn failed() -> Progress {
    Progress::Failed(RegistrationFailure {
        code: 400_208,
        message: "no".to_owned(),
    })
}

fn assigning() -> Progress {
    Progress::Assigning(Box::new(RegistrationRequest {
        proof: DeviceProof::Authority,
        certificate: None,
        payload: None,
        address: None,
        signing_request: None,
        stays_without_policy: false,
        enrollment: etag("1"),
        target: None,
    }))
}

/// It may be in another hub as well.
pub(super) fn leaving(registration: Registration) -> Registration {
    Registration {
        strays: vec![Place {
            own: None,
            hub: HostName::parse("old.test").expect("a valid host name"),
            device: DeviceId::parse("d1").expect("a valid device id"),
        }],
        ..registration
    }
}

/// It may not be whole in its own hub.
fn unsure(registration: Registration) -> Registration {
    let registration = leaving(registration);
    let stray = registration.strays[0].clone();
    Registration {
        assignment: Some(Assignment {
            hub: stray.hub,
            own: stray.own,
            device: stray.device,
            substatus: Substatus::InitialAssignment,
            taken_over: false,
        }),
        ..registration
    }
}

fn with(progress: Progress, registration: Registration) -> Registration {
    Registration {
        progress,
        ..registration
    }
}

/// Each filter gives its own in the byte order of the keys, after a key that need not be there, and no more than asked
/// for. A registration that changes moves from one to the other.
pub async fn registrations_are_read_by_filter_key_and_in_pages<B: Backend>(backend: B) {
    use RegistrationFilter::{All, Failed, Individual, OfGroup, Unfinished};
    let store = backend.store();
    let all = [
        own("b", "1"),
        with(failed(), own("A", "1")),
        with(assigning(), registration("c", of_group("g1"), "1")),
        leaving(registration("B1", of_group("G1"), "1")),
        with(failed(), leaving(registration("d", of_group("g2"), "1"))),
        unsure(registration("e", of_group("g1"), "1")),
    ];
    for next in all {
        commit(&*store, put_registration(next, None)).await;
    }
    let of = |group: &str| OfGroup(group_id(group));
    let expected = [
        (All, None, 100, "A b B1 c d e"),
        (All, Some("b"), 2, "B1 c"),
        (of("g1"), None, 100, "B1 c e"),
        (of("G1"), None, 2, "B1 c"),
        (of("g1"), Some("b2"), 1, "c"),
        (of("g2"), Some("c"), 100, "d"),
        (of("g2"), Some("d"), 100, ""),
        (of("g3"), None, 100, ""),
        (Individual, None, 100, "A b"),
        (Individual, Some("a"), 1, "b"),
        (Unfinished, None, 100, "B1 c d"),
        (Unfinished, Some("b1"), 100, "c d"),
        (Unfinished, None, 1, "B1"),
        (Failed, None, 100, "A d"),
        (Failed, Some("a"), 100, "d"),
        (All, None, 0, ""),
    ];
    for (filter, after, max, text) in expected.clone() {
        assert_eq!(ids(&*store, filter, after, max).await, text);
    }
    let (_backend, store) = reopen(backend, store).await;
    for (filter, after, max, text) in expected {
        assert_eq!(ids(&*store, filter, after, max).await, text);
    }
    let moved = with(failed(), registration("c", Origin::Individual, "2"));
    commit(&*store, put_registration(moved, Some("1"))).await;
    assert_eq!(ids(&*store, of("g1"), None, 9).await, "B1 e");
    assert_eq!(ids(&*store, Individual, None, 9).await, "A b c");
    assert_eq!(ids(&*store, Unfinished, None, 9).await, "B1 d");
    assert_eq!(ids(&*store, Failed, None, 9).await, "A c d");
}

async fn ids(
    store: &dyn Store,
    filter: RegistrationFilter,
    after: Option<&str>,
    max: usize,
) -> String {
    let read = store.registrations(filter, after, max).await;
    let read = read.expect("registrations can be read");
    let ids: Vec<&str> = read.iter().map(|one| one.id.as_str()).collect();
    ids.join(" ")
}

/// A device is found by the id it has in its hub, spelled just so: whether that is its registration id or another, and
/// under whatever registrations it came there.
pub async fn registrations_are_found_by_their_device<B: Backend>(backend: B) {
    use RegistrationFilter::OfDevice;
    let store = backend.store();
    let in_hub = |id: &str, device: &str, tag: &str| Registration {
        assignment: Some(Assignment {
            own: None,
            hub: HostName::parse("hub.test").expect("a valid host name"),
            device: device_id(device),
            substatus: Substatus::InitialAssignment,
            taken_over: false,
        }),
        ..own(id, tag)
    };
    let all = [
        in_hub("a", "a", "1"),
        in_hub("B", "b", "1"),
        in_hub("C", "C", "1"),
        in_hub("d", "a", "1"),
        leaving(in_hub("e", "a", "1")),
        with(failed(), in_hub("f", "f", "1")),
        own("g", "1"),
    ];
    for next in all {
        commit(&*store, put_registration(next, None)).await;
    }
    let of = |device: &str| OfDevice(device_id(device));
    let expected = [
        (of("a"), None, 100, "a d e"),
        (of("a"), None, 1, "a"),
        (of("a"), Some("a"), 1, "d"),
        (of("a"), Some("d"), 100, "e"),
        (of("A"), None, 100, ""),
        (of("b"), None, 100, "B"),
        (of("B"), None, 100, ""),
        (of("C"), None, 100, "C"),
        (of("c"), None, 100, ""),
        (of("f"), None, 100, "f"),
        (of("g"), None, 100, ""),
        (of("d1"), None, 100, ""),
    ];
    for (filter, after, max, text) in expected.clone() {
        assert_eq!(ids(&*store, filter, after, max).await, text);
    }
    let (_backend, store) = reopen(backend, store).await;
    for (filter, after, max, text) in expected {
        assert_eq!(ids(&*store, filter, after, max).await, text);
    }
    let moved = in_hub("d", "d", "2");
    commit(&*store, put_registration(moved, Some("1"))).await;
    commit(&*store, put_registration(own("a", "2"), Some("1"))).await;
    commit(&*store, delete_registration("B", None)).await;
    assert_eq!(ids(&*store, of("a"), None, 9).await, "e");
    assert_eq!(ids(&*store, of("d"), None, 9).await, "d");
    assert_eq!(ids(&*store, of("b"), None, 9).await, "");
}

fn device_id(text: &str) -> DeviceId {
    DeviceId::parse(text).expect("a valid device id")
}

/// The counts follow every change; a device that is still to leave a former hub has its hub.
pub async fn registrations_are_counted_by_their_progress<B: Backend>(backend: B) {
    let store = backend.store();
    let counts = async |store: &dyn Store| {
        let counts = store.registration_statistics().await;
        let RegistrationStatistics {
            assigned,
            assigning,
            failed,
        } = counts.expect("statistics can be read");
        (assigned, assigning, failed)
    };
    assert_eq!(counts(&*store).await, (0, 0, 0));
    commit(&*store, put_enrollment(enrollment("a", "1"), None)).await;
    let steps = [
        (put_registration(own("a", "1"), None), (1, 0, 0)),
        (
            put_registration(with(assigning(), own("b", "1")), None),
            (1, 1, 0),
        ),
        (put_registration(leaving(own("c", "1")), None), (2, 1, 0)),
        (
            put_registration(with(failed(), leaving(own("b", "2"))), Some("1")),
            (2, 0, 1),
        ),
        (put_registration(own("c", "2"), Some("1")), (2, 0, 1)),
        (delete_registration("c", None), (1, 0, 1)),
        (super::delete_enrollment("a", None), (0, 0, 1)),
    ];
    for (op, expected) in steps {
        commit(&*store, op).await;
        assert_eq!(counts(&*store).await, expected);
    }
    let (_backend, store) = reopen(backend, store).await;
    assert_eq!(counts(&*store).await, (0, 0, 1));
}
