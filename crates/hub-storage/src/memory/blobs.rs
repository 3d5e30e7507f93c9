//! Blobs in memory.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use bytes::{Bytes, BytesMut};
use futures_util::future::{BoxFuture, ready};
use futures_util::stream;
use hub_domain::upload::BlobName;
use hub_domain::{HubNo, Timestamp};

use crate::blobs::{
    BlobContent, BlobError, BlobPath, BlobState, BlobWriter, Blobs, BlockId, Existing, Writing,
};

/// Blobs that live as long as this value. A clone shares them.
#[derive(Clone, Default)]
pub struct MemoryBlobs(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    blobs: BTreeMap<BlobPath, (BlobState, Bytes)>,
    blocks: BTreeMap<(BlobPath, BlockId), Bytes>,
    written: u64,
}

impl State {
    fn keep(
        &mut self,
        path: &BlobPath,
        bytes: Bytes,
        existing: Existing,
    ) -> Result<BlobState, BlobError> {
        if existing == Existing::Keep && self.blobs.contains_key(path) {
            return Err(BlobError::AlreadyExists);
        }
        self.written += 1;
        let state = BlobState {
            size: bytes.len() as u64,
            etag: format!("0x{:X}", self.written),
            modified: Timestamp::from_seconds(0),
        };
        self.blobs.insert(path.clone(), (state.clone(), bytes));
        self.blocks.retain(|(of, _), _| of != path);
        Ok(state)
    }
}

impl MemoryBlobs {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0
            .lock()
            .expect("nothing panics while it holds the blobs")
    }

    fn writer(&self, path: &BlobPath, block: Option<&BlockId>) -> Box<dyn BlobWriter> {
        Box::new(Writer {
            blobs: self.clone(),
            path: path.clone(),
            block: block.cloned(),
            bytes: BytesMut::new(),
        })
    }
}

struct Writer {
    blobs: MemoryBlobs,
    path: BlobPath,
    block: Option<BlockId>,
    bytes: BytesMut,
}

impl BlobWriter for Writer {
    fn write(&mut self, bytes: Bytes) -> BoxFuture<'_, Result<(), BlobError>> {
        self.bytes.extend_from_slice(&bytes);
        Box::pin(ready(Ok(())))
    }

    fn finish(
        self: Box<Self>,
        existing: Existing,
    ) -> BoxFuture<'static, Result<BlobState, BlobError>> {
        let bytes = self.bytes.freeze();
        let mut state = self.blobs.lock();
        let result = match self.block {
            None => state.keep(&self.path, bytes, existing),
            Some(block) => {
                let staged = BlobState {
                    size: bytes.len() as u64,
                    etag: String::new(),
                    modified: Timestamp::from_seconds(0),
                };
                state.blocks.insert((self.path, block), bytes);
                Ok(staged)
            }
        };
        drop(state);
        Box::pin(ready(result))
    }
}

impl Blobs for MemoryBlobs {
    fn put<'a>(&'a self, path: &'a BlobPath) -> Writing<'a> {
        Box::pin(ready(Ok(self.writer(path, None))))
    }

    fn stage<'a>(&'a self, path: &'a BlobPath, block: &'a BlockId) -> Writing<'a> {
        Box::pin(ready(Ok(self.writer(path, Some(block)))))
    }

    fn commit<'a>(
        &'a self,
        path: &'a BlobPath,
        blocks: &'a [BlockId],
        existing: Existing,
    ) -> BoxFuture<'a, Result<BlobState, BlobError>> {
        let mut state = self.lock();
        let mut whole = BytesMut::new();
        for block in blocks {
            match state.blocks.get(&(path.clone(), block.clone())) {
                Some(bytes) => whole.extend_from_slice(bytes),
                None => return Box::pin(ready(Err(BlobError::UnknownBlock))),
            }
        }
        let result = state.keep(path, whole.freeze(), existing);
        Box::pin(ready(result))
    }

    fn staged<'a>(
        &'a self,
        path: &'a BlobPath,
    ) -> BoxFuture<'a, Result<Vec<(BlockId, u64)>, BlobError>> {
        let state = self.lock();
        let own = state.blocks.iter().filter(|((of, _), _)| of == path);
        let staged = own
            .map(|((_, block), bytes)| (block.clone(), bytes.len() as u64))
            .collect();
        Box::pin(ready(Ok(staged)))
    }

    fn discard<'a>(&'a self, path: &'a BlobPath) -> BoxFuture<'a, Result<(), BlobError>> {
        self.lock().blocks.retain(|(of, _), _| of != path);
        Box::pin(ready(Ok(())))
    }

    fn state<'a>(
        &'a self,
        path: &'a BlobPath,
    ) -> BoxFuture<'a, Result<Option<BlobState>, BlobError>> {
        let found = self.lock().blobs.get(path).map(|(state, _)| state.clone());
        Box::pin(ready(Ok(found)))
    }

    fn read<'a>(
        &'a self,
        path: &'a BlobPath,
    ) -> BoxFuture<'a, Result<Option<BlobContent>, BlobError>> {
        let found = self.lock().blobs.get(path).cloned();
        let content = found.map(|(state, bytes)| BlobContent {
            state,
            bytes: Box::pin(stream::iter([Ok(bytes)])),
        });
        Box::pin(ready(Ok(content)))
    }

    fn delete<'a>(&'a self, path: &'a BlobPath) -> BoxFuture<'a, Result<bool, BlobError>> {
        let gone = self.lock().blobs.remove(path).is_some();
        Box::pin(ready(Ok(gone)))
    }

    fn list<'a>(
        &'a self,
        hub: HubNo,
        device: Option<&'a str>,
        after: Option<&'a BlobName>,
        max: usize,
    ) -> BoxFuture<'a, Result<Vec<(BlobName, BlobState)>, BlobError>> {
        let state = self.lock();
        let all = state.blobs.iter().filter(|(path, _)| {
            path.hub == hub
                && device.is_none_or(|device| path.name.device() == device)
                && after.is_none_or(|after| path.name > *after)
        });
        let page = all
            .take(max)
            .map(|(path, (state, _))| (path.name.clone(), state.clone()))
            .collect();
        Box::pin(ready(Ok(page)))
    }
}
