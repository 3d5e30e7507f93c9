//! One enrollment's part in a roll of all keys.

use hub_domain::provisioning::Enrollment;
use hub_engine::IfMatch;

use super::{Enrollments, again};
use crate::rolling::{Pass, Passed, Turn};
use crate::{Context, Error};

impl Enrollments {
    /// Takes the enrollment through a pass, once however often it is asked.
    pub(crate) async fn pass(
        &self,
        ctx: &Context,
        listed: Enrollment,
        pass: Pass,
    ) -> Result<Passed, Error> {
        self.parts.check_room()?;
        let mut attempt = 0;
        let mut former = listed;
        loop {
            let met = (former.created, former.rolled_in);
            let attestation = match pass.turn(&self.parts, &former.attestation, met)? {
                Turn::Roll(attestation) => attestation,
                Turn::Done => return Ok(Passed::Rolled),
                Turn::Skip => return Ok(Passed::Skipped),
            };
            let id = former.id.clone();
            let next = Enrollment {
                attestation,
                etag: self.parts.random_etag(),
                updated: ctx.now,
                rolled_in: Some(pass.begun),
                ..former.clone()
            };
            match self.submit(next, Some(former)).await {
                Ok(()) => return Ok(Passed::Rolled),
                Err(error) => {
                    attempt = again("enrollment", &id, error, &IfMatch::Any, attempt)?;
                    match self.parts.store.enrollment(&id).await? {
                        Some(stored) => former = stored,
                        None => return Ok(Passed::Skipped),
                    }
                }
            }
        }
    }
}
