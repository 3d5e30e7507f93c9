//! Reads are bounded and ordered by bytes.

use super::Backend;
use super::fixtures::{
    HUB, NOBODY, OTHER_HUB, commit, commit_unit, create, created, device, hub, id, identity,
    store_with_hub,
};
use crate::Store;
use crate::store::{FactNo, MessageNo, Op, Statistics, Unit, all_devices};
use hub_domain::HubNo;

/// Reading what is not there is no error.
pub async fn what_does_not_exist_is_not_found<B: Backend>(backend: B) {
    let store = backend.store();
    assert!(store.hubs().await.expect("hubs can be read").is_empty());
    assert!(
        store
            .identity(HUB, &id("d1"))
            .await
            .expect("an identity can be read")
            .is_none()
    );
    commit(&*store, Op::CreateHub(Box::new(hub(HUB)))).await;
    device(&*store, "d1").await;
    for text in ["d", "d11", "D1", "d1/m1", "m1"] {
        assert!(
            store
                .identity(HUB, &id(text))
                .await
                .expect("an identity can be read")
                .is_none(),
            "{text}"
        );
        assert!(
            store
                .twin(HUB, &id(text))
                .await
                .expect("a twin can be read")
                .is_none(),
            "{text}"
        );
    }
    assert!(
        store
            .identity(OTHER_HUB, &id("d1"))
            .await
            .expect("an identity can be read")
            .is_none()
    );
    assert!(
        store
            .modules(HUB, &id("d1").device)
            .await
            .expect("modules can be read")
            .is_empty()
    );
    assert!(
        store
            .modules(HUB, &id("d2").device)
            .await
            .expect("modules can be read")
            .is_empty()
    );
    assert!(
        store
            .devices(OTHER_HUB, None, 10)
            .await
            .expect("devices can be read")
            .is_empty()
    );
    assert!(
        store
            .messages(NOBODY, MessageNo(0), 10)
            .await
            .expect("messages can be read")
            .is_empty()
    );
    assert!(
        store
            .changes(FactNo(0), 10)
            .await
            .expect("changes can be read")
            .is_empty()
    );
    assert_eq!(
        store
            .statistics(OTHER_HUB)
            .await
            .expect("statistics can be read"),
        Statistics::default()
    );
}

/// Ids whose byte order differs from other orders people know.
const IDS: [&str; 14] = [
    "a", "B", "_", "a-", "a!", "A", "aa", "ab", "a/m", "a/M", "Z", "1", "10", "2",
];

async fn page(store: &dyn Store, hub: HubNo, after: Option<&str>, max: usize) -> Vec<String> {
    let after = after.map(|text| id(text).device);
    let read = store
        .devices(hub, after.as_ref(), max)
        .await
        .expect("devices can be read");
    read.into_iter()
        .map(|stored| stored.identity.id.to_string())
        .collect()
}

/// Every page size gives the same list; modules and other hubs are not in it.
pub async fn devices_are_read_in_byte_order_and_in_pages<B: Backend>(backend: B) {
    let store = backend.store();
    for no in [HubNo(1), HubNo(2), HubNo(3)] {
        commit(&*store, Op::CreateHub(Box::new(hub(no)))).await;
        for text in IDS {
            created(&*store, no, identity(text)).await;
        }
    }
    let mut expected: Vec<&str> = IDS.into_iter().filter(|text| !text.contains('/')).collect();
    expected.sort_unstable();
    for max in 1..=expected.len() + 1 {
        let mut all: Vec<String> = Vec::new();
        loop {
            let next = page(&*store, HubNo(2), all.last().map(String::as_str), max).await;
            assert!(next.len() <= max);
            if next.is_empty() {
                break;
            }
            assert!(
                next.len() == max || all.len() + next.len() == expected.len(),
                "only the last page is short"
            );
            all.extend(next);
            assert!(all.len() <= expected.len(), "no page comes twice");
        }
        assert_eq!(all, expected, "in pages of {max}");
    }
    let after_gap: Vec<&str> = expected
        .iter()
        .copied()
        .filter(|text| *text > "a0")
        .collect();
    assert_eq!(
        page(&*store, HubNo(2), Some("a0"), 100).await,
        after_gap,
        "after an id that does not exist"
    );
    assert!(page(&*store, HubNo(2), Some("zzz"), 100).await.is_empty());
    assert!(
        page(&*store, HubNo(2), None, 0).await.is_empty(),
        "at most none"
    );
}

/// The modules of one device, whatever its neighbors have.
pub async fn modules_are_read_in_byte_order<B: Backend>(backend: B) {
    let store = store_with_hub(&backend).await;
    let modules = ["m", "M", "$edgeHub", "$edgeAgent", "m1", "m-", "_"];
    for device_id in ["d", "d1", "d1-", "D1"] {
        device(&*store, device_id).await;
        for module in modules {
            device(&*store, &format!("{device_id}/{module}")).await;
        }
    }
    let read = store
        .modules(HUB, &id("d1").device)
        .await
        .expect("modules can be read");
    let read: Vec<String> = read
        .into_iter()
        .map(|stored| stored.identity.id.to_string())
        .collect();
    let mut expected = modules.map(|module| format!("d1/{module}"));
    expected.sort_unstable();
    assert_eq!(read, expected);
}

/// More devices than a page of the walk holds.
pub async fn many_devices_are_read_whole<B: Backend>(backend: B) {
    let store = store_with_hub(&backend).await;
    let ids: Vec<String> = (0..2_500).map(|n| format!("device-{n:05}")).collect();
    for part in ids.chunks(100) {
        let ops = part
            .iter()
            .map(|text| create(HUB, identity(text)))
            .collect();
        commit_unit(
            &*store,
            Unit {
                op_id: None,
                ops,
                facts: Vec::new(),
            },
        )
        .await;
    }
    let read = all_devices(&*store, HUB)
        .await
        .expect("devices can be read");
    assert_eq!(
        read.iter()
            .map(|stored| stored.identity.id.to_string())
            .collect::<Vec<_>>(),
        ids
    );
    let expected = Statistics {
        devices: 2_500,
        enabled: 2_500,
    };
    assert_eq!(
        store.statistics(HUB).await.expect("statistics can be read"),
        expected
    );
}
