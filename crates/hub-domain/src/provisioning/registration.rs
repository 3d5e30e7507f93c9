//! Registrations: what became of a device that asked for its hub.

use core::net::IpAddr;
use std::sync::Arc;

use serde_json::Value;

use super::{AttestationKind, EnrollmentGroupId, InitialTwin, OperationId, RegistrationId};
use crate::certificate::CertificateInfo;
use crate::identity::Thumbprint;
use crate::{DeviceId, Etag, HostName, HubNo, SymmetricKey, Timestamp};

/// What is kept of a device that registered, one per registration id: the newest attempt, and the assignment that
/// stands.
#[derive(Clone)]
pub struct Registration {
    /// Under which id.
    pub id: RegistrationId,
    /// The enrollment that let it register.
    pub origin: Origin,
    /// How the device proved itself.
    pub attestation: AttestationKind,
    /// The newest attempt.
    pub operation: OperationId,
    /// How far that is.
    pub progress: Progress,
    /// The hub it was given last; kept while a new attempt is under way or has failed.
    pub assignment: Option<Assignment>,
    /// Hubs besides that one which may have the device: a former one, or one where an attempt began to write it and did
    /// not come to its end. Each is here once; the device is removed from them.
    pub strays: Vec<Place>,
    /// What the webhook gave for the device.
    pub payload: Option<Value>,
    /// The key of a device with a TPM for its hub, readable only by that TPM.
    pub authentication_key: Option<Arc<[u8]>>,
    /// The certificates that it proved itself with in the newest attempt, when it did so with certificates.
    pub certificates: Option<Box<RegisteredCertificates>>,
    /// The certificates issued in the newest attempt, leaf first, in DER.
    pub issued_certificates: Vec<Arc<[u8]>>,
    /// Changes with every write, unquoted.
    pub etag: Etag,
    /// When it registered first.
    pub created: Timestamp,
    /// When it last changed.
    pub updated: Timestamp,
}

impl Registration {
    /// The hubs that the device is to be removed from: all strays but the assignment, which is among them while it is not
    /// known whether its identity there is whole.
    pub fn left(&self) -> impl Iterator<Item = &Place> {
        let assigned = self.assignment.as_ref().map(Assignment::place);
        let strays = self.strays.iter();
        strays.filter(move |stray| !assigned.as_ref().is_some_and(|place| place.is_same(stray)))
    }

    /// Whether somebody has to go on with it.
    pub fn is_unfinished(&self) -> bool {
        matches!(self.progress, Progress::Assigning(_)) || self.left().next().is_some()
    }
}

/// The certificates that a device registered with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegisteredCertificates {
    /// The device's own.
    pub device: CertificateInfo,
    /// The one of the group or the service that vouched for it; none where the device's own is enrolled.
    pub signing: Option<CertificateInfo>,
}

/// Which enrollment let a device register.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Its own.
    Individual,
    /// That of a group.
    Group(EnrollmentGroupId),
}

/// How far an attempt is.
#[derive(Clone)]
pub enum Progress {
    /// A webhook or another installation has to answer first. What is needed to go on after a crash is here.
    Assigning(Box<RegistrationRequest>),
    /// The device has its hub.
    Assigned,
    /// It has none, or not the new one.
    Failed(RegistrationFailure),
}

/// Why an attempt failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegistrationFailure {
    /// The six-digit code.
    pub code: u32,
    /// A text for people: what to do about it.
    pub message: String,
}

/// What a device asked for, as far as it is needed to answer.
#[derive(Clone, PartialEq)]
pub struct RegistrationRequest {
    /// How it proved itself: what its identity in the hub will accept.
    pub proof: DeviceProof,
    /// The certificate that it showed, in DER.
    pub certificate: Option<Arc<[u8]>>,
    /// The member `payload` of its request.
    pub payload: Option<Value>,
    /// Where it called from.
    pub address: Option<IpAddr>,
    /// The certificate signing request it sent, in DER.
    pub signing_request: Option<Arc<[u8]>>,
    /// True for a client of 2018-04-01 or older, which knows no other policy than to stay where it is.
    pub stays_without_policy: bool,
    /// The etag of the enrollment that it proved itself to, or that the target was decided on.
    pub enrollment: Etag,
    /// Where the device goes: once a webhook said so and it has to wait, or just before it is written there.
    pub target: Option<Box<Target>>,
}

impl RegistrationRequest {
    /// Whether another request asks for the same by the same proof.
    pub fn asks_same(&self, other: &Self) -> bool {
        self.proof == other.proof
            && self.certificate == other.certificate
            && self.payload == other.payload
            && self.signing_request == other.signing_request
            && self.stays_without_policy == other.stays_without_policy
            && self.enrollment == other.enrollment
    }
}

/// A hub that was chosen, and what the webhook gave with it.
#[derive(Clone, PartialEq)]
pub struct Target {
    /// Where.
    pub place: Place,
    /// The twin for the device.
    pub twin: Option<InitialTwin>,
    /// What the device is told.
    pub payload: Option<Value>,
}

/// How a device proved itself, and so what its identity in the hub will accept.
#[derive(Clone, PartialEq)]
pub enum DeviceProof {
    /// Tokens of these keys.
    Keys {
        /// First key.
        primary: SymmetricKey,
        /// Second key.
        secondary: SymmetricKey,
    },
    /// Certificates of these thumbprints.
    Thumbprints {
        /// First certificate.
        primary: Thumbprint,
        /// Second certificate.
        secondary: Option<Thumbprint>,
    },
    /// A certificate of its own name, issued by an authority of the hub.
    Authority,
    /// A TPM: the key that it was given under its endorsement key.
    Tpm {
        /// The key.
        key: SymmetricKey,
        /// The public part of the storage root key that it showed, a `TPM2B_PUBLIC`.
        storage_root_key: Arc<[u8]>,
    },
}

/// A hub given to a device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assignment {
    /// The hub.
    pub hub: HostName,
    /// Its number when it is one of this installation: that stays when it gets another host name.
    pub own: Option<HubNo>,
    /// The device's id there.
    pub device: DeviceId,
    /// How it came to be.
    pub substatus: Substatus,
    /// True once another registration was given the same device: several enrollments may name one. The device is that
    /// one's then, to take along and to remove.
    pub taken_over: bool,
}

impl Assignment {
    /// Where the device is.
    pub fn place(&self) -> Place {
        Place {
            hub: self.hub.clone(),
            own: self.own,
            device: self.device.clone(),
        }
    }
}

/// A device in a hub.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The hub.
    pub hub: HostName,
    /// Its number when it is one of this installation.
    pub own: Option<HubNo>,
    /// The device's id there.
    pub device: DeviceId,
}

impl Registration {
    /// Whether this device is its own: assigned there, and not taken over since. One registration has a device at most.
    pub fn has(&self, place: &Place) -> bool {
        let assignment = self.assignment.as_ref();
        assignment.is_some_and(|one| !one.taken_over && one.place().is_same(place))
    }
}

impl Place {
    /// Whether both are one identity: an own hub is known by its number, whatever it is called.
    pub fn is_same(&self, other: &Self) -> bool {
        self.device == other.device
            && match (self.own, other.own) {
                (Some(own), Some(other)) => own == other,
                (None, None) => self.hub == other.hub,
                (Some(_), None) | (None, Some(_)) => false,
            }
    }
}

/// How an assignment came to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Substatus {
    /// For the first time.
    InitialAssignment,
    /// From another hub, with the twin.
    DeviceDataMigrated,
    /// From another hub, with a new twin.
    DeviceDataReset,
    /// The device registered again and stays where it is.
    ReprovisionedToInitialAssignment,
}

impl Substatus {
    /// All four.
    pub const ALL: [Self; 4] = [
        Self::InitialAssignment,
        Self::DeviceDataMigrated,
        Self::DeviceDataReset,
        Self::ReprovisionedToInitialAssignment,
    ];

    /// The wire spelling.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::InitialAssignment => "initialAssignment",
            Self::DeviceDataMigrated => "deviceDataMigrated",
            Self::DeviceDataReset => "deviceDataReset",
            Self::ReprovisionedToInitialAssignment => "reprovisionedToInitialAssignment",
        }
    }

    /// Reads the wire spelling.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.as_str() == text)
    }
}

/// A device that was turned away before it had a registration: the newest of its attempts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Under which id it asked.
    pub id: RegistrationId,
    /// The enrollment that it asked by, when one was found.
    pub origin: Option<Origin>,
    /// The six-digit code.
    pub code: u32,
    /// Why, for people.
    pub message: String,
    /// Where it called from.
    pub address: Option<IpAddr>,
    /// How often since the first one.
    pub count: u64,
    /// The first time.
    pub first: Timestamp,
    /// The last time.
    pub last: Timestamp,
}
