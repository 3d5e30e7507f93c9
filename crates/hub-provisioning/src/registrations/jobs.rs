//! Registrations that take longer: a webhook or another installation has to answer first.
//!
//! What has to be done is in the store; the queue only says what to look at. After a start, and now and then, all that is
//! not finished is looked at.

use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use hub_domain::provisioning::{
    AllocationWebhook, Progress, Registration, RegistrationFailure, RegistrationId,
    RegistrationRequest, Target,
};
use hub_storage::store::{RegistrationFilter, Unit};
use tokio::sync::mpsc;

use super::Room;
use super::assign::{Attempt, Failed, Given};
use super::goal::Goal;
use crate::Error;
use crate::error::codes;

/// Jobs under way at once.
const UNDER_WAY_MAX: usize = 512;
/// Jobs that wait; what finds no room is found again by the next look.
const WAITING_MAX: usize = 10_000;
/// How often all that is not finished is looked at.
const LOOK_INTERVAL: Duration = Duration::from_secs(15);
/// Registrations looked at at once.
const PAGE: usize = 256;
/// How often an attempt is decided anew when something changed meanwhile.
const RETRIES_MAX: u32 = 8;

type Running<'a> = Pin<Box<dyn Future<Output = RegistrationId> + Send + 'a>>;

/// What waits to be gone on with.
pub(super) struct Jobs {
    send: mpsc::Sender<RegistrationId>,
    receive: tokio::sync::Mutex<mpsc::Receiver<RegistrationId>>,
    /// Waiting or under way, so that nothing is done twice at once; and what became of it when somebody asked meanwhile.
    known: Mutex<HashMap<String, Asked>>,
}

/// There are too many jobs.
pub(super) struct Full;

/// Whether a job that is known was asked for again since it began.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Asked {
    Once,
    Again,
}

impl Jobs {
    pub(super) fn new() -> Self {
        let (send, receive) = mpsc::channel(WAITING_MAX);
        Self {
            send,
            receive: tokio::sync::Mutex::new(receive),
            known: Mutex::default(),
        }
    }

    /// Goes on with a registration soon; one that is being gone on with is looked at again after that.
    /// What finds no room is found by the next look.
    pub(super) fn start(&self, id: &RegistrationId) -> Result<(), Full> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(asked) = known.get_mut(id.key()) {
            *asked = Asked::Again;
            return Ok(());
        }
        self.send.try_send(id.clone()).map_err(|_| Full)?;
        known.insert(id.key().to_owned(), Asked::Once);
        Ok(())
    }

    /// What was asked for until now is answered by what begins now.
    fn begun(&self, id: &RegistrationId) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.insert(id.key().to_owned(), Asked::Once);
    }

    fn done(&self, id: &RegistrationId) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.remove(id.key()) == Some(Asked::Again) && self.send.try_send(id.clone()).is_ok() {
            known.insert(id.key().to_owned(), Asked::Once);
        }
    }
}

impl Room {
    /// Does jobs until it is dropped.
    pub(super) async fn run_jobs(&self) {
        tokio::join!(self.do_jobs(), self.look_often());
    }

    async fn do_jobs(&self) {
        let mut waiting = self.jobs.receive.lock().await;
        let mut running: FuturesUnordered<Running<'_>> = FuturesUnordered::new();
        loop {
            tokio::select! {
                Some(id) = running.next(), if !running.is_empty() => self.jobs.done(&id),
                Some(id) = waiting.recv(), if running.len() < UNDER_WAY_MAX => {
                    self.jobs.begun(&id);
                    running.push(Box::pin(async move {
                        self.go_on(&id).await;
                        id
                    }));
                }
            }
        }
    }

    async fn look_often(&self) {
        let mut look = tokio::time::interval(LOOK_INTERVAL);
        look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut after = None;
        loop {
            look.tick().await;
            after = self.look(after).await;
        }
    }

    /// Finds what is not finished, after an id. Gives the id to go on after when there is no room for more.
    async fn look(&self, mut after: Option<String>) -> Option<String> {
        loop {
            let page = self
                .parts
                .store
                .registrations(RegistrationFilter::Unfinished, after.as_deref(), PAGE)
                .await;
            let page = match page {
                Ok(page) => page,
                Err(error) => {
                    tracing::warn!(
                        error = &error as &dyn std::error::Error,
                        "unfinished registrations cannot be read"
                    );
                    return after;
                }
            };
            for registration in &page {
                if self.jobs.start(&registration.id).is_err() {
                    return after;
                }
                after = Some(registration.id.key().to_owned());
            }
            if page.len() < PAGE {
                return None;
            }
        }
    }

    /// Goes on with one registration. What fails for now is found again by the next look.
    async fn go_on(&self, id: &RegistrationId) {
        for _ in 0..RETRIES_MAX {
            let found = match self.parts.store.registration(id).await {
                Ok(found) => found,
                Err(error) => return warn(id, &error.into()),
            };
            let Some(registration) = found.map(|found| self.named(found)) else {
                return;
            };
            match &registration.progress {
                Progress::Assigning(request) => match self.finish(&registration, request).await {
                    Ok(done) if !done.is_unfinished() => return,
                    Ok(_) | Err(Failed::Changed) => {}
                    Err(Failed::Later) => {
                        let _ = self.jobs.start(id);
                        return;
                    }
                    Err(Failed::Elsewhere(error) | Failed::Finally(error)) => {
                        return warn(id, &error);
                    }
                },
                Progress::Assigned | Progress::Failed(_) => {
                    let now = self.parts.environment.now();
                    self.leave(registration, now).await;
                    return;
                }
            }
        }
    }

    /// Takes an attempt that is under way to its end.
    async fn finish(
        &self,
        registration: &Registration,
        request: &RegistrationRequest,
    ) -> Result<Registration, Failed> {
        let attested = match self.attested_again(registration, request).await {
            Ok(mut attested) => {
                self.keep_name(&mut attested, request, Some(registration));
                attested
            }
            Err(error) if error.is_final() => {
                return self.fail_without_enrollment(registration, &error).await;
            }
            Err(error) => return Err(Failed::Finally(error)),
        };
        let mut attempt = Attempt::new(
            &registration.id,
            &attested,
            request,
            Some(registration),
            (registration.operation.clone(), self.parts.environment.now()),
        );
        match self.reach_goal(&mut attempt).await {
            Err(Failed::Finally(error)) if error.is_final() => {
                // It was tried with every hub there is: the device is told, and asks again when it wants to.
                self.commit_failure(&attempt, error.code(), error.message())
                    .await
            }
            result => result,
        }
    }

    /// Assigns the device to the hub where that was begun, else to the best one that can be reached.
    async fn reach_goal(&self, attempt: &mut Attempt<'_>) -> Result<Registration, Failed> {
        let mut failures = Vec::new();
        if let Some(target) = attempt.target.clone() {
            match self.assign_target(attempt, *target).await {
                Err(Failed::Elsewhere(error)) => failures.push(error),
                result => return result,
            }
        }
        let goal = self.goal(
            attempt.attested,
            attempt.request,
            attempt.id,
            attempt.existing,
        );
        let mut hosts = match goal.map_err(Failed::Finally)? {
            Goal::Stay(assignment) => vec![assignment.hub],
            Goal::Ranked(hosts) => hosts,
            Goal::Ask(webhook) => {
                let target = self.webhook_target(attempt, &webhook).await?;
                match self.assign_target(attempt, target).await {
                    Err(Failed::Elsewhere(error)) => failures.push(error),
                    result => return result,
                }
                Vec::new()
            }
        };
        // Nobody waits for a hub that is away while there is another.
        hosts.sort_by_key(|host| self.hubs.is_away(host));
        for host in &hosts {
            match self.assign(attempt, host, Given::default()).await {
                Err(Failed::Elsewhere(error)) => {
                    tracing::warn!(
                        registration = %attempt.id,
                        hub = %host,
                        error = &error as &dyn std::error::Error,
                        "a hub cannot be used for a device, the next one is tried"
                    );
                    failures.push(error);
                }
                result => return result,
            }
        }
        let mut said: Vec<&str> = failures.iter().map(Error::message).collect();
        said.dedup();
        let code = failures.last().map_or(codes::NO_HUB, Error::code);
        Err(Failed::Finally(
            Error::invalid(said.join("; ")).with_code(code),
        ))
    }

    /// Assigns the device where that was noted or a webhook said. When it has to wait for that, the answer is kept.
    async fn assign_target(
        &self,
        attempt: &mut Attempt<'_>,
        target: Target,
    ) -> Result<Registration, Failed> {
        let given = Given {
            twin: target.twin.clone(),
            payload: target.payload.clone(),
        };
        match self.assign(attempt, &target.place.hub, given).await {
            Err(Failed::Later) if attempt.target.as_deref() != Some(&target) => {
                self.note_target(attempt, target).await?;
                Err(Failed::Later)
            }
            result => result,
        }
    }

    /// Asks the webhook.
    async fn webhook_target(
        &self,
        attempt: &Attempt<'_>,
        webhook: &AllocationWebhook,
    ) -> Result<Target, Failed> {
        let slot = self.hubs.slots.take(webhook.url.as_str()).await;
        let _slot = slot.ok_or(Failed::Later)?;
        let answer = self.ask_webhook(webhook, attempt).await;
        let (host, Given { twin, payload }) = answer.map_err(Failed::Finally)?;
        Ok(Target {
            place: self.hubs.place(&host, &attempt.attested.device),
            twin,
            payload,
        })
    }

    /// Ends an attempt whose enrollment does not let it go on any more. Where that was deleted the registration goes with
    /// it, unless the device has still to be removed somewhere.
    async fn fail_without_enrollment(
        &self,
        registration: &Registration,
        error: &Error,
    ) -> Result<Registration, Failed> {
        let (code, message) = (error.code(), error.message());
        tracing::info!(registration = %registration.id, code, message, "a registration failed");
        let next = Registration {
            progress: Progress::Failed(RegistrationFailure {
                code,
                message: message.to_owned(),
            }),
            etag: self.parts.random_etag(),
            updated: self.parts.environment.now(),
            ..registration.clone()
        };
        self.note_left(registration, &next, Unit::default()).await?;
        Ok(next)
    }
}

fn warn(id: &RegistrationId, error: &Error) {
    tracing::warn!(
        registration = %id,
        error = error as &dyn std::error::Error,
        "a registration cannot be gone on with for now"
    );
}
