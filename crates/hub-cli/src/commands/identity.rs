//! What devices and modules have in common: how they prove themselves.

use hub_api::native::{Authentication, AuthenticationKind, SymmetricKeys, Thumbprints};

use crate::arguments::{AuthMethod, KeyArguments};
use crate::failure::Failure;

/// How often an update without an etag is tried again when somebody else was faster.
pub(super) const UPDATE_TRIES: u32 = 5;

/// The authentication that the arguments say, `former` being the one there is.
pub(super) fn authentication(
    keys: KeyArguments,
    former: Authentication,
) -> Result<Authentication, Failure> {
    let kind = match keys.auth_method {
        Some(AuthMethod::SharedPrivateKey) => AuthenticationKind::Sas,
        Some(AuthMethod::X509Thumbprint) => AuthenticationKind::SelfSigned,
        Some(AuthMethod::X509Ca) => AuthenticationKind::CertificateAuthority,
        Some(AuthMethod::None) => AuthenticationKind::None,
        None if keys.primary_thumbprint.is_some() || keys.secondary_thumbprint.is_some() => {
            AuthenticationKind::SelfSigned
        }
        None if keys.primary_key.is_some() || keys.secondary_key.is_some() => {
            AuthenticationKind::Sas
        }
        None => former.kind,
    };
    let KeyArguments {
        auth_method: _,
        primary_key,
        secondary_key,
        primary_thumbprint,
        secondary_thumbprint,
    } = keys;
    let has_keys = primary_key.is_some() || secondary_key.is_some();
    let has_thumbprints = primary_thumbprint.is_some() || secondary_thumbprint.is_some();
    if has_keys && kind != AuthenticationKind::Sas {
        return Err(Failure::usage(
            "keys go with --auth-method shared_private_key",
        ));
    }
    if has_thumbprints && kind != AuthenticationKind::SelfSigned {
        return Err(Failure::usage(
            "thumbprints go with --auth-method x509_thumbprint",
        ));
    }
    let same_kind = kind == former.kind;
    let symmetric_key = match kind {
        AuthenticationKind::Sas => {
            let old = former
                .symmetric_key
                .filter(|_| same_kind)
                .unwrap_or_default();
            Some(SymmetricKeys {
                primary_key: primary_key.or(old.primary_key),
                secondary_key: secondary_key.or(old.secondary_key),
            })
        }
        AuthenticationKind::SelfSigned
        | AuthenticationKind::CertificateAuthority
        | AuthenticationKind::None => None,
    };
    let x509_thumbprint = match kind {
        AuthenticationKind::SelfSigned => {
            let old = former
                .x509_thumbprint
                .filter(|_| same_kind)
                .unwrap_or_default();
            Some(Thumbprints {
                primary_thumbprint: primary_thumbprint.or(old.primary_thumbprint),
                secondary_thumbprint: secondary_thumbprint.or(old.secondary_thumbprint),
            })
        }
        AuthenticationKind::Sas
        | AuthenticationKind::CertificateAuthority
        | AuthenticationKind::None => None,
    };
    Ok(Authentication {
        kind,
        symmetric_key,
        x509_thumbprint,
    })
}

/// A text to keep, where the empty one means none.
pub(super) fn or_none(text: String) -> Option<String> {
    Some(text).filter(|text| !text.is_empty())
}
