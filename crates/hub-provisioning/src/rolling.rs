//! Keys of all enrollments of a kind, page by page.
//!
//! Each enrollment that a roll went through keeps the moment at which the roll began. A page that is asked for again
//! therefore rolls only what it did not reach, so that a swap is done once however often a call breaks off.

use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use hub_domain::Timestamp;
use hub_domain::limits::{KEY_ROLL_PAGE, KEY_ROLLS_AT_ONCE};
use hub_domain::provisioning::{Attestation, AttestationKind, ServicePermission};
use hub_engine::KeyRoll;

use crate::enrollments::rolled;
use crate::parts::Parts;
use crate::{Context, Error, Provisioning};

/// A page of a roll through all enrollments of a kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RollCall {
    /// Of what kind.
    pub of: RollOf,
    /// Which keys.
    pub roll: KeyRoll,
    /// The moment that the first answer said. Without it the call only begins: it rolls nothing, so that an answer that
    /// gets lost leaves nothing half done that nobody can name.
    pub begun: Option<Timestamp>,
    /// After which id, in lower case, as the last answer said.
    pub after: Option<String>,
}

/// Whose keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RollOf {
    /// Individual enrollments.
    Enrollments,
    /// Enrollment groups.
    Groups,
}

/// What became of a page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RollPage {
    /// How many enrollments of the page have rolled keys, those included that an earlier call of this roll reached.
    pub rolled: u64,
    /// How many stay as they are: without symmetric keys, younger than the roll, or deleted meanwhile.
    pub skipped: u64,
    /// After which id the next page begins; absent when there is none.
    pub next: Option<String>,
    /// When the roll began.
    pub begun: Timestamp,
}

/// A roll as each enrollment meets it.
#[derive(Clone, Copy)]
pub(crate) struct Pass {
    roll: KeyRoll,
    pub(crate) begun: Timestamp,
}

/// What a pass does with an enrollment.
pub(crate) enum Turn {
    /// It gets this proof.
    Roll(Attestation),
    /// It has been there.
    Done,
    /// The enrollment is none of its business.
    Skip,
}

/// What a pass did with an enrollment.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Passed {
    Rolled,
    Skipped,
}

impl Pass {
    pub(crate) fn turn(
        self,
        parts: &Parts,
        attestation: &Attestation,
        (created, rolled_in): (Timestamp, Option<Timestamp>),
    ) -> Result<Turn, Error> {
        match attestation.kind() {
            AttestationKind::Tpm | AttestationKind::X509 => return Ok(Turn::Skip),
            AttestationKind::SymmetricKey => {}
        }
        if rolled_in == Some(self.begun) {
            return Ok(Turn::Done);
        }
        if created > self.begun {
            return Ok(Turn::Skip);
        }
        rolled(parts, attestation, self.roll).map(Turn::Roll)
    }
}

impl Provisioning {
    /// Rolls the keys of one page of enrollments of a kind. The same page may be asked for again. What failed ends the
    /// call; what was reached stays rolled, and is not rolled again by the same roll.
    ///
    /// # Errors
    /// Needs `EnrollmentWrite`; `begun` is in the future; storage.
    pub async fn roll_keys_of_all(
        &self,
        ctx: &Context,
        call: &RollCall,
    ) -> Result<RollPage, Error> {
        ctx.require(ServicePermission::EnrollmentWrite)?;
        let Some(begun) = call.begun else {
            return Ok(RollPage {
                rolled: 0,
                skipped: 0,
                next: Some(String::new()),
                begun: ctx.now,
            });
        };
        if begun > ctx.now {
            return Err(Error::invalid(
                "begun is in the future; leave it out to begin a roll, or repeat what the first answer of the one to go on with said",
            ));
        }
        let (roll, after) = (call.roll, call.after.as_deref());
        let pass = Pass { roll, begun };
        let (passed, last) = match call.of {
            RollOf::Enrollments => {
                let page = self.enrollments.list(ctx, after, KEY_ROLL_PAGE).await?;
                let last = page.last().map(|one| one.id.key().to_owned());
                let room = &self.enrollments;
                let each = page.into_iter().map(|one| room.pass(ctx, one, pass));
                (together(each).await?, last)
            }
            RollOf::Groups => {
                let page = self.groups.list(ctx, after, KEY_ROLL_PAGE)?;
                let last = page.last().map(|one| one.id.key().to_owned());
                let room = &self.groups;
                let each = page.into_iter().map(|one| room.pass(ctx, one, pass));
                (together(each).await?, last)
            }
        };
        let rolled = passed.iter().filter(|one| **one == Passed::Rolled).count();
        Ok(RollPage {
            rolled: count(rolled),
            skipped: count(passed.len() - rolled),
            next: last.filter(|_| passed.len() == KEY_ROLL_PAGE),
            begun,
        })
    }
}

/// Several at a time, so that they share commits.
async fn together(
    each: impl Iterator<Item = impl Future<Output = Result<Passed, Error>>>,
) -> Result<Vec<Passed>, Error> {
    stream::iter(each)
        .buffer_unordered(KEY_ROLLS_AT_ONCE)
        .try_collect()
        .await
}

fn count(items: usize) -> u64 {
    u64::try_from(items).unwrap_or(u64::MAX)
}
