//! Devices that were turned away.

use hub_domain::provisioning::Refusal;

use super::super::Backend;
use super::super::fixtures::{commit, moment, reopen};
use super::super::values::registration_id;
use super::of_group;
use crate::Store;
use crate::store::{Op, RefusalPosition};

fn refusal(id: &str, second: i64) -> Refusal {
    Refusal {
        id: registration_id(id),
        origin: None,
        code: 401_002,
        message: "Unauthorized".to_owned(),
        address: None,
        count: 1,
        first: moment(second),
        last: moment(second),
    }
}

fn note(refusals: Vec<Refusal>, kept_max: u64) -> Op {
    Op::NoteRefusals { refusals, kept_max }
}

async fn ids(store: &dyn Store, max: usize) -> String {
    let read = store
        .refusals(None, max)
        .await
        .expect("refusals can be read");
    let ids: Vec<&str> = read.iter().map(|one| one.id.as_str()).collect();
    ids.join(" ")
}

/// Attempts under one id are counted since the first one, within a write and over several; the rest is of the last.
/// What is forgotten begins anew.
pub async fn refusals_of_one_id_are_one<B: Backend>(backend: B) {
    let store = backend.store();
    let mut second = refusal("REG", 20);
    second.origin = Some(of_group("g"));
    second.code = 404_201;
    second.message = "Not found".to_owned();
    second.address = Some("192.0.2.7".parse().expect("a valid address"));
    second.count = 5;
    commit(&*store, note(vec![refusal("Reg", 10), refusal("x", 11)], 9)).await;
    commit(&*store, note(vec![refusal("reg", 15), second.clone()], 9)).await;
    let expected = Refusal {
        count: 7,
        first: moment(10),
        ..second
    };
    assert_eq!(
        store.refusals(None, 9).await.expect("they can be read"),
        [expected.clone(), refusal("x", 11)]
    );
    let (_backend, store) = reopen(backend, store).await;
    assert_eq!(
        store.refusals(None, 1).await.expect("they can be read"),
        std::slice::from_ref(&expected)
    );
    let alone = store.refusal(&registration_id("rEg")).await;
    assert_eq!(alone.expect("it can be read"), Some(expected));
    let nobody = store.refusal(&registration_id("y")).await;
    assert_eq!(nobody.expect("it can be asked"), None);
    for _ in 0..2 {
        let forget = Op::ForgetRefusal {
            id: registration_id("reg"),
        };
        commit(&*store, forget).await;
        assert_eq!(ids(&*store, 9).await, "x");
    }
    commit(&*store, note(vec![refusal("reg", 30)], 9)).await;
    assert_eq!(
        store.refusals(None, 1).await.expect("they can be read"),
        [refusal("reg", 30)]
    );
}

/// Those with an enrollment come first, then the newest, those of one moment by key; what is beyond the bound goes from
/// the end of that order.
pub async fn the_least_recent_refusals_go<B: Backend>(backend: B) {
    let store = &*backend.store();
    let all = [("b", 5), ("C", 9), ("a", 5), ("d", 1)];
    let all = all.map(|(id, second)| refusal(id, second));
    commit(store, note(all.to_vec(), 4)).await;
    assert_eq!(ids(store, 9).await, "C a b d");
    assert_eq!(ids(store, 2).await, "C a");
    assert_eq!(ids(store, 0).await, "");
    commit(store, note(vec![refusal("e", 7)], 4)).await;
    assert_eq!(ids(store, 9).await, "C e a b");
    commit(store, note(vec![refusal("old", 0)], 4)).await;
    assert_eq!(ids(store, 9).await, "C e a b", "it is the least recent");
    commit(store, note(vec![refusal("A", 10)], 4)).await;
    assert_eq!(ids(store, 9).await, "A C e b");
    let mut enrolled = refusal("own", 0);
    enrolled.origin = Some(of_group("g"));
    commit(store, note(vec![enrolled, refusal("f", 11)], 4)).await;
    assert_eq!(ids(store, 9).await, "own f A C", "strangers go first");
    let mut after = None;
    let mut pages = Vec::new();
    while let Some(last) = {
        let page = store.refusals(after.as_ref(), 1).await;
        page.expect("refusals can be read").pop()
    } {
        after = Some(RefusalPosition::of(&last));
        pages.push(last.id.to_string());
    }
    assert_eq!(pages, ["own", "f", "A", "C"], "one after the other");
    commit(store, note(Vec::new(), 3)).await;
    assert_eq!(ids(store, 9).await, "own f A", "a smaller bound");
    commit(store, note(vec![refusal("z", 99)], 0)).await;
    assert_eq!(ids(store, 9).await, "");
}
