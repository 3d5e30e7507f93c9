//! Enrollment groups.
//!
//! All of them are in memory: every registration without an enrollment of its own looks at them.

mod rolling;

use std::sync::{Arc, PoisonError, RwLock};

use hub_domain::limits::ENROLLMENT_GROUPS_MAX;
use hub_domain::provisioning::{
    Attestation, EnrollmentGroup, EnrollmentGroupId, ServicePermission, Terms,
};
use hub_engine::{ErrorKind, IfMatch, KeyRoll, Turn, Turns};
use hub_storage::StoreError;
use hub_storage::store::{Op, Unit};

use crate::enrollments::{
    BulkError, BulkMode, NewAttestation, again, check_page, check_place, made, rolled,
};
use crate::parts::Parts;
use crate::quotas::Quotas;
use crate::rules::{check_deletion, check_hubs, check_match, check_names, check_terms, deleted};
use crate::service::Service;
use crate::{Context, Error};

/// Groups read at once at the start.
const PAGE: usize = 256;

/// Operations on enrollment groups. Cheap to clone.
#[derive(Clone)]
pub struct Groups {
    parts: Parts,
    service: Service,
    quotas: Quotas,
    table: Arc<RwLock<Arc<Vec<Arc<EnrollmentGroup>>>>>,
    turns: Turns,
}

/// A group as a back end writes it.
#[derive(Clone)]
pub struct NewGroup {
    /// Its id.
    pub id: EnrollmentGroupId,
    /// What its devices show as proof.
    pub attestation: NewAttestation,
    /// What they get.
    pub terms: Terms,
}

/// One item of a bulk operation.
#[derive(Clone)]
pub struct GroupBulkItem {
    /// The group; for a deletion only its id counts.
    pub group: NewGroup,
    /// The etag that it was read with, unquoted.
    pub etag: Option<String>,
}

impl Groups {
    pub(crate) async fn open(
        parts: Parts,
        service: Service,
        quotas: Quotas,
    ) -> Result<Self, Error> {
        let groups = Self {
            parts,
            service,
            quotas,
            table: Arc::default(),
            turns: Turns::default(),
        };
        groups.read_again().await?;
        Ok(groups)
    }

    async fn read_again(&self) -> Result<(), Error> {
        let mut all: Vec<Arc<EnrollmentGroup>> = Vec::new();
        loop {
            let after = all.last().map(|group| group.id.key().to_owned());
            let page = self
                .parts
                .store
                .enrollment_groups(after.as_deref(), PAGE)
                .await?;
            let is_last = page.len() < PAGE;
            all.extend(page.into_iter().map(Arc::new));
            if is_last {
                break;
            }
        }
        *self.table.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(all);
        Ok(())
    }

    /// All groups, by id.
    pub(crate) fn all(&self) -> Arc<Vec<Arc<EnrollmentGroup>>> {
        Arc::clone(&self.table.read().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn find(&self, id: &EnrollmentGroupId) -> Result<Arc<EnrollmentGroup>, Error> {
        let all = self.all();
        let found = all.iter().find(|group| group.id == *id);
        found
            .cloned()
            .ok_or_else(|| Error::not_found("enrollment group", id))
    }

    /// One group. It holds keys: what of it may be shown is the caller's to decide.
    ///
    /// # Errors
    /// Needs `EnrollmentRead`. It does not exist.
    pub fn fetch(
        &self,
        ctx: &Context,
        id: &EnrollmentGroupId,
    ) -> Result<Arc<EnrollmentGroup>, Error> {
        ctx.require(ServicePermission::EnrollmentRead)?;
        self.find(id)
    }

    /// Groups in the order of their ids, after `after` (in lower case), at most `max` (1 to 1,000).
    ///
    /// # Errors
    /// Needs `EnrollmentRead`. `max` is out of range.
    pub fn list(
        &self,
        ctx: &Context,
        after: Option<&str>,
        max: usize,
    ) -> Result<Vec<Arc<EnrollmentGroup>>, Error> {
        ctx.require(ServicePermission::EnrollmentRead)?;
        check_page(max)?;
        let all = self.all();
        let rest = all
            .iter()
            .filter(|group| after.is_none_or(|after| group.id.key() > after));
        Ok(rest.take(max).cloned().collect())
    }

    /// What a group takes as proof, with its keys.
    ///
    /// # Errors
    /// Needs `EnrollmentWrite`, for it shows keys. It does not exist.
    pub fn attestation(&self, ctx: &Context, id: &EnrollmentGroupId) -> Result<Attestation, Error> {
        ctx.require(ServicePermission::EnrollmentWrite)?;
        Ok(self.find(id)?.attestation.clone())
    }

    /// Creates a group, or replaces the one of that id when `if_match` says so.
    ///
    /// # Errors
    /// Needs `EnrollmentWrite`. It exists and `if_match` is absent; it does not and `if_match` is there; another etag;
    /// a rule is broken; there are 1,000, or as many as the service may have.
    pub async fn put(
        &self,
        ctx: &Context,
        new: NewGroup,
        if_match: IfMatch,
    ) -> Result<Arc<EnrollmentGroup>, Error> {
        ctx.require(ServicePermission::EnrollmentWrite)?;
        self.parts.check_room()?;
        check_terms(&new.terms, ctx.now)?;
        let turn = self.turns.take().await;
        let mut attempt = 0;
        loop {
            let former = self.find(&new.id).ok();
            check_hubs(
                &new.terms,
                former.as_ref().map(|one| &one.terms),
                &self.service.candidates(),
            )?;
            let present = former.as_ref().map(|one| &one.etag.0);
            check_place("enrollment group", &new.id, present, &if_match)?;
            if former.is_none() && self.all().len() >= ENROLLMENT_GROUPS_MAX {
                let text = format!("there are {ENROLLMENT_GROUPS_MAX} enrollment groups at most");
                return Err(Error::new(ErrorKind::QuotaExceeded, text));
            }
            let attestation = made(
                &self.parts,
                new.attestation.clone(),
                former.as_ref().map(|one| &one.attestation),
                ctx.now,
            )?;
            check_names(
                (&new.terms, &attestation),
                former.as_ref().map(|one| (&one.terms, &one.attestation)),
                &self.service.current().settings,
            )?;
            if !attestation.fits_group() {
                return Err(Error::invalid(
                    "an enrollment group takes symmetric keys, signing certificates or CA references",
                ));
            }
            let (kind, all) = (attestation.kind(), self.all());
            if former.as_ref().map(|one| one.attestation.kind()) != Some(kind) {
                let others = all.iter().filter(|one| one.id != new.id);
                self.quotas.check_new_group(kind, others.map(Arc::as_ref))?;
            }
            let next = EnrollmentGroup {
                id: former.as_ref().map_or(&new.id, |one| &one.id).clone(),
                attestation,
                terms: new.terms.clone(),
                etag: self.parts.random_etag(),
                created: former.as_ref().map_or(ctx.now, |one| one.created),
                updated: ctx.now,
                rolled_in: former.as_ref().and_then(|one| one.rolled_in),
            };
            match self.commit(&turn, next, former).await {
                Ok(group) => return Ok(group),
                Err(error) => {
                    attempt = again("enrollment group", &new.id, error, &if_match, attempt)?;
                    self.read_again().await?;
                }
            }
        }
    }

    async fn commit(
        &self,
        turn: &Turn,
        next: EnrollmentGroup,
        former: Option<Arc<EnrollmentGroup>>,
    ) -> Result<Arc<EnrollmentGroup>, StoreError> {
        let op = Op::PutEnrollmentGroup {
            next: Box::new(next.clone()),
            expected: former.map(|one| one.etag.clone()),
        };
        let room = self.clone();
        turn.to_its_end(async move {
            room.parts.store.submit(Unit::new(op, Vec::new())).await?;
            let next = Arc::new(next);
            room.show(&next.id, Some(Arc::clone(&next)));
            Ok(next)
        })
        .await
    }

    /// Puts what was committed into the table.
    fn show(&self, id: &EnrollmentGroupId, next: Option<Arc<EnrollmentGroup>>) {
        let mut table = self.table.write().unwrap_or_else(PoisonError::into_inner);
        let others = table.iter().filter(|one| one.id != *id).cloned();
        let mut all: Vec<_> = others.chain(next).collect();
        all.sort_by(|one, other| one.id.key().cmp(other.id.key()));
        *table = Arc::new(all);
    }

    /// Deletes a group. Its devices stay in their hubs, and what is kept of their registrations stays too.
    ///
    /// # Errors
    /// Needs `EnrollmentWrite`. It does not exist; another etag.
    pub async fn delete(
        &self,
        ctx: &Context,
        id: &EnrollmentGroupId,
        if_match: IfMatch,
    ) -> Result<(), Error> {
        ctx.require(ServicePermission::EnrollmentWrite)?;
        self.parts.check_room()?;
        let turn = self.turns.take().await;
        let stored = self.find(id)?;
        let op = Op::DeleteEnrollmentGroup {
            id: id.clone(),
            expected: check_deletion(&if_match, &stored.etag)?,
        };
        let (room, gone) = (self.clone(), id.clone());
        let commit = async move {
            room.parts.store.submit(Unit::new(op, Vec::new())).await?;
            room.show(&gone, None);
            Ok(())
        };
        deleted("enrollment group", id, turn.to_its_end(commit).await)
    }

    /// Does the same with several groups, each by itself. What failed is told; the others are done.
    ///
    /// # Errors
    /// Needs `EnrollmentWrite`.
    pub async fn bulk(
        &self,
        ctx: &Context,
        mode: BulkMode,
        items: Vec<GroupBulkItem>,
    ) -> Result<Vec<BulkError>, Error> {
        ctx.require(ServicePermission::EnrollmentWrite)?;
        let mut errors = Vec::new();
        for item in items {
            let id = item.group.id.clone();
            let result = match mode.guard(item.etag) {
                Ok(Some(guard)) if mode == BulkMode::Delete => self.delete(ctx, &id, guard).await,
                Ok(Some(guard)) => self.put(ctx, item.group, guard).await.map(drop),
                Ok(None) => {
                    let guard = if self.find(&id).is_ok() {
                        IfMatch::Any
                    } else {
                        IfMatch::Absent
                    };
                    self.put(ctx, item.group, guard).await.map(drop)
                }
                Err(error) => Err(error),
            };
            if let Err(error) = result {
                let id = id.to_string();
                errors.push(BulkError { id, error });
            }
        }
        Ok(errors)
    }

    /// Rolls the keys of a group; the derived keys of all its devices change with them.
    ///
    /// # Errors
    /// Needs `EnrollmentWrite`. It does not exist, or has no symmetric keys; another etag.
    pub async fn roll_keys(
        &self,
        ctx: &Context,
        id: &EnrollmentGroupId,
        roll: KeyRoll,
        if_match: IfMatch,
    ) -> Result<Arc<EnrollmentGroup>, Error> {
        ctx.require(ServicePermission::EnrollmentWrite)?;
        self.parts.check_room()?;
        let turn = self.turns.take().await;
        let mut attempt = 0;
        loop {
            let former = self.find(id)?;
            check_match(&if_match, &former.etag.0)?;
            let next = EnrollmentGroup {
                attestation: rolled(&self.parts, &former.attestation, roll)?,
                etag: self.parts.random_etag(),
                updated: ctx.now,
                ..(*former).clone()
            };
            match self.commit(&turn, next, Some(former)).await {
                Ok(group) => return Ok(group),
                Err(error) => {
                    attempt = again("enrollment group", id, error, &if_match, attempt)?;
                    self.read_again().await?;
                }
            }
        }
    }
}
