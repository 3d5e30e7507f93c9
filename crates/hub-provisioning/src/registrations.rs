//! Registrations: a device asks for its hub, and asks again what became of it.

mod again;
mod arrive;
mod assign;
mod goal;
mod jobs;
mod leave;
mod preview;
mod request;
mod status;
mod webhook;

use std::sync::Arc;

use hub_domain::provisioning::{
    Enrollment, Origin, Refusal, Registration, RegistrationId, RegistrationRequest,
    ServicePermission,
};
use hub_domain::{HostName, Status};
use hub_engine::{ErrorKind, IfMatch};
use hub_storage::store::{Op, RefusalPosition, RegistrationFilter, RegistrationStatistics, Unit};
use hub_storage::{Conflict, StoreError};

use crate::attestation::{Attested, Attestor, Credential, DeviceCall, refused};
use crate::challenges::{Challenge, Challenges, wrapped};
use crate::enrollments::check_page;
use crate::error::codes;
use crate::groups::Groups;
use crate::hubs::LinkedHubs;
use crate::parts::Parts;
use crate::quotas::Quotas;
use crate::refusals::Refusals;
use crate::rules::check_match;
use crate::service::Service;
use crate::{Context, Credentials, Error};
use jobs::Jobs;

pub use preview::{LinkCheck, Preview, PreviewRequest};
pub use request::{RegisterRequest, TpmKeys};
pub use status::OperationStatus;
pub(crate) use status::Shown;

/// How often a deletion is decided anew when the registration changed meanwhile.
const RETRIES_MAX: u32 = 8;

/// Operations on registrations. Cheap to clone.
#[derive(Clone)]
pub struct Registrations {
    room: Arc<Room>,
}

/// What the operations share.
struct Room {
    parts: Parts,
    service: Service,
    groups: Groups,
    attestor: Attestor,
    challenges: Arc<Challenges>,
    hubs: LinkedHubs,
    credentials: Credentials,
    quotas: Quotas,
    refusals: Refusals,
    jobs: Jobs,
}

/// What a device that asked gets.
pub enum Registered {
    /// Its registration is under way, or cannot be.
    Accepted(Box<OperationStatus>),
    /// A TPM has to show itself first.
    Challenge(Challenge),
}

impl Registrations {
    pub(crate) fn new(
        parts: Parts,
        service: Service,
        groups: Groups,
        credentials: Credentials,
        quotas: Quotas,
    ) -> Self {
        let challenges = Arc::new(Challenges::default());
        let attestor = Attestor::new(
            parts.clone(),
            service.clone(),
            groups.clone(),
            Arc::clone(&challenges),
        );
        Self {
            room: Arc::new(Room {
                hubs: LinkedHubs::new(parts.clone(), service.clone()),
                refusals: Refusals::new(Arc::clone(&parts.store)),
                jobs: Jobs::new(),
                credentials,
                quotas,
                parts,
                service,
                groups,
                attestor,
                challenges,
            }),
        }
    }

    /// Goes on with what is not finished, and writes down who was refused, until it is dropped.
    pub(crate) async fn run(&self) {
        tokio::join!(self.room.run_jobs(), self.room.refusals.run());
    }

    /// Writes down who was refused lately.
    pub(crate) async fn finish(&self) {
        self.room.refusals.flush().await;
    }

    /// Whether a device may call: for heads that check when a connection begins. A disabled enrollment passes; the
    /// answer to its registration tells.
    ///
    /// # Errors
    /// The scope is another (404001); the proof is not good (401002).
    pub async fn admit(&self, call: &DeviceCall<'_>) -> Result<(), Error> {
        self.room.attest(call).await.map(drop)
    }

    /// Reads what a device sends with its registration.
    ///
    /// # Errors
    /// Those of [`RegisterRequest::parse`]. A device that is turned away by it is noted.
    pub async fn read(
        &self,
        call: &DeviceCall<'_>,
        body: &[u8],
        api_version: Option<&str>,
    ) -> Result<RegisterRequest, Error> {
        match RegisterRequest::parse(&call.id, body, api_version) {
            Ok(request) => Ok(request),
            Err(error) => {
                let origin = match self.room.attestor.attest(call).await {
                    Ok(attested) => Some(attested.origin),
                    Err((_, origin)) => origin,
                };
                Err(self.room.noted(call, origin, error))
            }
        }
    }

    /// Registers a device: it gets a hub, or the one it has. A device with a TPM that shows no token, or one that is not
    /// good any more, gets a challenge.
    ///
    /// # Errors
    /// As [`Registrations::admit`]; the request breaks a rule; the store cannot write. What keeps a device from a hub
    /// otherwise is said by the status.
    pub async fn register(
        &self,
        call: &DeviceCall<'_>,
        request: RegisterRequest,
    ) -> Result<Registered, Error> {
        let room = &self.room;
        // A device with a TPM may show the certificate of its TLS stack as well: what it asks for is a challenge.
        if let (Credential::None | Credential::Certificates(_), Some(keys)) =
            (call.credential, &request.tpm)
        {
            return self.challenge(call, keys).await.map(Registered::Challenge);
        }
        let attested = match room.attest(call).await {
            Ok(attested) => match room.check_challenge(call, &attested) {
                Ok(()) => attested,
                Err(error) => return room.challenge_anew(call, &request, error).await,
            },
            Err(error) => return room.challenge_anew(call, &request, error).await,
        };
        room.quotas.take_registration(call.now)?;
        let answered = attested.challenge().cloned();
        let origin = Some(attested.origin.clone());
        room.parts.store.backlog().room().await;
        let registered = room.register(call, attested, request).await;
        let status = registered.map_err(|error| room.noted(call, origin, error))?;
        if let (Some(key), false) = (&answered, status.is_disabled()) {
            // Only now: who is told to come again comes with the same token.
            room.challenges.use_up(&call.id, key);
        }
        Ok(Registered::Accepted(Box::new(status)))
    }

    /// A key for a device with a TPM, readable only by that. The device shows that it could by a token signed with it.
    ///
    /// # Errors
    /// The scope is another; no enrollment of that id has this endorsement key; a key cannot be read.
    pub async fn challenge(
        &self,
        call: &DeviceCall<'_>,
        keys: &TpmKeys,
    ) -> Result<Challenge, Error> {
        self.room.challenge(call, keys).await
    }

    /// What became of an attempt. An older attempt of the same device gets the state of the newest.
    ///
    /// # Errors
    /// As [`Registrations::admit`]; the device never registered (404201).
    pub async fn status(
        &self,
        call: &DeviceCall<'_>,
        operation: &str,
    ) -> Result<OperationStatus, Error> {
        let attested = self.room.attest(call).await?;
        self.room.quotas.take_poll(&call.id, call.now)?;
        if operation.is_empty() {
            return Err(Error::invalid("the operation id is missing"));
        }
        if attested.terms.status == Status::Disabled {
            let id = call.id.clone();
            return Ok(OperationStatus::disabled(id, operation, call.now));
        }
        let registration = self.room.stored(&call.id).await?;
        Ok(OperationStatus::of(registration))
    }

    /// The registration of the device that calls, to be shown by [`OperationStatus::state_document`].
    ///
    /// # Errors
    /// As [`Registrations::admit`]; the device never registered (404201).
    pub async fn lookup(&self, call: &DeviceCall<'_>) -> Result<OperationStatus, Error> {
        let attested = self.room.attest(call).await?;
        self.room.quotas.take_poll(&call.id, call.now)?;
        if attested.terms.status == Status::Disabled {
            return Ok(OperationStatus::disabled(call.id.clone(), "", call.now));
        }
        let mut registration = self.room.stored(&call.id).await?;
        // They are given once, with the registration ("Device registration status lookup").
        registration.issued_certificates = Vec::new();
        Ok(OperationStatus::of(registration))
    }

    /// One registration.
    ///
    /// # Errors
    /// Needs `RegistrationStatusRead`. It does not exist.
    pub async fn fetch(&self, ctx: &Context, id: &RegistrationId) -> Result<Registration, Error> {
        ctx.require(ServicePermission::RegistrationStatusRead)?;
        self.room.stored(id).await
    }

    /// Registrations in the order of their ids, after `after` (in lower case), at most `max` (1 to 1,000).
    ///
    /// # Errors
    /// Needs `RegistrationStatusRead`. `max` is out of range.
    pub async fn list(
        &self,
        ctx: &Context,
        filter: RegistrationFilter,
        after: Option<&str>,
        max: usize,
    ) -> Result<Vec<Registration>, Error> {
        ctx.require(ServicePermission::RegistrationStatusRead)?;
        check_page(max)?;
        let room = &self.room;
        let page = room.parts.store.registrations(filter, after, max).await?;
        Ok(page.into_iter().map(|one| room.named(one)).collect())
    }

    /// How many registrations there are.
    ///
    /// # Errors
    /// Needs `RegistrationStatusRead`.
    pub async fn statistics(&self, ctx: &Context) -> Result<RegistrationStatistics, Error> {
        ctx.require(ServicePermission::RegistrationStatusRead)?;
        Ok(self.room.parts.store.registration_statistics().await?)
    }

    /// Devices that were turned away, those with an enrollment before the others, the newest first: one entry for each
    /// registration id, after `after`, at most `max` (1 to 1,000).
    ///
    /// # Errors
    /// Needs `RegistrationStatusRead`. `max` is out of range.
    pub async fn refusals(
        &self,
        ctx: &Context,
        after: Option<&RefusalPosition>,
        max: usize,
    ) -> Result<Vec<Refusal>, Error> {
        ctx.require(ServicePermission::RegistrationStatusRead)?;
        check_page(max)?;
        self.room.refusals.flush().await;
        Ok(self.room.parts.store.refusals(after, max).await?)
    }

    /// How a device was turned away, if it was since it last registered.
    ///
    /// # Errors
    /// Needs `RegistrationStatusRead`. It was not.
    pub async fn refusal(&self, ctx: &Context, id: &RegistrationId) -> Result<Refusal, Error> {
        ctx.require(ServicePermission::RegistrationStatusRead)?;
        self.room.refusals.flush().await;
        let found = self.room.parts.store.refusal(id).await?;
        found.ok_or_else(|| Error::not_found("refusal of", id))
    }

    /// Forgets a registration. The device stays in its hub; when it registers again it does so for the first time.
    ///
    /// # Errors
    /// Needs `RegistrationStatusWrite`. It does not exist; another etag; the device may be in a hub besides its own, which
    /// would be forgotten (409202).
    pub async fn delete(
        &self,
        ctx: &Context,
        id: &RegistrationId,
        if_match: IfMatch,
    ) -> Result<(), Error> {
        ctx.require(ServicePermission::RegistrationStatusWrite)?;
        self.room.parts.check_room()?;
        for _ in 0..RETRIES_MAX {
            let stored = self.room.stored(id).await?;
            check_match(&if_match, &stored.etag.0)?;
            if let Some(stray) = stored.left().next() {
                let text = format!(
                    "the device may still be in the hub {}: try again when it was removed there, or unlink that hub",
                    stray.hub
                );
                return Err(Error::new(ErrorKind::AlreadyExists, text).with_code(codes::UNFINISHED));
            }
            // On this etag, so that an attempt that begins to write the device meanwhile is not forgotten.
            let op = Op::DeleteRegistration {
                id: id.clone(),
                expected: Some(stored.etag),
            };
            match self
                .room
                .parts
                .store
                .submit(Unit::new(op, Vec::new()))
                .await
            {
                Ok(_) => return Ok(()),
                Err(StoreError::Conflict(Conflict::VersionMismatch))
                    if !matches!(if_match, IfMatch::Etag(_)) => {}
                Err(StoreError::Conflict(Conflict::NotFound)) => {
                    return Err(Error::not_found("registration", id));
                }
                Err(error) => return Err(error.into()),
            }
        }
        Err(Error::new(
            ErrorKind::Unavailable,
            "the registration is being changed too often, try again",
        ))
    }

    /// Where a device would go, and why. Nothing is written, no webhook is asked.
    ///
    /// # Errors
    /// Needs `EnrollmentRead`. Nothing is enrolled for the device.
    pub async fn preview(&self, ctx: &Context, request: PreviewRequest) -> Result<Preview, Error> {
        ctx.require(ServicePermission::EnrollmentRead)?;
        self.room.preview(request).await
    }

    /// Tries whether devices can be assigned to a linked hub, and tells why not. Nothing is written there.
    ///
    /// # Errors
    /// Needs `ServiceConfig`. No such hub is linked.
    pub async fn check_link(&self, ctx: &Context, host: &HostName) -> Result<LinkCheck, Error> {
        let linked = self.room.service.linked_hub(ctx, host)?;
        self.room.check_link(linked.host).await
    }
}

impl Room {
    /// Checks a device's proof; one that is not good is noted.
    async fn attest(&self, call: &DeviceCall<'_>) -> Result<Attested, Error> {
        let attested = self.attestor.attest(call).await;
        attested.map_err(|(error, origin)| self.noted(call, origin, error))
    }

    /// Notes a device that is turned away. What is the service's own trouble is none of that.
    fn noted(&self, call: &DeviceCall<'_>, origin: Option<Origin>, error: Error) -> Error {
        if error.is_final() {
            self.refusals
                .note(call, origin, error.code(), error.reason());
        }
        error
    }

    async fn stored(&self, id: &RegistrationId) -> Result<Registration, Error> {
        let found = self.parts.store.registration(id).await?;
        found
            .map(|found| self.named(found))
            .ok_or_else(|| Error::not_found("registration", id))
    }

    /// A registration with the name that the device's hub has now.
    fn named(&self, mut registration: Registration) -> Registration {
        let assignment = registration.assignment.take();
        registration.assignment = assignment.map(|assignment| self.hubs.renamed(assignment));
        registration
    }

    /// A challenge registers once.
    fn check_challenge(&self, call: &DeviceCall<'_>, attested: &Attested) -> Result<(), Error> {
        let is_used = attested
            .challenge()
            .is_some_and(|key| self.challenges.is_used(&call.id, key));
        if !is_used {
            return Ok(());
        }
        let text = "the challenge was answered before, begin anew without a token";
        let origin = Some(attested.origin.clone());
        Err(self.noted(call, origin, Error::unauthorized(text)))
    }

    async fn challenge(&self, call: &DeviceCall<'_>, keys: &TpmKeys) -> Result<Challenge, Error> {
        self.attestor
            .check_scope(call)
            .map_err(|error| self.noted(call, None, error))?;
        let enrollment = self.parts.store.enrollment(&call.id).await?;
        let result = self.try_challenge(call, enrollment.as_ref(), keys);
        let origin = enrollment.map(|_| Origin::Individual);
        result.map_err(|error| self.noted(call, origin, error))
    }

    /// A device that shows its TPM with a token which is not good any more is challenged as one without a token: clients
    /// keep the token of their last attempt (Node, `http.ts`), and challenges do not outlive a restart.
    async fn challenge_anew(
        &self,
        call: &DeviceCall<'_>,
        request: &RegisterRequest,
        error: Error,
    ) -> Result<Registered, Error> {
        let (Credential::Token(_), Some(keys), ErrorKind::NotAuthenticated) =
            (call.credential, &request.tpm, error.kind())
        else {
            return Err(error);
        };
        let enrollment = self.parts.store.enrollment(&call.id).await?;
        // Without keys that fit, what is wrong is the token, which was noted.
        let challenge = self.try_challenge(call, enrollment.as_ref(), keys);
        challenge.map(Registered::Challenge).map_err(|_| error)
    }

    fn try_challenge(
        &self,
        call: &DeviceCall<'_>,
        enrollment: Option<&Enrollment>,
        keys: &TpmKeys,
    ) -> Result<Challenge, Error> {
        let enrolled = enrollment.and_then(|one| match &one.attestation {
            hub_domain::provisioning::Attestation::Tpm {
                endorsement_key, ..
            } => Some(endorsement_key),
            hub_domain::provisioning::Attestation::ClientCertificates(_)
            | hub_domain::provisioning::Attestation::SigningCertificates(_)
            | hub_domain::provisioning::Attestation::AuthorityReferences(_)
            | hub_domain::provisioning::Attestation::SymmetricKey { .. } => None,
        });
        let Some(enrolled) = enrolled else {
            return Err(refused("no enrollment of this registration id takes a TPM"));
        };
        if **enrolled != *keys.endorsement_key {
            return Err(refused("the endorsement key is not the enrolled one"));
        }
        let storage_root_key = keys
            .storage_root_key
            .as_deref()
            .ok_or_else(|| Error::invalid("tpm.storageRootKey is missing"))?;
        let key = self.parts.random_key_of(32);
        let blob = wrapped(&self.parts, &keys.endorsement_key, storage_root_key, &key)?;
        self.challenges.issue(call, key, storage_root_key.to_vec());
        Ok(Challenge {
            authentication_key: blob,
            key_name: "registration",
        })
    }

    /// What of a request is needed to answer it, also after a crash.
    fn kept(
        call: &DeviceCall<'_>,
        attested: &Attested,
        request: &RegisterRequest,
    ) -> RegistrationRequest {
        RegistrationRequest {
            proof: attested.proof.clone(),
            certificate: match call.credential {
                Credential::Certificates(chain) => chain.first().map(|der| Arc::from(&**der)),
                Credential::Token(_) | Credential::None => None,
            },
            payload: request.payload.clone(),
            address: call.address,
            signing_request: request.signing_request.as_deref().map(Arc::from),
            stays_without_policy: request.stays_without_policy(),
            enrollment: attested.etag.clone(),
            target: None,
        }
    }
}
