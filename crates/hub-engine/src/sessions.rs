//! Sessions: connected identities and what they may do.
//!
//! Every head, whatever its protocol, opens a [`Session`] and speaks to the engine through it in one
//! small set of verbs. What the hub has for the device comes back from [`Session::poll_notice`].

mod authorities;
mod proven;
mod redelivery;
mod session;
mod subscriptions;

use std::sync::Arc;

use hub_domain::event::ConnectionState;
use hub_domain::partition::partition_of;
use hub_domain::quota::Throttle;
use hub_domain::routing::Source;
use hub_domain::{Hub, Identity, IdentityId, Timestamp};
use hub_storage::bus::{CloseReason, Mailbox, SessionKey};
use hub_storage::log::TelemetrySource;
use hub_storage::store::{Op, Ordinal, StoredIdentity, Subscriptions, Unit};
use hub_storage::{Conflict, StoreError};

pub use proven::ProvenIdentity;
pub use session::{SentBefore, Session, TelemetryBatch};
pub use subscriptions::{Delivery, Subscription, SubscriptionSet};

use crate::access::Proof;
use crate::activity::Activities;
use crate::dispatcher::RegistryChanges;
use crate::faults::Faults;
use crate::messages::Deliveries;
use crate::quotas::Quotas;
use crate::routing::connections::ConnectionFeed;
use crate::routing::ingest::{Ingest, Lane};
use crate::routing::leftovers::Leftovers;
use crate::x509::CertificateDer;
use crate::{Access, EngineParts, Error, ErrorKind, Hubs, Twins};
use authorities::Authorities;
use redelivery::Redeliveries;
use session::{Announced, Parts};

/// Longest model id in bytes (DTDL: a DTMI has at most 4,096 characters; 128 for interfaces).
pub const MODEL_ID_BYTES_MAX: usize = 4_096;

/// Opens sessions.
pub struct Sessions {
    parts: EngineParts,
    hubs: Hubs,
    access: Access,
    twins: Arc<Twins>,
    activities: Arc<Activities>,
    registry_changes: RegistryChanges,
    redeliveries: Arc<Redeliveries>,
    deliveries: Arc<Deliveries>,
    connections: Arc<ConnectionFeed>,
    quotas: Arc<Quotas>,
    authorities: Arc<Authorities>,
    faults: Arc<Faults>,
    leftovers: Arc<Leftovers>,
}

/// The rooms of the engine that sessions share with others.
pub(crate) struct Rooms {
    pub(crate) twins: Arc<Twins>,
    pub(crate) activities: Arc<Activities>,
    pub(crate) registry_changes: RegistryChanges,
    pub(crate) quotas: Arc<Quotas>,
    pub(crate) deliveries: Arc<Deliveries>,
    pub(crate) connections: Arc<ConnectionFeed>,
    pub(crate) leftovers: Arc<Leftovers>,
}

/// What a head knows of a device that connects.
pub struct OpenRequest<'a> {
    /// The hub it means.
    pub hub: Arc<Hub>,
    /// Who it says it is.
    pub id: IdentityId,
    /// How it proves that.
    pub credential: Credential<'a>,
    /// The model it announces.
    pub model_id: Option<&'a str>,
    /// Whether subscriptions and waiting messages outlive the connection.
    pub persistence: Persistence,
}

/// Proof of identity.
pub enum Credential<'a> {
    /// A shared access signature.
    Token(&'a str),
    /// The certificates of a TLS connection, the peer's own first. Whoever passes them saw the peer prove that it holds
    /// the key of the first.
    Certificate(&'a [CertificateDer<'a>]),
}

/// Whether a session's state outlives its connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Persistence {
    /// It is kept.
    Kept,
    /// It ends with the connection, and what was kept before is forgotten.
    Transient,
    /// It ends with the connection, and what another protocol's session keeps stays as it is.
    Connection,
}

/// A credential that was checked, to be applied to a session that is open already.
#[derive(Clone, Copy, Debug)]
pub struct Proved {
    ordinal: Ordinal,
    expires: Timestamp,
}

impl Proved {
    /// When the credential ends.
    pub const fn expires(&self) -> Timestamp {
        self.expires
    }
}

/// An opened session and what it continues.
pub struct Opened {
    /// The session.
    pub session: Session,
    /// True when kept state was found.
    pub resumed: bool,
}

impl Sessions {
    pub(crate) fn new(parts: EngineParts, hubs: Hubs, access: Access, rooms: Rooms) -> Self {
        let Rooms {
            twins,
            activities,
            registry_changes,
            quotas,
            deliveries,
            connections,
            leftovers,
        } = rooms;
        let faults = Arc::new(Faults::new(hubs.clone()));
        Self {
            parts,
            hubs,
            access,
            twins,
            activities,
            registry_changes,
            redeliveries: Arc::default(),
            authorities: Arc::default(),
            faults,
            deliveries,
            connections,
            quotas,
            leftovers,
        }
    }

    /// Authenticates and opens a session; an open one of the same identity is told to close.
    ///
    /// # Errors
    /// `NotAuthenticated` for an unknown identity, a disabled one, or a credential that does not fit; the public text
    /// says which. `Unavailable` when storage cannot answer.
    pub async fn open(&self, now: Timestamp, request: OpenRequest<'_>) -> Result<Opened, Error> {
        let changes_before = self.registry_changes.count();
        let (stored, proof) = self
            .authenticate(now, &request.hub, &request.id, &request.credential)
            .await?;
        // Whatever can be refused is refused before the claim, which ends the older session.
        self.quotas
            .take_of_device(request.hub.no, Throttle::Connections, now)?;
        if request
            .model_id
            .is_some_and(|id| id.len() > MODEL_ID_BYTES_MAX)
        {
            return Err(Error::new(ErrorKind::Invalid, "the model id is too long"));
        }
        let log = self.hubs.log(request.hub.no).ok_or_else(hub_is_gone)?;
        let slot = self.hubs.slot(request.hub.no).ok_or_else(hub_is_gone)?;
        let key = SessionKey {
            hub: request.hub.no,
            id: request.id.clone(),
        };
        self.faults.check_connect(&key, now)?;
        let mailbox = Arc::new(Mailbox::new());
        let epoch = self.parts.bus.claim(&key, Arc::clone(&mailbox)).await?;
        // From here on facts reach the mailbox. One that was dispatched between the check above and the claim
        // reached nobody, so the check is made again. The session is dropped, and with it the claim, if it fails.
        let opened = self.activities.connect(stored.ordinal, epoch, now);
        let watch = proof.authority.map(|authority| {
            let mailbox = Arc::clone(&mailbox);
            self.authorities.watch(request.hub.no, authority, mailbox)
        });
        let session = Session::new(
            Parts {
                engine: self.parts.clone(),
                ingest: Ingest {
                    log,
                    slot,
                    twins: Arc::clone(&self.twins),
                    leftovers: Arc::clone(&self.leftovers),
                },
                lane: Lane::default(),
                activities: Arc::clone(&self.activities),
                connections: Arc::clone(&self.connections),
                redeliveries: Arc::clone(&self.redeliveries),
                quotas: Arc::clone(&self.quotas),
                faults: Arc::clone(&self.faults),
                fault_injection: request.hub.settings.fault_injection,
                deliveries: Arc::clone(&self.deliveries),
                key,
                ordinal: stored.ordinal,
                partition: partition_of(request.id.device.as_str(), request.hub.partition_count),
                persistence: request.persistence,
                watch,
                mailbox,
                epoch,
                live: opened.live,
            },
            Announced {
                source: source(&stored.identity, &proof, request.model_id),
                expires: proof.expires,
            },
            SubscriptionSet::from(match request.persistence {
                Persistence::Kept => stored.subscriptions,
                Persistence::Transient | Persistence::Connection => Subscriptions::default(),
            }),
        );
        if let Some(sequence) = opened.change {
            session.tell_connection(ConnectionState::Connected, now, sequence);
        }
        // What the hub trusts may have changed before the watch began.
        let must_prove_again =
            self.registry_changes.count() != changes_before || proof.authority.is_some();
        if must_prove_again {
            let (again, _) = self
                .authenticate(now, &request.hub, &request.id, &request.credential)
                .await?;
            if again.ordinal != stored.ordinal {
                return Err(refused(
                    "the identity was replaced meanwhile, connect again",
                ));
            }
        }
        self.keep_announcements(&request, &stored).await?;
        let resumed = request.persistence == Persistence::Kept
            && stored.subscriptions != Subscriptions::default();
        Ok(Opened { session, resumed })
    }

    /// Checks a credential without opening a session: before the first session of an identity on a connection that many
    /// share, or to renew an open one ([`Session::renew`]).
    ///
    /// # Errors
    /// As [`Sessions::open`].
    pub async fn prove(
        &self,
        now: Timestamp,
        hub: &Hub,
        id: &IdentityId,
        credential: &Credential<'_>,
    ) -> Result<Proved, Error> {
        let (stored, proof) = self.authenticate(now, hub, id, credential).await?;
        Ok(Proved {
            ordinal: stored.ordinal,
            expires: proof.expires,
        })
    }

    /// Authenticates an identity for one request, for heads whose protocol has no connections: nothing is opened,
    /// and an open session of the identity goes on.
    ///
    /// # Errors
    /// As [`Sessions::open`].
    pub async fn identify(
        &self,
        now: Timestamp,
        hub: &Hub,
        id: IdentityId,
        credential: &Credential<'_>,
    ) -> Result<ProvenIdentity, Error> {
        let (stored, proof) = self.authenticate(now, hub, &id, credential).await?;
        Ok(ProvenIdentity {
            hub: hub.no,
            ordinal: stored.ordinal,
            partition: partition_of(id.device.as_str(), hub.partition_count),
            source: source(&stored.identity, &proof, None).encode(),
            activity: stored.activity,
            id,
        })
    }

    async fn authenticate(
        &self,
        now: Timestamp,
        hub: &Hub,
        id: &IdentityId,
        credential: &Credential<'_>,
    ) -> Result<(StoredIdentity, Proof), Error> {
        let stored = self.stored(hub, id).await?;
        let (access, identity) = (&self.access, &stored.identity);
        let proof = match credential {
            Credential::Token(token) => access.authenticate_identity(hub, identity, token, now),
            Credential::Certificate(chain) => {
                access.authenticate_certificate(hub, identity, chain, now)
            }
        }?;
        // Whether an identity is disabled is told only to who holds its key.
        check_enabled(&stored.identity)?;
        if id.module.is_some() {
            let device = IdentityId::device(id.device.clone());
            check_enabled(&self.stored(hub, &device).await?.identity)?;
        }
        Ok((stored, proof))
    }

    async fn stored(&self, hub: &Hub, id: &IdentityId) -> Result<StoredIdentity, Error> {
        let stored = self.parts.store.identity(hub.no, id).await?;
        stored.ok_or_else(not_registered)
    }

    /// Commits what the device announced in its connect: a new model id, the end of kept state.
    async fn keep_announcements(
        &self,
        request: &OpenRequest<'_>,
        stored: &StoredIdentity,
    ) -> Result<(), Error> {
        let mut unit = Unit::default();
        if request.persistence == Persistence::Transient
            && stored.subscriptions != Subscriptions::default()
        {
            unit.ops.push(Op::ReplaceSubscriptions {
                identity: stored.ordinal,
                next: Subscriptions::default(),
            });
        }
        if let Some(model_id) = request.model_id.filter(|id| !id.is_empty()) {
            let twin = self.parts.store.twin(request.hub.no, &request.id).await?;
            if twin.is_some_and(|(_, twin)| twin.model_id.as_deref() != Some(model_id)) {
                unit.ops.push(Op::SetModelId {
                    identity: stored.ordinal,
                    model_id: model_id.to_owned(),
                });
            }
        }
        if unit.ops.is_empty() {
            return Ok(());
        }
        match self.parts.store.submit(unit).await {
            Ok(_) => Ok(()),
            Err(StoreError::Conflict(Conflict::NotFound)) => Err(not_registered()),
            Err(error) => Err(error.into()),
        }
    }

    /// Ends sessions whose authority is trusted no longer, until dropped.
    pub(crate) async fn watch_authorities(&self) {
        self.authorities.run(&self.hubs).await;
    }

    /// Tells sessions of the faults that their devices asked for, until dropped.
    pub(crate) async fn run_faults(&self) {
        self.faults.run().await;
    }

    /// Tells every session to close, for an orderly stop.
    pub fn close_all(&self) {
        self.parts.bus.close_all(CloseReason::Shutdown);
    }
}

fn check_enabled(identity: &Identity) -> Result<(), Error> {
    if identity.is_enabled() {
        return Ok(());
    }
    Err(refused("the device is disabled").with_code(hub_domain::ErrorCode::DeviceDisabled))
}

fn not_registered() -> Error {
    refused("the identity is not registered in this hub")
}

fn refused(text: &str) -> Error {
    Error::new(ErrorKind::NotAuthenticated, text)
}

fn hub_is_gone() -> Error {
    Error::new(ErrorKind::NotFound, "the hub does not exist")
}

fn source(identity: &Identity, proof: &Proof, model_id: Option<&str>) -> TelemetrySource {
    TelemetrySource {
        device: identity.id.device.to_string(),
        module: identity.id.module_text().to_owned(),
        generation: identity.generation.as_str().to_owned(),
        auth_method: proof.auth_method.clone(),
        model_id: model_id.unwrap_or_default().to_owned(),
        message_source: Source::DeviceMessages,
    }
}
