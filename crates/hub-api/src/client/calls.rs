//! One function per operation.

use std::time::Duration;

use super::{CALL_TIMEOUT, Call, Client, ClientError};
use crate::native::{
    Certificate, CertificateProof, CertificateReplacement, Device, DeviceSettings, HubDocument,
    HubSettings, HubSettingsChange, HubSummary, IdentityKeyRoll, IdentityKeyRollResult, KeyRoll,
    MethodCall, MethodResult, Module, ModuleSettings, NewCertificate, NewHub, OperationId, Page,
    Statistics, Twin, TwinChange,
};

/// Time to answer when a call of a method names none (`hub_domain::limits`).
const METHOD_RESPONSE_DEFAULT: u64 = hub_domain::limits::METHOD_RESPONSE_TIMEOUT_DEFAULT.as_secs();

/// Which page of a list.
#[derive(Clone, Debug, Default)]
pub struct PageQuery {
    /// The id after which the page begins.
    pub after: Option<String>,
    /// The most items.
    pub max: Option<usize>,
}

/// The names of a twin's or a method's target: device, or device and module.
type Target<'a> = (&'a str, Option<&'a str>);

impl Client {
    /// The hubs that the caller may use.
    ///
    /// # Errors
    /// See [`ClientError`]; so for every call below.
    pub async fn list_hubs(&self, page: &PageQuery) -> Result<Page<HubSummary>, ClientError> {
        self.fetch(paged(OperationId::ListHubs, &[], page)).await
    }

    /// Creates a hub.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn create_hub(&self, hub: &NewHub) -> Result<HubSummary, ClientError> {
        self.exchange(Call::new(OperationId::CreateHub, &[]), hub)
            .await
    }

    /// What a client needs to reach the hub.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn hub(&self, hub: &str) -> Result<HubDocument, ClientError> {
        self.fetch(Call::new(OperationId::GetHub, &[hub])).await
    }

    /// What may be set while the hub runs.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn settings(&self, hub: &str) -> Result<HubSettings, ClientError> {
        self.fetch(Call::new(OperationId::GetSettings, &[hub]))
            .await
    }

    /// Changes what may be set while the hub runs.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn patch_settings(
        &self,
        hub: &str,
        change: &HubSettingsChange,
    ) -> Result<HubSettings, ClientError> {
        self.exchange(Call::new(OperationId::PatchSettings, &[hub]), change)
            .await
    }

    /// The hub's device counts.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn statistics(&self, hub: &str) -> Result<Statistics, ClientError> {
        self.fetch(Call::new(OperationId::GetStatistics, &[hub]))
            .await
    }

    /// Certificates of authorities in the order of their names.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn list_certificates(
        &self,
        hub: &str,
        page: &PageQuery,
    ) -> Result<Page<Certificate>, ClientError> {
        self.fetch(paged(OperationId::ListCertificates, &[hub], page))
            .await
    }

    /// Registers the certificate of an authority.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn create_certificate(
        &self,
        hub: &str,
        new: &NewCertificate,
    ) -> Result<Certificate, ClientError> {
        self.exchange(Call::new(OperationId::CreateCertificate, &[hub]), new)
            .await
    }

    /// One certificate.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn certificate(&self, hub: &str, name: &str) -> Result<Certificate, ClientError> {
        self.fetch(Call::new(OperationId::GetCertificate, &[hub, name]))
            .await
    }

    /// Puts another certificate under the same name, while `etag` holds if there is one.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn replace_certificate(
        &self,
        hub: &str,
        name: &str,
        replacement: &CertificateReplacement,
        etag: Option<&str>,
    ) -> Result<Certificate, ClientError> {
        let target = [hub, name];
        let call = Call::new(OperationId::ReplaceCertificate, &target).if_match(etag);
        self.exchange(call, replacement).await
    }

    /// Forgets a certificate.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn delete_certificate(
        &self,
        hub: &str,
        name: &str,
        etag: Option<&str>,
    ) -> Result<(), ClientError> {
        self.perform(Call::new(OperationId::DeleteCertificate, &[hub, name]).if_match(etag))
            .await
    }

    /// Makes a new verification code for a certificate.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn generate_verification_code(
        &self,
        hub: &str,
        name: &str,
        etag: Option<&str>,
    ) -> Result<Certificate, ClientError> {
        let target = [hub, name];
        let call = Call::new(OperationId::GenerateVerificationCode, &target).if_match(etag);
        self.fetch(call).await
    }

    /// Proves possession of the key of a certificate.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn verify_certificate(
        &self,
        hub: &str,
        name: &str,
        proof: &CertificateProof,
        etag: Option<&str>,
    ) -> Result<Certificate, ClientError> {
        let target = [hub, name];
        let call = Call::new(OperationId::VerifyCertificate, &target).if_match(etag);
        self.exchange(call, proof).await
    }

    /// Devices in the order of their ids.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn list_devices(
        &self,
        hub: &str,
        page: &PageQuery,
    ) -> Result<Page<Device>, ClientError> {
        self.fetch(paged(OperationId::ListDevices, &[hub], page))
            .await
    }

    /// Creates a device.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn create_device(
        &self,
        hub: &str,
        settings: &DeviceSettings,
    ) -> Result<Device, ClientError> {
        self.exchange(Call::new(OperationId::CreateDevice, &[hub]), settings)
            .await
    }

    /// One device.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn device(&self, hub: &str, device: &str) -> Result<Device, ClientError> {
        self.fetch(Call::new(OperationId::GetDevice, &[hub, device]))
            .await
    }

    /// Replaces a device's settings, while `etag` holds if there is one.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn replace_device(
        &self,
        hub: &str,
        device: &str,
        settings: &DeviceSettings,
        etag: Option<&str>,
    ) -> Result<Device, ClientError> {
        self.exchange(
            Call::new(OperationId::ReplaceDevice, &[hub, device]).if_match(etag),
            settings,
        )
        .await
    }

    /// Deletes a device with everything of it.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn delete_device(
        &self,
        hub: &str,
        device: &str,
        etag: Option<&str>,
    ) -> Result<(), ClientError> {
        self.perform(Call::new(OperationId::DeleteDevice, &[hub, device]).if_match(etag))
            .await
    }

    /// A device's modules.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn list_modules(&self, hub: &str, device: &str) -> Result<Page<Module>, ClientError> {
        self.fetch(Call::new(OperationId::ListModules, &[hub, device]))
            .await
    }

    /// Creates a module.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn create_module(
        &self,
        hub: &str,
        device: &str,
        settings: &ModuleSettings,
    ) -> Result<Module, ClientError> {
        self.exchange(
            Call::new(OperationId::CreateModule, &[hub, device]),
            settings,
        )
        .await
    }

    /// One module.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn module(
        &self,
        hub: &str,
        device: &str,
        module: &str,
    ) -> Result<Module, ClientError> {
        self.fetch(Call::new(OperationId::GetModule, &[hub, device, module]))
            .await
    }

    /// Replaces a module's settings, while `etag` holds if there is one.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn replace_module(
        &self,
        hub: &str,
        device: &str,
        module: &str,
        settings: &ModuleSettings,
        etag: Option<&str>,
    ) -> Result<Module, ClientError> {
        self.exchange(
            Call::new(OperationId::ReplaceModule, &[hub, device, module]).if_match(etag),
            settings,
        )
        .await
    }

    /// Deletes a module with its twin.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn delete_module(
        &self,
        hub: &str,
        device: &str,
        module: &str,
        etag: Option<&str>,
    ) -> Result<(), ClientError> {
        self.perform(Call::new(OperationId::DeleteModule, &[hub, device, module]).if_match(etag))
            .await
    }

    /// Rolls the keys of a device, while `etag` holds if there is one.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn roll_device_keys(
        &self,
        hub: &str,
        device: &str,
        roll: &KeyRoll,
        etag: Option<&str>,
    ) -> Result<Device, ClientError> {
        self.exchange(
            Call::new(OperationId::RollDeviceKeys, &[hub, device]).if_match(etag),
            roll,
        )
        .await
    }

    /// Rolls the keys of a module, while `etag` holds if there is one.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn roll_module_keys(
        &self,
        hub: &str,
        device: &str,
        module: &str,
        roll: &KeyRoll,
        etag: Option<&str>,
    ) -> Result<Module, ClientError> {
        self.exchange(
            Call::new(OperationId::RollModuleKeys, &[hub, device, module]).if_match(etag),
            roll,
        )
        .await
    }

    /// Rolls the keys of several identities, each by itself.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn roll_identity_keys(
        &self,
        hub: &str,
        roll: &IdentityKeyRoll,
    ) -> Result<IdentityKeyRollResult, ClientError> {
        self.exchange(Call::new(OperationId::RollIdentityKeys, &[hub]), roll)
            .await
    }

    /// The twin of a device, or of a module.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn twin(&self, hub: &str, target: Target<'_>) -> Result<Twin, ClientError> {
        let (id, segments) = aimed(
            hub,
            target,
            OperationId::GetDeviceTwin,
            OperationId::GetModuleTwin,
        );
        self.fetch(Call::new(id, &segments)).await
    }

    /// Merges into a twin, while `etag` holds if there is one.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn patch_twin(
        &self,
        hub: &str,
        target: Target<'_>,
        change: &TwinChange,
        etag: Option<&str>,
    ) -> Result<Twin, ClientError> {
        let (id, segments) = aimed(
            hub,
            target,
            OperationId::PatchDeviceTwin,
            OperationId::PatchModuleTwin,
        );
        self.exchange(Call::new(id, &segments).if_match(etag), change)
            .await
    }

    /// Replaces parts of a twin, while `etag` holds if there is one.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn replace_twin(
        &self,
        hub: &str,
        target: Target<'_>,
        change: &TwinChange,
        etag: Option<&str>,
    ) -> Result<Twin, ClientError> {
        let (id, segments) = aimed(
            hub,
            target,
            OperationId::ReplaceDeviceTwin,
            OperationId::ReplaceModuleTwin,
        );
        self.exchange(Call::new(id, &segments).if_match(etag), change)
            .await
    }

    /// Invokes a direct method and waits for its answer, as long as the call's own times say.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn invoke_method(
        &self,
        hub: &str,
        target: Target<'_>,
        call: &MethodCall,
    ) -> Result<MethodResult, ClientError> {
        let (id, segments) = aimed(
            hub,
            target,
            OperationId::InvokeDeviceMethod,
            OperationId::InvokeModuleMethod,
        );
        let response = call
            .response_timeout_in_seconds
            .unwrap_or(METHOD_RESPONSE_DEFAULT);
        let device = response.saturating_add(call.connect_timeout_in_seconds.unwrap_or(0));
        let timeout = CALL_TIMEOUT.saturating_add(Duration::from_secs(device));
        self.exchange(Call::new(id, &segments).timeout(Some(timeout)), call)
            .await
    }
}

pub(super) fn paged<'a>(id: OperationId, segments: &'a [&'a str], page: &PageQuery) -> Call<'a> {
    Call::new(id, segments)
        .parameter("after", page.after.as_ref())
        .parameter("max", page.max)
}

fn aimed<'a>(
    hub: &'a str,
    (device, module): Target<'a>,
    of_device: OperationId,
    of_module: OperationId,
) -> (OperationId, Vec<&'a str>) {
    match module {
        None => (of_device, vec![hub, device]),
        Some(module) => (of_module, vec![hub, device, module]),
    }
}
