//! The hubs that devices are assigned to, own ones and those of others, and what is written there.

mod remote;

use std::time::Duration;

use hub_domain::certificate::{CERTIFICATE_NAME_CHARS_MAX, CertificateName};
use hub_domain::provisioning::{DeviceProof, InitialTwin, Link};
use hub_domain::twin::{BackEndReplacement, Twin};
use hub_domain::{DeviceId, HostName, HubNo, IdentityId, SymmetricKey, Timestamp};
use hub_engine::{
    Caller, CertificateUpload, ErrorKind, IfMatch, NewAuthentication, OpContext, ProvisionedDevice,
    UploadStanding,
};
use hub_storage::store::Unit;

pub(crate) use hub_api::client::Outside;
pub(crate) use remote::Remote;

use crate::Error;
use crate::credentials::IssuedChain;
use crate::error::codes;
use crate::parts::Parts;
use crate::rules::twin_of;
use crate::service::Service;

/// How long a call to a hub of another installation may take.
pub(crate) const CALL_TIMEOUT: Duration = Duration::from_secs(10);

/// A device as a hub shall have it.
#[derive(Clone)]
pub(crate) struct WantedDevice {
    pub(crate) id: DeviceId,
    pub(crate) proof: HubProof,
    pub(crate) iot_edge: bool,
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

/// A hub as it can be reached.
#[derive(Clone)]
pub(crate) enum Reach {
    Own(HubNo),
    Remote(Box<Remote>),
}

/// What went wrong at a hub.
#[derive(Debug)]
pub(crate) enum HubError {
    /// Another hub may be tried.
    Unreachable(Error),
    /// It answered, and does not want the device.
    Refused(Error),
}

impl HubError {
    pub(crate) fn into_error(self) -> Error {
        match self {
            Self::Unreachable(error) | Self::Refused(error) => error,
        }
    }
}

impl From<hub_engine::Error> for HubError {
    fn from(error: hub_engine::Error) -> Self {
        let error = Error::from(error);
        match error.kind() {
            ErrorKind::Unavailable | ErrorKind::Internal => Self::Unreachable(error),
            _ => Self::Refused(error.with_code(codes::HUB_REFUSED)),
        }
    }
}

/// Writes devices into hubs. Cheap to clone.
#[derive(Clone)]
pub(crate) struct LinkedHubs {
    parts: Parts,
    service: Service,
}

impl LinkedHubs {
    pub(crate) const fn new(parts: Parts, service: Service) -> Self {
        Self { parts, service }
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
                self.parts.outside.clone(),
                host.clone(),
                *port,
                policy.clone(),
                key.clone(),
            )))),
        }
    }

    fn context(&self, now: Timestamp) -> OpContext {
        OpContext {
            caller: Caller::System,
            request_id: "provisioning".to_owned(),
            now,
        }
    }

    /// The twin of a device; `None` when the device is not there.
    pub(crate) async fn twin(
        &self,
        reach: &Reach,
        device: &DeviceId,
        now: Timestamp,
    ) -> Result<Option<TwinContent>, HubError> {
        match reach {
            Reach::Own(hub) => {
                let id = IdentityId::device(device.clone());
                let found = self
                    .parts
                    .store
                    .twin(*hub, &id)
                    .await
                    .map_err(hub_engine::Error::from)?;
                Ok(found.map(|(_, twin)| TwinContent::Whole(Box::new(twin))))
            }
            Reach::Remote(remote) => Ok(remote.twin(device, now).await?.map(TwinContent::Written)),
        }
    }

    /// The writes that bring a device of an own hub in line. With `bring`, a device that was there already gets that
    /// twin at once; a new one gets it with its creation.
    pub(crate) async fn own_unit(
        &self,
        hub: HubNo,
        wanted: WantedDevice,
        twin: &TwinContent,
        bring: Bring,
        now: Timestamp,
    ) -> Result<Unit, HubError> {
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
        };
        let engine = &self.parts.engine;
        let made = engine.registry.provision(&ctx, hub, device, &whole).await?;
        if made.existing && bring == Bring::Also {
            let replacement = BackEndReplacement {
                tags: Some(whole.back_end.tags),
                desired: Some(whole.back_end.desired.properties),
            };
            engine
                .twins
                .replace(&ctx, hub, &id, written(replacement), IfMatch::Any)
                .await?;
        }
        Ok(made.unit)
    }

    /// Brings a device of another installation's hub in line. May be done again with the same outcome.
    pub(crate) async fn ensure_remote(
        &self,
        remote: &Remote,
        wanted: &WantedDevice,
        twin: &TwinContent,
        bring: Bring,
        now: Timestamp,
    ) -> Result<(), HubError> {
        let written = match twin {
            TwinContent::Written(initial) => initial.clone(),
            TwinContent::Whole(twin) => InitialTwin {
                tags: twin.back_end.tags.clone(),
                desired: twin.back_end.desired.properties.clone(),
            },
        };
        remote.ensure(wanted, &written, bring, now).await
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

    /// Removes a device from a hub. One that is gone is no error.
    pub(crate) async fn remove(
        &self,
        reach: &Reach,
        device: &DeviceId,
        now: Timestamp,
    ) -> Result<(), HubError> {
        match reach {
            Reach::Own(hub) => {
                let id = IdentityId::device(device.clone());
                let ctx = self.context(now);
                let registry = &self.parts.engine.registry;
                match registry.delete(&ctx, *hub, &id, IfMatch::Absent).await {
                    Err(error) if error.kind() != ErrorKind::NotFound => Err(error.into()),
                    Ok(()) | Err(_) => Ok(()),
                }
            }
            Reach::Remote(remote) => remote.remove(device, now).await,
        }
    }
}

/// Whether a device that is in the hub already gets the twin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bring {
    /// It does: it comes from another hub.
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

fn written(replacement: BackEndReplacement) -> hub_domain::twin::BackEndPatch {
    hub_domain::twin::BackEndPatch {
        tags: replacement.tags,
        desired: replacement.desired,
    }
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
