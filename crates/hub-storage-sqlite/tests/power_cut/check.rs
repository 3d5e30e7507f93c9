//! What must hold on a disk after a power cut.

use std::collections::{BTreeMap, BTreeSet};

use hub_domain::{FactKind, Timestamp};
use hub_storage::log::{
    BatchWriter, LogRecord, MessageLog, Position, ReadLimit, RecordFlags, TelemetrySource,
};
use hub_storage::store::{FactNo, MessageNo, Op, Subscriptions, Unit};
use hub_storage::{MessageLogs, Store};
use hub_storage_sqlite::Opened;

use crate::work::{Acknowledged, HUB, MAILBOX, PAIR, PARTITIONS, hub, id, singles};

/// Everything acknowledged is there, units are whole, nothing has gaps, and work goes on.
pub(crate) async fn holds_everything(seed: u64, survived: &Opened, acknowledged: &Acknowledged) {
    let store: &dyn Store = &*survived.store;
    assert_eq!(
        store.hubs().await.expect("hubs can be read").len(),
        1,
        "seed {seed}"
    );
    let versions = check_twins(seed, store, acknowledged).await;
    check_facts(seed, store, acknowledged, &versions).await;
    check_messages(seed, store, acknowledged).await;
    let log = survived.logs.open(&hub()).expect("the log opens");
    check_log(seed, &*log, acknowledged).await;
    check_work_goes_on(seed, store, &*log).await;
}

async fn check_twins(
    seed: u64,
    store: &dyn Store,
    acknowledged: &Acknowledged,
) -> BTreeMap<String, u64> {
    let mut versions = BTreeMap::new();
    for device in singles().into_iter().chain(PAIR.map(str::to_owned)) {
        let Some((_, twin)) = store
            .twin(HUB, &id(&device))
            .await
            .expect("twins can be read")
        else {
            // Devices are created one after the other, the last ones perhaps after an early cut.
            assert!(
                !acknowledged.versions.contains_key(&device),
                "seed {seed}: {device} is lost"
            );
            continue;
        };
        let version = twin.reported.version;
        let promised = acknowledged.versions.get(&device).copied().unwrap_or(1);
        assert!(
            version >= promised,
            "seed {seed}: {device} has version {version}, not {promised}"
        );
        let expected = (version > 1).then(|| serde_json::Value::from(version - 1));
        assert_eq!(
            twin.reported.properties.get("n"),
            expected.as_ref(),
            "seed {seed}: {device} is torn"
        );
        versions.insert(device, version);
    }
    assert_eq!(
        versions.get(PAIR[0]).unwrap_or(&1),
        versions.get(PAIR[1]).unwrap_or(&1),
        "seed {seed}: half a unit"
    );
    let statistics = store.statistics(HUB).await.expect("statistics can be read");
    let devices = hub_storage::store::all_devices(store, HUB)
        .await
        .expect("devices can be read");
    assert_eq!(statistics.devices, devices.len() as u64, "seed {seed}");
    versions
}

async fn check_facts(
    seed: u64,
    store: &dyn Store,
    acknowledged: &Acknowledged,
    versions: &BTreeMap<String, u64>,
) {
    let facts = store
        .changes(FactNo(0), usize::MAX)
        .await
        .expect("facts can be read");
    let numbers: Vec<u64> = facts.iter().map(|(no, _)| no.0).collect();
    let head = store.fact_head().borrow().0;
    assert_eq!(
        numbers,
        (1..=head).collect::<Vec<_>>(),
        "seed {seed}: facts have gaps"
    );
    assert!(
        head >= acknowledged.last_fact,
        "seed {seed}: facts are lost"
    );
    let mut told: BTreeMap<String, u64> = BTreeMap::new();
    for (_, fact) in &facts {
        let FactKind::TwinChanged(change) = &fact.kind else {
            continue;
        };
        let version = change
            .reported
            .as_ref()
            .expect("only reports were made")
            .version;
        let before = told.insert(fact.id.to_string(), version).unwrap_or(1);
        assert_eq!(
            version,
            before + 1,
            "seed {seed}: a fact of {} is lost",
            fact.id
        );
    }
    for (device, version) in versions {
        assert_eq!(
            told.get(device).unwrap_or(&1),
            version,
            "seed {seed}: twin and facts of {device} differ"
        );
    }
}

async fn check_messages(seed: u64, store: &dyn Store, acknowledged: &Acknowledged) {
    let Some(mailbox) = store
        .identity(HUB, &id(MAILBOX))
        .await
        .expect("identities can be read")
    else {
        assert!(
            acknowledged.queued.is_empty() && acknowledged.settled.is_empty(),
            "seed {seed}: a device is lost"
        );
        return;
    };
    let queue = store
        .messages(mailbox.ordinal, MessageNo(0), usize::MAX)
        .await
        .expect("messages can be read");
    let numbers: BTreeSet<u64> = queue.iter().map(|message| message.no.0).collect();
    assert_eq!(
        mailbox.message_count,
        numbers.len() as u64,
        "seed {seed}: the count is wrong"
    );
    assert!(
        numbers.is_superset(&acknowledged.queued),
        "seed {seed}: a queued message is lost"
    );
    assert!(
        numbers.is_disjoint(&acknowledged.settled),
        "seed {seed}: a settled message is back"
    );
    assert!(
        queue
            .iter()
            .all(|message| message.message.body[..] == [7; 300]),
        "seed {seed}"
    );
}

async fn read_all(log: &dyn MessageLog, partition: u16) -> Vec<LogRecord> {
    let limit = ReadLimit {
        records: 37,
        bytes: 5_000,
    };
    let mut all: Vec<LogRecord> = Vec::new();
    loop {
        let from = Position::Sequence(all.last().map_or(0, |record| record.sequence + 1));
        let page = log
            .read(partition, from, limit)
            .await
            .expect("messages can be read");
        if page.is_empty() {
            return all;
        }
        all.extend(page);
    }
}

async fn check_log(seed: u64, log: &dyn MessageLog, acknowledged: &Acknowledged) {
    for partition in 0..PARTITIONS {
        let records = read_all(log, partition).await;
        let sequences: Vec<u64> = records.iter().map(|record| record.sequence).collect();
        assert_eq!(
            sequences,
            (0..records.len() as u64).collect::<Vec<_>>(),
            "seed {seed}: messages have gaps"
        );
        let state = log
            .partition(partition)
            .await
            .expect("a partition's state can be read");
        assert_eq!(
            (state.first, state.next),
            (0, records.len() as u64),
            "seed {seed}"
        );
        for ((_, sequence), body) in acknowledged
            .messages
            .range((partition, 0)..=(partition, u64::MAX))
        {
            let record = records.get(usize::try_from(*sequence).expect("a small number"));
            assert_eq!(
                record.map(|record| &record.body[..]),
                Some(&body[..]),
                "seed {seed}: a message is lost"
            );
        }
    }
}

async fn check_work_goes_on(seed: u64, store: &dyn Store, log: &dyn MessageLog) {
    if let Some(mailbox) = store
        .identity(HUB, &id(MAILBOX))
        .await
        .expect("identities can be read")
    {
        let op = Op::ReplaceSubscriptions {
            identity: mailbox.ordinal,
            next: Subscriptions(5),
        };
        store
            .submit(Unit::new(op, Vec::new()))
            .await
            .expect("units are kept");
    }
    let next = log
        .partition(0)
        .await
        .expect("a partition's state can be read")
        .next;
    let mut writer = BatchWriter::new();
    writer.push(RecordFlags::default(), b"", b"after");
    let batch = writer.take(
        0,
        TelemetrySource::default().encode(),
        Timestamp::from_seconds(2),
    );
    let appended = log.append(batch).await.expect("batches are kept");
    assert_eq!(appended.first, next, "seed {seed}");
}
