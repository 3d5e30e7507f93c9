//! Issuers and credential policies as the administrator keeps them.

use std::sync::Arc;

use hub_domain::certificate::CertificateName;
use hub_domain::limits::{
    CERTIFICATE_ISSUERS_MAX, CREDENTIAL_POLICIES_MAX, ISSUED_CERTIFICATE_DAYS_MAX,
    ISSUED_CERTIFICATE_DAYS_MIN,
};
use hub_domain::provisioning::{
    CertificateIssuer, CredentialPolicy, CredentialPolicyName, ProvisioningService,
    ServicePermission,
};
use hub_engine::{ErrorKind, IfMatch};

use super::Credentials;
use crate::enrollments::check_place;
use crate::issuance::IssuingAuthority;
use crate::{Context, Error};

/// How long an issuer lives that is made here.
const OWN_YEARS: u32 = 10;

/// An authority that somebody else made.
pub struct GivenIssuer {
    /// Its certificate and what leads to the root, in DER.
    pub chain: Vec<Vec<u8>>,
    /// Its private key, PKCS#8 in DER.
    pub key: Vec<u8>,
}

/// A credential policy as it is to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewCredentialPolicy {
    /// Its name.
    pub name: CredentialPolicyName,
    /// Which issuer it uses.
    pub issuer: CertificateName,
    /// How many days certificates are good, 7 to 90.
    pub validity_days: u32,
}

impl Credentials {
    /// The issuers, in the order of their creation. They hold their keys, which nobody is to be shown.
    ///
    /// # Errors
    /// Needs `ServiceConfig`.
    pub fn issuers(&self, ctx: &Context) -> Result<Vec<CertificateIssuer>, Error> {
        ctx.require(ServicePermission::ServiceConfig)?;
        Ok(self.service.current().settings.issuers.clone())
    }

    /// Takes a given issuer, or makes one with a new key and a certificate of its own.
    ///
    /// # Errors
    /// Needs `ServiceConfig`. The name is taken; there are 25; the given one cannot issue.
    pub async fn create_issuer(
        &self,
        ctx: &Context,
        name: CertificateName,
        given: Option<GivenIssuer>,
    ) -> Result<CertificateIssuer, Error> {
        ctx.require(ServicePermission::ServiceConfig)?;
        let mut random = |bytes: &mut [u8]| self.parts.environment.fill_random(bytes);
        let authority = match given {
            Some(given) => IssuingAuthority::read(&given.chain, &given.key, ctx.now),
            None => IssuingAuthority::create(name.as_str(), ctx.now, OWN_YEARS, &mut random),
        };
        let authority = authority.map_err(|error| {
            let text = match std::error::Error::source(&error) {
                Some(cause) => format!("{error}: {cause}"),
                None => error.to_string(),
            };
            Error::invalid(text).with_source(error)
        })?;
        let issuer = CertificateIssuer {
            name,
            chain: authority
                .chain()
                .iter()
                .map(|der| Arc::from(&**der))
                .collect(),
            key: Arc::from(authority.key()),
            created: ctx.now,
        };
        let decide = |service: &ProvisioningService| {
            let mut next = service.clone();
            let list = &mut next.settings.issuers;
            if list.iter().any(|one| one.name.is(issuer.name.as_str())) {
                let text = format!("there is an issuer {} already", issuer.name);
                return Err(Error::new(ErrorKind::AlreadyExists, text));
            }
            if list.len() >= CERTIFICATE_ISSUERS_MAX {
                let text = format!("there are {CERTIFICATE_ISSUERS_MAX} issuers at most");
                return Err(Error::new(ErrorKind::QuotaExceeded, text));
            }
            list.push(issuer.clone());
            Ok(next)
        };
        self.service.update(ctx, decide).await?;
        Ok(issuer)
    }

    /// Forgets an issuer with its key. What it issued stays good.
    ///
    /// # Errors
    /// Needs `ServiceConfig`. There is none of that name; a credential policy uses it.
    pub async fn delete_issuer(&self, ctx: &Context, name: &CertificateName) -> Result<(), Error> {
        let decide = |service: &ProvisioningService| {
            let mut next = service.clone();
            let policies = &service.settings.credential_policies;
            if let Some(policy) = policies.iter().find(|one| one.issuer.is(name.as_str())) {
                return Err(Error::invalid(format!(
                    "the credential policy {} uses the issuer {name}, change or delete it first",
                    policy.name
                )));
            }
            let list = &mut next.settings.issuers;
            let before = list.len();
            list.retain(|one| !one.name.is(name.as_str()));
            if list.len() == before {
                return Err(Error::not_found("issuer", name));
            }
            Ok(next)
        };
        self.service.update(ctx, decide).await.map(drop)
    }

    /// The credential policies, in the order of their creation.
    ///
    /// # Errors
    /// Needs `ServiceConfig`.
    pub fn policies(&self, ctx: &Context) -> Result<Vec<CredentialPolicy>, Error> {
        ctx.require(ServicePermission::ServiceConfig)?;
        Ok(self.service.current().settings.credential_policies.clone())
    }

    /// Creates a credential policy, or replaces the one of that name when `if_match` says so.
    ///
    /// # Errors
    /// Needs `ServiceConfig`. It exists and `if_match` is absent; it does not and `if_match` is there; another etag;
    /// there is no such issuer; the days are out of their range; there are 100.
    pub async fn put_policy(
        &self,
        ctx: &Context,
        new: NewCredentialPolicy,
        if_match: IfMatch,
    ) -> Result<CredentialPolicy, Error> {
        let range = ISSUED_CERTIFICATE_DAYS_MIN..=ISSUED_CERTIFICATE_DAYS_MAX;
        if !range.contains(&new.validity_days) {
            return Err(Error::invalid(format!(
                "issued certificates are good for {} to {} days",
                range.start(),
                range.end()
            )));
        }
        let etag = self.parts.random_etag();
        let made = |former: Option<&CredentialPolicy>| CredentialPolicy {
            name: former.map_or_else(|| new.name.clone(), |former| former.name.clone()),
            issuer: new.issuer.clone(),
            validity_days: new.validity_days,
            etag: etag.clone(),
            created: former.map_or(ctx.now, |former| former.created),
            updated: ctx.now,
        };
        let decide = |service: &ProvisioningService| {
            let mut next = service.clone();
            let issuers = &service.settings.issuers;
            if !issuers.iter().any(|one| one.name.is(new.issuer.as_str())) {
                return Err(Error::invalid(format!(
                    "there is no issuer {}, create it first",
                    new.issuer
                )));
            }
            let list = &mut next.settings.credential_policies;
            let place = list.iter().position(|one| one.name.is(&new.name));
            let present = place.and_then(|place| list.get(place));
            let present_etag = present.map(|one| &one.etag.0);
            check_place("credential policy", &new.name, present_etag, &if_match)?;
            let policy = made(present);
            if present.is_none() && list.len() >= CREDENTIAL_POLICIES_MAX {
                let text =
                    format!("there are {CREDENTIAL_POLICIES_MAX} credential policies at most");
                return Err(Error::new(ErrorKind::QuotaExceeded, text));
            }
            match place.and_then(|place| list.get_mut(place)) {
                Some(slot) => *slot = policy,
                None => list.push(policy),
            }
            Ok(next)
        };
        let service = self.service.update(ctx, decide).await?;
        let policies = &service.settings.credential_policies;
        let written = policies.iter().find(|one| one.name.is(&new.name));
        written
            .cloned()
            .ok_or_else(|| Error::not_found("credential policy", &new.name))
    }

    /// Deletes a credential policy. Devices of enrollments that name it get no certificates until that is changed.
    ///
    /// # Errors
    /// Needs `ServiceConfig`. There is none of that name; another etag.
    pub async fn delete_policy(
        &self,
        ctx: &Context,
        name: &CredentialPolicyName,
        if_match: IfMatch,
    ) -> Result<(), Error> {
        let decide = |service: &ProvisioningService| {
            let mut next = service.clone();
            let list = &mut next.settings.credential_policies;
            let place = list.iter().position(|one| one.name.is(name));
            let place = place.ok_or_else(|| Error::not_found("credential policy", name))?;
            let former = list.remove(place);
            crate::rules::check_match(&if_match, &former.etag.0)?;
            Ok(next)
        };
        self.service.update(ctx, decide).await.map(drop)
    }
}
