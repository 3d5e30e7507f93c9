//! What the heads share of provisioning: a device that registers, its proof, and the answers to its requests.

mod places;

use std::fmt::Write as _;
use std::net::IpAddr;
use std::sync::Arc;

use hub_domain::Timestamp;
use hub_domain::limits::{PROVISIONING_REQUEST_TIME_MAX, PROVISIONING_RETRY_AFTER};
use hub_domain::provisioning::RegistrationId;
use hub_engine::{Engine, ErrorKind};
use hub_provisioning::{
    Challenge, Credential, DeviceCall, Error, OperationStatus, Provisioning, Registered, TpmKeys,
    error_document,
};
use rustls::pki_types::CertificateDer;

use places::{Place, Places};

/// Where devices of one protocol register.
pub(crate) struct Desk {
    engine: Arc<Engine>,
    service: Arc<Provisioning>,
    places: Arc<Places>,
}

/// Which device registers, and where: `{idScope}/registrations/{registrationId}`.
#[derive(Clone, Debug, Eq)]
pub(crate) struct Name {
    pub(crate) id_scope: Box<str>,
    pub(crate) id: RegistrationId,
}

/// Scopes compare without case, as ids do.
impl PartialEq for Name {
    fn eq(&self, other: &Self) -> bool {
        self.id_scope.eq_ignore_ascii_case(&other.id_scope) && self.id == other.id
    }
}

/// A device that registers, as it names and proves itself.
pub(crate) struct Device {
    pub(crate) name: Name,
    pub(crate) proof: Proof,
    pub(crate) address: IpAddr,
}

/// What a device shows.
pub(crate) enum Proof {
    Token(Box<str>),
    /// Those of its TLS connection, its own first.
    Certificates(Vec<CertificateDer<'static>>),
    Nothing,
}

impl Proof {
    /// A token decides, whatever certificate the TLS connection has.
    pub(crate) fn of(token: Option<&str>, certificates: &[CertificateDer<'static>]) -> Self {
        match (token, certificates) {
            (Some(token), _) => Self::Token(token.into()),
            (None, []) => Self::Nothing,
            (None, certificates) => Self::Certificates(certificates.to_vec()),
        }
    }
}

impl Device {
    fn call(&self, now: Timestamp) -> DeviceCall<'_> {
        DeviceCall {
            id_scope: &self.name.id_scope,
            id: self.name.id.clone(),
            credential: match &self.proof {
                Proof::Token(token) => Credential::Token(token),
                Proof::Certificates(certificates) => Credential::Certificates(certificates),
                Proof::Nothing => Credential::None,
            },
            address: Some(self.address),
            now,
        }
    }

    /// True when an address names this device.
    pub(crate) fn is(&self, name: &Name) -> bool {
        self.name == *name
    }
}

/// A device whose proof was good when it connected, with its place among those that register.
pub(crate) struct Admitted {
    pub(crate) device: Device,
    _place: Place,
}

/// What a device asks.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Request {
    /// To be registered.
    Register {
        body: Vec<u8>,
        api_version: Option<Box<str>>,
    },
    /// What became of a registration under way.
    Status { operation: Box<str> },
    /// Where it is registered.
    Lookup,
    /// Something that cannot be read.
    Malformed(&'static str),
}

/// An answer, of which each protocol takes what it has a place for.
pub(crate) struct Answer {
    /// As of HTTP.
    pub(crate) status: u16,
    /// JSON.
    pub(crate) document: String,
    pub(crate) retry_after_seconds: Option<u64>,
    /// What kind of failure it is, with the id that finds it in the log.
    pub(crate) failure: Option<(ErrorKind, String)>,
}

impl Answer {
    fn of(status: &OperationStatus) -> Self {
        Self {
            status: if status.is_final() { 200 } else { 202 },
            document: status.document(),
            retry_after_seconds: status.retry_after().map(|after| after.as_secs()),
            failure: None,
        }
    }
}

impl Desk {
    pub(crate) fn new(engine: Arc<Engine>, service: Arc<Provisioning>) -> Arc<Self> {
        Arc::new(Self {
            engine,
            service,
            places: Places::new(),
        })
    }

    fn now(&self) -> Timestamp {
        self.engine.environment().now()
    }

    /// Lets a device in that proves itself. Each of its requests is checked again.
    ///
    /// # Errors
    /// Those of `Registrations::admit`; `Unavailable` when too many are connected.
    pub(crate) async fn admit(&self, device: Device) -> Result<Admitted, Error> {
        let registrations = &self.service.registrations;
        let call = device.call(self.now());
        in_time(registrations.admit(&call)).await?;
        let place = self.places.take(&device.name.id).ok_or_else(|| {
            Error::new(
                ErrorKind::Unavailable,
                "too many devices register at the moment",
            )
        })?;
        Ok(Admitted {
            device,
            _place: place,
        })
    }

    /// A key for the device's TPM, with which it signs its token.
    ///
    /// # Errors
    /// Those of `Registrations::challenge`.
    pub(crate) async fn challenge(
        &self,
        device: &Device,
        keys: &TpmKeys,
    ) -> Result<Challenge, Error> {
        let call = device.call(self.now());
        in_time(self.service.registrations.challenge(&call, keys)).await
    }

    /// Does what a device asks.
    pub(crate) async fn answer(&self, device: &Device, request: Request) -> Answer {
        let now = self.now();
        let call = device.call(now);
        match in_time(self.perform(&call, request)).await {
            Ok(answer) => answer,
            Err(error) => self.failure(device, &error, now),
        }
    }

    async fn perform(&self, call: &DeviceCall<'_>, request: Request) -> Result<Answer, Error> {
        let registrations = &self.service.registrations;
        match request {
            Request::Register { body, api_version } => {
                let version = api_version.as_deref();
                let mut request = registrations.read(call, &body, version).await?;
                if matches!(call.credential, Credential::Token(_)) {
                    // The keys were shown at the login: another challenge would reach nobody, and void the one in use.
                    request.tpm = None;
                }
                match registrations.register(call, request).await? {
                    Registered::Accepted(status) => Ok(Answer::of(&status)),
                    // Over AMQP the challenge comes before, over MQTT there is none ("Communicate with DPS using the
                    // MQTT protocol").
                    Registered::Challenge(_) => Err(Error::new(
                        ErrorKind::NotAuthenticated,
                        "a TPM is proved over HTTPS, or over AMQP by the SASL mechanism TPM",
                    )),
                }
            }
            Request::Status { operation } => {
                let status = registrations.status(call, &operation).await?;
                Ok(Answer::of(&status))
            }
            Request::Lookup => {
                let status = registrations.lookup(call).await?;
                Ok(Answer {
                    status: 200,
                    document: status.state_document(),
                    retry_after_seconds: None,
                    failure: None,
                })
            }
            Request::Malformed(text) => Err(Error::new(ErrorKind::Invalid, text)),
        }
    }

    fn failure(&self, device: &Device, error: &Error, now: Timestamp) -> Answer {
        let tracking = self.tracking_id();
        let id = &device.name.id;
        if error.kind() == ErrorKind::Internal {
            tracing::error!(error = error as &dyn std::error::Error, reason = error.reason(), tracking, registration_id = %id, "a registration failed");
        } else {
            tracing::debug!(%error, reason = error.reason(), code = error.code(), tracking, registration_id = %id, "registration refused");
        }
        Answer {
            status: u16::try_from(error.code() / 1_000).unwrap_or(500),
            document: error_document(error, &tracking, now),
            retry_after_seconds: is_transient(error.kind()).then(|| {
                error
                    .retry_after()
                    .unwrap_or(PROVISIONING_RETRY_AFTER)
                    .as_secs()
            }),
            failure: Some((error.kind(), tracking)),
        }
    }

    fn tracking_id(&self) -> String {
        let mut bytes = [0; 16];
        self.engine.environment().fill_random(&mut bytes);
        let mut text = String::with_capacity(36);
        for (at, byte) in bytes.into_iter().enumerate() {
            if matches!(at, 4 | 6 | 8 | 10) {
                text.push('-');
            }
            write!(text, "{byte:02x}").expect("a string takes every text");
        }
        text
    }
}

async fn in_time<T>(work: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    match tokio::time::timeout(PROVISIONING_REQUEST_TIME_MAX, work).await {
        Ok(result) => result,
        Err(_) => Err(Error::new(
            ErrorKind::TimedOut,
            "the service did not come to an end in time, try again",
        )),
    }
}

/// True when the same request may do better later. Clients go on after 429 and above.
pub(crate) const fn is_transient(kind: ErrorKind) -> bool {
    match kind {
        ErrorKind::Throttled
        | ErrorKind::TimedOut
        | ErrorKind::Unavailable
        | ErrorKind::DeviceOffline
        | ErrorKind::BadDeviceAnswer
        | ErrorKind::Internal => true,
        ErrorKind::NotFound
        | ErrorKind::AlreadyExists
        | ErrorKind::PreconditionFailed
        | ErrorKind::Invalid
        | ErrorKind::TooLarge
        | ErrorKind::NotAuthenticated
        | ErrorKind::NotAllowed
        | ErrorKind::QuotaExceeded => false,
    }
}
