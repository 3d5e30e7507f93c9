//! The service as a whole.

use std::future::Future;
use std::sync::Arc;

use crate::{
    Access, Authorities, Credentials, Enrollments, Error, Groups, Parts, Quotas, Registrations,
    Renewals, Service,
};

/// All operations of the provisioning service. Shared by every head.
pub struct Provisioning {
    /// Tokens of back ends.
    pub access: Access,
    /// The service's own record.
    pub service: Service,
    /// Enrollments of single devices.
    pub enrollments: Enrollments,
    /// Enrollment groups.
    pub groups: Groups,
    /// What became of devices that asked.
    pub registrations: Registrations,
    /// Authorities that vouch for devices.
    pub authorities: Authorities,
    /// Certificates for devices.
    pub credentials: Credentials,
    /// Certificates for devices that are connected.
    pub renewals: Renewals,
    /// What is limited.
    pub quotas: Quotas,
}

impl Provisioning {
    /// Reads the service's record and the groups, or makes the record at the first start.
    ///
    /// # Errors
    /// When storage cannot be read or written.
    pub async fn open(parts: Parts) -> Result<Arc<Self>, Error> {
        let service = Service::open(parts.clone()).await?;
        let quotas = Quotas::new(&parts);
        let groups = Groups::open(parts.clone(), service.clone(), quotas.clone()).await?;
        let credentials = Credentials::new(parts.clone(), service.clone());
        Ok(Arc::new(Self {
            access: Access::new(parts.clone(), service.clone()),
            enrollments: Enrollments::new(parts.clone(), service.clone(), quotas.clone()),
            registrations: Registrations::new(
                parts.clone(),
                service.clone(),
                groups.clone(),
                credentials.clone(),
                quotas.clone(),
            ),
            renewals: Renewals::new(
                parts.clone(),
                service.clone(),
                groups.clone(),
                credentials.clone(),
            ),
            authorities: Authorities::new(parts, service.clone()),
            service,
            groups,
            credentials,
            quotas,
        }))
    }

    /// Goes on with unfinished registrations until `shutdown`.
    pub async fn run(&self, shutdown: impl Future<Output = ()> + Send) {
        tokio::select! {
            () = self.registrations.run() => {}
            () = shutdown => {}
        }
        self.registrations.finish().await;
    }
}
