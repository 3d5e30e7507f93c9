//! Keys of many enrollments, a page with each call.

use axum::Json;
use hub_api::native::{KeyRollResult, KeyRollScope, KeyRollTarget, Moment};
use hub_provisioning::{RollCall, RollOf};

use super::super::{Document, Failure, Scope, keys};
use super::Administration;

pub(in super::super) async fn roll_all(
    scope: Scope,
    Document(target): Document<KeyRollTarget>,
) -> Result<Json<KeyRollResult>, Failure> {
    let Administration { service, ctx } = Administration::of(&scope)?;
    let call = RollCall {
        of: match target.of {
            KeyRollScope::Enrollments => RollOf::Enrollments,
            KeyRollScope::EnrollmentGroups => RollOf::Groups,
        },
        roll: keys::roll(target.slot),
        begun: target.begun.map(|Moment(begun)| begun),
        after: target.after.map(|after| after.to_ascii_lowercase()),
    };
    let page = service.roll_keys_of_all(&ctx, &call).await?;
    Ok(Json(KeyRollResult {
        rolled: page.rolled,
        skipped: page.skipped,
        next: page.next,
        begun: Moment(page.begun),
    }))
}
