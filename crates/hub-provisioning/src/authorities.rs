//! The authorities that the service trusts: registration, proof of possession, removal.

use hub_domain::certificate::{
    CertificateName, CertificateOfAuthority, Standing, VERIFICATION_CODE_DIGITS, VerificationCode,
};
use hub_domain::provisioning::{ProvisioningService, ServicePermission};
use hub_engine::certificates::authorities::{
    self, Change, check_proof, find, standing_with_code, uploaded, view, with_new,
};
use hub_engine::x509::CertificateDer;
use hub_engine::{CertificateUpload, CertificateView, IfMatch};

use crate::parts::Parts;
use crate::service::Service;
use crate::{Context, Error};

/// Registers authorities and checks who holds their keys.
pub struct Authorities {
    parts: Parts,
    service: Service,
}

impl Authorities {
    pub(crate) const fn new(parts: Parts, service: Service) -> Self {
        Self { parts, service }
    }

    /// All of them, by name.
    ///
    /// # Errors
    /// Needs `ServiceConfig`.
    pub fn list(&self, ctx: &Context) -> Result<Vec<CertificateView>, Error> {
        ctx.require(ServicePermission::ServiceConfig)?;
        let service = self.service.current();
        let mut views: Vec<_> = service.settings.certificates.iter().map(view).collect();
        views.sort_by_key(|view| view.certificate.name.as_str().to_ascii_lowercase());
        Ok(views)
    }

    /// One of them.
    ///
    /// # Errors
    /// As [`Authorities::list`]; there is none of that name.
    pub fn fetch(&self, ctx: &Context, name: &CertificateName) -> Result<CertificateView, Error> {
        ctx.require(ServicePermission::ServiceConfig)?;
        let service = self.service.current();
        Ok(view(find(&service.settings.certificates, name)?))
    }

    /// Registers a certificate, or replaces the one of that name when `if_match` says so.
    ///
    /// # Errors
    /// Needs `ServiceConfig`. It is no certificate of an authority, it has expired, it is registered already, there are
    /// too many; the name is taken and `if_match` absent; the etag is another.
    pub async fn create(
        &self,
        ctx: &Context,
        name: CertificateName,
        upload: CertificateUpload<'_>,
        if_match: IfMatch,
    ) -> Result<CertificateView, Error> {
        ctx.require(ServicePermission::ServiceConfig)?;
        let new = uploaded(name, &upload, self.change(ctx))?;
        self.update(ctx, &new.name, |list| with_new(list, &new, &if_match))
            .await
    }

    /// Forgets a certificate. Devices in their hubs stay there.
    ///
    /// # Errors
    /// Needs `ServiceConfig`. There is none of that name; the etag is another.
    pub async fn delete(
        &self,
        ctx: &Context,
        name: &CertificateName,
        if_match: IfMatch,
    ) -> Result<(), Error> {
        let decide = |service: &ProvisioningService| {
            let mut next = service.clone();
            next.settings.certificates =
                authorities::without(&service.settings.certificates, name, &if_match)?;
            Ok(next)
        };
        self.service.update(ctx, decide).await.map(drop)
    }

    /// Makes a new verification code: the common name of the certificate that proves possession.
    ///
    /// # Errors
    /// Needs `ServiceConfig`. There is none of that name; the etag is another; it is verified already.
    pub async fn generate_verification_code(
        &self,
        ctx: &Context,
        name: &CertificateName,
        if_match: IfMatch,
    ) -> Result<CertificateView, Error> {
        let code =
            VerificationCode::from_random(self.parts.random::<{ VERIFICATION_CODE_DIGITS / 2 }>());
        let change = |certificate: &CertificateOfAuthority| standing_with_code(certificate, &code);
        self.change_standing(ctx, name, &if_match, change).await
    }

    /// Takes the proof of possession: a certificate issued by the authority, whose common name is the verification
    /// code. From then on the authority vouches for devices.
    ///
    /// # Errors
    /// Needs `ServiceConfig`. There is none of that name; the etag is another; no code was made; the proof does not
    /// hold.
    pub async fn verify(
        &self,
        ctx: &Context,
        name: &CertificateName,
        proof: &[u8],
        if_match: IfMatch,
    ) -> Result<CertificateView, Error> {
        ctx.require(ServicePermission::ServiceConfig)?;
        let proof = CertificateDer::from(authorities::read(proof)?);
        let change = |certificate: &CertificateOfAuthority| {
            check_proof(certificate, &proof, ctx.now)?;
            Ok(Standing::Verified)
        };
        self.change_standing(ctx, name, &if_match, change).await
    }

    async fn change_standing(
        &self,
        ctx: &Context,
        name: &CertificateName,
        if_match: &IfMatch,
        decide: impl Fn(&CertificateOfAuthority) -> Result<Standing, hub_engine::Error>,
    ) -> Result<CertificateView, Error> {
        let etag = self.parts.random_etag();
        self.update(ctx, name, |list| {
            let change = Change {
                etag: etag.clone(),
                now: ctx.now,
            };
            authorities::with_standing(list, name, if_match, change, &decide)
        })
        .await
    }

    async fn update(
        &self,
        ctx: &Context,
        name: &CertificateName,
        decide: impl Fn(
            &[CertificateOfAuthority],
        ) -> Result<Vec<CertificateOfAuthority>, hub_engine::Error>,
    ) -> Result<CertificateView, Error> {
        let decide = |service: &ProvisioningService| {
            let mut next = service.clone();
            next.settings.certificates = decide(&service.settings.certificates)?;
            Ok(next)
        };
        let service = self.service.update(ctx, decide).await?;
        Ok(view(find(&service.settings.certificates, name)?))
    }

    fn change(&self, ctx: &Context) -> Change {
        Change {
            etag: self.parts.random_etag(),
            now: ctx.now,
        }
    }
}
