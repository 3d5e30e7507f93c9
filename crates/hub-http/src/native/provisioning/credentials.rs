//! Issuers and credential policies.

use axum::Json;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::StatusCode;
use hub_api::compat::provisioning::pem;
use hub_api::native::{
    CredentialPolicy, CredentialPolicySettings, Issuer, Moment, NewIssuer, Page,
};
use hub_domain::certificate::CertificateName;
use hub_domain::provisioning::{self as domain, CredentialPolicyName};
use hub_engine::{Error, ErrorKind, IfMatch};
use hub_provisioning::{GivenIssuer, NewCredentialPolicy, certificate_info};

use super::super::hubs::page;
use super::super::{Document, Failure, Guarded, Query, Scope};
use super::{Administration, page_of, wire};

/// How many days certificates are good when nothing is said.
const VALIDITY_DAYS_DEFAULT: u32 = 30;

pub(in super::super) async fn list_issuers(
    scope: Scope,
    query: Query,
) -> Result<Json<Page<Issuer>>, Failure> {
    let Administration { service, ctx } = Administration::of(&scope)?;
    let issuers = service.credentials.issuers(&ctx)?;
    let items = issuers.iter().map(shown).collect::<Result<_, _>>()?;
    Ok(Json(page_of(items, |one: &Issuer| &one.name, page(query)?)))
}

pub(in super::super) async fn create_issuer(
    scope: Scope,
    Document(new): Document<NewIssuer>,
) -> Result<(StatusCode, Json<Issuer>), Failure> {
    let Administration { service, ctx } = Administration::of(&scope)?;
    let name = issuer_name(&new.name)?;
    let given = match (&new.certificate_chain, &new.private_key) {
        (None, None) => None,
        (Some(chain), Some(key)) => Some(GivenIssuer {
            chain: blocks(chain, "CERTIFICATE")?,
            key: blocks(key, PRIVATE_KEY)?
                .pop()
                .ok_or_else(|| Failure::invalid("privateKey holds no PKCS#8 key"))?,
        }),
        (Some(_), None) | (None, Some(_)) => {
            return Err(Failure::invalid(
                "certificateChain and privateKey stand together, or neither",
            ));
        }
    };
    let created = service.credentials.create_issuer(&ctx, name, given).await?;
    Ok((StatusCode::CREATED, Json(shown(&created)?)))
}

/// What PEM calls a key in PKCS#8 without a password.
const PRIVATE_KEY: &str = "PRIVATE KEY";

/// The blocks of that label in PEM. What they hold is not repeated in errors.
fn blocks(text: &str, label: &str) -> Result<Vec<Vec<u8>>, Failure> {
    let (begin, end) = (
        format!("-----BEGIN {label}-----"),
        format!("-----END {label}-----"),
    );
    let mut blocks = Vec::new();
    for part in text.split(&begin).skip(1) {
        let digits = part.split(&end).next().unwrap_or_default();
        let digits: String = digits.split_whitespace().collect();
        let bytes = STANDARD
            .decode(digits)
            .map_err(|_| Failure::invalid(format!("a {label} block is no base64")))?;
        blocks.push(bytes);
    }
    if blocks.is_empty() {
        let way_out = match label {
            PRIVATE_KEY => ": `openssl pkcs8 -topk8 -nodes` makes one of other keys",
            _ => "",
        };
        return Err(Failure::invalid(format!(
            "there must be a PEM block BEGIN {label}{way_out}"
        )));
    }
    Ok(blocks)
}

pub(in super::super) async fn get_issuer(scope: Scope) -> Result<Json<Issuer>, Failure> {
    let Administration { service, ctx } = Administration::of(&scope)?;
    let name = scope.parameter("issuer");
    let issuers = service.credentials.issuers(&ctx)?;
    let found = issuers.iter().find(|one| one.name.is(name));
    let found = found.ok_or_else(|| not_found("issuer", name))?;
    Ok(Json(shown(found)?))
}

pub(in super::super) async fn delete_issuer(scope: Scope) -> Result<StatusCode, Failure> {
    let Administration { service, ctx } = Administration::of(&scope)?;
    let name = issuer_name(scope.parameter("issuer"))?;
    service.credentials.delete_issuer(&ctx, &name).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(in super::super) async fn list_policies(
    scope: Scope,
    query: Query,
) -> Result<Json<Page<CredentialPolicy>>, Failure> {
    let Administration { service, ctx } = Administration::of(&scope)?;
    let policies = service.credentials.policies(&ctx)?;
    let items = policies.iter().map(policy).collect();
    Ok(Json(page_of(
        items,
        |one: &CredentialPolicy| &one.name,
        page(query)?,
    )))
}

pub(in super::super) async fn create_policy(
    scope: Scope,
    Document(settings): Document<CredentialPolicySettings>,
) -> Result<(StatusCode, Json<CredentialPolicy>), Failure> {
    let Administration { service, ctx } = Administration::of(&scope)?;
    let new = new_policy(&settings)?;
    let credentials = &service.credentials;
    let created = credentials.put_policy(&ctx, new, IfMatch::Absent).await?;
    Ok((StatusCode::CREATED, Json(policy(&created))))
}

pub(in super::super) async fn get_policy(scope: Scope) -> Result<Json<CredentialPolicy>, Failure> {
    let Administration { service, ctx } = Administration::of(&scope)?;
    let name = policy_name(scope.parameter("credentialPolicy"))?;
    let policies = service.credentials.policies(&ctx)?;
    let found = policies.iter().find(|one| one.name.is(&name));
    found
        .map(|found| Json(policy(found)))
        .ok_or_else(|| not_found("credential policy", name.as_str()))
}

pub(in super::super) async fn replace_policy(
    scope: Scope,
    Guarded(if_match): Guarded,
    Document(settings): Document<CredentialPolicySettings>,
) -> Result<Json<CredentialPolicy>, Failure> {
    let Administration { service, ctx } = Administration::of(&scope)?;
    let name = policy_name(scope.parameter("credentialPolicy"))?;
    let new = new_policy(&settings)?;
    if !new.name.is(&name) {
        return Err(Failure::invalid(
            "the name in the body is not the one in the path",
        ));
    }
    let guard = wire::of_replacement(if_match);
    let replaced = service.credentials.put_policy(&ctx, new, guard).await?;
    Ok(Json(policy(&replaced)))
}

pub(in super::super) async fn delete_policy(
    scope: Scope,
    Guarded(if_match): Guarded,
) -> Result<StatusCode, Failure> {
    let Administration { service, ctx } = Administration::of(&scope)?;
    let name = policy_name(scope.parameter("credentialPolicy"))?;
    let credentials = &service.credentials;
    credentials.delete_policy(&ctx, &name, if_match).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn not_found(what: &str, name: &str) -> Failure {
    Failure::from(Error::new(
        ErrorKind::NotFound,
        format!("there is no {what} {name}"),
    ))
}

fn issuer_name(text: &str) -> Result<CertificateName, Failure> {
    CertificateName::parse(text).map_err(|error| Failure::invalid(error.to_string()))
}

fn policy_name(text: &str) -> Result<CredentialPolicyName, Failure> {
    CredentialPolicyName::parse(text).map_err(|error| Failure::invalid(error.to_string()))
}

fn new_policy(settings: &CredentialPolicySettings) -> Result<NewCredentialPolicy, Failure> {
    Ok(NewCredentialPolicy {
        name: policy_name(&settings.name)?,
        issuer: issuer_name(&settings.issuer)?,
        validity_days: settings.validity_days.unwrap_or(VALIDITY_DAYS_DEFAULT),
    })
}

fn policy(policy: &domain::CredentialPolicy) -> CredentialPolicy {
    CredentialPolicy {
        name: policy.name.to_string(),
        issuer: policy.issuer.to_string(),
        validity_days: policy.validity_days,
        etag: policy.etag.0.clone(),
        created: Moment(policy.created),
        updated: Moment(policy.updated),
    }
}

fn shown(issuer: &domain::CertificateIssuer) -> Result<Issuer, Failure> {
    let own = issuer.chain.first();
    let info = own.and_then(|der| certificate_info(der).ok());
    let info = info.ok_or_else(|| {
        let text = format!(
            "the certificate of the issuer {} cannot be read",
            issuer.name
        );
        Failure::from(Error::new(ErrorKind::Internal, text))
    })?;
    Ok(Issuer {
        name: issuer.name.to_string(),
        subject: info.subject,
        thumbprint: info.sha1,
        expiry: Moment(info.not_after),
        created: Moment(issuer.created),
        certificate_chain: issuer.chain.iter().map(|der| pem(der)).collect(),
    })
}
