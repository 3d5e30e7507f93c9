//! The laws of [`Blobs`].
//!
//! ```text
//! hub_storage::blob_conformance_tests!(async || Folder::new());
//! ```

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use futures_util::StreamExt as _;
use hub_domain::HubNo;
use hub_domain::upload::BlobName;

use crate::blobs::{BlobError, BlobPath, BlobState, Blobs, BlockId, Existing};

/// A backend with a place of its own, empty at first.
pub trait BlobBackend: Sized + Send + 'static {
    /// The blobs.
    fn blobs(&self) -> Arc<dyn Blobs>;

    /// Ends the backend, as a crash would, and begins again with what it keeps.
    fn reopen(self) -> impl Future<Output = Self> + Send;
}

fn path(name: &str) -> BlobPath {
    path_in(1, name)
}

fn path_in(hub: u32, name: &str) -> BlobPath {
    BlobPath {
        hub: HubNo(hub),
        name: BlobName::parse(name).expect("a valid name"),
    }
}

fn block(text: &str) -> BlockId {
    BlockId::from_bytes(text.as_bytes()).expect("a valid id")
}

async fn put(
    blobs: &dyn Blobs,
    path: &BlobPath,
    parts: &[&[u8]],
    existing: Existing,
) -> Result<BlobState, BlobError> {
    let mut writer = blobs.put(path).await?;
    for part in parts {
        writer.write(Bytes::copy_from_slice(part)).await?;
    }
    writer.finish(existing).await
}

async fn stage(blobs: &dyn Blobs, path: &BlobPath, id: &str, content: &[u8]) {
    let id = block(id);
    let mut writer = blobs.stage(path, &id).await.expect("a block is begun");
    let content = Bytes::copy_from_slice(content);
    writer.write(content).await.expect("a block is written");
    let kept = writer.finish(Existing::Replace).await;
    kept.expect("a block is kept");
}

async fn content(blobs: &dyn Blobs, path: &BlobPath) -> Option<Vec<u8>> {
    let read = blobs.read(path).await.expect("a blob can be read")?;
    let mut parts = read.bytes;
    let mut whole = BytesMut::new();
    while let Some(part) = parts.next().await {
        whole.extend_from_slice(&part.expect("a part can be read"));
    }
    assert_eq!(read.state.size, whole.len() as u64);
    let state = blobs.state(path).await.expect("a state can be read");
    assert_eq!(state.map(|state| state.size), Some(read.state.size));
    Some(whole.to_vec())
}

async fn names(blobs: &dyn Blobs, hub: u32, device: Option<&str>) -> Vec<String> {
    let listed = blobs.list(HubNo(hub), device, None, 1_000).await;
    let mut names: Vec<String> = listed
        .expect("blobs can be listed")
        .iter()
        .map(|(name, _)| name.to_string())
        .collect();
    names.sort();
    names
}

/// A blob appears at its end, with all its bytes, and outlives a reopening.
pub async fn a_blob_is_whole_or_absent<B: BlobBackend>(backend: B) {
    let blobs = backend.blobs();
    let file = path("d1/a.bin");
    let large: Vec<u8> = (0..3_000_000_u32).map(|n| n.to_le_bytes()[1]).collect();
    let mut writer = blobs.put(&file).await.expect("a blob is begun");
    for part in large.chunks(70_000) {
        let part = Bytes::copy_from_slice(part);
        writer.write(part).await.expect("bytes are written");
        assert_eq!(content(&*blobs, &file).await, None);
    }
    assert_eq!(names(&*blobs, 1, None).await, [""; 0]);
    let state = writer.finish(Existing::Keep).await.expect("it is kept");
    assert_eq!(state.size, 3_000_000);
    assert!(!state.etag.is_empty() && !state.etag.contains('"'));
    assert_eq!(content(&*blobs, &file).await, Some(large.clone()));
    drop(blobs);
    let backend = backend.reopen().await;
    assert_eq!(content(&*backend.blobs(), &file).await, Some(large));
}

/// A write that was given up, or cut by a crash, leaves nothing and disturbs nothing.
pub async fn a_write_that_breaks_off_leaves_nothing<B: BlobBackend>(backend: B) {
    let blobs = backend.blobs();
    let (old, new) = (path("d1/old"), path("d1/new"));
    let before = put(&*blobs, &old, &[b"before"], Existing::Keep).await;
    for file in [&old, &new] {
        let mut writer = blobs.put(file).await.expect("a blob is begun");
        let half = writer.write(Bytes::from_static(b"half")).await;
        half.expect("bytes are written");
        drop(writer);
    }
    let id = block("b");
    let mut writer = blobs.stage(&new, &id).await.expect("a block is begun");
    let half = writer.write(Bytes::from_static(b"half")).await;
    half.expect("bytes are written");
    drop(writer);
    assert_eq!(blobs.staged(&new).await, Ok(Vec::new()));
    let mut cut = blobs.put(&new).await.expect("a blob is begun");
    let half = cut.write(Bytes::from_static(b"half")).await;
    half.expect("bytes are written");
    // A crash runs no destructor.
    std::mem::forget(cut);
    drop(blobs);
    let backend = backend.reopen().await;
    let blobs = backend.blobs();
    assert_eq!(names(&*blobs, 1, None).await, ["d1/old"]);
    assert_eq!(content(&*blobs, &old).await, Some(b"before".to_vec()));
    assert_eq!(blobs.state(&old).await.expect("it is read"), before.ok());
    assert_eq!(content(&*blobs, &new).await, None);
}

/// What is there is replaced or stays, as the writer asks.
pub async fn an_existing_blob_is_replaced_only_when_asked<B: BlobBackend>(backend: B) {
    let blobs = backend.blobs();
    let file = path("d1/a");
    let first = put(&*blobs, &file, &[b"one"], Existing::Keep).await;
    let again = put(&*blobs, &file, &[b"two"], Existing::Keep).await;
    assert_eq!(again, Err(BlobError::AlreadyExists));
    assert_eq!(content(&*blobs, &file).await, Some(b"one".to_vec()));
    let second = put(&*blobs, &file, &[b"th", b"", b"ree"], Existing::Replace).await;
    assert_eq!(content(&*blobs, &file).await, Some(b"three".to_vec()));
    assert_ne!(first.map(|s| s.etag), second.map(|s| s.etag));
    stage(&*blobs, &file, "b", b"four").await;
    let kept = blobs.commit(&file, &[block("b")], Existing::Keep).await;
    assert_eq!(kept, Err(BlobError::AlreadyExists));
    assert_eq!(content(&*blobs, &file).await, Some(b"three".to_vec()));
    let empty = put(&*blobs, &file, &[], Existing::Replace).await;
    assert_eq!(empty.map(|state| state.size), Ok(0));
    assert_eq!(content(&*blobs, &file).await, Some(Vec::new()));
}

/// Blocks are joined in the order of the list; the others go, and nothing is seen before.
pub async fn blocks_are_joined_in_the_order_of_the_list<B: BlobBackend>(backend: B) {
    let blobs = backend.blobs();
    let file = path("d1/blocks");
    stage(&*blobs, &file, "2", b"world").await;
    stage(&*blobs, &file, "1", b"wrong").await;
    stage(&*blobs, &file, "1", b"hello ").await;
    stage(&*blobs, &file, "3", b"unused").await;
    stage(&*blobs, &path("d1/other"), "1", b"other").await;
    assert_eq!(content(&*blobs, &file).await, None);
    drop(blobs);
    let backend = backend.reopen().await;
    let blobs = backend.blobs();
    let staged = blobs.staged(&file).await.expect("blocks can be listed");
    assert_eq!(staged, [(block("1"), 6), (block("2"), 5), (block("3"), 6)]);
    let unknown = [block("1"), block("4")];
    let refused = blobs.commit(&file, &unknown, Existing::Replace).await;
    assert_eq!(refused, Err(BlobError::UnknownBlock));
    let list = [block("1"), block("2"), block("1")];
    let state = blobs.commit(&file, &list, Existing::Keep).await;
    assert_eq!(state.map(|state| state.size), Ok(17));
    let joined = content(&*blobs, &file).await;
    assert_eq!(joined, Some(b"hello worldhello ".to_vec()));
    assert_eq!(blobs.staged(&file).await, Ok(Vec::new()));
    let other = blobs.staged(&path("d1/other")).await;
    assert_eq!(other.map(|blocks| blocks.len()), Ok(1));
    let nothing = blobs.commit(&path("d1/none"), &[], Existing::Keep).await;
    assert_eq!(nothing.map(|state| state.size), Ok(0));
}

/// Staged blocks go when they are discarded, and when the blob is written as a whole.
pub async fn staged_blocks_are_discarded<B: BlobBackend>(backend: B) {
    let blobs = backend.blobs();
    let (a, b) = (path("d1/a"), path("d1/b"));
    stage(&*blobs, &a, "1", b"x").await;
    stage(&*blobs, &b, "1", b"x").await;
    assert_eq!(blobs.discard(&a).await, Ok(()));
    assert_eq!(blobs.discard(&a).await, Ok(()));
    assert_eq!(blobs.staged(&a).await, Ok(Vec::new()));
    let put = put(&*blobs, &b, &[b"whole"], Existing::Keep).await;
    assert!(put.is_ok());
    assert_eq!(blobs.staged(&b).await, Ok(Vec::new()));
}

/// Any name that is allowed is a place of its own, also beside one that looks like its folder.
pub async fn every_name_is_a_place_of_its_own<B: BlobBackend>(backend: B) {
    let blobs = backend.blobs();
    let long = format!("d1/{}", "long \u{fc}".repeat(120));
    let all = [
        "d1/a",
        "d1/a/b",
        "d1/a/b/c.txt",
        "d1/a%2Fb",
        "d1/A",
        "d1/...",
        "d1/.hidden",
        "d1/a~",
        "d1/\u{fc} #?&\\:*\"<>|",
        "D1/a",
        "d-:.+%_#*?!(),=@;$'/x",
        long.as_str(),
    ];
    for name in all {
        let kept = put(&*blobs, &path(name), &[name.as_bytes()], Existing::Keep).await;
        assert!(kept.is_ok(), "{name}: {kept:?}");
    }
    for name in all {
        let read = content(&*blobs, &path(name)).await;
        assert_eq!(read, Some(name.as_bytes().to_vec()), "{name}");
    }
    let mut expected = all.map(str::to_owned);
    expected.sort();
    assert_eq!(names(&*blobs, 1, None).await, expected);
    assert_eq!(names(&*blobs, 1, Some("D1")).await, ["D1/a"]);
    assert_eq!(names(&*blobs, 1, Some("d")).await, [""; 0]);
}

/// Pages of a listing join to the whole, whatever their size.
pub async fn a_listing_is_read_in_pages<B: BlobBackend>(backend: B) {
    let blobs = backend.blobs();
    for device in ["a", "b", "b-"] {
        for number in 0..5 {
            let file = path(&format!("{device}/{}/f{number}", number % 2));
            let kept = put(&*blobs, &file, &[b"x"], Existing::Keep).await;
            assert!(kept.is_ok());
        }
    }
    let whole = blobs.list(HubNo(1), None, None, 100).await;
    let whole = whole.expect("blobs can be listed");
    assert_eq!(whole.len(), 15);
    for size in [1, 4, 15] {
        let mut pages: Vec<(BlobName, BlobState)> = Vec::new();
        loop {
            let after = pages.last().map(|(name, _)| name.clone());
            let page = blobs.list(HubNo(1), None, after.as_ref(), size).await;
            let page = page.expect("blobs can be listed");
            if page.is_empty() {
                break;
            }
            assert!(page.len() <= size);
            pages.extend(page);
        }
        assert_eq!(pages, whole, "{size}");
    }
}

/// Hubs are apart, and what is deleted is gone.
pub async fn hubs_are_apart_and_deleted_blobs_gone<B: BlobBackend>(backend: B) {
    let blobs = backend.blobs();
    let (one, two) = (path_in(1, "d1/a"), path_in(2, "d1/a"));
    for (file, text) in [(&one, b"one"), (&two, b"two")] {
        let kept = put(&*blobs, file, &[text], Existing::Keep).await;
        assert!(kept.is_ok());
    }
    assert_eq!(content(&*blobs, &one).await, Some(b"one".to_vec()));
    assert_eq!(blobs.delete(&one).await, Ok(true));
    assert_eq!(blobs.delete(&one).await, Ok(false));
    assert_eq!(content(&*blobs, &one).await, None);
    assert_eq!(content(&*blobs, &two).await, Some(b"two".to_vec()));
    assert_eq!(names(&*blobs, 1, None).await, [""; 0]);
    assert_eq!(names(&*blobs, 3, None).await, [""; 0]);
}

/// Runs one law on a backend of its own.
///
/// # Panics
/// When the law is broken.
pub fn run<B: BlobBackend>(make: impl AsyncFnOnce() -> B, law: impl AsyncFnOnce(B)) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime of two threads starts");
    let ended = runtime.block_on(async {
        let backend = make().await;
        tokio::time::timeout(super::LAW_TIME_MAX, Box::pin(law(backend))).await
    });
    assert!(ended.is_ok(), "the backend did not answer in time");
}

/// One test for each law of blobs, over the backends that `$make`, an async closure, gives.
#[macro_export]
macro_rules! blob_conformance_tests {
    ($make:expr) => {
        $crate::blob_conformance_tests! { ($make)
            a_blob_is_whole_or_absent
            a_write_that_breaks_off_leaves_nothing
            an_existing_blob_is_replaced_only_when_asked
            blocks_are_joined_in_the_order_of_the_list
            staged_blocks_are_discarded
            every_name_is_a_place_of_its_own
            a_listing_is_read_in_pages
            hubs_are_apart_and_deleted_blobs_gone
        }
    };
    (($make:expr) $($law:ident)*) => {
        $(#[test]
        fn $law() {
            $crate::conformance::blobs::run($make, $crate::conformance::blobs::$law);
        })*
    };
}
