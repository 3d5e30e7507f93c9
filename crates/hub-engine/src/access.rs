//! Proof of identity: tokens against policies and identities, certificates against identities.

mod certificates;

use hub_domain::limits::CLOCK_SKEW;
use hub_domain::sas::{Resource, SasToken};
use hub_domain::{
    Authentication, ErrorCode, HostName, Hub, Identity, Permission, Policy, SymmetricKey, Timestamp,
};

use crate::x509::{CertificateDer, Fingerprint};
use crate::{Caller, Error, ErrorKind, Hubs};

/// Checks tokens. Cheap to clone.
#[derive(Clone)]
pub struct Access {
    hubs: Hubs,
}

/// How a device proved itself, until when, and what is stamped on its telemetry.
#[derive(Clone, Debug)]
pub(crate) struct Proof {
    pub(crate) expires: Timestamp,
    pub(crate) auth_method: String,
    /// The authority that vouches for the certificate shown, when one has to.
    pub(crate) authority: Option<Fingerprint>,
}

/// A policy's token as believed: who holds it, until when, and what it speaks for.
#[derive(Clone, Debug)]
pub struct PolicyProof {
    /// Who holds it.
    pub caller: Caller,
    /// When it ends.
    pub expires: Timestamp,
    /// What it speaks for: a whole hub, or something below it.
    pub resource: Resource,
}

impl Access {
    pub(crate) const fn new(hubs: Hubs) -> Self {
        Self { hubs }
    }

    /// Who holds a policy's token. The token must speak for the whole hub.
    ///
    /// # Errors
    /// `NotAuthenticated` with a public text that names the failed check, never the token.
    pub fn authenticate_policy(
        &self,
        hub: &Hub,
        token: &str,
        now: Timestamp,
    ) -> Result<Caller, Error> {
        let proof = self.prove_policy(hub, token, now, KeyForm::Bytes)?;
        if !proof.resource.covers_path_of(&Resource::hub(&hub.host)) {
            return Err(refused("the token does not speak for the hub"));
        }
        Ok(proof.caller)
    }

    /// Who holds a policy's token, whatever part of the hub it speaks for: that is the caller's to compare. The key may
    /// have signed it in the way of Event Hubs clients, which do not decode it.
    ///
    /// # Errors
    /// `NotAuthenticated` with a public text that names the failed check, never the token.
    pub fn authenticate_policy_token(
        &self,
        hub: &Hub,
        token: &str,
        now: Timestamp,
    ) -> Result<PolicyProof, Error> {
        self.prove_policy(hub, token, now, KeyForm::BytesOrText)
    }

    fn prove_policy(
        &self,
        hub: &Hub,
        token: &str,
        now: Timestamp,
        form: KeyForm,
    ) -> Result<PolicyProof, Error> {
        let token = parse(token)?;
        let name = token
            .policy()
            .ok_or_else(|| refused("the token names no policy"))?;
        let policy = hub
            .policy(name)
            .ok_or_else(|| refused("the token's policy does not exist in this hub"))?;
        self.check_host(hub, &token)?;
        check_policy_signature(&token, policy, now, form)?;
        Ok(PolicyProof {
            caller: caller(hub, policy),
            expires: token.expiry().plus(CLOCK_SKEW),
            resource: token.resource().clone(),
        })
    }

    /// Who holds a policy's key itself, in base64, as Event Hubs clients show it in SASL PLAIN.
    ///
    /// # Errors
    /// `NotAuthenticated` when there is no such policy or the key is neither of its two.
    pub fn authenticate_policy_key(
        &self,
        hub: &Hub,
        name: &str,
        key: &str,
    ) -> Result<Caller, Error> {
        let policy = hub
            .policy(name)
            .ok_or_else(|| refused("the policy does not exist in this hub"))?;
        let key = SymmetricKey::parse(key)
            .map_err(|error| refused("the key cannot be read").with_source(error))?;
        // Both are compared whatever the first says, so that the time does not tell which one it was.
        if !((key == policy.primary) | (key == policy.secondary)) {
            return Err(refused("the key is not the policy's"));
        }
        Ok(caller(hub, policy))
    }

    /// Checks that `token` lets `identity` connect: signed with one of its keys, or by a policy with `DeviceConnect`.
    pub(crate) fn authenticate_identity(
        &self,
        hub: &Hub,
        identity: &Identity,
        token: &str,
        now: Timestamp,
    ) -> Result<Proof, Error> {
        let token = parse(token)?;
        self.check_host(hub, &token)?;
        if !token.covers_path_of(&Resource::identity(&hub.host, &identity.id)) {
            return Err(refused("the token does not speak for this identity"));
        }
        let scope = match token.policy() {
            Some(name) => {
                let policy = hub
                    .policy(name)
                    .ok_or_else(|| refused("the token's policy does not exist in this hub"))?;
                if !policy.permissions.allows(Permission::DeviceConnect) {
                    return Err(refused("the token's policy does not allow DeviceConnect"));
                }
                check_signature(&token, &policy.primary, &policy.secondary, now)?;
                "hub"
            }
            None => {
                let Authentication::Sas { primary, secondary } = &identity.authentication else {
                    return Err(refused("the identity does not use tokens"));
                };
                check_signature(&token, primary, secondary, now)?;
                if identity.id.module.is_some() {
                    "module"
                } else {
                    "device"
                }
            }
        };
        let auth_method = format!(
            r#"{{"scope":"{scope}","type":"sas","issuer":"iothub","acceptingIpFilterRule":null}}"#
        );
        Ok(Proof {
            expires: token.expiry().plus(CLOCK_SKEW),
            auth_method,
            authority: None,
        })
    }

    /// Checks that the first certificate of `chain`, whose key the peer proved to hold, lets `identity` connect: by its
    /// thumbprint, or by an authority of the hub that vouches for its common name.
    pub(crate) fn authenticate_certificate(
        &self,
        hub: &Hub,
        identity: &Identity,
        chain: &[CertificateDer<'_>],
        now: Timestamp,
    ) -> Result<Proof, Error> {
        let Some(leaf) = chain.first() else {
            return Err(refused("neither a token nor a certificate was given"));
        };
        match &identity.authentication {
            Authentication::SelfSigned { primary, secondary } => {
                certificates::by_thumbprint(identity, leaf, [primary, secondary], now)
            }
            Authentication::CertificateAuthority => {
                // The head may hold an older hub: what it trusts may have changed since.
                let newest = self.hubs.by_no(hub.no);
                let hub = newest.as_deref().unwrap_or(hub);
                certificates::by_authority(hub, identity, chain, now)
            }
            Authentication::Sas { .. } | Authentication::None => Err(refused(
                "the identity proves itself with tokens, not with a certificate",
            )),
        }
    }

    /// The only hub of an installation accepts any host in a token, because the key names the hub already.
    fn check_host(&self, hub: &Hub, token: &SasToken<'_>) -> Result<(), Error> {
        if self.hubs.only().is_some() {
            return Ok(());
        }
        match HostName::parse(token.resource().host()) {
            Ok(host) if hub.answers_to(&host) => Ok(()),
            Ok(_) | Err(_) => Err(refused("the token's host is not this hub")),
        }
    }
}

fn caller(hub: &Hub, policy: &Policy) -> Caller {
    Caller::Policy {
        hub: hub.no,
        name: policy.name.clone(),
        permissions: policy.permissions,
    }
}

fn parse(token: &str) -> Result<SasToken<'_>, Error> {
    SasToken::parse(token).map_err(|error| refused("the token cannot be read").with_source(error))
}

/// In which form a key signs.
#[derive(Clone, Copy, PartialEq, Eq)]
enum KeyForm {
    /// By the bytes that its base64 stands for.
    Bytes,
    /// By those, or by the base64 itself.
    BytesOrText,
}

fn check_policy_signature(
    token: &SasToken<'_>,
    policy: &Policy,
    now: Timestamp,
    form: KeyForm,
) -> Result<(), Error> {
    let by_text = form == KeyForm::BytesOrText
        && (token.verify_by_text(&policy.primary) | token.verify_by_text(&policy.secondary));
    if by_text {
        return check_expiry(token, now);
    }
    check_signature(token, &policy.primary, &policy.secondary, now)
}

fn check_signature(
    token: &SasToken<'_>,
    primary: &hub_domain::SymmetricKey,
    secondary: &hub_domain::SymmetricKey,
    now: Timestamp,
) -> Result<(), Error> {
    // Both keys are tried whatever the first says, so that the time does not tell which one it was.
    let by_primary = token.verify(primary);
    let by_secondary = token.verify(secondary);
    if !(by_primary | by_secondary) {
        return Err(refused("the token's signature is wrong"));
    }
    check_expiry(token, now)
}

fn check_expiry(token: &SasToken<'_>, now: Timestamp) -> Result<(), Error> {
    if token.expiry().plus(CLOCK_SKEW) < now {
        return Err(refused("the token has expired, make a new one"));
    }
    Ok(())
}

fn refused(text: &str) -> Error {
    Error::new(ErrorKind::NotAuthenticated, text).with_code(ErrorCode::IotHubUnauthorized)
}
