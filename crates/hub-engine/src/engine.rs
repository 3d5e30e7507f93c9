//! The engine as a whole: built in the order of its directions, run until told to stop.

use std::future::Future;
use std::sync::Arc;

use hub_domain::limits::UPLOAD_BYTES_DEFAULT;
use hub_storage::store::Health;
use hub_storage::{Blobs, Bus, MessageLogs, Store};

use crate::activity::Activities;
use crate::dispatcher::Dispatcher;
use crate::messages::Deliveries;
use crate::quotas::Quotas;
use crate::routing::connections::ConnectionFeed;
use crate::routing::leftovers::Leftovers;
use crate::routing::router::Router;
use crate::sessions::Rooms;
use crate::{
    Access, Certificates, Environment, Error, Events, Hubs, Messages, Methods, Registry, Routes,
    ServiceBound, Sessions, Telemetry, Twins, Uploads,
};

/// What the engine stands on.
#[derive(Clone)]
pub struct EngineParts {
    /// Hubs, identities, twins, queues, facts.
    pub store: Arc<dyn Store>,
    /// Telemetry.
    pub logs: Arc<dyn MessageLogs>,
    /// Routing to sessions.
    pub bus: Arc<dyn Bus>,
    /// Time and randomness.
    pub environment: Arc<dyn Environment>,
    /// Uploaded files.
    pub files: Files,
}

/// Where uploaded files are kept, and how large one may be.
#[derive(Clone)]
pub struct Files {
    /// The place.
    pub blobs: Arc<dyn Blobs>,
    /// The largest file in bytes.
    pub bytes_max: u64,
}

impl Files {
    /// Files in `blobs`, as large as the default allows.
    pub fn new(blobs: Arc<dyn Blobs>) -> Self {
        Self {
            blobs,
            bytes_max: UPLOAD_BYTES_DEFAULT,
        }
    }
}

/// All operations of an installation. Shared by every head.
pub struct Engine {
    /// The hubs of the installation.
    pub hubs: Hubs,
    /// Proof of identity.
    pub access: Access,
    /// Authorities that vouch for devices.
    pub certificates: Certificates,
    /// Devices and modules.
    pub registry: Registry,
    /// Twins.
    pub twins: Arc<Twins>,
    /// Direct methods.
    pub methods: Methods,
    /// Cloud-to-device messages.
    pub messages: Messages,
    /// Feedback and file notifications for back ends.
    pub service_bound: ServiceBound,
    /// Telemetry on its way in.
    pub telemetry: Telemetry,
    /// Telemetry and facts on their way out.
    pub events: Events,
    /// File uploads.
    pub uploads: Uploads,
    /// Connected devices.
    pub sessions: Sessions,
    /// Where messages and events go.
    pub routes: Routes,
    parts: EngineParts,
    activities: Arc<Activities>,
    deliveries: Arc<Deliveries>,
    dispatcher: Dispatcher,
    router: Router,
    leftovers: Arc<Leftovers>,
}

impl Engine {
    /// Reads the hubs and opens their logs. Reads nothing per device.
    ///
    /// # Errors
    /// When storage cannot be read.
    pub async fn open(parts: EngineParts) -> Result<Arc<Self>, Error> {
        let hubs = Hubs::open(parts.clone()).await?;
        let access = Access::new(hubs.clone());
        let certificates = Certificates::new(parts.clone(), hubs.clone());
        let activities = Arc::new(Activities::new());
        let quotas = Arc::new(Quotas::new(hubs.clone()));
        let registry = Registry::new(parts.clone(), Arc::clone(&activities), Arc::clone(&quotas));
        let twins = Arc::new(Twins::new(Arc::clone(&parts.store), registry.clone()));
        let methods = Methods::new(registry.clone(), Arc::clone(&parts.bus));
        let deliveries = Deliveries::new(
            Arc::clone(&parts.store),
            Arc::clone(&parts.bus),
            hubs.clone(),
            parts.environment.now(),
        );
        let messages = Messages::new(
            Arc::clone(&parts.store),
            registry.clone(),
            hubs.clone(),
            Arc::clone(&deliveries),
        );
        let service_bound = ServiceBound::new(
            Arc::clone(&parts.store),
            hubs.clone(),
            Arc::clone(&parts.environment),
        );
        let leftovers = Arc::new(Leftovers::default());
        let telemetry = Telemetry::new(
            hubs.clone(),
            Arc::clone(&activities),
            Arc::clone(&twins),
            Arc::clone(&quotas),
            Arc::clone(&leftovers),
        );
        let events = Events::new(hubs.clone(), Arc::clone(&parts.store));
        let uploads = Uploads::new(parts.clone(), registry.clone());
        let dispatcher = Dispatcher::new(Arc::clone(&parts.store), Arc::clone(&parts.bus));
        let connections = ConnectionFeed::new();
        let sessions = Sessions::new(
            parts.clone(),
            hubs.clone(),
            access.clone(),
            Rooms {
                twins: Arc::clone(&twins),
                activities: Arc::clone(&activities),
                registry_changes: dispatcher.registry_changes(),
                quotas,
                deliveries: Arc::clone(&deliveries),
                connections: Arc::clone(&connections),
                leftovers: Arc::clone(&leftovers),
            },
        );
        let router = Router::new(parts.clone(), hubs.clone(), connections);
        let routes = Routes::new(hubs.clone());
        Ok(Arc::new(Self {
            hubs,
            access,
            certificates,
            registry,
            twins,
            methods,
            messages,
            service_bound,
            telemetry,
            events,
            uploads,
            sessions,
            routes,
            parts,
            activities,
            deliveries,
            dispatcher,
            router,
            leftovers,
        }))
    }

    /// Time and randomness.
    pub fn environment(&self) -> &dyn Environment {
        &*self.parts.environment
    }

    /// Whether writes are accepted.
    pub fn health(&self) -> Health {
        self.parts.store.health()
    }

    /// Dispatches facts and does the regular chores until `shutdown`; then flushes what lives in memory.
    ///
    /// # Errors
    /// When the facts cannot be read: the feed is then broken and the process must stop.
    pub async fn run(&self, shutdown: impl Future<Output = ()> + Send) -> Result<(), Error> {
        let result = {
            let dispatch = std::pin::pin!(self.dispatcher.run());
            let chores = std::pin::pin!(crate::maintenance::run(
                &self.parts,
                &self.hubs,
                &self.activities,
                (&self.deliveries, &self.service_bound)
            ));
            let authorities = std::pin::pin!(self.sessions.watch_authorities());
            let service_bound = std::pin::pin!(self.service_bound.follow());
            let routing = std::pin::pin!(self.router.run());
            let leftovers = std::pin::pin!(self.leftovers.run());
            let faults = std::pin::pin!(self.sessions.run_faults());
            tokio::select! {
                result = dispatch => result,
                () = chores => Ok(()),
                () = authorities => Ok(()),
                () = service_bound => Ok(()),
                () = routing => Ok(()),
                () = faults => Ok(()),
                () = leftovers => Ok(()),
                () = shutdown => Ok(()),
            }
        };
        self.leftovers.finish().await;
        self.router.finish().await;
        crate::maintenance::flush_activity(&self.parts, &self.activities).await;
        result
    }
}
