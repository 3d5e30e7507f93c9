//! One group's part in a roll of all keys.

use std::sync::Arc;

use hub_domain::provisioning::EnrollmentGroup;
use hub_engine::IfMatch;

use super::{Groups, again};
use crate::rolling::{Pass, Passed, Turn};
use crate::{Context, Error};

impl Groups {
    /// Takes the group through a pass, once however often it is asked.
    pub(crate) async fn pass(
        &self,
        ctx: &Context,
        listed: Arc<EnrollmentGroup>,
        pass: Pass,
    ) -> Result<Passed, Error> {
        self.parts.check_room()?;
        let id = &listed.id;
        let turn = self.turns.take().await;
        let mut attempt = 0;
        loop {
            let Ok(former) = self.find(id) else {
                return Ok(Passed::Skipped);
            };
            let met = (former.created, former.rolled_in);
            let attestation = match pass.turn(&self.parts, &former.attestation, met)? {
                Turn::Roll(attestation) => attestation,
                Turn::Done => return Ok(Passed::Rolled),
                Turn::Skip => return Ok(Passed::Skipped),
            };
            let next = EnrollmentGroup {
                attestation,
                etag: self.parts.random_etag(),
                updated: ctx.now,
                rolled_in: Some(pass.begun),
                ..(*former).clone()
            };
            match self.commit(&turn, next, Some(former)).await {
                Ok(_) => return Ok(Passed::Rolled),
                Err(error) => {
                    attempt = again("enrollment group", id, error, &IfMatch::Any, attempt)?;
                    self.read_again().await?;
                }
            }
        }
    }
}
