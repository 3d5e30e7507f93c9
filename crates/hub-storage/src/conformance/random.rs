//! Random operations on a store, compared with a model.
//!
//! Units are decided on the model's state and submitted in bursts without waiting, so that some are
//! built on stale state and must fail. The model then repeats each unit with the numbers that the
//! backend gave, and every read must agree with it.

mod model;
mod provisioning;
mod steps;

use hub_domain::{DeviceId, ServiceBoundKind};

use self::model::Model;
use self::steps::{DEVICES, MODULES, some_unit};
use super::Backend;
use super::fixtures::{HUB, OTHER_HUB, hub, id, moment, pages_of_service_bound, reopen};
use super::generator::Generator;
use super::text::{describe_hub, describe_stored, snapshot};
use crate::store::{
    Committed, FactNo, MessageNo, Op, Ordinal, ServiceBoundNo, StoredIdentity, Unit,
};
use crate::{Store, StoreError};

/// Units of one run; each has one to four writes.
const UNITS: usize = 2_000;
const BURST_MAX: u64 = 8;

/// One walk through the operations.
pub async fn a_store_does_what_the_model_does<B: Backend>(backend: B) {
    walk(backend, 1).await;
}

/// Another walk.
pub async fn another_store_does_what_the_model_does<B: Backend>(backend: B) {
    walk(backend, 20_261_122).await;
}

async fn walk<B: Backend>(mut backend: B, seed: u64) {
    let mut generator = Generator::new(seed);
    let mut model = Model::default();
    let mut store = backend.store();
    for no in [HUB, OTHER_HUB] {
        let unit = Unit::new(Op::CreateHub(Box::new(hub(no))), Vec::new());
        let result = store.submit(unit.clone()).await;
        check_unit(&mut model, &unit, result, 0);
    }
    let mut done = 0;
    while done < UNITS {
        let burst: Vec<Unit> = (0..=generator.below(BURST_MAX))
            .map(|_| some_unit(&mut generator, &model))
            .collect();
        let pending: Vec<_> = burst
            .iter()
            .map(|unit| store.submit(unit.clone()))
            .collect();
        for (unit, result) in burst.iter().zip(pending) {
            check_unit(&mut model, unit, result.await, done);
            done += 1;
        }
        check_reads(&mut generator, &model, &*store, done).await;
        model.now += i64::try_from(generator.below(30)).expect("a small number");
        if generator.once_in(25) {
            trim(&mut generator, &mut model, &*store).await;
        }
        if generator.once_in(40) {
            check_everything(&model, &*store, done).await;
            (backend, store) = reopen(backend, store).await;
            check_everything(&model, &*store, done).await;
        }
    }
    check_everything(&model, &*store, done).await;
}

fn check_unit(model: &mut Model, unit: &Unit, result: Result<Committed, StoreError>, step: usize) {
    let expected = model.apply(unit, result.as_ref().ok());
    match (result, expected) {
        (Ok(committed), Ok(expected)) => assert_eq!(committed, expected, "unit {step}"),
        (Err(StoreError::Conflict(conflict)), Err(expected)) => {
            assert_eq!(conflict, expected, "unit {step}")
        }
        (result, expected) => {
            panic!("unit {step}: the store gave {result:?}, the model {expected:?}")
        }
    }
}

async fn trim(generator: &mut Generator, model: &mut Model, store: &dyn Store) {
    let before = moment(model.now - i64::try_from(generator.below(200)).expect("a small number"));
    store
        .trim_facts(before)
        .await
        .expect("facts can be trimmed");
    model.trim_facts(before);
}

fn some_identity(generator: &mut Generator) -> String {
    let device = *generator.pick(&DEVICES);
    if generator.once_in(2) {
        device.to_owned()
    } else {
        format!("{device}/{}", generator.pick(&MODULES))
    }
}

fn described(all: &[StoredIdentity]) -> Vec<String> {
    all.iter().map(describe_stored).collect()
}

/// A few reads of every kind.
async fn check_reads(generator: &mut Generator, model: &Model, store: &dyn Store, step: usize) {
    let no = *generator.pick(&[HUB, OTHER_HUB]);
    let max = generator.index(6);
    for _ in 0..3 {
        let id = id(&some_identity(generator));
        let expected = model.find(no, &id);
        let read = store
            .identity(no, &id)
            .await
            .expect("an identity can be read");
        let expected_text = expected.map(|kept| describe_stored(&kept.stored()));
        assert_eq!(
            read.as_ref().map(describe_stored),
            expected_text,
            "step {step}: {id}"
        );
        let read = store.twin(no, &id).await.expect("a twin can be read");
        let (stored, twin) = read.unzip();
        assert_eq!(
            stored.as_ref().map(describe_stored),
            expected_text,
            "step {step}: {id}"
        );
        assert_eq!(
            twin.as_ref(),
            expected.map(|kept| &kept.twin),
            "step {step}: the twin of {id}"
        );
    }
    let after = generator
        .once_in(2)
        .then(|| id(generator.pick::<&str>(&DEVICES)).device);
    let read = store
        .devices(no, after.as_ref(), max)
        .await
        .expect("devices can be read");
    assert_eq!(
        described(&read),
        described(&model.devices(no, after.as_ref(), max)),
        "step {step}: devices"
    );
    let device: DeviceId = id(generator.pick::<&str>(&DEVICES)).device;
    let read = store
        .modules(no, &device)
        .await
        .expect("modules can be read");
    assert_eq!(
        described(&read),
        described(&model.modules(no, &device)),
        "step {step}: modules"
    );

    let ordinal = model.some_ordinal(generator).unwrap_or(Ordinal(1));
    let queue = model.queue(ordinal);
    let after = if generator.once_in(2) || queue.is_empty() {
        MessageNo(0)
    } else {
        generator.pick(&queue).no
    };
    let read = store
        .messages(ordinal, after, max)
        .await
        .expect("messages can be read");
    let expected: Vec<_> = queue
        .iter()
        .filter(|message| message.no > after)
        .take(max)
        .collect();
    assert_eq!(
        format!("{read:?}"),
        format!("{expected:?}"),
        "step {step}: messages"
    );

    let read = store.statistics(no).await.expect("statistics can be read");
    assert_eq!(read, model.statistics(no), "step {step}: statistics");
    let after = FactNo(generator.below(model.head.0 + 2));
    let read = store
        .changes(after, max)
        .await
        .expect("changes can be read");
    assert_eq!(read, model.changes(after, max), "step {step}: changes");
    assert_eq!(
        *store.fact_head().borrow(),
        model.head,
        "step {step}: the head"
    );
    let kind = *generator.pick(&ServiceBoundKind::ALL);
    let told = model.told(no, kind);
    let after = if generator.once_in(2) || told.is_empty() {
        ServiceBoundNo(0)
    } else {
        generator.pick(&told).no
    };
    let read = store
        .service_bound(no, kind, after, max)
        .await
        .expect("service-bound records can be read");
    let expected: Vec<_> = told
        .into_iter()
        .filter(|stored| stored.no > after)
        .collect();
    assert_eq!(
        read,
        expected[..max.min(expected.len())],
        "step {step}: {kind:?}"
    );
    check_expired(model, store, step).await;
    provisioning::check_reads(generator, model, store, step).await;
}

async fn check_expired(model: &Model, store: &dyn Store, step: usize) {
    let now = moment(model.now);
    let mut read = store
        .expired_messages(now, 1_000_000)
        .await
        .expect("expired messages can be read");
    read.sort_unstable();
    assert_eq!(read, model.expired(now), "step {step}: expired messages");
}

/// Every read of everything.
async fn check_everything(model: &Model, store: &dyn Store, step: usize) {
    // The walk through all reads holds their agreement with each other.
    snapshot(store).await;
    let hubs = store.hubs().await.expect("hubs can be read");
    let text = |hubs: &[hub_domain::Hub]| hubs.iter().map(describe_hub).collect::<Vec<_>>();
    assert_eq!(text(&hubs), text(&model.hubs), "step {step}: hubs");
    for no in [HUB, OTHER_HUB] {
        let read = store
            .devices(no, None, 1_000)
            .await
            .expect("devices can be read");
        assert_eq!(
            described(&read),
            described(&model.devices(no, None, 1_000)),
            "step {step}: devices"
        );
        for device in DEVICES {
            let device = id(device).device;
            let read = store
                .modules(no, &device)
                .await
                .expect("modules can be read");
            assert_eq!(
                described(&read),
                described(&model.modules(no, &device)),
                "step {step}: modules"
            );
        }
    }
    for (no, kind) in [HUB, OTHER_HUB]
        .into_iter()
        .flat_map(|no| ServiceBoundKind::ALL.map(|kind| (no, kind)))
    {
        assert_eq!(
            pages_of_service_bound(store, no, kind, 100).await,
            model.told(no, kind),
            "step {step}: {kind:?}"
        );
    }
    provisioning::check_everything(model, store, step).await;
    for kept in &model.kept {
        let (_, twin) = store
            .twin(kept.hub, &kept.identity.id)
            .await
            .expect("it can be read")
            .expect("it exists");
        assert_eq!(
            twin, kept.twin,
            "step {step}: the twin of {}",
            kept.identity.id
        );
        let read = store
            .messages(kept.ordinal, MessageNo(0), 100_000)
            .await
            .expect("messages can be read");
        assert_eq!(
            format!("{read:?}"),
            format!("{:?}", kept.queue),
            "step {step}: the queue of {}",
            kept.identity.id
        );
    }
    let read = store
        .changes(FactNo(0), 100_000)
        .await
        .expect("changes can be read");
    assert_eq!(
        read,
        model.changes(FactNo(0), 100_000),
        "step {step}: changes"
    );
}
