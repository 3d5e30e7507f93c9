//! Registrations that take longer: a webhook or another installation has to answer first.
//!
//! What has to be done is in the store; the queue only says what to look at. After a start, and now and then, all that is
//! not finished is looked at.

use std::collections::HashSet;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use hub_domain::HostName;
use hub_domain::Status;
use hub_domain::provisioning::{Progress, Registration, RegistrationId, RegistrationRequest};
use hub_storage::store::RegistrationFilter;
use tokio::sync::mpsc;

use super::Room;
use super::assign::{Attempt, Failed, Given, is_final};
use super::goal::Goal;
use crate::Error;

/// Jobs under way at once.
const UNDER_WAY_MAX: usize = 64;
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
    /// Waiting or under way, so that nothing is done twice at once.
    known: Mutex<HashSet<String>>,
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

    /// Goes on with a registration soon, unless that is done already.
    pub(super) fn start(&self, id: &RegistrationId) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if !known.insert(id.key().to_owned()) {
            return;
        }
        if self.send.try_send(id.clone()).is_err() {
            known.remove(id.key());
        }
    }

    fn done(&self, id: &RegistrationId) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.remove(id.key());
    }
}

impl Room {
    /// Does jobs until it is dropped.
    pub(super) async fn run_jobs(&self) {
        let mut waiting = self.jobs.receive.lock().await;
        let mut running: FuturesUnordered<Running<'_>> = FuturesUnordered::new();
        let mut look = tokio::time::interval(LOOK_INTERVAL);
        look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                Some(id) = running.next(), if !running.is_empty() => self.jobs.done(&id),
                Some(id) = waiting.recv(), if running.len() < UNDER_WAY_MAX => {
                    running.push(Box::pin(async move {
                        self.go_on(&id).await;
                        id
                    }));
                }
                _ = look.tick() => self.look().await,
            }
        }
    }

    /// Finds what is not finished.
    async fn look(&self) {
        let mut after: Option<String> = None;
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
                    return;
                }
            };
            for registration in &page {
                self.jobs.start(&registration.id);
            }
            match page.last() {
                Some(last) if page.len() == PAGE => after = Some(last.id.key().to_owned()),
                Some(_) | None => return,
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
            let Some(registration) = found.filter(Self::is_unfinished) else {
                return;
            };
            let now = self.parts.environment.now();
            match &registration.progress {
                Progress::Leaving(_) => {
                    self.leave(registration, now).await;
                    return;
                }
                Progress::Assigning(request) => match self.finish(&registration, request).await {
                    Ok(_) => return,
                    Err(Failed::Changed) => {}
                    Err(Failed::Finally(error)) => return warn(id, &error),
                },
                Progress::Assigned | Progress::Failed(_) => return,
            }
        }
    }

    /// Takes an attempt that is under way to its end.
    async fn finish(
        &self,
        registration: &Registration,
        request: &RegistrationRequest,
    ) -> Result<Registration, Failed> {
        let attested = self.attested_again(registration, request).await;
        let attested = match attested {
            Ok(mut attested) if attested.terms.status == Status::Enabled => {
                attested.keep_name(Some(registration));
                attested
            }
            Ok(_) => {
                let text = "the enrollment was disabled while the device registered";
                return self
                    .fail_without_enrollment(registration, 403_201, text)
                    .await;
            }
            Err(error) if is_final(&error) => {
                let (code, text) = (error.code(), error.message().to_owned());
                return self
                    .fail_without_enrollment(registration, code, &text)
                    .await;
            }
            Err(error) => return Err(Failed::Finally(error)),
        };
        let attempt = Attempt {
            id: &registration.id,
            attested: &attested,
            request,
            existing: Some(registration),
            operation: registration.operation.clone(),
            now: self.parts.environment.now(),
        };
        match self.reach_goal(&attempt).await {
            Ok(done) => Ok(done),
            Err(Failed::Finally(error)) => {
                // It was tried with every hub there is: the device is told, and asks again when it wants to.
                self.commit_failure(&attempt, error.code(), error.message())
                    .await
            }
            Err(Failed::Changed) => Err(Failed::Changed),
        }
    }

    async fn reach_goal(&self, attempt: &Attempt<'_>) -> Result<Registration, Failed> {
        let goal = self
            .goal(
                attempt.attested,
                attempt.request,
                attempt.id,
                attempt.existing,
            )
            .map_err(Failed::Finally)?;
        let (hosts, given): (Vec<HostName>, Given) = match goal {
            Goal::Stay(assignment) => (vec![assignment.hub], Given::default()),
            Goal::Ranked(hosts) => (hosts, Given::default()),
            Goal::Ask(webhook) => {
                let (host, given) = self
                    .ask_webhook(&webhook, attempt)
                    .await
                    .map_err(Failed::Finally)?;
                (vec![host], given)
            }
        };
        let mut failures = Vec::new();
        for host in &hosts {
            match self.assign(attempt, host, given.clone()).await {
                Err(Failed::Finally(error)) if !is_final(&error) => failures.push(error),
                result => return result,
            }
        }
        let said: Vec<&str> = failures.iter().map(Error::message).collect();
        let code = failures
            .last()
            .map_or(crate::error::codes::NO_HUB, Error::code);
        Err(Failed::Finally(
            Error::invalid(said.join("; ")).with_code(code),
        ))
    }

    /// An attempt whose enrollment does not let it go on any more.
    async fn fail_without_enrollment(
        &self,
        registration: &Registration,
        code: u32,
        message: &str,
    ) -> Result<Registration, Failed> {
        tracing::info!(registration = %registration.id, code, message, "a registration failed");
        let next = Registration {
            progress: Progress::Failed(hub_domain::provisioning::RegistrationFailure {
                code,
                message: message.to_owned(),
            }),
            etag: self.parts.random_etag(),
            updated: self.parts.environment.now(),
            ..registration.clone()
        };
        let op = hub_storage::store::Op::PutRegistration {
            next: Box::new(next.clone()),
            expected: Some(registration.etag.clone()),
        };
        let unit = hub_storage::store::Unit::new(op, Vec::new());
        self.parts.store.submit(unit).await?;
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
