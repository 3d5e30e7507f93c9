//! What the service stands on.

use std::fmt::Write as _;
use std::sync::Arc;

use hub_domain::provisioning::{OperationId, ProvisioningLimits, Registration};
use hub_domain::{DeviceId, Etag};
use hub_engine::{Engine, Environment, ErrorKind};
use hub_storage::store::RegistrationFilter;
use hub_storage::{Store, StoreError};

use crate::Error;
use crate::hubs::Outside;

/// Registrations that are read at once.
const PAGE: usize = 100;

/// What the service stands on.
#[derive(Clone)]
pub struct Parts {
    /// The hubs of this installation.
    pub engine: Arc<Engine>,
    /// Enrollments and registrations.
    pub store: Arc<dyn Store>,
    /// Time and randomness.
    pub environment: Arc<dyn Environment>,
    /// Other installations and webhooks.
    pub outside: Outside,
    /// What the service limits besides what protects the process.
    pub limits: ProvisioningLimits,
}

impl Parts {
    /// Checks that the committer has room for one more write of a back end; devices wait for it.
    ///
    /// # Errors
    /// `Unavailable` when too much waits already.
    pub(crate) fn check_room(&self) -> Result<(), Error> {
        if self.store.backlog().is_full() {
            return Err(Error::new(
                ErrorKind::Unavailable,
                "too many writes wait for the disk, try again",
            ));
        }
        Ok(())
    }

    /// Looks at the registrations that assign a device of that id, in the order of their ids: enrollments may name one
    /// device.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub(crate) async fn each_registration_of(
        &self,
        device: &DeviceId,
        mut look: impl FnMut(Registration),
    ) -> Result<(), StoreError> {
        let mut after: Option<String> = None;
        loop {
            let filter = RegistrationFilter::OfDevice(device.clone());
            let page = self.store.registrations(filter, after.as_deref(), PAGE);
            let page = page.await?;
            let is_last = page.len() < PAGE;
            after = page.last().map(|last| last.id.key().to_owned());
            page.into_iter().for_each(&mut look);
            if is_last {
                return Ok(());
            }
        }
    }

    pub(crate) fn random<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0; N];
        self.environment.fill_random(&mut bytes);
        bytes
    }

    pub(crate) fn random_etag(&self) -> Etag {
        Etag::from_random(self.random())
    }

    pub(crate) fn random_operation(&self) -> OperationId {
        OperationId::from_random(self.random())
    }

    /// A name that nothing else has, in the form of a UUID.
    pub(crate) fn random_uuid(&self) -> String {
        let bytes: [u8; 16] = self.random();
        let mut text = String::with_capacity(36);
        for (at, byte) in bytes.into_iter().enumerate() {
            if matches!(at, 4 | 6 | 8 | 10) {
                text.push('-');
            }
            write!(text, "{byte:02x}").expect("a string takes every text");
        }
        text
    }

    /// A key of `bytes` bytes, 16 to 64.
    pub(crate) fn random_key_of(&self, bytes: usize) -> hub_domain::SymmetricKey {
        let mut key = vec![0; bytes];
        self.environment.fill_random(&mut key);
        hub_domain::SymmetricKey::from_bytes(&key).expect("invariant: 16 to 64 bytes are a key")
    }

    pub(crate) fn random_key(&self) -> hub_domain::SymmetricKey {
        self.random_key_of(64)
    }
}
