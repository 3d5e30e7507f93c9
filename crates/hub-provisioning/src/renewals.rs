//! Certificates for devices that are connected ("IoT Hub certificate renewal"; Azure/azure-iot-sdk-java,
//! `MqttCertificateSigning.java`): a device whose certificate an authority of its hub vouches for gets the next one there,
//! on the terms of the enrollment that it registered by, and does not register again.
//!
//! Nothing of it is stored: what is issued is good by its signature, and a device that lost the answer asks again. What is
//! under way is known in memory, and ends with the connection that asked.

mod replies;
mod request;
mod under_way;

use std::sync::Arc;

use futures_util::future::BoxFuture;
use hub_domain::limits::RENEWAL_TIME_MAX;
use hub_domain::provisioning::{Assignment, Origin, Registration, Terms};
use hub_domain::{DeviceId, HubNo, Status, Timestamp};
use hub_engine::{ErrorKind, Session};

use crate::credentials::IssuedChain;
use crate::error::codes;
use crate::groups::Groups;
use crate::hubs::{HubError, LinkedHubs};
use crate::issuance::{CertificateRequest, RequestError};
use crate::parts::Parts;
use crate::service::Service;
use crate::{Credentials, Error};
use replies::{Failure, Replies};
use under_way::{Ticket, UnderWay};

pub use replies::Reply;
pub use request::{Malformed, RenewalRequest, Replace};

/// Issues certificates to connected devices. Cheap to clone.
#[derive(Clone)]
pub struct Renewals {
    room: Arc<Room>,
}

struct Room {
    parts: Parts,
    groups: Groups,
    hubs: LinkedHubs,
    credentials: Credentials,
    under_way: Arc<UnderWay>,
}

/// What a device that asked is told.
pub struct Begun {
    /// At once: that it is accepted, or why not.
    pub first: Reply,
    /// When it is accepted, how it ends. It comes in bounded time.
    pub outcome: Option<BoxFuture<'static, Reply>>,
}

impl Renewals {
    pub(crate) fn new(
        parts: Parts,
        service: Service,
        groups: Groups,
        credentials: Credentials,
    ) -> Self {
        Self {
            room: Arc::new(Room {
                hubs: LinkedHubs::new(parts.clone(), service),
                under_way: Arc::default(),
                parts,
                groups,
                credentials,
            }),
        }
    }

    /// Takes a request of the device that `session` is of. The outcome has to be polled to come about, and is given up when
    /// it is dropped.
    pub fn begin(&self, session: &Session, request_id: &str, body: &[u8], now: Timestamp) -> Begun {
        match self.accept(session, request_id, body, now) {
            Ok(begun) => begun,
            Err(failure) => Begun {
                first: Replies::new(&self.room.parts, now).failure(&failure, None),
                outcome: None,
            },
        }
    }

    fn accept(
        &self,
        session: &Session,
        request_id: &str,
        body: &[u8],
        now: Timestamp,
    ) -> Result<Begun, Failure> {
        let room = Arc::clone(&self.room);
        let (hub, device) = (session.hub(), session.id().device.clone());
        let request = RenewalRequest::parse(&device, body).map_err(Failure::Malformed)?;
        check_proof(session)?;
        let correlation = room.parts.random_uuid();
        let expires = now.plus(RENEWAL_TIME_MAX);
        let ticket = room.under_way.begin(
            (hub, device.clone()),
            request.replace.as_ref(),
            under_way::Pending {
                request_id: request_id.to_owned(),
                correlation: correlation.clone(),
                expires,
            },
            now,
        );
        let ticket = ticket.map_err(Failure::Busy)?;
        let first = replies::accepted(&correlation, expires);
        let outcome = async move {
            let result = room.issue_in_time(&ticket, hub, &device, &request, now);
            room.tell(hub, &device, &correlation, result.await)
        };
        Ok(Begun {
            first,
            outcome: Some(Box::pin(outcome)),
        })
    }
}

/// A certificate outlives tokens and thumbprints, so only who has one of its kind gets another.
fn check_proof(session: &Session) -> Result<(), Failure> {
    let text = if session.id().module.is_some() {
        "modules get no certificates, only devices do"
    } else if session.has_authority() {
        return Ok(());
    } else {
        "the device is not connected with a certificate that an authority of the hub vouches for"
    };
    Err(Failure::NotIssued(Error::new(ErrorKind::NotAllowed, text)))
}

impl Room {
    async fn issue_in_time(
        &self,
        ticket: &Ticket,
        hub: HubNo,
        device: &DeviceId,
        request: &RenewalRequest,
        now: Timestamp,
    ) -> Result<IssuedChain, Failure> {
        let issuing = self.issue(hub, device, &request.signing_request, now);
        let issued = match tokio::time::timeout(RENEWAL_TIME_MAX, issuing).await {
            Ok(result) => result?,
            Err(_) => {
                let text = "the certificate was not issued in time, ask again";
                return Err(Failure::NotIssued(Error::new(ErrorKind::TimedOut, text)));
            }
        };
        if ticket.is_current() {
            Ok(issued)
        } else {
            Err(Failure::Replaced)
        }
    }

    async fn issue(
        &self,
        hub: HubNo,
        device: &DeviceId,
        signing_request: &[u8],
        now: Timestamp,
    ) -> Result<IssuedChain, Failure> {
        let request = CertificateRequest::parse(signing_request).map_err(Failure::Request)?;
        let registration = self.registration(hub, device).await?;
        check_name(&request, device, &registration).map_err(Failure::Request)?;
        let terms = self.terms(&registration).await?;
        if terms.status == Status::Disabled {
            let error = Error::new(ErrorKind::NotAllowed, "the enrollment is disabled");
            return Err(Failure::NotIssued(error.with_code(codes::DISABLED)));
        }
        let policy = terms.credential_policy.as_ref();
        let issued = self.credentials.issue(policy, device, &request, now)?;
        // The policy may name another issuer than when the device registered.
        let trusted = self.hubs.trust(hub, &issued, now).await;
        trusted.map_err(HubError::into_error)?;
        Ok(issued)
    }

    /// The registration that has this device of the hub.
    async fn registration(&self, hub: HubNo, device: &DeviceId) -> Result<Registration, Error> {
        let mut found = None;
        let look = |one: Registration| {
            let assignment = one.assignment.as_ref();
            let place = assignment.map(Assignment::place);
            if place.is_some_and(|place| place.own == Some(hub) && one.has(&place)) {
                found = Some(one);
            }
        };
        self.parts.each_registration_of(device, look).await?;
        found.ok_or_else(|| {
            let text = "the device has no registration for this hub, register again";
            Error::new(ErrorKind::NotFound, text)
        })
    }

    /// What the enrollment grants: the device's own, which goes before any group, or that of its group.
    async fn terms(&self, registration: &Registration) -> Result<Terms, Error> {
        if let Some(own) = self.parts.store.enrollment(&registration.id).await? {
            return Ok(own.terms);
        }
        let group = match &registration.origin {
            Origin::Individual => None,
            Origin::Group(group) => self.groups.find(group).ok(),
        };
        let group = group.ok_or_else(|| {
            let text = "the enrollment that the device registered by is gone";
            Error::new(ErrorKind::NotFound, text)
        })?;
        Ok(group.terms.clone())
    }

    fn tell(
        &self,
        hub: HubNo,
        device: &DeviceId,
        correlation: &str,
        result: Result<IssuedChain, Failure>,
    ) -> Reply {
        match result {
            Ok(issued) => {
                tracing::info!(hub = hub.0, %device, issuer = %issued.issuer, "a certificate was renewed");
                replies::issued(correlation, &issued.chain)
            }
            Err(failure) => {
                let replies = Replies::new(&self.parts, self.parts.environment.now());
                let reply = replies.failure(&failure, Some(correlation));
                failure.log(hub, device);
                reply
            }
        }
    }
}

/// Devices name themselves by the id in their hub, or by the one that they registered under.
fn check_name(
    request: &CertificateRequest,
    device: &DeviceId,
    registration: &Registration,
) -> Result<(), RequestError> {
    let by_device = request.check_name(device.as_str());
    by_device.or_else(|_| request.check_name(registration.id.as_str()))
}
