//! What readers see of provisioning.

use super::super::generator::Generator;
use super::super::text::{
    describe_enrollment, describe_group, describe_registration, describe_service,
};
use super::super::values::{GROUPS, IDS, Values, group_id, registration_id};
use super::model::Model;
use crate::Store;
use crate::store::{RefusalPosition, RegistrationFilter};

fn some_filter(generator: &mut Generator) -> RegistrationFilter {
    match generator.below(6) {
        0 => RegistrationFilter::All,
        1 => RegistrationFilter::OfGroup(group_id(generator.pick::<&str>(&GROUPS))),
        2 => RegistrationFilter::Individual,
        3 => RegistrationFilter::Unfinished,
        4 => RegistrationFilter::OfDevice(Values(generator).device()),
        _ => RegistrationFilter::Failed,
    }
}

/// The descriptions of a page of what is there, in order.
fn page<'a, T: 'a>(
    all: impl IntoIterator<Item = &'a T>,
    key: impl Fn(&T) -> &str,
    (after, max): (Option<&str>, usize),
    describe: impl Fn(&T) -> String,
) -> Vec<String> {
    all.into_iter()
        .filter(|one| after.is_none_or(|after| key(one) > after))
        .take(max)
        .map(describe)
        .collect()
}

/// Reads with random bounds.
pub(super) async fn check_reads(
    generator: &mut Generator,
    model: &Model,
    store: &dyn Store,
    step: usize,
) {
    let id = registration_id(generator.pick::<&str>(&IDS));
    let max = generator.index(6);
    check_page(model, store, (None, max), some_filter(generator), step).await;
    let max = generator.index(20);
    let from = (Some(id.key()), max);
    check_page(model, store, from, some_filter(generator), step).await;
    let there = &model.provisioned;
    let read = store
        .refusals(None, max)
        .await
        .expect("refusals can be read");
    let mut expected = there.refusals();
    expected.truncate(max);
    assert_eq!(read, expected, "step {step}: refusals");
    if let Some(last) = read.last() {
        let after = RefusalPosition::of(last);
        let next = store.refusals(Some(&after), max).await;
        let mut expected = there.refusals().split_off(read.len());
        expected.truncate(max);
        let next = next.expect("refusals can be read");
        assert_eq!(next, expected, "step {step}: more refusals");
    }
    let read = store.refusal(&id).await.expect("a refusal can be read");
    let all = there.refusals();
    let expected = all.iter().find(|one| one.id.key() == id.key());
    assert_eq!(read.as_ref(), expected, "step {step}: the refusal of {id}");

    let read = store.provisioning_service().await;
    let read = read.expect("the service can be read");
    assert_eq!(
        read.as_ref().map(describe_service),
        there.service.as_ref().map(describe_service),
        "step {step}: the service"
    );
    let read = store.enrollment(&id).await;
    let read = read.expect("an enrollment can be read");
    assert_eq!(
        read.as_ref().map(describe_enrollment),
        there.enrollment(&id).map(describe_enrollment),
        "step {step}: {id}"
    );
    let read = store.registration(&id).await;
    let read = read.expect("a registration can be read");
    assert_eq!(
        read.as_ref().map(describe_registration),
        there.registration(&id).map(describe_registration),
        "step {step}: {id}"
    );
    let read = store.enrollment_count().await;
    let read = read.expect("enrollments can be counted");
    assert_eq!(
        read,
        there.enrollments().len() as u64,
        "step {step}: enrollments"
    );
    let read = store.registration_statistics().await;
    let read = read.expect("statistics can be read");
    assert_eq!(read, there.statistics(), "step {step}: statistics");
}

async fn check_page(
    model: &Model,
    store: &dyn Store,
    bounds: (Option<&str>, usize),
    filter: RegistrationFilter,
    step: usize,
) {
    let (after, max) = bounds;
    let there = &model.provisioned;
    let read = store.enrollments(after, max).await;
    let read = read.expect("enrollments can be read");
    let expected = page(
        there.enrollments(),
        |one| one.id.key(),
        bounds,
        describe_enrollment,
    );
    let read: Vec<String> = read.iter().map(describe_enrollment).collect();
    assert_eq!(read, expected, "step {step}: enrollments");

    let read = store.enrollment_groups(after, max).await;
    let read = read.expect("groups can be read");
    let expected = page(there.groups(), |one| one.id.key(), bounds, describe_group);
    let read: Vec<String> = read.iter().map(describe_group).collect();
    assert_eq!(read, expected, "step {step}: groups");

    let expected = page(
        there.registrations(&filter),
        |one| one.id.key(),
        bounds,
        describe_registration,
    );
    let name = format!("{filter:?}");
    let read = store.registrations(filter, after, max).await;
    let read = read.expect("registrations can be read");
    let read: Vec<String> = read.iter().map(describe_registration).collect();
    assert_eq!(read, expected, "step {step}: registrations of {name}");
}

/// All of it.
pub(super) async fn check_everything(model: &Model, store: &dyn Store, step: usize) {
    let groups = GROUPS.map(|id| RegistrationFilter::OfGroup(group_id(id)));
    let filters = [
        RegistrationFilter::All,
        RegistrationFilter::Individual,
        RegistrationFilter::Unfinished,
        RegistrationFilter::Failed,
    ];
    for filter in filters.into_iter().chain(groups) {
        check_page(model, store, (None, 100_000), filter, step).await;
    }
    let read = store
        .refusals(None, 100_000)
        .await
        .expect("refusals can be read");
    assert_eq!(read, model.provisioned.refusals(), "step {step}: refusals");
}
