//! Enrollments of single devices.

mod rolling;

use std::sync::Arc;

use hub_domain::certificate::CertificateName;
use hub_domain::limits::{DEVICE_INFORMATION_BYTES_MAX, PAGE_MAX};
use hub_domain::provisioning::{
    Attestation, CertificateSlot, Enrollment, RegistrationId, ServicePermission, Slots, Terms,
};
use hub_domain::{DeviceId, SymmetricKey, Timestamp};
use hub_engine::{ErrorKind, IfMatch, KeyRoll};
use hub_storage::store::{Op, Unit};
use hub_storage::{Conflict, StoreError};
use serde_json::{Map, Value};

use crate::parts::Parts;
use crate::quotas::Quotas;
use crate::rules::{
    check_certificates, check_deletion, check_hubs, check_match, check_names, check_terms, deleted,
};
use crate::service::Service;
use crate::{Context, Error};

/// How often a write without a guard is decided anew when others were faster.
pub(crate) const RETRIES_MAX: u32 = 5;

/// Operations on enrollments of single devices. Cheap to clone.
#[derive(Clone)]
pub struct Enrollments {
    parts: Parts,
    service: Service,
    quotas: Quotas,
}

/// An enrollment as a back end writes it.
#[derive(Clone)]
pub struct NewEnrollment {
    /// Under which id the device registers.
    pub id: RegistrationId,
    /// Its id in the hub; the registration id when absent.
    pub device: Option<DeviceId>,
    /// What it shows as proof.
    pub attestation: NewAttestation,
    /// What it gets.
    pub terms: Terms,
    /// Whatever the back end wants to remember of it.
    pub information: Option<Map<String, Value>>,
}

/// Proof as a back end writes it.
#[derive(Clone)]
pub enum NewAttestation {
    /// Tokens. A missing key is generated at creation and kept at replacement.
    SymmetricKey {
        /// First key.
        primary: Option<SymmetricKey>,
        /// Second key.
        secondary: Option<SymmetricKey>,
    },
    /// A TPM.
    Tpm {
        /// The public part of its endorsement key.
        endorsement_key: Vec<u8>,
        /// The public part of its storage root key, when known.
        storage_root_key: Option<Vec<u8>>,
    },
    /// Certificates of the device itself.
    ClientCertificates(Slots<CertificateSlot>),
    /// Certificates that issue those of devices.
    SigningCertificates(Slots<CertificateSlot>),
    /// Authorities that the service has by name.
    AuthorityReferences(Slots<CertificateName>),
    /// As it is stored: for a replacement whose author was not shown the keys.
    Unchanged,
}

/// What a bulk operation does with each of its items.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BulkMode {
    /// Creates; an existing one is an error.
    Create,
    /// Replaces whatever is there.
    Update,
    /// Replaces what has the item's etag.
    UpdateIfMatch,
    /// Deletes.
    Delete,
}

/// One item of a bulk operation.
#[derive(Clone)]
pub struct EnrollmentBulkItem {
    /// The enrollment; for a deletion only its id counts.
    pub enrollment: NewEnrollment,
    /// The etag that it was read with, unquoted.
    pub etag: Option<String>,
}

/// What went wrong with one item.
pub struct BulkError {
    /// Which.
    pub id: String,
    /// What.
    pub error: Error,
}

impl Enrollments {
    pub(crate) const fn new(parts: Parts, service: Service, quotas: Quotas) -> Self {
        Self {
            parts,
            service,
            quotas,
        }
    }

    /// One enrollment. It holds keys: what of it may be shown is the caller's to decide.
    ///
    /// # Errors
    /// Needs `EnrollmentRead`. It does not exist.
    pub async fn fetch(&self, ctx: &Context, id: &RegistrationId) -> Result<Enrollment, Error> {
        ctx.require(ServicePermission::EnrollmentRead)?;
        self.stored(id).await
    }

    async fn stored(&self, id: &RegistrationId) -> Result<Enrollment, Error> {
        let found = self.parts.store.enrollment(id).await?;
        found.ok_or_else(|| Error::not_found("enrollment", id))
    }

    /// Enrollments in the order of their ids, after `after` (in lower case), at most `max` (1 to 1,000).
    ///
    /// # Errors
    /// Needs `EnrollmentRead`. `max` is out of range.
    pub async fn list(
        &self,
        ctx: &Context,
        after: Option<&str>,
        max: usize,
    ) -> Result<Vec<Enrollment>, Error> {
        ctx.require(ServicePermission::EnrollmentRead)?;
        check_page(max)?;
        Ok(self.parts.store.enrollments(after, max).await?)
    }

    /// What an enrollment takes as proof, with its keys.
    ///
    /// # Errors
    /// Needs `EnrollmentWrite`, for it shows keys. It does not exist.
    pub async fn attestation(
        &self,
        ctx: &Context,
        id: &RegistrationId,
    ) -> Result<Attestation, Error> {
        ctx.require(ServicePermission::EnrollmentWrite)?;
        Ok(self.stored(id).await?.attestation)
    }

    /// Creates an enrollment, or replaces the one of that id when `if_match` says so.
    ///
    /// # Errors
    /// Needs `EnrollmentWrite`. It exists and `if_match` is absent; it does not and `if_match` is there; another etag;
    /// a rule is broken; there are as many as the service may have.
    pub async fn put(
        &self,
        ctx: &Context,
        new: NewEnrollment,
        if_match: IfMatch,
    ) -> Result<Enrollment, Error> {
        ctx.require(ServicePermission::EnrollmentWrite)?;
        self.parts.check_room()?;
        check_terms(&new.terms, ctx.now)?;
        check_information(new.information.as_ref())?;
        let mut attempt = 0;
        loop {
            let former = self.parts.store.enrollment(&new.id).await?;
            check_hubs(
                &new.terms,
                former.as_ref().map(|one| &one.terms),
                &self.service.candidates(),
            )?;
            check_place(
                "enrollment",
                &new.id,
                former.as_ref().map(|one| &one.etag.0),
                &if_match,
            )?;
            if former.is_none() {
                self.quotas.check_new_enrollment().await?;
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
            if !attestation.fits_individual() {
                return Err(Error::invalid(
                    "an individual enrollment has no signing certificates, an enrollment group has",
                ));
            }
            let next = Enrollment {
                // The spelling stays: the device in its hub is named by it.
                id: former.as_ref().map_or(&new.id, |one| &one.id).clone(),
                device: new.device.clone(),
                attestation,
                terms: new.terms.clone(),
                information: new.information.clone(),
                etag: self.parts.random_etag(),
                created: former.as_ref().map_or(ctx.now, |one| one.created),
                updated: ctx.now,
                rolled_in: former.as_ref().and_then(|one| one.rolled_in),
            };
            match self.submit(next.clone(), former).await {
                Ok(()) => return Ok(next),
                Err(error) => attempt = again("enrollment", &new.id, error, &if_match, attempt)?,
            }
        }
    }

    async fn submit(&self, next: Enrollment, former: Option<Enrollment>) -> Result<(), StoreError> {
        let op = Op::PutEnrollment {
            next: Box::new(next),
            expected: former.map(|one| one.etag),
        };
        self.parts
            .store
            .submit(Unit::new(op, Vec::new()))
            .await
            .map(drop)
    }

    /// Deletes an enrollment and what is kept of its device's registration. The device stays in its hub.
    ///
    /// # Errors
    /// Needs `EnrollmentWrite`. It does not exist; another etag.
    pub async fn delete(
        &self,
        ctx: &Context,
        id: &RegistrationId,
        if_match: IfMatch,
    ) -> Result<(), Error> {
        ctx.require(ServicePermission::EnrollmentWrite)?;
        self.parts.check_room()?;
        let stored = self.stored(id).await?;
        let op = Op::DeleteEnrollment {
            id: id.clone(),
            expected: check_deletion(&if_match, &stored.etag)?,
        };
        let result = self.parts.store.submit(Unit::new(op, Vec::new())).await;
        deleted("enrollment", id, result.map(drop))
    }

    /// Does the same with several enrollments, each by itself. What failed is told; the others are done.
    ///
    /// # Errors
    /// Needs `EnrollmentWrite`.
    pub async fn bulk(
        &self,
        ctx: &Context,
        mode: BulkMode,
        items: Vec<EnrollmentBulkItem>,
    ) -> Result<Vec<BulkError>, Error> {
        ctx.require(ServicePermission::EnrollmentWrite)?;
        let mut errors = Vec::new();
        for item in items {
            let id = item.enrollment.id.clone();
            let result = match mode.guard(item.etag) {
                Ok(Some(guard)) if mode == BulkMode::Delete => self.delete(ctx, &id, guard).await,
                Ok(Some(guard)) => self.put(ctx, item.enrollment, guard).await.map(drop),
                Ok(None) => self.put_either(ctx, item.enrollment).await,
                Err(error) => Err(error),
            };
            if let Err(error) = result {
                let id = id.to_string();
                errors.push(BulkError { id, error });
            }
        }
        Ok(errors)
    }

    /// Creates or replaces, whatever is there.
    async fn put_either(&self, ctx: &Context, new: NewEnrollment) -> Result<(), Error> {
        match self.put(ctx, new.clone(), IfMatch::Any).await {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                self.put(ctx, new, IfMatch::Absent).await.map(drop)
            }
            result => result.map(drop),
        }
    }

    /// Rolls the keys of an enrollment. A device with the other key goes on; when it registers again its identity in
    /// the hub gets the new ones.
    ///
    /// # Errors
    /// Needs `EnrollmentWrite`. It does not exist, or has no symmetric keys; another etag.
    pub async fn roll_keys(
        &self,
        ctx: &Context,
        id: &RegistrationId,
        roll: KeyRoll,
        if_match: IfMatch,
    ) -> Result<Enrollment, Error> {
        ctx.require(ServicePermission::EnrollmentWrite)?;
        self.parts.check_room()?;
        let mut attempt = 0;
        loop {
            let former = self.stored(id).await?;
            check_match(&if_match, &former.etag.0)?;
            let next = Enrollment {
                attestation: rolled(&self.parts, &former.attestation, roll)?,
                etag: self.parts.random_etag(),
                updated: ctx.now,
                ..former.clone()
            };
            match self.submit(next.clone(), Some(former)).await {
                Ok(()) => return Ok(next),
                Err(error) => attempt = again("enrollment", id, error, &if_match, attempt)?,
            }
        }
    }
}

impl BulkMode {
    /// The guard of one item; none means to create or replace.
    pub(crate) fn guard(self, etag: Option<String>) -> Result<Option<IfMatch>, Error> {
        match (self, etag) {
            (Self::Create, _) => Ok(Some(IfMatch::Absent)),
            (Self::Update, _) => Ok(None),
            (Self::UpdateIfMatch, Some(etag)) | (Self::Delete, Some(etag)) => {
                Ok(Some(IfMatch::Etag(etag)))
            }
            (Self::UpdateIfMatch, None) => Err(Error::invalid(
                "updateIfMatchETag needs the etag of the item",
            )),
            (Self::Delete, None) => Ok(Some(IfMatch::Any)),
        }
    }
}

/// What is there fits what the guard says.
pub(crate) fn check_place(
    what: &str,
    id: impl std::fmt::Display,
    present: Option<&String>,
    if_match: &IfMatch,
) -> Result<(), Error> {
    match (present, if_match) {
        (Some(_), IfMatch::Absent) => Err(Error::new(
            ErrorKind::AlreadyExists,
            format!("the {what} {id} exists already, replace it with its etag"),
        )),
        (Some(etag), IfMatch::Any | IfMatch::Etag(_)) => check_match(if_match, etag),
        (None, IfMatch::Absent) => Ok(()),
        (None, IfMatch::Any | IfMatch::Etag(_)) => Err(Error::not_found(what, id)),
    }
}

/// Counts an attempt that lost against another writer, or gives the error back.
pub(crate) fn again(
    what: &str,
    id: impl std::fmt::Display,
    error: StoreError,
    if_match: &IfMatch,
    attempt: u32,
) -> Result<u32, Error> {
    let guarded = matches!(if_match, IfMatch::Etag(_));
    match error {
        StoreError::Conflict(
            Conflict::VersionMismatch | Conflict::AlreadyExists | Conflict::NotFound,
        ) if !guarded && attempt < RETRIES_MAX => Ok(attempt + 1),
        StoreError::Conflict(Conflict::NotFound) => Err(Error::not_found(what, id)),
        other => Err(other.into()),
    }
}

/// The proof to be stored: missing keys are the former ones, or new.
pub(crate) fn made(
    parts: &Parts,
    new: NewAttestation,
    former: Option<&Attestation>,
    now: Timestamp,
) -> Result<Attestation, Error> {
    let attestation = match new {
        NewAttestation::SymmetricKey { primary, secondary } => {
            let keys = match former {
                Some(Attestation::SymmetricKey { primary, secondary }) => {
                    Some((primary, secondary))
                }
                Some(
                    Attestation::Tpm { .. }
                    | Attestation::ClientCertificates(_)
                    | Attestation::SigningCertificates(_)
                    | Attestation::AuthorityReferences(_),
                )
                | None => None,
            };
            Attestation::SymmetricKey {
                primary: primary
                    .or_else(|| keys.map(|keys| keys.0.clone()))
                    .unwrap_or_else(|| parts.random_key()),
                secondary: secondary
                    .or_else(|| keys.map(|keys| keys.1.clone()))
                    .unwrap_or_else(|| parts.random_key()),
            }
        }
        NewAttestation::Tpm {
            endorsement_key,
            storage_root_key,
        } => Attestation::Tpm {
            endorsement_key: endorsement_key.into(),
            storage_root_key: storage_root_key.map(Arc::from),
        },
        NewAttestation::ClientCertificates(slots) => Attestation::ClientCertificates(slots),
        NewAttestation::SigningCertificates(slots) => Attestation::SigningCertificates(slots),
        NewAttestation::AuthorityReferences(slots) => Attestation::AuthorityReferences(slots),
        NewAttestation::Unchanged => former
            .cloned()
            .ok_or_else(|| Error::invalid("a new enrollment needs an attestation"))?,
    };
    check_certificates(&attestation, former, now)?;
    Ok(attestation)
}

/// The proof with rolled keys.
pub(crate) fn rolled(
    parts: &Parts,
    attestation: &Attestation,
    roll: KeyRoll,
) -> Result<Attestation, Error> {
    let Attestation::SymmetricKey { primary, secondary } = attestation else {
        return Err(Error::invalid(
            "the enrollment has no symmetric keys; replace its certificates instead",
        ));
    };
    let (primary, secondary) = roll.roll(primary.clone(), secondary.clone(), || parts.random_key());
    Ok(Attestation::SymmetricKey { primary, secondary })
}

pub(crate) fn check_page(max: usize) -> Result<(), Error> {
    if (1..=PAGE_MAX).contains(&max) {
        return Ok(());
    }
    Err(Error::invalid(format!(
        "a page has 1 to {PAGE_MAX} items, not {max}"
    )))
}

fn check_information(information: Option<&Map<String, Value>>) -> Result<(), Error> {
    let bytes = information.map_or(0, |map| {
        serde_json::to_string(map).map_or(usize::MAX, |text| text.len())
    });
    if bytes > DEVICE_INFORMATION_BYTES_MAX {
        return Err(Error::invalid(format!(
            "optionalDeviceInformation has more than {DEVICE_INFORMATION_BYTES_MAX} bytes"
        )));
    }
    Ok(())
}
