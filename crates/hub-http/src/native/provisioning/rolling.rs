//! Keys of many enrollments at once.

use axum::Json;
use hub_api::native::{KeyRollResult, KeyRollScope, KeyRollTarget};
use hub_domain::limits::PAGE_MAX;
use hub_domain::provisioning::AttestationKind;
use hub_engine::{ErrorKind, IfMatch};
use hub_provisioning::{Error, KeyRoll};

use super::super::{Document, Failure, Scope, keys};
use super::Administration;

/// Each enrollment is rolled by itself: a call that broke off is made again with the ones that it reached rolled once
/// more, which harms nobody whose device knows the other key.
pub(in super::super) async fn roll_all(
    scope: Scope,
    Document(KeyRollTarget { slot, of }): Document<KeyRollTarget>,
) -> Result<Json<KeyRollResult>, Failure> {
    let administration = Administration::of(&scope)?;
    let roll = keys::roll(slot);
    let result = match of {
        KeyRollScope::Enrollments => enrollments(&administration, roll).await?,
        KeyRollScope::EnrollmentGroups => groups(&administration, roll).await?,
    };
    Ok(Json(result))
}

async fn enrollments(
    Administration { service, ctx }: &Administration<'_>,
    roll: KeyRoll,
) -> Result<KeyRollResult, Failure> {
    let mut tally = Tally::default();
    let mut after: Option<String> = None;
    loop {
        let room = &service.enrollments;
        let page = room.list(ctx, after.as_deref(), PAGE_MAX).await?;
        for one in &page {
            let result = match one.attestation.kind() {
                AttestationKind::SymmetricKey => {
                    let rolled = room.roll_keys(ctx, &one.id, roll, IfMatch::Any).await;
                    Some(rolled.map(drop))
                }
                AttestationKind::Tpm | AttestationKind::X509 => None,
            };
            tally.count(result)?;
        }
        match page.last() {
            Some(last) if page.len() == PAGE_MAX => after = Some(last.id.key().to_owned()),
            Some(_) | None => return Ok(tally.0),
        }
    }
}

async fn groups(
    Administration { service, ctx }: &Administration<'_>,
    roll: KeyRoll,
) -> Result<KeyRollResult, Failure> {
    let mut tally = Tally::default();
    let mut after: Option<String> = None;
    loop {
        let room = &service.groups;
        let page = room.list(ctx, after.as_deref(), PAGE_MAX)?;
        for one in &page {
            let result = match one.attestation.kind() {
                AttestationKind::SymmetricKey => {
                    let rolled = room.roll_keys(ctx, &one.id, roll, IfMatch::Any).await;
                    Some(rolled.map(drop))
                }
                AttestationKind::Tpm | AttestationKind::X509 => None,
            };
            tally.count(result)?;
        }
        match page.last() {
            Some(last) if page.len() == PAGE_MAX => after = Some(last.id.key().to_owned()),
            Some(_) | None => return Ok(tally.0),
        }
    }
}

struct Tally(KeyRollResult);

impl Default for Tally {
    fn default() -> Self {
        Self(KeyRollResult {
            rolled: 0,
            skipped: 0,
        })
    }
}

impl Tally {
    /// One that was deleted meanwhile needs no keys.
    fn count(&mut self, result: Option<Result<(), Error>>) -> Result<(), Failure> {
        match result {
            Some(Ok(())) => self.0.rolled += 1,
            None => self.0.skipped += 1,
            Some(Err(error)) if error.kind() == ErrorKind::NotFound => self.0.skipped += 1,
            Some(Err(error)) => return Err(error.into()),
        }
        Ok(())
    }
}
