//! Certificates of authorities that vouch for devices which register.

use axum::Json;
use http::StatusCode;
use hub_api::native::{
    Certificate, CertificateProof, CertificateReplacement, NewCertificate, Page,
};
use hub_engine::{CertificateUpload, IfMatch};

use super::super::certificates::{bytes_of, certificate_of, name, parse_name, standing};
use super::super::hubs::page;
use super::super::{Document, Failure, Guarded, Query, Scope};
use super::{Administration, page_of};

pub(in super::super) async fn list(
    scope: Scope,
    query: Query,
) -> Result<Json<Page<Certificate>>, Failure> {
    let Administration { service, ctx } = Administration::of(&scope)?;
    let views = service.authorities.list(&ctx)?;
    let items: Vec<Certificate> = views.iter().map(certificate_of).collect();
    Ok(Json(page_of(items, |one| &one.name, page(query)?)))
}

pub(in super::super) async fn create(
    scope: Scope,
    Document(new): Document<NewCertificate>,
) -> Result<(StatusCode, Json<Certificate>), Failure> {
    let Administration { service, ctx } = Administration::of(&scope)?;
    let bytes = bytes_of(&new.certificate)?;
    let upload = CertificateUpload {
        bytes: &bytes,
        standing: standing(new.is_verified),
    };
    let name = parse_name(&new.name)?;
    let view = service
        .authorities
        .create(&ctx, name, upload, IfMatch::Absent)
        .await?;
    Ok((StatusCode::CREATED, Json(certificate_of(&view))))
}

pub(in super::super) async fn get(scope: Scope) -> Result<Json<Certificate>, Failure> {
    let Administration { service, ctx } = Administration::of(&scope)?;
    let view = service.authorities.fetch(&ctx, &name(&scope)?)?;
    Ok(Json(certificate_of(&view)))
}

pub(in super::super) async fn replace(
    scope: Scope,
    Guarded(if_match): Guarded,
    Document(next): Document<CertificateReplacement>,
) -> Result<Json<Certificate>, Failure> {
    let Administration { service, ctx } = Administration::of(&scope)?;
    let bytes = bytes_of(&next.certificate)?;
    let upload = CertificateUpload {
        bytes: &bytes,
        standing: standing(next.is_verified),
    };
    let guard = super::wire::of_replacement(if_match);
    let view = service
        .authorities
        .create(&ctx, name(&scope)?, upload, guard)
        .await?;
    Ok(Json(certificate_of(&view)))
}

pub(in super::super) async fn delete(
    scope: Scope,
    Guarded(if_match): Guarded,
) -> Result<StatusCode, Failure> {
    let Administration { service, ctx } = Administration::of(&scope)?;
    service
        .authorities
        .delete(&ctx, &name(&scope)?, if_match)
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(in super::super) async fn generate_code(
    scope: Scope,
    Guarded(if_match): Guarded,
) -> Result<Json<Certificate>, Failure> {
    let Administration { service, ctx } = Administration::of(&scope)?;
    let view = service
        .authorities
        .generate_verification_code(&ctx, &name(&scope)?, if_match)
        .await?;
    Ok(Json(certificate_of(&view)))
}

pub(in super::super) async fn verify(
    scope: Scope,
    Guarded(if_match): Guarded,
    Document(proof): Document<CertificateProof>,
) -> Result<Json<Certificate>, Failure> {
    let Administration { service, ctx } = Administration::of(&scope)?;
    let proof = bytes_of(&proof.certificate)?;
    let view = service
        .authorities
        .verify(&ctx, &name(&scope)?, &proof, if_match)
        .await?;
    Ok(Json(certificate_of(&view)))
}
