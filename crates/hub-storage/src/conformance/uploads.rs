//! Uploads that devices began.

use hub_domain::HubNo;
use hub_domain::upload::{BlobName, CorrelationId, Upload};

use super::Backend;
use super::fixtures::{
    HUB, NOBODY, commit, device, etag, key, moment, refuse, reopen, store_with_hub,
};
use crate::store::{Op, Ordinal};
use crate::{Conflict, Store};

fn upload(number: u8, begun: i64, expires: i64) -> Upload {
    Upload {
        correlation: CorrelationId::from_random([number; 16]),
        hub: HUB,
        name: BlobName::parse(&format!("d1/\u{fc} {number}.txt")).expect("a valid name"),
        key: key(number),
        begun: moment(begun),
        expires: moment(expires),
    }
}

fn begin(identity: Ordinal, upload: &Upload) -> Op {
    Op::BeginUpload {
        identity,
        upload: Box::new(upload.clone()),
        open_max: 2,
    }
}

fn finish(identity: Ordinal, upload: &Upload) -> Op {
    Op::FinishUpload {
        identity,
        correlation: upload.correlation.clone(),
    }
}

async fn is_kept(store: &dyn Store, identity: Ordinal, upload: &Upload) -> bool {
    let found = store.upload(identity, &upload.correlation).await;
    match found.expect("an upload can be read") {
        Some(found) => {
            assert!(found == *upload, "an upload changed");
            true
        }
        None => false,
    }
}

/// An upload outlives a reopening, is finished once, and belongs to its identity.
pub async fn an_upload_is_kept_until_it_is_finished_once<B: Backend>(backend: B) {
    let store = store_with_hub(&backend).await;
    let (d1, d2) = (device(&*store, "d1").await, device(&*store, "d2").await);
    let first = upload(1, 0, 100);
    commit(&*store, begin(d1, &first)).await;
    let (_backend, store) = reopen(backend, store).await;
    assert!(is_kept(&*store, d1, &first).await);
    assert!(!is_kept(&*store, d2, &first).await);
    refuse(
        &*store,
        finish(d2, &first),
        Conflict::NotFound,
        "another's upload",
    )
    .await;
    commit(&*store, finish(d1, &first)).await;
    assert!(!is_kept(&*store, d1, &first).await);
    refuse(
        &*store,
        finish(d1, &first),
        Conflict::NotFound,
        "finished already",
    )
    .await;
    refuse(
        &*store,
        begin(NOBODY, &first),
        Conflict::NotFound,
        "nobody's",
    )
    .await;
}

/// Only so many are open; finished and expired ones make room.
pub async fn open_uploads_are_bounded_by_identity<B: Backend>(backend: B) {
    let store = store_with_hub(&backend).await;
    let (d1, d2) = (device(&*store, "d1").await, device(&*store, "d2").await);
    let uploads: Vec<Upload> = (1..=6).map(|n| upload(n, i64::from(n), 100)).collect();
    commit(&*store, begin(d1, &uploads[0])).await;
    commit(&*store, begin(d1, &uploads[1])).await;
    let third = begin(d1, &uploads[2]);
    refuse(&*store, third, Conflict::TooManyUploads, "two are open").await;
    commit(&*store, begin(d2, &uploads[2])).await;
    commit(&*store, finish(d1, &uploads[0])).await;
    commit(&*store, begin(d1, &uploads[3])).await;
    let later = upload(9, 100, 200);
    commit(&*store, begin(d1, &later)).await;
    assert!(is_kept(&*store, d1, &uploads[1]).await, "it is remembered");
}

/// Expired ones are found in every hub, oldest first, in bounded pages.
pub async fn expired_uploads_are_found<B: Backend>(backend: B) {
    let store = store_with_hub(&backend).await;
    let d1 = device(&*store, "d1").await;
    for (number, expires) in [(1, 10), (2, 20)] {
        commit(&*store, begin(d1, &upload(number, 0, expires))).await;
    }
    let found = async |before: i64, max: usize| {
        let found = store.expired_uploads(moment(before), max).await;
        let mut numbers: Vec<String> = found
            .expect("expired uploads can be read")
            .iter()
            .map(|(owner, upload)| {
                assert!(*owner == d1 && upload.hub == HubNo(1));
                upload.correlation.as_str()[..2].to_owned()
            })
            .collect();
        numbers.sort();
        numbers.join(" ")
    };
    assert_eq!(found(9, 10).await, "");
    assert_eq!(found(10, 10).await, "01");
    assert_eq!(found(30, 10).await, "01 02");
    assert_eq!(found(30, 1).await.len(), 2);
}

/// A deleted device takes its uploads with it; its successor begins with none.
pub async fn a_deleted_device_takes_its_uploads<B: Backend>(backend: B) {
    let store = store_with_hub(&backend).await;
    let d1 = device(&*store, "d1").await;
    let mine = upload(1, 0, 100);
    commit(&*store, begin(d1, &mine)).await;
    let delete = Op::DeleteIdentity {
        identity: d1,
        expected: Some(etag("e1")),
    };
    commit(&*store, delete).await;
    let again = device(&*store, "d1").await;
    for owner in [d1, again] {
        assert!(!is_kept(&*store, owner, &mine).await);
    }
    let expired = store.expired_uploads(moment(1_000), 10).await;
    assert!(expired.expect("expired uploads can be read").is_empty());
}
