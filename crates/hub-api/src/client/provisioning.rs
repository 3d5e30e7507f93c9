//! The calls on the provisioning service.

mod enrollments;

use std::time::Duration;

use super::calls::paged;
use super::{Call, Client, ClientError, PageQuery};
use crate::native::{
    AddressRange, AddressRanges, AllocationPreview, AllocationRequest, Certificate,
    CertificateProof, CertificateReplacement, CredentialPolicy, CredentialPolicySettings,
    ExpiryReport, Issuer, KeyRoll, Latencies, Latency, LatencyValue, LinkedHub, LinkedHubChange,
    LinkedHubCheck, LinkedHubs, NewCertificate, NewIssuer, NewLinkedHub, NewServicePolicy,
    OperationId, Page, ProvisioningService, ProvisioningServiceChange, Refusal, Refusals,
    RegionName, Registration, ServicePolicies, ServicePolicy, ServicePolicyChange,
};

/// The server goes through everything that is enrolled and registered.
const REPORT_TIMEOUT: Duration = Duration::from_secs(330);

impl Client {
    /// The provisioning service.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn provisioning(&self) -> Result<ProvisioningService, ClientError> {
        self.fetch(Call::new(OperationId::GetProvisioning, &[]))
            .await
    }

    /// Changes the provisioning service.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn patch_provisioning(
        &self,
        body: &ProvisioningServiceChange,
    ) -> Result<ProvisioningService, ClientError> {
        self.exchange(Call::new(OperationId::PatchProvisioning, &[]), body)
            .await
    }

    /// The policies of the provisioning service, without keys.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn service_policies(&self) -> Result<ServicePolicies, ClientError> {
        self.fetch(Call::new(OperationId::ListServicePolicies, &[]))
            .await
    }

    /// A policy of the provisioning service with its keys.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn service_policy(&self, policy: &str) -> Result<ServicePolicy, ClientError> {
        self.fetch(Call::new(OperationId::GetServicePolicy, &[policy]))
            .await
    }

    /// Makes a policy of the provisioning service.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn create_service_policy(
        &self,
        body: &NewServicePolicy,
    ) -> Result<ServicePolicy, ClientError> {
        self.exchange(Call::new(OperationId::CreateServicePolicy, &[]), body)
            .await
    }

    /// Changes rights or keys of a policy of the provisioning service.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn patch_service_policy(
        &self,
        policy: &str,
        body: &ServicePolicyChange,
    ) -> Result<ServicePolicy, ClientError> {
        self.exchange(Call::new(OperationId::PatchServicePolicy, &[policy]), body)
            .await
    }

    /// Rolls the keys of a policy of the provisioning service.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn roll_service_policy_keys(
        &self,
        policy: &str,
        body: &KeyRoll,
    ) -> Result<ServicePolicy, ClientError> {
        self.exchange(
            Call::new(OperationId::RollServicePolicyKeys, &[policy]),
            body,
        )
        .await
    }

    /// Deletes a policy of the provisioning service.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn delete_service_policy(&self, policy: &str) -> Result<(), ClientError> {
        self.perform(Call::new(OperationId::DeleteServicePolicy, &[policy]))
            .await
    }

    /// The hubs that devices can be assigned to.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn linked_hubs(&self) -> Result<LinkedHubs, ClientError> {
        self.fetch(Call::new(OperationId::ListLinkedHubs, &[]))
            .await
    }

    /// Links a hub of another installation.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn create_linked_hub(&self, body: &NewLinkedHub) -> Result<LinkedHub, ClientError> {
        self.exchange(Call::new(OperationId::CreateLinkedHub, &[]), body)
            .await
    }

    /// A linked hub.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn linked_hub(&self, host: &str) -> Result<LinkedHub, ClientError> {
        self.fetch(Call::new(OperationId::GetLinkedHub, &[host]))
            .await
    }

    /// Changes what is set for a linked hub.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn patch_linked_hub(
        &self,
        host: &str,
        body: &LinkedHubChange,
    ) -> Result<LinkedHub, ClientError> {
        self.exchange(Call::new(OperationId::PatchLinkedHub, &[host]), body)
            .await
    }

    /// Tries whether devices can be assigned to a linked hub.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn check_linked_hub(&self, host: &str) -> Result<LinkedHubCheck, ClientError> {
        self.fetch(Call::new(OperationId::CheckLinkedHub, &[host]))
            .await
    }

    /// Unlinks a hub.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn delete_linked_hub(&self, host: &str) -> Result<(), ClientError> {
        self.perform(Call::new(OperationId::DeleteLinkedHub, &[host]))
            .await
    }

    /// Where callers are.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn address_ranges(&self) -> Result<AddressRanges, ClientError> {
        self.fetch(Call::new(OperationId::ListAddressRanges, &[]))
            .await
    }

    /// Says where all ranges of addresses are, in the place of everything that was said.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn replace_address_ranges(
        &self,
        body: &AddressRanges,
    ) -> Result<AddressRanges, ClientError> {
        self.exchange(Call::new(OperationId::ReplaceAddressRanges, &[]), body)
            .await
    }

    /// Says where a range of addresses is.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn put_address_range(
        &self,
        range: &str,
        body: &RegionName,
    ) -> Result<AddressRange, ClientError> {
        self.exchange(Call::new(OperationId::PutAddressRange, &[range]), body)
            .await
    }

    /// Forgets where a range of addresses is.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn delete_address_range(&self, range: &str) -> Result<(), ClientError> {
        self.perform(Call::new(OperationId::DeleteAddressRange, &[range]))
            .await
    }

    /// How long callers of the regions take to the hubs.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn latencies(&self) -> Result<Latencies, ClientError> {
        self.fetch(Call::new(OperationId::ListLatencies, &[])).await
    }

    /// Says how long callers of all regions take to the hubs, in the place of everything that was said.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn replace_latencies(&self, body: &Latencies) -> Result<Latencies, ClientError> {
        self.exchange(Call::new(OperationId::ReplaceLatencies, &[]), body)
            .await
    }

    /// Says how long callers of regions take to hubs; what is not named stays.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn patch_latencies(&self, body: &Latencies) -> Result<Latencies, ClientError> {
        self.exchange(Call::new(OperationId::PatchLatencies, &[]), body)
            .await
    }

    /// Says how long callers of a region take to a hub.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn put_latency(
        &self,
        region: &str,
        host: &str,
        body: &LatencyValue,
    ) -> Result<Latency, ClientError> {
        self.exchange(Call::new(OperationId::PutLatency, &[region, host]), body)
            .await
    }

    /// Forgets how long callers of a region take to a hub.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn delete_latency(&self, region: &str, host: &str) -> Result<(), ClientError> {
        self.perform(Call::new(OperationId::DeleteLatency, &[region, host]))
            .await
    }

    /// Authorities of the provisioning service, in the order of their names.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn list_authorities(
        &self,
        page: &PageQuery,
    ) -> Result<Page<Certificate>, ClientError> {
        self.fetch(paged(OperationId::ListAuthorities, &[], page))
            .await
    }

    /// Registers the certificate of an authority of the provisioning service.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn create_authority(
        &self,
        body: &NewCertificate,
    ) -> Result<Certificate, ClientError> {
        self.exchange(Call::new(OperationId::CreateAuthority, &[]), body)
            .await
    }

    /// An authority of the provisioning service.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn authority(&self, name: &str) -> Result<Certificate, ClientError> {
        self.fetch(Call::new(OperationId::GetAuthority, &[name]))
            .await
    }

    /// Puts another certificate under the same name.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn replace_authority(
        &self,
        name: &str,
        body: &CertificateReplacement,
        etag: Option<&str>,
    ) -> Result<Certificate, ClientError> {
        self.exchange(
            Call::new(OperationId::ReplaceAuthority, &[name]).if_match(etag),
            body,
        )
        .await
    }

    /// Forgets an authority of the provisioning service.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn delete_authority(
        &self,
        name: &str,
        etag: Option<&str>,
    ) -> Result<(), ClientError> {
        self.perform(Call::new(OperationId::DeleteAuthority, &[name]).if_match(etag))
            .await
    }

    /// Makes a code that the owner of an authority has to certify.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn generate_authority_code(
        &self,
        name: &str,
        etag: Option<&str>,
    ) -> Result<Certificate, ClientError> {
        self.fetch(Call::new(OperationId::GenerateAuthorityCode, &[name]).if_match(etag))
            .await
    }

    /// Proves possession of an authority.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn verify_authority(
        &self,
        name: &str,
        body: &CertificateProof,
        etag: Option<&str>,
    ) -> Result<Certificate, ClientError> {
        self.exchange(
            Call::new(OperationId::VerifyAuthority, &[name]).if_match(etag),
            body,
        )
        .await
    }

    /// Registrations in the order of their ids: those that `filter` names (all, assigning, failed, individual), or those of a group.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn list_registrations(
        &self,
        filter: Option<&str>,
        group: Option<&str>,
        page: &PageQuery,
    ) -> Result<Page<Registration>, ClientError> {
        let call = paged(OperationId::ListRegistrations, &[], page)
            .parameter("filter", filter)
            .parameter("group", group);
        self.fetch(call).await
    }

    /// What became of a device's registration.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn registration(&self, registration: &str) -> Result<Registration, ClientError> {
        self.fetch(Call::new(OperationId::GetRegistration, &[registration]))
            .await
    }

    /// Forgets a registration.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn delete_registration(
        &self,
        registration: &str,
        etag: Option<&str>,
    ) -> Result<(), ClientError> {
        self.perform(Call::new(OperationId::DeleteRegistration, &[registration]).if_match(etag))
            .await
    }

    /// Devices that were turned away, those with an enrollment first, then the newest.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn refusals(&self, page: &PageQuery) -> Result<Refusals, ClientError> {
        self.fetch(paged(OperationId::ListRefusals, &[], page))
            .await
    }

    /// How a device was turned away since it last registered.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn refusal(&self, registration: &str) -> Result<Refusal, ClientError> {
        self.fetch(Call::new(OperationId::GetRefusal, &[registration]))
            .await
    }

    /// Where a device would go, and why.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn preview_allocation(
        &self,
        body: &AllocationRequest,
    ) -> Result<AllocationPreview, ClientError> {
        self.exchange(Call::new(OperationId::PreviewAllocation, &[]), body)
            .await
    }

    /// Authorities that issue certificates.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn list_issuers(&self, page: &PageQuery) -> Result<Page<Issuer>, ClientError> {
        self.fetch(paged(OperationId::ListIssuers, &[], page)).await
    }

    /// Makes an authority that issues certificates.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn create_issuer(&self, body: &NewIssuer) -> Result<Issuer, ClientError> {
        self.exchange(Call::new(OperationId::CreateIssuer, &[]), body)
            .await
    }

    /// An authority that issues certificates.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn issuer(&self, issuer: &str) -> Result<Issuer, ClientError> {
        self.fetch(Call::new(OperationId::GetIssuer, &[issuer]))
            .await
    }

    /// Forgets an authority that issues certificates.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn delete_issuer(&self, issuer: &str) -> Result<(), ClientError> {
        self.perform(Call::new(OperationId::DeleteIssuer, &[issuer]))
            .await
    }

    /// Credential policies in the order of their names.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn list_credential_policies(
        &self,
        page: &PageQuery,
    ) -> Result<Page<CredentialPolicy>, ClientError> {
        self.fetch(paged(OperationId::ListCredentialPolicies, &[], page))
            .await
    }

    /// Makes a credential policy.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn create_credential_policy(
        &self,
        body: &CredentialPolicySettings,
    ) -> Result<CredentialPolicy, ClientError> {
        self.exchange(Call::new(OperationId::CreateCredentialPolicy, &[]), body)
            .await
    }

    /// A credential policy.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn credential_policy(&self, name: &str) -> Result<CredentialPolicy, ClientError> {
        self.fetch(Call::new(OperationId::GetCredentialPolicy, &[name]))
            .await
    }

    /// Replaces a credential policy.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn replace_credential_policy(
        &self,
        name: &str,
        body: &CredentialPolicySettings,
        etag: Option<&str>,
    ) -> Result<CredentialPolicy, ClientError> {
        self.exchange(
            Call::new(OperationId::ReplaceCredentialPolicy, &[name]).if_match(etag),
            body,
        )
        .await
    }

    /// Deletes a credential policy.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn delete_credential_policy(
        &self,
        name: &str,
        etag: Option<&str>,
    ) -> Result<(), ClientError> {
        self.perform(Call::new(OperationId::DeleteCredentialPolicy, &[name]).if_match(etag))
            .await
    }

    /// Certificates that expire within so many days, or have expired.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn expiring(&self, days: Option<u32>) -> Result<ExpiryReport, ClientError> {
        let call = Call::new(OperationId::ListExpiring, &[]).parameter("within", days);
        self.fetch(call.timeout(Some(REPORT_TIMEOUT))).await
    }
}
