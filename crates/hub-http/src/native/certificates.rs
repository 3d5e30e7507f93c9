//! Certificates of authorities.

use axum::Json;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::StatusCode;
use hub_api::native::{
    Certificate, CertificateProof, CertificateReplacement, Moment, NewCertificate, Page,
};
use hub_domain::certificate::CertificateName;
use hub_engine::{CertificateUpload, CertificateView, IfMatch, UploadStanding};

use super::hubs::page;
use super::{Document, Failure, Guarded, Query, Scope};

/// What PEM begins with.
const PEM_BEGIN: &str = "-----BEGIN ";

pub(super) async fn list(scope: Scope, query: Query) -> Result<Json<Page<Certificate>>, Failure> {
    let (after, max) = page(query)?;
    let after = after.map(|after| after.to_ascii_lowercase());
    let views = scope
        .engine()
        .certificates
        .list(&scope.ctx, scope.hub()?.no)?;
    let mut items: Vec<Certificate> = views.iter().map(certificate_of).collect();
    items.retain(|one| {
        after
            .as_ref()
            .is_none_or(|after| one.name.to_ascii_lowercase() > *after)
    });
    let more = items.len() > max;
    items.truncate(max);
    let next = items.last().filter(|_| more).map(|one| one.name.clone());
    Ok(Json(Page { items, next }))
}

pub(super) async fn create(
    scope: Scope,
    Document(new): Document<NewCertificate>,
) -> Result<(StatusCode, Json<Certificate>), Failure> {
    let name = parse_name(&new.name)?;
    let bytes = bytes_of(&new.certificate)?;
    let upload = CertificateUpload {
        bytes: &bytes,
        standing: standing(new.is_verified),
    };
    let certificates = &scope.engine().certificates;
    let view = certificates
        .create(&scope.ctx, scope.hub()?.no, name, upload, IfMatch::Absent)
        .await?;
    Ok((StatusCode::CREATED, Json(certificate_of(&view))))
}

pub(super) async fn get(scope: Scope) -> Result<Json<Certificate>, Failure> {
    let certificates = &scope.engine().certificates;
    let view = certificates.fetch(&scope.ctx, scope.hub()?.no, &name(&scope)?)?;
    Ok(Json(certificate_of(&view)))
}

pub(super) async fn replace(
    scope: Scope,
    Guarded(if_match): Guarded,
    Document(next): Document<CertificateReplacement>,
) -> Result<Json<Certificate>, Failure> {
    let bytes = bytes_of(&next.certificate)?;
    let upload = CertificateUpload {
        bytes: &bytes,
        standing: standing(next.is_verified),
    };
    let if_match = match if_match {
        IfMatch::Absent => IfMatch::Any,
        guard @ (IfMatch::Any | IfMatch::Etag(_)) => guard,
    };
    let certificates = &scope.engine().certificates;
    let view = certificates
        .create(&scope.ctx, scope.hub()?.no, name(&scope)?, upload, if_match)
        .await?;
    Ok(Json(certificate_of(&view)))
}

pub(super) async fn delete(
    scope: Scope,
    Guarded(if_match): Guarded,
) -> Result<StatusCode, Failure> {
    let certificates = &scope.engine().certificates;
    certificates
        .delete(&scope.ctx, scope.hub()?.no, &name(&scope)?, if_match)
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn generate_verification_code(
    scope: Scope,
    Guarded(if_match): Guarded,
) -> Result<Json<Certificate>, Failure> {
    let certificates = &scope.engine().certificates;
    let view = certificates
        .generate_verification_code(&scope.ctx, scope.hub()?.no, &name(&scope)?, if_match)
        .await?;
    Ok(Json(certificate_of(&view)))
}

pub(super) async fn verify(
    scope: Scope,
    Guarded(if_match): Guarded,
    Document(proof): Document<CertificateProof>,
) -> Result<Json<Certificate>, Failure> {
    let proof = bytes_of(&proof.certificate)?;
    let certificates = &scope.engine().certificates;
    let view = certificates
        .verify(
            &scope.ctx,
            scope.hub()?.no,
            &name(&scope)?,
            &proof,
            if_match,
        )
        .await?;
    Ok(Json(certificate_of(&view)))
}

pub(super) fn name(scope: &Scope) -> Result<CertificateName, Failure> {
    parse_name(scope.parameter("certificate"))
}

pub(super) fn parse_name(text: &str) -> Result<CertificateName, Failure> {
    CertificateName::parse(text).map_err(|error| Failure::invalid(error.to_string()))
}

pub(super) const fn standing(is_verified: bool) -> UploadStanding {
    if is_verified {
        UploadStanding::Verified
    } else {
        UploadStanding::Unverified
    }
}

/// PEM as it is, anything else as base64, which the vendor's tools send of either form.
pub(super) fn bytes_of(text: &str) -> Result<Vec<u8>, Failure> {
    if text.contains(PEM_BEGIN) {
        return Ok(text.as_bytes().to_vec());
    }
    let digits: String = text.split_ascii_whitespace().collect();
    STANDARD
        .decode(digits)
        .map_err(|_| Failure::invalid("the certificate is neither PEM nor base64"))
}

pub(super) fn certificate_of(view: &CertificateView) -> Certificate {
    let certificate = &view.certificate;
    Certificate {
        name: certificate.name.to_string(),
        etag: certificate.etag.0.clone(),
        is_verified: certificate.is_verified(),
        verification_code: certificate
            .verification_code()
            .map(|code| code.as_str().to_owned()),
        subject: view.subject.clone(),
        thumbprint: view.thumbprint.clone(),
        not_before: Moment(view.not_before),
        expiry: Moment(view.not_after),
        created: Moment(certificate.created),
        updated: Moment(certificate.updated),
        certificate: hub_api::compat::provisioning::pem(&certificate.der),
    }
}
