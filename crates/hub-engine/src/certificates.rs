//! The authorities that a hub trusts: registration, proof of possession, removal.
//!
//! What changes here takes effect with the commit: devices whose authority is no longer trusted are cut
//! off ([`crate::sessions`]).

pub mod authorities;

use hub_domain::certificate::{
    CertificateName, CertificateOfAuthority, Standing, VERIFICATION_CODE_DIGITS, VerificationCode,
};
use hub_domain::{Etag, Hub, HubNo, Timestamp};

use crate::x509::CertificateDer;
use crate::{EngineParts, Error, ErrorKind, Hubs, IfMatch, OpContext};
use authorities::{Change, check_proof, find, standing_with_code, uploaded, view, with_new};

/// Registers authorities and checks who holds their keys.
pub struct Certificates {
    parts: EngineParts,
    hubs: Hubs,
}

/// A certificate as it was sent, and what the sender says of it.
pub struct CertificateUpload<'a> {
    /// PEM or DER of one certificate.
    pub bytes: &'a [u8],
    /// Whether it vouches for devices.
    pub standing: UploadStanding,
}

/// Whether an uploaded certificate needs a proof of possession.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UploadStanding {
    /// It does.
    Unverified,
    /// The administrator vouches for it.
    Verified,
}

/// A registered certificate with what it says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateView {
    /// The record.
    pub certificate: CertificateOfAuthority,
    /// Its subject as people write it.
    pub subject: String,
    /// SHA-1 of the certificate in upper case.
    pub thumbprint: String,
    /// When it begins to be valid.
    pub not_before: Timestamp,
    /// When it expires.
    pub not_after: Timestamp,
}

impl Certificates {
    pub(crate) const fn new(parts: EngineParts, hubs: Hubs) -> Self {
        Self { parts, hubs }
    }

    /// The certificates of a hub, by name.
    ///
    /// # Errors
    /// Not allowed; the hub does not exist.
    pub fn list(&self, ctx: &OpContext, hub: HubNo) -> Result<Vec<CertificateView>, Error> {
        ctx.caller.require_admin()?;
        let hub = self.hub(hub)?;
        let mut views: Vec<_> = hub.settings.certificates.iter().map(view).collect();
        views.sort_by_key(|view| view.certificate.name.as_str().to_ascii_lowercase());
        Ok(views)
    }

    /// One of them.
    ///
    /// # Errors
    /// As [`Certificates::list`]; there is none of that name.
    pub fn fetch(
        &self,
        ctx: &OpContext,
        hub: HubNo,
        name: &CertificateName,
    ) -> Result<CertificateView, Error> {
        ctx.caller.require_admin()?;
        find(&self.hub(hub)?.settings.certificates, name).map(view)
    }

    /// Registers a certificate, or replaces the one of that name when `if_match` says so.
    ///
    /// # Errors
    /// It is no certificate of an authority, it has expired, it is registered already, there are too many; the name
    /// is taken and `if_match` absent; the etag is another.
    pub async fn create(
        &self,
        ctx: &OpContext,
        hub: HubNo,
        name: CertificateName,
        upload: CertificateUpload<'_>,
        if_match: IfMatch,
    ) -> Result<CertificateView, Error> {
        ctx.caller.require_admin()?;
        let new = uploaded(name, &upload, self.change_now(ctx))?;
        let decide = |list: &[_]| with_new(list, &new, &if_match);
        self.update(ctx, hub, &new.name, decide).await
    }

    /// Forgets a certificate. Devices that it vouched for are cut off.
    ///
    /// # Errors
    /// Not allowed; there is none of that name; the etag is another.
    pub async fn delete(
        &self,
        ctx: &OpContext,
        hub: HubNo,
        name: &CertificateName,
        if_match: IfMatch,
    ) -> Result<(), Error> {
        let decide = |hub: &Hub| {
            let mut next = hub.clone();
            next.settings.certificates =
                authorities::without(&hub.settings.certificates, name, &if_match)?;
            Ok(next)
        };
        self.hubs.update(ctx, hub, decide).await.map(drop)
    }

    /// Makes a new verification code: the common name of the certificate that proves possession.
    ///
    /// # Errors
    /// Not allowed; there is none of that name; the etag is another; it is verified already.
    pub async fn generate_verification_code(
        &self,
        ctx: &OpContext,
        hub: HubNo,
        name: &CertificateName,
        if_match: IfMatch,
    ) -> Result<CertificateView, Error> {
        let mut bytes = [0; VERIFICATION_CODE_DIGITS / 2];
        self.parts.environment.fill_random(&mut bytes);
        let code = VerificationCode::from_random(bytes);
        self.change(ctx, hub, name, &if_match, |certificate| {
            standing_with_code(certificate, &code)
        })
        .await
    }

    /// Takes the proof of possession: a certificate issued by the authority, whose common name is the verification
    /// code. From then on the authority vouches for devices.
    ///
    /// # Errors
    /// Not allowed; there is none of that name; the etag is another; no code was made; the proof does not hold.
    pub async fn verify(
        &self,
        ctx: &OpContext,
        hub: HubNo,
        name: &CertificateName,
        proof: &[u8],
        if_match: IfMatch,
    ) -> Result<CertificateView, Error> {
        ctx.caller.require_admin()?;
        let proof = CertificateDer::from(authorities::read(proof)?);
        self.change(ctx, hub, name, &if_match, |certificate| {
            check_proof(certificate, &proof, ctx.now)?;
            Ok(Standing::Verified)
        })
        .await
    }

    async fn change(
        &self,
        ctx: &OpContext,
        hub: HubNo,
        name: &CertificateName,
        if_match: &IfMatch,
        decide: impl Fn(&CertificateOfAuthority) -> Result<Standing, Error>,
    ) -> Result<CertificateView, Error> {
        let etag = self.random_etag();
        let decide = |list: &[_]| {
            let change = Change {
                etag: etag.clone(),
                now: ctx.now,
            };
            authorities::with_standing(list, name, if_match, change, &decide)
        };
        self.update(ctx, hub, name, decide).await
    }

    async fn update(
        &self,
        ctx: &OpContext,
        hub: HubNo,
        name: &CertificateName,
        decide: impl Fn(&[CertificateOfAuthority]) -> Result<Vec<CertificateOfAuthority>, Error>,
    ) -> Result<CertificateView, Error> {
        let decide = |hub: &Hub| {
            let mut next = hub.clone();
            next.settings.certificates = decide(&hub.settings.certificates)?;
            Ok(next)
        };
        let hub = self.hubs.update(ctx, hub, decide).await?;
        find(&hub.settings.certificates, name).map(view)
    }

    fn change_now(&self, ctx: &OpContext) -> Change {
        Change {
            etag: self.random_etag(),
            now: ctx.now,
        }
    }

    fn hub(&self, no: HubNo) -> Result<std::sync::Arc<Hub>, Error> {
        self.hubs
            .by_no(no)
            .ok_or_else(|| Error::new(ErrorKind::NotFound, "the hub does not exist"))
    }

    fn random_etag(&self) -> Etag {
        let mut bytes = [0; 8];
        self.parts.environment.fill_random(&mut bytes);
        Etag::from_random(bytes)
    }
}
