//! The authorities that a hub trusts: registration, proof of possession, removal.
//!
//! What changes here takes effect with the commit: devices whose authority is no longer trusted are cut
//! off ([`crate::sessions`]).

use hub_domain::certificate::{
    CertificateName, CertificateOfAuthority, Standing, VERIFICATION_CODE_DIGITS, VerificationCode,
};
use hub_domain::limits::{CERTIFICATE_UPLOAD_BYTES_MAX, CERTIFICATES_PER_HUB_MAX};
use hub_domain::{ErrorCode, Etag, Hub, HubNo, Timestamp};

use crate::x509::{Certificate, CertificateDer, read_upload, vouch};
use crate::{EngineParts, Error, ErrorKind, Hubs, IfMatch, OpContext};

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
        find(&*self.hub(hub)?, name).map(view)
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
        let der = check_upload(upload.bytes, ctx.now)?;
        let new = CertificateOfAuthority {
            name,
            der: der.into(),
            standing: match upload.standing {
                UploadStanding::Verified => Standing::Verified,
                UploadStanding::Unverified => Standing::Unverified { code: None },
            },
            etag: self.random_etag(),
            created: ctx.now,
            updated: ctx.now,
        };
        let decide = |hub: &Hub| with_new(hub, &new, &if_match);
        let hub = self.hubs.update(ctx, hub, decide).await?;
        find(&hub, &new.name).map(view)
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
            if_match.check(&find(hub, name)?.etag.0)?;
            let mut next = hub.clone();
            next.settings
                .certificates
                .retain(|one| !one.name.is(name.as_str()));
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
            if certificate.is_verified() {
                let text = "the certificate is verified already";
                return Err(
                    Error::new(ErrorKind::Invalid, text).with_code(ErrorCode::InvalidOperation)
                );
            }
            Ok(Standing::Unverified {
                code: Some(code.clone()),
            })
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
        let proof = CertificateDer::from(read(proof)?);
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
        let decide = |hub: &Hub| {
            let present = find(hub, name)?;
            if_match.check(&present.etag.0)?;
            let changed = CertificateOfAuthority {
                standing: decide(present)?,
                etag: etag.clone(),
                updated: ctx.now,
                ..present.clone()
            };
            Ok(replaced(hub, &changed))
        };
        let hub = self.hubs.update(ctx, hub, decide).await?;
        find(&hub, name).map(view)
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

fn view(certificate: &CertificateOfAuthority) -> CertificateView {
    let read = Certificate::read(&certificate.der)
        .expect("invariant: what is registered was read when it was uploaded");
    CertificateView {
        certificate: certificate.clone(),
        subject: read.subject(),
        thumbprint: read.sha1(),
        not_before: read.not_before(),
        not_after: read.not_after(),
    }
}

fn find<'a>(hub: &'a Hub, name: &CertificateName) -> Result<&'a CertificateOfAuthority, Error> {
    let mut all = hub.settings.certificates.iter();
    all.find(|one| one.name.is(name.as_str())).ok_or_else(|| {
        let text = format!("the hub has no certificate {name}");
        Error::new(ErrorKind::NotFound, text).with_code(ErrorCode::CertificateNotFound)
    })
}

/// The hub with `new`, added or in the place of the one of its name.
fn with_new(hub: &Hub, new: &CertificateOfAuthority, if_match: &IfMatch) -> Result<Hub, Error> {
    let exists = |text: String| Error::new(ErrorKind::AlreadyExists, text);
    let mut others = hub.settings.certificates.iter();
    if let Some(same) = others.find(|one| one.der == new.der && !one.name.is(new.name.as_str())) {
        return Err(exists(format!(
            "the certificate is registered as {}",
            same.name
        )));
    }
    match (find(hub, &new.name), if_match) {
        (Ok(_), IfMatch::Absent) => Err(exists(format!(
            "the hub has a certificate {}, replace it with its etag",
            new.name
        ))),
        (Ok(present), IfMatch::Any | IfMatch::Etag(_)) => {
            if_match.check(&present.etag.0)?;
            let next = CertificateOfAuthority {
                created: present.created,
                ..new.clone()
            };
            Ok(replaced(hub, &next))
        }
        (Err(missing), IfMatch::Any | IfMatch::Etag(_)) => Err(missing),
        (Err(_), IfMatch::Absent) => {
            if hub.settings.certificates.len() >= CERTIFICATES_PER_HUB_MAX {
                let text = format!("a hub has {CERTIFICATES_PER_HUB_MAX} certificates at most");
                return Err(Error::new(ErrorKind::QuotaExceeded, text));
            }
            let mut next = hub.clone();
            next.settings.certificates.push(new.clone());
            Ok(next)
        }
    }
}

fn replaced(hub: &Hub, changed: &CertificateOfAuthority) -> Hub {
    let mut next = hub.clone();
    for certificate in &mut next.settings.certificates {
        if certificate.name.is(changed.name.as_str()) {
            *certificate = changed.clone();
        }
    }
    next
}

fn read(bytes: &[u8]) -> Result<Vec<u8>, Error> {
    if bytes.len() > CERTIFICATE_UPLOAD_BYTES_MAX {
        let text = format!("a certificate has {CERTIFICATE_UPLOAD_BYTES_MAX} bytes at most");
        return Err(Error::new(ErrorKind::TooLarge, text));
    }
    read_upload(bytes).map_err(|error| invalid(format!("the certificate cannot be used: {error}")))
}

fn check_upload(bytes: &[u8], now: Timestamp) -> Result<Vec<u8>, Error> {
    let der = read(bytes)?;
    let certificate = Certificate::read(&der).map_err(|error| invalid(error.to_string()))?;
    if !certificate.is_authority() {
        return Err(invalid(
            "the certificate is none of an authority: its basic constraints must say CA:TRUE, \
             and its key usage, if it has one, keyCertSign",
        ));
    }
    if now > certificate.not_after() {
        return Err(invalid("the certificate has expired"));
    }
    // What path validation cannot read would never vouch for anybody.
    if webpki::anchor_from_trusted_cert(&CertificateDer::from(&*der)).is_err() {
        return Err(invalid("the certificate is not one of RFC 5280"));
    }
    Ok(der)
}

/// The proof is a certificate that the authority issued to the code.
fn check_proof(
    authority: &CertificateOfAuthority,
    proof: &CertificateDer<'_>,
    now: Timestamp,
) -> Result<(), Error> {
    let code = authority
        .verification_code()
        .ok_or_else(|| invalid("no verification code was made for the certificate"))?;
    let leaf = Certificate::read(proof).map_err(|error| invalid(error.to_string()))?;
    let names_code = leaf
        .common_name()
        .is_some_and(|name| name.eq_ignore_ascii_case(code.as_str()));
    if !names_code {
        return Err(invalid(
            "the common name of the proof is not the verification code",
        ));
    }
    vouch(std::slice::from_ref(proof), &[&authority.der], now)
        .map(drop)
        .map_err(|error| invalid(format!("the authority did not issue the proof: {error}")))
}

fn invalid(text: impl Into<String>) -> Error {
    Error::new(ErrorKind::Invalid, text)
}
