//! Enrollments of single devices and of groups.

use std::collections::BTreeMap;

use hub_domain::provisioning::Origin;

use super::super::Backend;
use super::super::fixtures::{commit, commit_unit, conflict_of, fact, refuse, reopen};
use super::super::generator::Generator;
use super::super::text::{describe_enrollment, describe_group, snapshot};
use super::super::values::{Values, group_id, registration_id};
use super::registrations::leaving;
use super::{
    VALUES, check_enrollment, check_group, check_no_enrollment, delete_enrollment, delete_group,
    delete_registration, enrollment, group, of_group, put_enrollment, put_group, put_registration,
    registration,
};
use crate::store::{Op, RegistrationFilter, Unit};
use crate::{Conflict, Store};

/// Nothing of an enrollment or a group is lost, whatever its proof and terms are.
pub async fn every_field_of_an_enrollment_is_kept<B: Backend>(backend: B) {
    let store = backend.store();
    let mut generator = Generator::new(11);
    let (mut enrollments, mut groups) = (BTreeMap::new(), BTreeMap::new());
    for _ in 0..VALUES {
        let next = Values(&mut generator).enrollment();
        let text = describe_enrollment(&next);
        let before = enrollments.insert(next.id.key().to_owned(), (next.etag.clone(), text));
        let op = Op::PutEnrollment {
            next: Box::new(next),
            expected: before.map(|(etag, _)| etag),
        };
        commit(&*store, op).await;
        check_enrollments(&*store, &enrollments).await;

        let next = Values(&mut generator).group();
        let text = describe_group(&next);
        let before = groups.insert(next.id.key().to_owned(), (next.etag.clone(), text));
        let op = Op::PutEnrollmentGroup {
            next: Box::new(next),
            expected: before.map(|(etag, _)| etag),
        };
        commit(&*store, op).await;
        check_groups(&*store, &groups).await;
    }
    let (_backend, store) = reopen(backend, store).await;
    check_enrollments(&*store, &enrollments).await;
    check_groups(&*store, &groups).await;
}

async fn check_enrollments<E>(store: &dyn Store, expected: &BTreeMap<String, (E, String)>) {
    let read = store.enrollments(None, 1_000).await;
    let read = read.expect("enrollments can be read");
    let read: Vec<String> = read.iter().map(describe_enrollment).collect();
    let expected: Vec<&String> = expected.values().map(|(_, text)| text).collect();
    assert_eq!(read.iter().collect::<Vec<_>>(), expected);
}

async fn check_groups<E>(store: &dyn Store, expected: &BTreeMap<String, (E, String)>) {
    let read = store.enrollment_groups(None, 1_000).await;
    let read = read.expect("groups can be read");
    let read: Vec<String> = read.iter().map(describe_group).collect();
    let expected: Vec<&String> = expected.values().map(|(_, text)| text).collect();
    assert_eq!(read.iter().collect::<Vec<_>>(), expected);
}

/// An enrollment is created once, and changed or deleted only on its etag, or on any.
pub async fn an_enrollment_is_written_only_on_its_etag<B: Backend>(backend: B) {
    let store = &*backend.store();
    let mismatch = Conflict::VersionMismatch;
    let on_none = put_enrollment(enrollment("a", "2"), Some("1"));
    refuse(store, on_none, Conflict::NotFound, "there is none").await;
    commit(store, check_no_enrollment("a")).await;
    commit(store, put_enrollment(enrollment("a", "1"), None)).await;
    let there = check_no_enrollment("A");
    refuse(store, there, Conflict::AlreadyExists, "there is one").await;
    let again = put_enrollment(enrollment("a", "2"), None);
    refuse(store, again, Conflict::AlreadyExists, "it exists").await;
    let stale = put_enrollment(enrollment("a", "2"), Some("0"));
    refuse(store, stale, mismatch, "another etag").await;
    commit(store, check_enrollment("a", "1")).await;
    commit(store, put_enrollment(enrollment("a", "2"), Some("1"))).await;
    refuse(store, check_enrollment("a", "1"), mismatch, "it changed").await;
    let stale = delete_enrollment("a", Some("1"));
    refuse(store, stale, mismatch, "it changed").await;
    commit(store, delete_enrollment("a", Some("2"))).await;
    for gone in [
        delete_enrollment("a", None),
        delete_enrollment("a", Some("2")),
        check_enrollment("a", "2"),
    ] {
        refuse(store, gone, Conflict::NotFound, "it is gone").await;
    }
    commit(store, put_enrollment(enrollment("a", "3"), None)).await;
    commit(store, delete_enrollment("a", None)).await;
}

/// The same for groups.
pub async fn an_enrollment_group_is_written_only_on_its_etag<B: Backend>(backend: B) {
    let store = &*backend.store();
    let mismatch = Conflict::VersionMismatch;
    let on_none = put_group(group("g", "2"), Some("1"));
    refuse(store, on_none, Conflict::NotFound, "there is none").await;
    commit(store, put_group(group("g", "1"), None)).await;
    let again = put_group(group("g", "2"), None);
    refuse(store, again, Conflict::AlreadyExists, "it exists").await;
    let stale = put_group(group("g", "2"), Some("0"));
    refuse(store, stale, mismatch, "another etag").await;
    commit(store, check_group("g", "1")).await;
    commit(store, put_group(group("g", "2"), Some("1"))).await;
    refuse(store, check_group("g", "1"), mismatch, "it changed").await;
    refuse(store, delete_group("g", Some("1")), mismatch, "it changed").await;
    commit(store, delete_group("g", Some("2"))).await;
    for gone in [
        delete_group("g", None),
        delete_group("g", Some("2")),
        check_group("g", "2"),
    ] {
        refuse(store, gone, Conflict::NotFound, "it is gone").await;
    }
    commit(store, put_group(group("g", "3"), None)).await;
    commit(store, delete_group("g", None)).await;
}

/// Whoever spells an id otherwise means the same; what is read is spelled as it was written last. Enrollments, groups
/// and registrations of one id are apart.
pub async fn ids_of_provisioning_compare_without_case<B: Backend>(backend: B) {
    let store = backend.store();
    let all = async |tag: &str, expected: Option<&str>, id: &str| {
        commit(&*store, put_enrollment(enrollment(id, tag), expected)).await;
        commit(&*store, put_group(group(id, tag), expected)).await;
        let next = registration(id, of_group("Line"), tag);
        commit(&*store, put_registration(next, expected)).await;
    };
    all("1", None, "Reg-A").await;
    for taken in [
        put_enrollment(enrollment("reg-a", "2"), None),
        put_group(group("REG-A", "2"), None),
        put_registration(registration("rEG-a", Origin::Individual, "2"), None),
    ] {
        refuse(&*store, taken, Conflict::AlreadyExists, "but for case").await;
    }
    commit(&*store, check_enrollment("REG-A", "1")).await;
    commit(&*store, check_group("reg-a", "1")).await;
    all("2", Some("1"), "REG-a").await;

    let other = registration_id("reg-A");
    let read = store.enrollment(&other).await.expect("it can be read");
    assert_eq!(read.map(|one| one.id.to_string()).as_deref(), Some("REG-a"));
    let read = store.enrollment_groups(None, 10).await;
    let read = read.expect("they can be read");
    let ids: Vec<String> = read.iter().map(|one| one.id.to_string()).collect();
    assert_eq!(ids, ["REG-a"]);
    let read = store.registration(&other).await.expect("it can be read");
    assert_eq!(read.map(|one| one.id.to_string()).as_deref(), Some("REG-a"));
    let filter = RegistrationFilter::OfGroup(group_id("LINE"));
    let read = store.registrations(filter, None, 10).await;
    assert_eq!(read.expect("they can be read").len(), 1);

    commit(&*store, delete_registration("reg-A", None)).await;
    commit(&*store, delete_group("reg-A", None)).await;
    commit(&*store, delete_enrollment("reg-A", None)).await;
    let gone = store.enrollment(&registration_id("REG-a")).await;
    assert!(gone.expect("it can be asked").is_none());
}

/// The registration that an enrollment let happen goes with it; one that a group let happen stays.
pub async fn a_deleted_enrollment_takes_its_own_registration<B: Backend>(backend: B) {
    let store = backend.store();
    for (id, origin) in [("own", Origin::Individual), ("other", of_group("g"))] {
        commit(&*store, put_enrollment(enrollment(id, "1"), None)).await;
        let next = registration(id, origin, "1");
        commit(&*store, put_registration(next, None)).await;
    }
    let stale = delete_enrollment("own", Some("0"));
    refuse(&*store, stale, Conflict::VersionMismatch, "another etag").await;
    commit(&*store, delete_enrollment("OWN", Some("1"))).await;
    commit(&*store, delete_enrollment("other", None)).await;
    assert_eq!(registered(&*store).await, ["other"]);
    // Somebody has to go on with it, or the device would stay in a hub that nobody knows of.
    commit(&*store, put_enrollment(enrollment("moving", "1"), None)).await;
    let moving = leaving(registration("moving", Origin::Individual, "1"));
    commit(&*store, put_registration(moving, None)).await;
    commit(&*store, delete_enrollment("moving", None)).await;
    assert_eq!(registered(&*store).await, ["moving", "other"]);
    let (_backend, store) = reopen(backend, store).await;
    assert_eq!(registered(&*store).await, ["moving", "other"]);
    let statistics = store.registration_statistics().await;
    assert_eq!(statistics.expect("they can be read").assigned, 2);
}

async fn registered(store: &dyn Store) -> Vec<String> {
    let read = store
        .registrations(RegistrationFilter::All, None, 100)
        .await;
    let read = read.expect("registrations can be read");
    read.iter().map(|one| one.id.to_string()).collect()
}

/// What a group let happen stays, and is found by the group's id.
pub async fn a_deleted_group_leaves_its_registrations<B: Backend>(backend: B) {
    let store = &*backend.store();
    commit(store, put_group(group("g", "1"), None)).await;
    let next = registration("a", of_group("g"), "1");
    commit(store, put_registration(next, None)).await;
    commit(store, delete_group("g", Some("1"))).await;
    let filter = RegistrationFilter::OfGroup(group_id("G"));
    let read = store.registrations(filter, None, 10).await;
    assert_eq!(read.expect("they can be read").len(), 1);
}

/// Within a unit a check sees what came before it, and nothing of a unit that fails later.
pub async fn a_check_sees_the_earlier_writes_of_its_unit<B: Backend>(backend: B) {
    let store = &*backend.store();
    let unit = |ops| Unit {
        op_id: None,
        ops,
        facts: Vec::new(),
    };
    let created = unit(vec![
        put_enrollment(enrollment("a", "1"), None),
        check_enrollment("A", "1"),
        put_enrollment(enrollment("a", "2"), Some("1")),
        check_enrollment("a", "2"),
        put_group(group("g", "1"), None),
        check_group("G", "1"),
    ]);
    commit_unit(store, created).await;
    let before = snapshot(store).await;
    for (last, expected) in [
        (check_enrollment("a", "2"), Conflict::NotFound),
        (check_group("g", "1"), Conflict::VersionMismatch),
    ] {
        let mut failing = unit(vec![
            delete_enrollment("a", Some("2")),
            put_group(group("g", "2"), Some("1")),
            put_registration(registration("a", of_group("g"), "1"), None),
            last,
        ]);
        failing.facts = vec![fact("trace", 0)];
        assert_eq!(conflict_of(store.submit(failing).await), expected);
        assert_eq!(snapshot(store).await, before, "nothing of it is kept");
    }
}

/// Lists come in the byte order of the keys, after a key that need not be there, and no longer than asked for.
pub async fn enrollments_are_read_by_key_and_in_pages<B: Backend>(backend: B) {
    let store = &*backend.store();
    for id in ["b", "A-1", "a", "Z", "0", "a:b", "a.b", "B1"] {
        commit(store, put_enrollment(enrollment(id, "1"), None)).await;
        commit(store, put_group(group(id, "1"), None)).await;
    }
    let pages = async |after: Option<&str>, max: usize| {
        let enrollments = store.enrollments(after, max).await;
        let enrollments = enrollments.expect("enrollments can be read");
        let enrollments: Vec<String> = enrollments.iter().map(|one| one.id.to_string()).collect();
        let groups = store.enrollment_groups(after, max).await;
        let groups = groups.expect("groups can be read");
        let groups: Vec<String> = groups.iter().map(|one| one.id.to_string()).collect();
        assert_eq!(enrollments, groups);
        enrollments.join(" ")
    };
    assert_eq!(pages(None, 100).await, "0 a A-1 a.b a:b b B1 Z");
    assert_eq!(pages(None, 3).await, "0 a A-1");
    assert_eq!(pages(Some("a-1"), 3).await, "a.b a:b b");
    assert_eq!(pages(Some("a-"), 2).await, "A-1 a.b");
    assert_eq!(pages(Some("z"), 3).await, "");
    assert_eq!(pages(Some("b"), 0).await, "");
}
