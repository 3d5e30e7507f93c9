//! Modules that come while their device goes.

use std::ops::Range;

use hub_domain::{Fact, FactKind, HubNo, IdentityId};
use hub_storage::store::{FactNo, Unit};

use super::Registry;
use crate::{Error, OpContext};

/// Facts read at once.
const PAGE: usize = 256;

impl Registry {
    /// Modules that were created after the modules of a device were listed and before the device was deleted went with
    /// it; adds the facts that say so, which end their sessions.
    pub(super) async fn tell_late_modules(
        &self,
        ctx: &OpContext,
        hub: HubNo,
        device: &IdentityId,
        between: Range<FactNo>,
    ) -> Result<(), Error> {
        let mut created = Vec::new();
        let mut after = between.start;
        while after < between.end {
            let page = self.parts.store.changes(after, PAGE).await?;
            let Some((last, _)) = page.last() else { break };
            after = *last;
            for (_, fact) in page.into_iter().filter(|(no, _)| *no <= between.end) {
                if fact.hub != hub || fact.id.device != device.device || fact.id.module.is_none() {
                    continue;
                }
                match fact.kind {
                    FactKind::IdentityCreated { generation } => created.push((fact.id, generation)),
                    FactKind::IdentityDeleted { generation, .. } => {
                        created.retain(|(id, made)| (id, made) != (&fact.id, &generation));
                    }
                    FactKind::IdentityUpdated { .. }
                    | FactKind::TwinChanged(_)
                    | FactKind::MessageQueued
                    | FactKind::MessagesPurged => {}
                }
            }
        }
        if created.is_empty() {
            return Ok(());
        }
        let facts = created
            .into_iter()
            .map(|(id, generation)| Fact {
                hub,
                id,
                at: ctx.now,
                kind: FactKind::IdentityDeleted {
                    generation,
                    twin: None,
                },
            })
            .collect();
        let unit = Unit {
            op_id: None,
            ops: Vec::new(),
            facts,
        };
        self.parts.store.submit(unit).await?;
        Ok(())
    }
}
