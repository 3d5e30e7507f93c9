//! The replacement of a twin within a larger unit.

use std::sync::Arc;

use hub_domain::twin::BackEndPatch;
use hub_domain::{HubNo, IdentityId};
use hub_storage::store::{Committed, Ordinal, Unit};
use hub_storage::{Conflict, Pending, StoreError};

use super::{BackEndWrite, TwinKey, Twins, back_end_writes, decide_back_end, twin_error};
use crate::{Error, OpContext};

/// Tags and desired properties that an identity shall have.
#[derive(Clone)]
pub struct TwinReplacement {
    /// Its hub.
    pub hub: HubNo,
    /// Its name.
    pub id: IdentityId,
    /// Its number: a successor of the same name keeps its twin.
    pub identity: Ordinal,
    /// What it shall have. A part that is absent becomes empty.
    pub content: BackEndPatch,
}

impl Twins {
    /// Submits a unit together with the replacement of a twin: both are kept, or neither is. A connected device is told
    /// the whole new section.
    ///
    /// What is given back resolves when the unit is durable or has failed: with a conflict when something changed that it
    /// was decided on, or when the identity is gone.
    ///
    /// # Errors
    /// Nothing is submitted then. Only the administrator and the engine itself may; the twin would break a rule (400004
    /// and others); the store cannot be read.
    pub async fn submit_with(
        &self,
        ctx: &OpContext,
        replacement: &TwinReplacement,
        unit: Unit,
    ) -> Result<Pending<Committed>, Error> {
        ctx.caller.require_admin()?;
        let key = TwinKey {
            hub: replacement.hub,
            id: &replacement.id,
            ordinal: replacement.identity,
        };
        let mut unit = Some(unit);
        loop {
            let mark = self.cache.read_mark();
            let found = self.store.twin(key.hub, key.id).await?;
            let Some((_, twin)) = found.filter(|(stored, _)| stored.ordinal == key.ordinal) else {
                let gone = StoreError::Conflict(Conflict::NotFound);
                return Ok(Pending::ready(Err(gone)));
            };
            let read = Some((mark, Arc::new(twin)));
            let decided = self.cache.decide(key.ordinal, read, |base| {
                let write = BackEndWrite::Replace;
                let change = decide_back_end(base.twin, &replacement.content, write, ctx.now)
                    .map_err(twin_error)?;
                let (own, next) = back_end_writes(key, base, change, write, ctx.now);
                let mut unit = unit.take().expect("invariant: it is decided once");
                unit.ops.extend(own.ops);
                unit.facts.extend(own.facts);
                Ok(self.submit_back_end(unit, next))
            })?;
            if let Some((submitted, _)) = decided {
                return Ok(Pending::of(Box::pin(submitted)));
            }
        }
    }
}
