//! From a goal to a committed registration.
//!
//! At own hubs one unit of the store holds the identity, the registration, and the check that the enrollment is still
//! the one it was decided on. At other hubs the registration notes first where the device goes, then comes the
//! identity, by writes that may be done again, then the registration. So whatever a crash leaves is known: it is gone on
//! with, or removed. A device that moves is removed from its former hub last.

use std::sync::Arc;

use hub_domain::provisioning::{
    Assignment, DeviceProof, InitialTwin, Origin, Place, Progress, Registration,
    RegistrationFailure, RegistrationRequest, Target,
};
use hub_domain::{Etag, HostName, Status, SymmetricKey, Timestamp};
use hub_engine::ErrorKind;
use hub_storage::store::{FactNo, Op, Unit};
use hub_storage::{Conflict, StoreError};
use serde_json::Value;

use super::arrive::Arrival;
use super::goal::{Goal, substatus};
use super::{OperationStatus, RegisterRequest, Room};
use crate::Error;
use crate::attestation::{Attested, DeviceCall};
use crate::challenges::wrapped;
use crate::credentials::{self, IssuedChain};
use crate::error::codes;
use crate::hubs::{HubError, HubProof, Reach, WantedDevice, Writes};
use crate::issuance::CertificateRequest;

/// How often a registration is decided anew when something it was decided on changed meanwhile.
const RETRIES_MAX: u32 = 8;

/// One attempt: who, what was asked, what there was.
pub(super) struct Attempt<'a> {
    pub(super) id: &'a hub_domain::provisioning::RegistrationId,
    pub(super) attested: &'a Attested,
    pub(super) request: &'a RegistrationRequest,
    pub(super) existing: Option<&'a Registration>,
    pub(super) operation: hub_domain::provisioning::OperationId,
    pub(super) now: Timestamp,
    /// That of the registration as it is stored.
    pub(super) etag: Option<Etag>,
    /// The hubs where the device may be.
    pub(super) strays: Vec<Place>,
    /// Where it is noted to go. What was chosen under another enrollment does not count.
    pub(super) target: Option<Box<Target>>,
}

impl<'a> Attempt<'a> {
    pub(super) fn new(
        id: &'a hub_domain::provisioning::RegistrationId,
        attested: &'a Attested,
        request: &'a RegistrationRequest,
        existing: Option<&'a Registration>,
        (operation, now): (hub_domain::provisioning::OperationId, Timestamp),
    ) -> Self {
        Self {
            id,
            attested,
            request,
            existing,
            operation,
            now,
            etag: existing.map(|existing| existing.etag.clone()),
            strays: existing.map_or_else(Vec::new, |existing| existing.strays.clone()),
            target: (request.enrollment == attested.etag)
                .then(|| request.target.clone())
                .flatten(),
        }
    }
}

/// What the webhook gave besides the hub.
#[derive(Clone, Default)]
pub(super) struct Given {
    pub(super) twin: Option<InitialTwin>,
    pub(super) payload: Option<Value>,
}

/// Why a commit did not come about.
pub(super) enum Failed {
    /// Something it was decided on changed: decide anew.
    Changed,
    /// The hub cannot be used: another one may be.
    Elsewhere(Error),
    /// Too much is under way: others go first.
    Later,
    /// It cannot be.
    Finally(Error),
}

impl From<StoreError> for Failed {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Conflict(
                Conflict::VersionMismatch | Conflict::AlreadyExists | Conflict::NotFound,
            ) => Self::Changed,
            other => Self::Finally(other.into()),
        }
    }
}

impl Room {
    /// Registers an attested device: at once where everything is at hand, else by a job.
    pub(super) async fn register(
        &self,
        call: &DeviceCall<'_>,
        mut attested: Attested,
        request: RegisterRequest,
    ) -> Result<OperationStatus, Error> {
        let operation = self.parts.random_operation();
        for _ in 0..RETRIES_MAX {
            if attested.terms.status == Status::Disabled {
                let text = "the enrollment is disabled";
                self.refusals
                    .note(call, Some(attested.origin), codes::DISABLED, text);
                return Ok(OperationStatus::disabled(
                    call.id.clone(),
                    operation.as_str(),
                    call.now,
                ));
            }
            let kept = Self::kept(call, &attested, &request);
            let existing = self.parts.store.registration(&call.id).await?;
            let existing = existing.map(|existing| self.named(existing));
            self.keep_name(&mut attested, &kept, existing.as_ref());
            if let Some(under_way) = &existing
                && let Progress::Assigning(asked) = &under_way.progress
                && asked.asks_same(&kept)
            {
                let _ = self.jobs.start(&call.id);
                return Ok(OperationStatus::begun(self.named(under_way.clone())));
            }
            if existing.is_none() {
                self.quotas.check_new_registration().await?;
            }
            let mut attempt = Attempt::new(
                &call.id,
                &attested,
                &kept,
                existing.as_ref(),
                (operation.clone(), call.now),
            );
            match self.attempt_at_once(&mut attempt).await {
                Ok(registration) => return Ok(OperationStatus::begun(self.named(registration))),
                Err(Failed::Elsewhere(error) | Failed::Finally(error)) => return Err(error),
                Err(Failed::Changed | Failed::Later) => {
                    let again = self.attestor.attest(call).await;
                    attested = again.map_err(|(error, _)| error)?;
                }
            }
        }
        Err(Error::new(
            ErrorKind::Unavailable,
            "the registration is being changed too often, try again",
        ))
    }

    /// Commits what can be committed at once: an assignment to an own hub, a failure, or the begin of a job.
    async fn attempt_at_once(&self, attempt: &mut Attempt<'_>) -> Result<Registration, Failed> {
        let goal = self.goal(
            attempt.attested,
            attempt.request,
            attempt.id,
            attempt.existing,
        );
        let former = attempt.existing.and_then(|one| one.assignment.as_ref());
        let is_own = |host: &HostName| matches!(self.hubs.reach(host), Some(Reach::Own(_)));
        let first = match &goal {
            Ok(Goal::Stay(assignment)) => Some(&assignment.hub),
            Ok(Goal::Ranked(hosts)) => hosts.first(),
            Ok(Goal::Ask(_)) => None,
            Err(error) => {
                return self
                    .commit_failure(attempt, error.code(), error.message())
                    .await;
            }
        };
        // What has to be done at other installations is done by jobs alone, one at a time for each registration.
        let is_at_hand = attempt.strays.is_empty() && former.is_none_or(|one| one.own.is_some());
        match first {
            Some(host) if is_own(host) && is_at_hand => {
                match self.assign(attempt, &host.clone(), Given::default()).await {
                    Ok(registration) => {
                        let registration = self.leave(registration, attempt.now).await;
                        if registration.is_unfinished() {
                            let _ = self.jobs.start(attempt.id);
                        }
                        Ok(registration)
                    }
                    Err(Failed::Finally(error)) if error.is_final() => {
                        self.commit_failure(attempt, error.code(), error.message())
                            .await
                    }
                    // A job tries the next one.
                    Err(Failed::Elsewhere(_)) => self.begin_job(attempt).await,
                    Err(failed) => Err(failed),
                }
            }
            Some(_) | None => self.begin_job(attempt).await,
        }
    }

    async fn begin_job(&self, attempt: &Attempt<'_>) -> Result<Registration, Failed> {
        let former = attempt.existing.and_then(|one| one.assignment.clone());
        let progress = Progress::Assigning(Box::new(attempt.request.clone()));
        let registration = self.registration(attempt, progress, former, None);
        let (registration, _) = self.commit(attempt, registration, Unit::default()).await?;
        let _ = self.jobs.start(attempt.id);
        Ok(registration)
    }

    /// Assigns a device to a hub and commits that. It leaves a former hub of this installation with that, and any other
    /// later.
    pub(super) async fn assign(
        &self,
        attempt: &mut Attempt<'_>,
        host: &HostName,
        given: Given,
    ) -> Result<Registration, Failed> {
        let unlinked = || {
            Failed::Elsewhere(crate::allocation::no_hub(format!(
                "the hub {host} is not linked any more"
            )))
        };
        let reach = self.hubs.reach(host).ok_or_else(unlinked)?;
        let attested = attempt.attested;
        let here = self.hubs.place(host, &attested.device);
        let former = attempt.existing.and_then(|one| one.assignment.as_ref());
        let leaves = former.filter(|former| !former.place().is_same(&here));
        let baggage = self.baggage(attempt, leaves, given.twin.clone()).await?;
        // To the commit: who removes this device looks first whose it is.
        let turn = self.hubs.turns.take(&here).await;
        let _turn = turn.ok_or(Failed::Later)?;
        let issued = self.issue(attempt)?;
        let (proof, authentication_key) = match (&issued, &reach) {
            (Some(_), Reach::Own(_)) => (HubProof::Given(DeviceProof::Authority), None),
            (Some(issued), Reach::Remote(_)) => (HubProof::Given(issued.thumbprint()), None),
            (None, _) => self.proof_for_hub(attested)?,
        };
        let wanted = WantedDevice {
            id: attested.device.clone(),
            proof,
            iot_edge: attested.terms.capabilities.iot_edge,
            standing: baggage.standing.clone(),
        };
        let mut moves = leaves.map(|_| baggage.bring);
        let own = leaves.filter(|former| !former.taken_over);
        let mut left = own.map(Assignment::place);
        let (mut writes, removed) = match &reach {
            Reach::Own(hub) => {
                self.own_writes(*hub, wanted, &baggage, left.as_ref(), attempt.now)
                    .await?
            }
            Reach::Remote(remote) => {
                let target = Target {
                    place: here.clone(),
                    twin: given.twin,
                    payload: given.payload.clone(),
                };
                let arrival = self.place(attempt, (remote, target), &wanted, &baggage);
                match arrival.await? {
                    Arrival::Done => {}
                    Arrival::NotMoved => (left, moves) = (None, None),
                }
                (Writes::default(), None)
            }
        };
        if !attempt.existing.is_some_and(|one| one.has(&here)) {
            writes
                .unit
                .ops
                .extend(self.take_over(attempt, &here).await?);
        }
        let assignment = Assignment {
            hub: here.hub.clone(),
            own: here.own,
            device: here.device.clone(),
            substatus: substatus(attested, attempt.request, former, moves),
            taken_over: false,
        };
        let progress = Progress::Assigned;
        let mut registration =
            self.registration(attempt, progress, Some(assignment), given.payload);
        settle(
            &mut registration.strays,
            &here,
            left.filter(|_| removed.is_none()),
        );
        registration.authentication_key = authentication_key.map(Arc::from);
        if let Some(issued) = issued {
            if let Reach::Own(hub) = &reach {
                self.hubs
                    .trust(*hub, &issued, attempt.now)
                    .await
                    .map_err(at_hub)?;
            }
            registration.issued_certificates = issued.chain;
        }
        let (registration, last) = self.commit(attempt, registration, writes).await?;
        if let Some((hub, place, before)) = removed {
            let between = before..last;
            self.tell_left(attempt.id, hub, &place, between, attempt.now)
                .await;
        }
        Ok(registration)
    }

    /// The writes that note with whoever had a device that it is another registration's now. In the same unit, so that a
    /// registration that is just about to take it along or to remove it has to look again.
    async fn take_over(&self, attempt: &Attempt<'_>, place: &Place) -> Result<Vec<Op>, StoreError> {
        let mut ops = Vec::new();
        let look = |other: Registration| {
            if other.id == *attempt.id || !other.has(place) {
                return;
            }
            let mut next = other.clone();
            next.assignment = other.assignment.map(|former| Assignment {
                taken_over: true,
                ..former
            });
            next.etag = self.parts.random_etag();
            next.updated = attempt.now;
            ops.push(Op::PutRegistration {
                next: Box::new(next),
                expected: Some(other.etag),
            });
        };
        self.parts.each_registration_of(&place.device, look).await?;
        Ok(ops)
    }

    /// What the identity in the hub accepts. A TPM gets a new key with each registration.
    fn proof_for_hub(&self, attested: &Attested) -> Result<(HubProof, Option<Vec<u8>>), Failed> {
        let (
            DeviceProof::Tpm {
                storage_root_key, ..
            },
            Some(endorsement_key),
        ) = (&attested.proof, &attested.endorsement_key)
        else {
            return Ok((HubProof::Given(attested.proof.clone()), None));
        };
        let key: SymmetricKey = self.parts.random_key_of(32);
        let blob = wrapped(&self.parts, endorsement_key, storage_root_key, &key)
            .map_err(Failed::Finally)?;
        Ok((HubProof::Key(key), Some(blob)))
    }

    /// The certificates that a device asked for. Its identity in the hub then accepts these, and not the proof that it
    /// registers with.
    fn issue(&self, attempt: &Attempt<'_>) -> Result<Option<IssuedChain>, Failed> {
        let Some(request) = &attempt.request.signing_request else {
            return Ok(None);
        };
        let read = CertificateRequest::parse(request)
            .and_then(|read| read.check_name(attempt.id.as_str()).map(|()| read));
        let issued = match read {
            Ok(read) => self.credentials.issue(
                attempt.attested.terms.credential_policy.as_ref(),
                &attempt.attested.device,
                &read,
                attempt.now,
            ),
            Err(error) => Err(credentials::refused(error.to_string()).with_source(error)),
        };
        issued.map(Some).map_err(Failed::Finally)
    }

    pub(super) fn registration(
        &self,
        attempt: &Attempt<'_>,
        progress: Progress,
        assignment: Option<Assignment>,
        payload: Option<Value>,
    ) -> Registration {
        let attested = attempt.attested;
        Registration {
            id: attempt
                .existing
                .map_or_else(|| attempt.id.clone(), |one| one.id.clone()),
            origin: attested.origin.clone(),
            attestation: attested.kind,
            operation: attempt.operation.clone(),
            progress,
            assignment,
            strays: attempt.strays.clone(),
            payload,
            authentication_key: None,
            certificates: attested.certificates.clone(),
            issued_certificates: Vec::new(),
            etag: self.parts.random_etag(),
            created: attempt.existing.map_or(attempt.now, |one| one.created),
            updated: attempt.now,
        }
    }

    /// Commits a registration together with `writes`, if nothing it was decided on changed.
    pub(super) async fn commit(
        &self,
        attempt: &Attempt<'_>,
        registration: Registration,
        writes: impl Into<Writes>,
    ) -> Result<(Registration, FactNo), Failed> {
        let mut writes = writes.into();
        let etag = attempt.attested.etag.clone();
        // An enrollment of its own goes before that of a group.
        let (own, group) = match &attempt.attested.origin {
            Origin::Individual => (Some(etag), None),
            Origin::Group(group) => (None, Some((group.clone(), etag))),
        };
        writes.unit.ops.push(Op::CheckEnrollment {
            id: attempt.id.clone(),
            expected: own,
        });
        writes
            .unit
            .ops
            .extend(group.map(|(id, etag)| Op::CheckEnrollmentGroup { id, etag }));
        writes.unit.ops.push(Op::PutRegistration {
            next: Box::new(registration.clone()),
            expected: attempt.etag.clone(),
        });
        writes.unit.ops.push(self.refusals.forget(attempt.id));
        self.check_vouched(attempt).await?;
        let submitted = self.hubs.submit(writes, attempt.now).await;
        let committed = submitted.map_err(at_hub)?.await?;
        Ok((registration, committed.last_fact))
    }

    /// Commits that an attempt failed. The assignment that the device had stays.
    pub(super) async fn commit_failure(
        &self,
        attempt: &Attempt<'_>,
        code: u32,
        message: &str,
    ) -> Result<Registration, Failed> {
        tracing::info!(registration = %attempt.id, code, message, "a registration failed");
        let failure = RegistrationFailure {
            code,
            message: message.to_owned(),
        };
        let assignment = attempt.existing.and_then(|one| one.assignment.clone());
        let registration = self.registration(attempt, Progress::Failed(failure), assignment, None);
        let (registration, _) = self.commit(attempt, registration, Unit::default()).await?;
        Ok(registration)
    }
}

pub(super) fn at_hub(error: HubError) -> Failed {
    match error {
        HubError::Unreachable(error) => Failed::Elsewhere(error),
        HubError::Throttled(_) => Failed::Later,
        HubError::Refused(error) | HubError::Ours(error) => Failed::Finally(error),
    }
}

/// The device is whole where it is assigned, and still to leave where it was.
fn settle(strays: &mut Vec<Place>, here: &Place, leaving: Option<Place>) {
    strays.retain(|stray| {
        !stray.is_same(here) && !leaving.as_ref().is_some_and(|one| one.is_same(stray))
    });
    strays.extend(leaving);
}
