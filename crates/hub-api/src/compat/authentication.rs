//! How a device or module proves itself, as the registry's REST face spells it.

use hub_domain::identity::Thumbprint;
use hub_domain::{Authentication, SymmetricKey};
use serde::Serialize;

use super::read::{InputError, Members};

/// The member `authentication` of an answer. Holds keys in clear: it has no `Debug`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AuthenticationMechanism {
    /// The shared keys; null for other kinds.
    pub symmetric_key: SymmetricKeys,
    /// The certificate thumbprints; null for other kinds.
    pub x509_thumbprint: Thumbprints,
    /// `sas`, `selfSigned`, `certificateAuthority` or `none`.
    #[serde(rename = "type")]
    pub kind: &'static str,
}

/// Two shared keys, both valid.
#[derive(Serialize, Default)]
#[serde(rename_all = "camelCase")]
pub struct SymmetricKeys {
    /// First key in base64.
    pub primary_key: Option<String>,
    /// Second key in base64.
    pub secondary_key: Option<String>,
}

/// Two certificate thumbprints, both valid.
#[derive(Serialize, Default)]
#[serde(rename_all = "camelCase")]
pub struct Thumbprints {
    /// First thumbprint in hexadecimal.
    pub primary_thumbprint: Option<String>,
    /// Second thumbprint in hexadecimal.
    pub secondary_thumbprint: Option<String>,
}

impl AuthenticationMechanism {
    pub(super) fn new(authentication: &Authentication) -> Self {
        let symmetric_key = match authentication.keys() {
            Some((primary, secondary)) => SymmetricKeys {
                primary_key: Some(primary.to_base64()),
                secondary_key: Some(secondary.to_base64()),
            },
            None => SymmetricKeys::default(),
        };
        Self {
            symmetric_key,
            x509_thumbprint: Thumbprints::new(authentication),
            kind: authentication.kind(),
        }
    }
}

impl Thumbprints {
    pub(super) fn new(authentication: &Authentication) -> Self {
        let text =
            |thumbprint: &Option<Thumbprint>| thumbprint.as_ref().map(|t| t.as_str().to_owned());
        match authentication {
            Authentication::SelfSigned { primary, secondary } => Self {
                primary_thumbprint: text(primary),
                secondary_thumbprint: text(secondary),
            },
            Authentication::Sas { .. }
            | Authentication::CertificateAuthority
            | Authentication::None => Self::default(),
        }
    }
}

/// What a request says about authentication.
#[derive(Clone)]
pub enum AuthenticationInput {
    /// Shared keys. A key that is absent, null or empty is left to the hub.
    Sas {
        /// First key.
        primary: Option<SymmetricKey>,
        /// Second key.
        secondary: Option<SymmetricKey>,
    },
    /// Certificates known by their thumbprints.
    SelfSigned {
        /// First thumbprint.
        primary: Option<Thumbprint>,
        /// Second thumbprint.
        secondary: Option<Thumbprint>,
    },
    /// Certificates of a registered authority.
    CertificateAuthority,
    /// No way to connect by itself.
    None,
}

impl AuthenticationInput {
    /// Reads the member `authentication`. Without a type it is `selfSigned` when there is a thumbprint
    /// and else `sas`, as the SDKs complete it themselves (`registry.js`, `_normalizeAuthentication`).
    pub(super) fn read(body: &Members<'_>) -> Result<Self, InputError> {
        let Some(members) = body.object("authentication")? else {
            return Ok(Self::Sas {
                primary: None,
                secondary: None,
            });
        };
        let thumbprints = read_thumbprints(&members)?;
        match members.text("type")? {
            None if matches!(thumbprints, (None, None)) => read_keys(&members),
            Some(kind) if kind.eq_ignore_ascii_case("sas") => read_keys(&members),
            None => Ok(Self::self_signed(thumbprints)),
            Some(kind) if kind.eq_ignore_ascii_case("selfSigned") => {
                Ok(Self::self_signed(thumbprints))
            }
            Some(kind) if kind.eq_ignore_ascii_case("certificateAuthority") => {
                Ok(Self::CertificateAuthority)
            }
            Some(kind) if kind.eq_ignore_ascii_case("none") => Ok(Self::None),
            Some(_) => Err(InputError::invalid(
                members.path_of("type"),
                "it must be sas, selfSigned, certificateAuthority or none",
            )),
        }
    }

    fn self_signed((primary, secondary): (Option<Thumbprint>, Option<Thumbprint>)) -> Self {
        Self::SelfSigned { primary, secondary }
    }
}

fn read_keys(authentication: &Members<'_>) -> Result<AuthenticationInput, InputError> {
    let Some(keys) = authentication.object("symmetricKey")? else {
        return Ok(AuthenticationInput::Sas {
            primary: None,
            secondary: None,
        });
    };
    let key = |name: &str| match keys.text(name)?.filter(|text| !text.is_empty()) {
        None => Ok(None),
        Some(text) => SymmetricKey::parse(text)
            .map(Some)
            .map_err(|error| InputError::invalid(keys.path_of(name), error)),
    };
    Ok(AuthenticationInput::Sas {
        primary: key("primaryKey")?,
        secondary: key("secondaryKey")?,
    })
}

fn read_thumbprints(
    authentication: &Members<'_>,
) -> Result<(Option<Thumbprint>, Option<Thumbprint>), InputError> {
    let Some(thumbprints) = authentication.object("x509Thumbprint")? else {
        return Ok((None, None));
    };
    let thumbprint = |name: &str| match thumbprints.text(name)?.filter(|text| !text.is_empty()) {
        None => Ok(None),
        Some(text) => Thumbprint::parse(text).map(Some).ok_or_else(|| {
            let reason = "a thumbprint has 40 or 64 hexadecimal digits";
            InputError::invalid(thumbprints.path_of(name), reason)
        }),
    };
    Ok((
        thumbprint("primaryThumbprint")?,
        thumbprint("secondaryThumbprint")?,
    ))
}
