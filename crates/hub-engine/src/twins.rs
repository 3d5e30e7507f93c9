//! Twins: back-end writes, reported patches, reads.

mod cache;
mod replacement;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use hub_domain::fact::{SectionChange, TwinChange};
use hub_domain::quota::Throttle;
use hub_domain::twin::{
    BackEnd, BackEndChange, BackEndPatch, BackEndReplacement, Section, Twin, TwinError,
    patch_back_end, patch_reported, replace_back_end,
};
use hub_domain::{Fact, FactKind, HubNo, IdentityId, Permission, Timestamp};
use hub_storage::Store;
use hub_storage::store::{Op, Ordinal, Unit};
use serde_json::{Map, Value};

use crate::registry::retry;
use crate::room::{check_room, wait_for_room};
use crate::{Error, ErrorKind, IdentityView, IfMatch, OpContext, Registry};
use cache::{Base, Decision, Part, TwinCache};

pub use replacement::TwinReplacement;

/// Operations on twins.
///
/// Decisions are chained: each is made on the newest submitted state, not on the newest durable one, so
/// that a twin may change many times per commit. When a commit fails, what was built on it fails too, by
/// its precondition, and is decided anew. The parts of a twin have a counter each: a change of one part that was
/// decided while the other part has pending changes guards that one as well, for the version and the fact of the
/// change count both.
pub struct Twins {
    store: Arc<dyn Store>,
    registry: Registry,
    cache: TwinCache,
}

/// A twin with its identity.
#[derive(Clone)]
pub struct TwinView {
    /// The registry part.
    pub identity: IdentityView,
    /// The twin.
    pub twin: Twin,
}

/// Whose twin, as a session knows it.
#[derive(Clone, Copy)]
pub(crate) struct TwinKey<'a> {
    pub(crate) hub: HubNo,
    pub(crate) id: &'a IdentityId,
    pub(crate) ordinal: Ordinal,
}

/// Which back-end write.
#[derive(Clone, Copy)]
enum BackEndWrite {
    Patch,
    Replace,
}

impl Twins {
    pub(crate) fn new(store: Arc<dyn Store>, registry: Registry) -> Self {
        Self {
            store,
            registry,
            cache: TwinCache::new(hub_domain::limits::TWIN_CACHE_BYTES_MAX),
        }
    }

    /// The twin and the identity it belongs to, in one snapshot.
    ///
    /// # Errors
    /// Needs `ServiceConnect`. It does not exist (404001, 404010).
    pub async fn fetch(
        &self,
        ctx: &OpContext,
        hub: HubNo,
        id: &IdentityId,
    ) -> Result<TwinView, Error> {
        ctx.caller.require(hub, Permission::ServiceConnect)?;
        self.registry.quotas().take(ctx, hub, Throttle::TwinReads)?;
        let (stored, twin) = self
            .store
            .twin(hub, id)
            .await?
            .ok_or_else(|| Error::device_not_found(id))?;
        Ok(TwinView {
            identity: self.registry.view(stored),
            twin,
        })
    }

    /// Merges tags and desired properties; a connected device is told.
    ///
    /// # Errors
    /// Needs `ServiceConnect`. It does not exist; another etag (412001); the patch breaks a rule (400004 and others).
    pub async fn patch(
        &self,
        ctx: &OpContext,
        hub: HubNo,
        id: &IdentityId,
        patch: BackEndPatch,
        if_match: IfMatch,
    ) -> Result<TwinView, Error> {
        self.write(ctx, hub, id, &patch, &if_match, BackEndWrite::Patch)
            .await
    }

    /// Replaces tags and desired properties as a whole; a connected device is told the whole new section.
    ///
    /// # Errors
    /// As [`Twins::patch`].
    pub async fn replace(
        &self,
        ctx: &OpContext,
        hub: HubNo,
        id: &IdentityId,
        replacement: BackEndPatch,
        if_match: IfMatch,
    ) -> Result<TwinView, Error> {
        self.write(ctx, hub, id, &replacement, &if_match, BackEndWrite::Replace)
            .await
    }

    async fn write(
        &self,
        ctx: &OpContext,
        hub: HubNo,
        id: &IdentityId,
        patch: &BackEndPatch,
        if_match: &IfMatch,
        write: BackEndWrite,
    ) -> Result<TwinView, Error> {
        ctx.caller.require(hub, Permission::ServiceConnect)?;
        self.registry
            .quotas()
            .take(ctx, hub, Throttle::TwinUpdates)?;
        check_room(&*self.store)?;
        let mut attempt = 0;
        loop {
            let mark = self.cache.read_mark();
            let (stored, twin) = self
                .store
                .twin(hub, id)
                .await?
                .ok_or_else(|| Error::device_not_found(id))?;
            let key = TwinKey {
                hub,
                id,
                ordinal: stored.ordinal,
            };
            let model_id = twin.model_id.clone();
            let decided = self
                .cache
                .decide(key.ordinal, Some((mark, Arc::new(twin))), |base| {
                    if_match.check(&base.twin.back_end.etag.to_string())?;
                    let change =
                        decide_back_end(base.twin, patch, write, ctx.now).map_err(twin_error)?;
                    let (unit, next) = back_end_writes(key, base, change, write, ctx.now);
                    Ok(self.submit_back_end(unit, next))
                })?;
            let Some((submitted, next)) = decided else {
                continue;
            };
            let result = submitted.await;
            self.cache.settle(key.ordinal);
            match result {
                Ok(_) => {
                    return Ok(TwinView {
                        identity: self.registry.view(stored),
                        twin: Twin {
                            model_id,
                            ..(*next).clone()
                        },
                    });
                }
                Err(error) => attempt = retry(error, if_match, attempt, id)?,
            }
        }
    }

    fn submit_back_end(&self, unit: Unit, next: Twin) -> Decision {
        Decision {
            part: Part::BackEnd,
            pending: self.store.submit(unit),
            next: Arc::new(next),
        }
    }

    /// The twin as its device reads it. Shows durable state only.
    pub(crate) async fn of_session(&self, key: TwinKey<'_>) -> Result<Arc<Twin>, Error> {
        if let Some(twin) = self.cache.durable(key.ordinal) {
            return Ok(twin);
        }
        self.load(key).await
    }

    async fn load(&self, key: TwinKey<'_>) -> Result<Arc<Twin>, Error> {
        let found = self
            .store
            .twin(key.hub, key.id)
            .await?
            .filter(|(stored, _)| stored.ordinal == key.ordinal);
        let (_, twin) = found.ok_or_else(|| Error::device_not_found(key.id))?;
        Ok(Arc::new(twin))
    }

    /// Merges what a device reports; returns the section's new version when it is durable.
    ///
    /// # Errors
    /// The patch breaks a rule, `expected` is not the present version, the identity is gone.
    pub(crate) async fn patch_reported(
        &self,
        key: TwinKey<'_>,
        patch: &Map<String, Value>,
        expected: Option<u64>,
        now: Timestamp,
    ) -> Result<u64, Error> {
        let mut attempt = 0;
        loop {
            wait_for_room(&*self.store).await;
            let read = if self.cache.holds(key.ordinal) {
                None
            } else {
                let mark = self.cache.read_mark();
                Some((mark, self.load(key).await?))
            };
            let decided = self.cache.decide(key.ordinal, read, |base| {
                let next = patch_reported(&base.twin.reported, patch, expected, now)
                    .map_err(twin_error)?;
                Ok(self.submit_reported(key, base, next, patch, now))
            })?;
            let Some((submitted, next)) = decided else {
                continue;
            };
            let result = submitted.await;
            self.cache.settle(key.ordinal);
            match result {
                Ok(_) => return Ok(next.reported.version),
                Err(error) => attempt = retry(error, &IfMatch::Absent, attempt, key.id)?,
            }
        }
    }

    fn submit_reported(
        &self,
        key: TwinKey<'_>,
        base: Base<'_>,
        next: Section,
        patch: &Map<String, Value>,
        now: Timestamp,
    ) -> Decision {
        let current = base.twin;
        let change = SectionChange {
            members: patch.clone(),
            version: next.version,
        };
        let op = Op::ReplaceReported {
            identity: key.ordinal,
            next: Box::new(next.clone()),
            expected: current.reported.version,
        };
        let next = Twin {
            back_end: current.back_end.clone(),
            reported: next,
            model_id: current.model_id.clone(),
        };
        let fact = TwinChange {
            replaced: false,
            version: next.version(),
            tags: None,
            desired: None,
            reported: Some(change),
            untouched_reported: None,
        };
        let mut unit = Unit::new(op, vec![key.fact(fact, now)]);
        if base.is_back_end_pending {
            unit.ops.push(guard_back_end(key, &current.back_end));
        }
        Decision {
            part: Part::Reported,
            pending: self.store.submit(unit),
            next: Arc::new(next),
        }
    }
}

/// What a change of the back-end part writes, and the twin after it.
fn back_end_writes(
    key: TwinKey<'_>,
    base: Base<'_>,
    change: BackEndChange,
    write: BackEndWrite,
    now: Timestamp,
) -> (Unit, Twin) {
    let current = base.twin;
    let next = Twin {
        back_end: change.next,
        reported: current.reported.clone(),
        model_id: current.model_id.clone(),
    };
    let fact = TwinChange {
        replaced: matches!(write, BackEndWrite::Replace),
        version: next.version(),
        tags: change.tags,
        desired: change.desired,
        reported: None,
        untouched_reported: match write {
            BackEndWrite::Patch => None,
            BackEndWrite::Replace => Some(Box::new(current.reported.clone())),
        },
    };
    let mut unit = Unit::new(
        Op::ReplaceBackEnd {
            identity: key.ordinal,
            next: Box::new(next.back_end.clone()),
            expected: current.back_end.etag,
        },
        vec![key.fact(fact, now)],
    );
    if base.is_reported_pending {
        unit.ops.push(guard_reported(key, &current.reported));
    }
    (unit, next)
}

/// Writes the reported part as it is: the guard of a change to the other part.
fn guard_reported(key: TwinKey<'_>, reported: &Section) -> Op {
    Op::ReplaceReported {
        identity: key.ordinal,
        next: Box::new(reported.clone()),
        expected: reported.version,
    }
}

/// Writes the back-end part as it is: the guard of a change to the other part.
fn guard_back_end(key: TwinKey<'_>, back_end: &BackEnd) -> Op {
    Op::ReplaceBackEnd {
        identity: key.ordinal,
        next: Box::new(back_end.clone()),
        expected: back_end.etag,
    }
}

impl TwinKey<'_> {
    fn fact(&self, change: TwinChange, now: Timestamp) -> Fact {
        Fact {
            hub: self.hub,
            id: self.id.clone(),
            at: now,
            kind: FactKind::TwinChanged(change),
        }
    }
}

fn decide_back_end(
    current: &Twin,
    patch: &BackEndPatch,
    write: BackEndWrite,
    now: Timestamp,
) -> Result<BackEndChange, TwinError> {
    match write {
        BackEndWrite::Patch => patch_back_end(&current.back_end, patch, now),
        BackEndWrite::Replace => {
            // The vendor's PUT replaces both parts: one that is absent becomes empty.
            let replacement = BackEndReplacement {
                tags: Some(patch.tags.clone().unwrap_or_default()),
                desired: Some(patch.desired.clone().unwrap_or_default()),
            };
            replace_back_end(&current.back_end, &replacement, now)
        }
    }
}

fn twin_error(error: TwinError) -> Error {
    let code = error.code();
    let kind = match code.http_status() {
        412 => ErrorKind::PreconditionFailed,
        413 => ErrorKind::TooLarge,
        _ => ErrorKind::Invalid,
    };
    Error::new(kind, error.to_string()).with_code(code)
}
