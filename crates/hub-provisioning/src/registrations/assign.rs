//! From a goal to a committed registration.
//!
//! At own hubs one unit of the store holds the identity, the registration, and the check that the enrollment is still
//! the one it was decided on. At other hubs the identity comes first, by writes that may be done again, then the
//! registration. A device that moves is removed from its former hub last, and the registration remembers that.

use std::sync::Arc;

use hub_domain::provisioning::{
    Assignment, DeviceProof, InitialTwin, Origin, Progress, Registration, RegistrationFailure,
    RegistrationRequest,
};
use hub_domain::{HostName, SymmetricKey, Timestamp};
use hub_engine::ErrorKind;
use hub_storage::store::{Op, Unit};
use hub_storage::{Conflict, StoreError};
use serde_json::Value;

use super::goal::{Goal, policy, substatus};
use super::{OperationStatus, RegisterRequest, Room};
use crate::Error;
use crate::attestation::{Attested, DeviceCall, Found, Proven};
use crate::challenges::wrapped;
use crate::credentials::{self, IssuedChain};
use crate::hubs::{Bring, HubError, HubProof, Reach, TwinContent, WantedDevice};
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
            let kept = Self::kept(call, &attested, &request);
            let mut existing = self.parts.store.registration(&call.id).await?;
            if let Some(registration) = existing {
                existing = Some(self.leave(registration, call.now).await);
            }
            attested.keep_name(existing.as_ref());
            if let Some(unfinished) = existing.as_ref().filter(|one| Self::is_unfinished(one)) {
                // Whoever asks meanwhile asks for the same; and a device whose former hub does not let go of it stays
                // where it is, or that would be forgotten.
                self.jobs.start(&call.id);
                return Ok(OperationStatus::begun(unfinished.clone()));
            }
            if existing.is_none() {
                self.quotas.check_new_registration().await?;
            }
            let attempt = Attempt {
                id: &call.id,
                attested: &attested,
                request: &kept,
                existing: existing.as_ref(),
                operation: operation.clone(),
                now: call.now,
            };
            match self.attempt_at_once(&attempt).await {
                Ok(registration) => return Ok(OperationStatus::begun(registration)),
                Err(Failed::Finally(error)) => return Err(error),
                Err(Failed::Changed) => attested = self.attest(call).await?,
            }
        }
        Err(Error::new(
            ErrorKind::Unavailable,
            "the registration is being changed too often, try again",
        ))
    }

    /// Commits what can be committed at once: an assignment to an own hub, a failure, or the begin of a job.
    async fn attempt_at_once(&self, attempt: &Attempt<'_>) -> Result<Registration, Failed> {
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
        let all_own = former.is_none_or(|former| is_own(&former.hub));
        match first {
            Some(host) if is_own(host) && all_own => {
                match self.assign(attempt, &host.clone(), Given::default()).await {
                    Ok(registration) => Ok(registration),
                    Err(Failed::Finally(error)) if is_final(&error) => {
                        self.commit_failure(attempt, error.code(), error.message())
                            .await
                    }
                    Err(failed) => Err(failed),
                }
            }
            Some(_) | None => {
                let progress = Progress::Assigning(Box::new(attempt.request.clone()));
                let registration = self.registration(attempt, progress, former.cloned(), None);
                let registration = self.commit(attempt, registration, Unit::default()).await?;
                self.jobs.start(attempt.id);
                Ok(registration)
            }
        }
    }

    /// Assigns a device to a hub and commits that. Removes it from its former hub.
    pub(super) async fn assign(
        &self,
        attempt: &Attempt<'_>,
        host: &HostName,
        given: Given,
    ) -> Result<Registration, Failed> {
        let unreachable = || {
            Failed::Finally(crate::allocation::no_hub(format!(
                "the hub {host} is not linked any more"
            )))
        };
        let reach = self.hubs.reach(host).ok_or_else(unreachable)?;
        let former = attempt.existing.and_then(|one| one.assignment.clone());
        let attested = attempt.attested;
        let leaves = former
            .clone()
            .filter(|former| former.hub != *host || former.device != attested.device);
        let twin = self
            .twin_to_bring(attempt, leaves.as_ref(), given.twin)
            .await
            .map_err(at_hub)?;
        let issued = self.issue(attempt)?;
        let (proof, authentication_key) = match &issued {
            Some(_) => (HubProof::Given(DeviceProof::Authority), None),
            None => self.proof_for_hub(attested)?,
        };
        let wanted = WantedDevice {
            id: attested.device.clone(),
            proof,
            iot_edge: attested.terms.capabilities.iot_edge,
        };
        let bring = match (&leaves, &twin, &reach) {
            (Some(_), Some(_), _) => Bring::Also,
            // A crash may have left a device without its twin at another installation.
            (None, Some(_), Reach::Remote(_)) if former.is_none() => Bring::Also,
            (_, _, _) => Bring::OnlyToNew,
        };
        let content =
            twin.unwrap_or_else(|| TwinContent::Written(attested.terms.initial_twin.clone()));
        let unit = match &reach {
            Reach::Own(hub) => self
                .hubs
                .own_unit(*hub, wanted, &content, bring, attempt.now)
                .await
                .map_err(at_hub)?,
            Reach::Remote(remote) => {
                self.hubs
                    .ensure_remote(remote, &wanted, &content, bring, attempt.now)
                    .await
                    .map_err(at_hub)?;
                Unit::default()
            }
        };
        let assignment = Assignment {
            hub: host.clone(),
            device: attested.device.clone(),
            substatus: substatus(attested, attempt.request, former.as_ref(), host),
        };
        let progress = leaves.map_or(Progress::Assigned, Progress::Leaving);
        let mut registration =
            self.registration(attempt, progress, Some(assignment), given.payload);
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
        let registration = self.commit(attempt, registration, unit).await?;
        Ok(self.leave(registration, attempt.now).await)
    }

    /// Removes a device that moved from its former hub. What fails now is tried again by a job.
    pub(super) async fn leave(&self, registration: Registration, now: Timestamp) -> Registration {
        let Progress::Leaving(former) = &registration.progress else {
            return registration;
        };
        if let Some(reach) = self.hubs.reach(&former.hub)
            && let Err(error) = self.hubs.remove(&reach, &former.device, now).await
        {
            let error = error.into_error();
            tracing::warn!(
                registration = %registration.id,
                hub = %former.hub,
                error = &error as &dyn std::error::Error,
                "a device that moved cannot be removed from its former hub yet"
            );
            return registration;
        }
        let next = Registration {
            progress: Progress::Assigned,
            etag: self.parts.random_etag(),
            ..registration.clone()
        };
        let op = Op::PutRegistration {
            next: Box::new(next.clone()),
            expected: Some(registration.etag.clone()),
        };
        match self.parts.store.submit(Unit::new(op, Vec::new())).await {
            Ok(_) => next,
            // Somebody else changed it, or the disk is full: a job looks at it again.
            Err(_) => registration,
        }
    }

    /// The twin that a device gets in its new hub; none when it has one there, or when the enrollment's will do.
    async fn twin_to_bring(
        &self,
        attempt: &Attempt<'_>,
        leaves: Option<&Assignment>,
        given: Option<InitialTwin>,
    ) -> Result<Option<TwinContent>, HubError> {
        let Some(former) = leaves else {
            let initial = || attempt.attested.terms.initial_twin.clone();
            return Ok(Some(TwinContent::Written(given.unwrap_or_else(initial))));
        };
        if let Some(given) = given {
            return Ok(Some(TwinContent::Written(given)));
        }
        let initial = attempt.attested.terms.initial_twin.clone();
        if !policy(attempt.attested, attempt.request).migrate_device_data {
            return Ok(Some(TwinContent::Written(initial)));
        }
        let Some(reach) = self.hubs.reach(&former.hub) else {
            // The former hub is not linked any more: there is nothing to bring from it.
            return Ok(Some(TwinContent::Written(initial)));
        };
        // A device that is gone there was moved before a crash: what it has in the new hub stays.
        self.hubs.twin(&reach, &former.device, attempt.now).await
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

    fn registration(
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
            payload,
            authentication_key: None,
            certificates: attested.certificates.clone(),
            issued_certificates: Vec::new(),
            etag: self.parts.random_etag(),
            created: attempt.existing.map_or(attempt.now, |one| one.created),
            updated: attempt.now,
        }
    }

    /// Commits a registration together with `unit`, if nothing it was decided on changed.
    async fn commit(
        &self,
        attempt: &Attempt<'_>,
        registration: Registration,
        mut unit: Unit,
    ) -> Result<Registration, Failed> {
        let etag = attempt.attested.etag.clone();
        unit.ops.push(match &attempt.attested.origin {
            Origin::Individual => Op::CheckEnrollment {
                id: attempt.id.clone(),
                etag,
            },
            Origin::Group(group) => Op::CheckEnrollmentGroup {
                id: group.clone(),
                etag,
            },
        });
        unit.ops.push(Op::PutRegistration {
            next: Box::new(registration.clone()),
            expected: attempt.existing.map(|one| one.etag.clone()),
        });
        self.parts.store.submit(unit).await?;
        Ok(registration)
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
        self.commit(attempt, registration, Unit::default()).await
    }

    /// What an enrollment says of a device now, for a job that goes on with its registration.
    pub(super) async fn attested_again(
        &self,
        registration: &Registration,
        request: &RegistrationRequest,
    ) -> Result<Attested, Error> {
        let found = match &registration.origin {
            Origin::Individual => {
                let found = self.parts.store.enrollment(&registration.id).await?;
                found.map(|one| Found::Individual(Box::new(one)))
            }
            Origin::Group(group) => self.groups.find(group).ok().map(Found::Group),
        };
        let found = found.ok_or_else(|| {
            Error::new(
                ErrorKind::NotFound,
                "the enrollment was deleted while the device registered",
            )
        })?;
        let proven = Proven {
            proof: request.proof.clone(),
            certificates: registration.certificates.clone(),
        };
        Ok(Attested::of(&found, &registration.id, proven))
    }
}

fn at_hub(error: HubError) -> Failed {
    Failed::Finally(error.into_error())
}

/// True for what is about this device: it is told by the status. The rest is the service's own trouble, and the device
/// asks again.
pub(super) fn is_final(error: &Error) -> bool {
    match error.kind() {
        ErrorKind::Unavailable | ErrorKind::Internal | ErrorKind::Throttled => false,
        ErrorKind::NotFound
        | ErrorKind::AlreadyExists
        | ErrorKind::PreconditionFailed
        | ErrorKind::Invalid
        | ErrorKind::TooLarge
        | ErrorKind::NotAuthenticated
        | ErrorKind::NotAllowed
        | ErrorKind::QuotaExceeded
        | ErrorKind::DeviceOffline
        | ErrorKind::TimedOut
        | ErrorKind::BadDeviceAnswer => true,
    }
}
