//! The hubs that devices are assigned to, own ones and those of others, and what is written there.

mod call_slots;
mod outages;
mod place_turns;
mod remote;
mod throttles;

use std::sync::Arc;

use hub_domain::certificate::{CERTIFICATE_NAME_CHARS_MAX, CertificateName};
use hub_domain::provisioning::{Assignment, DeviceProof, InitialTwin, Link, Place};
use hub_domain::twin::{BackEndPatch, Twin};
use hub_domain::{DeviceId, HostName, HubNo, IdentityId, SymmetricKey, Timestamp};
use hub_engine::{
    Caller, CertificateUpload, ErrorKind, IfMatch, NewAuthentication, OpContext, ProvisionedDevice,
    RemovalUnit, Standing, TwinReplacement, UploadStanding,
};
use hub_storage::Pending;
use hub_storage::store::{Committed, FactNo, Op, Unit};

pub(crate) use hub_api::client::Outside;
pub(crate) use remote::{Generation, Present, Remote};

use call_slots::CallSlots;
use outages::Outages;
use place_turns::PlaceTurns;
use throttles::Throttles;

use crate::Error;
use crate::credentials::IssuedChain;
use crate::error::codes;
use crate::parts::Parts;
use crate::rules::twin_of;
use crate::service::Service;

/// A device as a hub shall have it.
#[derive(Clone)]
pub(crate) struct WantedDevice {
    pub(crate) id: DeviceId,
    pub(crate) proof: HubProof,
    pub(crate) iot_edge: bool,
    /// For one that is new there: an operator who disabled it means it wherever it goes.
    pub(crate) standing: Standing,
}

/// A device in the hub that it leaves.
pub(crate) struct Former {
    pub(crate) twin: TwinContent,
    pub(crate) standing: Standing,
    /// From a hub of another installation: the hub that it comes to may be the same by another name.
    pub(crate) generation: Option<Generation>,
}

/// What an identity in a hub accepts.
#[derive(Clone)]
pub(crate) enum HubProof {
    Given(DeviceProof),
    /// A key that only the device's TPM can read.
    Key(SymmetricKey),
}

/// The twin that a device brings.
#[derive(Clone)]
pub(crate) enum TwinContent {
    /// Tags and desired properties.
    Written(InitialTwin),
    /// Everything, versions included: from one own hub to another.
    Whole(Box<Twin>),
}

impl TwinContent {
    /// True when there is nothing that a back end wrote.
    pub(crate) fn is_empty(&self) -> bool {
        match self {
            Self::Written(initial) => initial.is_empty(),
            Self::Whole(twin) => {
                twin.back_end.tags.is_empty() && twin.back_end.desired.properties.is_empty()
            }
        }
    }
}

/// A hub as it can be reached.
#[derive(Clone)]
pub(crate) enum Reach {
    Own(HubNo),
    Remote(Box<Remote>),
}

/// What is written with a registration.
#[derive(Default)]
pub(crate) struct Writes {
    pub(crate) unit: Unit,
    /// The twin of a device that an own hub has already.
    pub(crate) twin: Option<TwinReplacement>,
}

impl From<Unit> for Writes {
    fn from(unit: Unit) -> Self {
        Self { unit, twin: None }
    }
}

/// What went wrong at a hub.
#[derive(Debug)]
pub(crate) enum HubError {
    /// Another hub may be tried.
    Unreachable(Error),
    /// It has too much to do: the device waits for it.
    Throttled(Error),
    /// It answered, and does not want the device.
    Refused(Error),
    /// This installation itself cannot read or write: another hub does not help.
    Ours(Error),
}

impl HubError {
    pub(crate) fn into_error(self) -> Error {
        match self {
            Self::Unreachable(error)
            | Self::Throttled(error)
            | Self::Refused(error)
            | Self::Ours(error) => error,
        }
    }
}

impl From<hub_engine::Error> for HubError {
    fn from(error: hub_engine::Error) -> Self {
        let error = Error::from(error);
        if error.kind() == ErrorKind::QuotaExceeded {
            // It is full: another one may not be.
            Self::Unreachable(error.with_code(codes::HUB_REFUSED))
        } else if error.is_final() {
            Self::Refused(error.with_code(codes::HUB_REFUSED))
        } else {
            Self::Ours(error)
        }
    }
}

/// Writes devices into hubs. Cheap to clone.
#[derive(Clone)]
pub(crate) struct LinkedHubs {
    parts: Parts,
    service: Service,
    outages: Outages,
    throttles: Throttles,
    pub(crate) slots: CallSlots,
    pub(crate) turns: PlaceTurns,
}

impl LinkedHubs {
    pub(crate) fn new(parts: Parts, service: Service) -> Self {
        Self {
            outages: Outages::new(Arc::clone(&parts.environment)),
            throttles: Throttles::default(),
            parts,
            service,
            slots: CallSlots::default(),
            turns: PlaceTurns::default(),
        }
    }

    /// Where a device is in the hub of that name.
    pub(crate) fn place(&self, host: &HostName, device: &DeviceId) -> Place {
        Place {
            hub: host.clone(),
            own: self.service.own_hub(host),
            device: device.clone(),
        }
    }

    /// The hub of a place, when it is linked or still one of this installation. An own one may have another name by now.
    pub(crate) fn reach_place(&self, place: &Place) -> Option<Reach> {
        match place.own {
            Some(no) => self
                .parts
                .engine
                .hubs
                .by_no(no)
                .map(|hub| Reach::Own(hub.no)),
            None => self
                .reach(&place.hub)
                .filter(|reach| matches!(reach, Reach::Remote(_))),
        }
    }

    /// The assignment with the name that its hub has now.
    pub(crate) fn renamed(&self, assignment: Assignment) -> Assignment {
        let own = assignment
            .own
            .and_then(|no| self.parts.engine.hubs.by_no(no));
        match own {
            Some(hub) => Assignment {
                hub: hub.host.clone(),
                ..assignment
            },
            None => assignment,
        }
    }

    /// Whether a hub gave no answer a moment ago: another one goes first.
    pub(crate) fn is_away(&self, host: &HostName) -> bool {
        self.outages.is_away(host)
    }

    /// Whether it is worth waiting for a call to a hub that no other replaces.
    pub(crate) fn may_be_tried(&self, host: &HostName) -> bool {
        self.outages.may_be_tried(host)
    }

    /// Whether to call it now.
    pub(crate) fn try_again(&self, host: &HostName) -> bool {
        self.outages.try_again(host)
    }

    /// The hub of that name, when it is linked or one of this installation.
    pub(crate) fn reach(&self, host: &HostName) -> Option<Reach> {
        if let Some(no) = self.service.own_hub(host) {
            return Some(Reach::Own(no));
        }
        let service = self.service.current();
        let linked = service
            .settings
            .linked_hubs
            .iter()
            .find(|linked| linked.host == *host)?;
        match &linked.link {
            Link::Own => None,
            Link::Remote { policy, key, port } => Some(Reach::Remote(Box::new(Remote::new(
                (host.clone(), *port),
                (policy.clone(), key.clone()),
                &self.parts,
                (self.outages.clone(), self.throttles.clone()),
            )))),
        }
    }

    /// Whether registrations could write into a hub. Nothing is written.
    pub(crate) async fn probe(&self, reach: &Reach) -> Result<(), HubError> {
        match reach {
            Reach::Own(_) => Ok(()),
            Reach::Remote(remote) => remote.probe().await,
        }
    }

    fn context(&self, now: Timestamp) -> OpContext {
        OpContext {
            caller: Caller::System,
            request_id: "provisioning".to_owned(),
            now,
        }
    }

    /// A device in a hub; `None` when it is not there.
    pub(crate) async fn former(
        &self,
        reach: &Reach,
        device: &DeviceId,
    ) -> Result<Option<Former>, HubError> {
        match reach {
            Reach::Own(hub) => {
                let id = IdentityId::device(device.clone());
                let found = self.parts.store.twin(*hub, &id).await;
                let found = found.map_err(hub_engine::Error::from)?;
                Ok(found.map(|(stored, twin)| Former {
                    twin: TwinContent::Whole(Box::new(twin)),
                    standing: Standing {
                        status: stored.identity.status,
                        reason: stored.identity.status_reason.clone(),
                    },
                    generation: None,
                }))
            }
            Reach::Remote(remote) => remote.former(device).await,
        }
    }

    /// The writes that bring a device of an own hub in line. A new one gets the twin with its creation; `bring` says
    /// whether one that is there gets it.
    pub(crate) async fn own_unit(
        &self,
        hub: HubNo,
        wanted: WantedDevice,
        twin: &TwinContent,
        bring: Bring,
        now: Timestamp,
    ) -> Result<Writes, HubError> {
        let ctx = self.context(now);
        let whole = match twin {
            TwinContent::Whole(twin) => (**twin).clone(),
            TwinContent::Written(initial) => twin_of(initial, now).map_err(HubError::Refused)?,
        };
        let id = IdentityId::device(wanted.id.clone());
        let device = ProvisionedDevice {
            id: wanted.id,
            authentication: authentication(wanted.proof),
            iot_edge: wanted.iot_edge,
            standing: wanted.standing,
        };
        let registry = &self.parts.engine.registry;
        let made = registry.provision(&ctx, hub, device, &whole).await?;
        let existing = made.existing.filter(|_| bring != Bring::OnlyToNew);
        Ok(Writes {
            unit: made.unit,
            twin: existing.map(|identity| TwinReplacement {
                hub,
                id,
                identity,
                content: BackEndPatch {
                    tags: Some(whole.back_end.tags),
                    desired: Some(whole.back_end.desired.properties),
                },
            }),
        })
    }

    /// Submits the writes, all in one unit.
    pub(crate) async fn submit(
        &self,
        writes: Writes,
        now: Timestamp,
    ) -> Result<Pending<Committed>, HubError> {
        let Writes { unit, twin } = writes;
        let Some(twin) = twin else {
            return Ok(self.parts.store.submit(unit));
        };
        let twins = &self.parts.engine.twins;
        Ok(twins.submit_with(&self.context(now), &twin, unit).await?)
    }

    /// Writes the twin of a device of another installation's hub.
    pub(crate) async fn put_remote_twin(
        &self,
        remote: &Remote,
        device: &DeviceId,
        twin: &TwinContent,
    ) -> Result<(), HubError> {
        let written = match twin {
            TwinContent::Written(initial) => initial.clone(),
            TwinContent::Whole(twin) => InitialTwin {
                tags: twin.back_end.tags.clone(),
                desired: twin.back_end.desired.properties.clone(),
            },
        };
        remote.put_twin(device, &written).await
    }

    /// Makes an own hub trust whoever issued a device's certificate. Hubs of other installations have to be told by
    /// their administrators.
    pub(crate) async fn trust(
        &self,
        hub: HubNo,
        issued: &IssuedChain,
        now: Timestamp,
    ) -> Result<(), HubError> {
        let ctx = self.context(now);
        for name in authority_names(issued) {
            if self.is_trusted(hub, issued) {
                return Ok(());
            }
            let name = CertificateName::parse(&name)
                .map_err(|error| HubError::Refused(Error::invalid(error.to_string())))?;
            let upload = CertificateUpload {
                bytes: &issued.authority,
                standing: UploadStanding::Verified,
            };
            let certificates = &self.parts.engine.certificates;
            let created = certificates.create(&ctx, hub, name, upload, IfMatch::Absent);
            match created.await {
                // Another registration was faster, or the name is that of an issuer of former days.
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                result => return Ok(result.map(drop)?),
            }
        }
        if self.is_trusted(hub, issued) {
            return Ok(());
        }
        let text = format!(
            "the hub has other authorities under the names of the issuer {}, or its own unverified: remove them first",
            issued.issuer
        );
        Err(HubError::Refused(
            Error::new(ErrorKind::AlreadyExists, text).with_code(codes::HUB_REFUSED),
        ))
    }

    fn is_trusted(&self, hub: HubNo, issued: &IssuedChain) -> bool {
        self.parts.engine.hubs.list().iter().any(|one| {
            let mut certificates = one.settings.certificates.iter();
            one.no == hub
                && certificates.any(|one| one.is_verified() && one.der == issued.authority)
        })
    }

    /// The writes that take a device out of an own hub, if its twin is still the one that was read; none when it is not
    /// there.
    pub(crate) async fn removal(
        &self,
        hub: HubNo,
        device: &DeviceId,
        read: Option<&Twin>,
        now: Timestamp,
    ) -> Result<Option<RemovalUnit>, HubError> {
        let registry = &self.parts.engine.registry;
        let removal = registry.removal(&self.context(now), hub, device).await?;
        let Some(mut removal) = removal else {
            return Ok(None);
        };
        let identity = removal.unit.ops.iter().find_map(|op| match op {
            Op::DeleteIdentity { identity, .. } => Some(*identity),
            _ => None,
        });
        if let (Some(twin), Some(identity)) = (read, identity) {
            // Written as they are: what the device or a back end writes meanwhile is a conflict, and is not lost.
            let checks = [
                Op::ReplaceBackEnd {
                    identity,
                    next: Box::new(twin.back_end.clone()),
                    expected: twin.back_end.etag,
                },
                Op::ReplaceReported {
                    identity,
                    next: Box::new(twin.reported.clone()),
                    expected: twin.reported.version,
                },
            ];
            removal.unit.ops.splice(0..0, checks);
        }
        Ok(Some(removal))
    }

    /// Tells an own hub that the writes of [`LinkedHubs::removal`] are committed.
    pub(crate) async fn removed(
        &self,
        hub: HubNo,
        device: &DeviceId,
        between: std::ops::Range<FactNo>,
        now: Timestamp,
    ) -> Result<(), HubError> {
        let registry = &self.parts.engine.registry;
        let ctx = self.context(now);
        Ok(registry.removed(&ctx, hub, device, between).await?)
    }
}

/// Whether a device that is in the hub already gets the twin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bring {
    /// It does: it is the one that it had in its former hub.
    Former,
    /// It does: it begins anew.
    Also,
    /// It keeps its own.
    OnlyToNew,
}

/// What an own hub calls the authority that issued: by the issuer's name, or where that is taken, by its fingerprint too.
fn authority_names(issued: &IssuedChain) -> [String; 2] {
    let named = format!("provisioning-{}", issued.issuer);
    let fingerprint = hub_engine::x509::fingerprint(&issued.authority);
    let [first, second, third, fourth, ..] = fingerprint;
    let digits = format!("-{first:02x}{second:02x}{third:02x}{fourth:02x}");
    let short = |room: usize| named.chars().take(room).collect::<String>();
    [
        short(CERTIFICATE_NAME_CHARS_MAX),
        short(CERTIFICATE_NAME_CHARS_MAX - digits.len()) + &digits,
    ]
}

fn authentication(proof: HubProof) -> NewAuthentication {
    match proof {
        HubProof::Given(DeviceProof::Keys { primary, secondary }) => NewAuthentication::Sas {
            primary: Some(primary),
            secondary: Some(secondary),
        },
        HubProof::Given(DeviceProof::Thumbprints { primary, secondary }) => {
            NewAuthentication::SelfSigned {
                primary: Some(primary),
                secondary,
            }
        }
        HubProof::Given(DeviceProof::Authority) => NewAuthentication::CertificateAuthority,
        HubProof::Given(DeviceProof::Tpm { key, .. }) | HubProof::Key(key) => {
            NewAuthentication::Sas {
                primary: Some(key.clone()),
                secondary: Some(key),
            }
        }
    }
}
