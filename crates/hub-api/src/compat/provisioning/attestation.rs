//! The member `attestation`: how a device proves that it is the one that was enrolled.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hub_domain::certificate::{CertificateInfo, CertificateName};
use hub_domain::provisioning::{Attestation, AttestationKind, CertificateSlot, Slots};
use hub_domain::{SymmetricKey, Timestamp};
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::compat::read::{InputError, Members};
use crate::native::Keys;

/// What PEM of a certificate begins with.
const PEM_BEGIN: &str = "-----BEGIN CERTIFICATE-----";
/// What it ends with.
const PEM_END: &str = "-----END CERTIFICATE-----";
/// Base64 digits of a line of PEM (RFC 7468, section 2).
const PEM_LINE: usize = 64;
/// What a TPM sends of a key is far smaller.
const TPM_KEY_BYTES_MAX: usize = 4096;

/// What a certificate says of itself (`X509CertificateInfo`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CertificateDescription {
    /// Whose it is.
    pub subject_name: String,
    /// Its SHA-1 in hexadecimal.
    pub sha1_thumbprint: String,
    /// Its SHA-256 in hexadecimal.
    pub sha256_thumbprint: String,
    /// Who issued it.
    pub issuer_name: String,
    /// When it begins to be valid.
    #[serde(serialize_with = "moment")]
    pub not_before_utc: Timestamp,
    /// When it expires.
    #[serde(serialize_with = "moment")]
    pub not_after_utc: Timestamp,
    /// Its serial number in hexadecimal.
    pub serial_number: String,
    /// The version of its form, 3 for all that are in use.
    pub version: u32,
}

impl From<CertificateInfo> for CertificateDescription {
    fn from(info: CertificateInfo) -> Self {
        Self {
            subject_name: info.subject,
            sha1_thumbprint: info.sha1,
            sha256_thumbprint: info.sha256,
            issuer_name: info.issuer,
            not_before_utc: info.not_before,
            not_after_utc: info.not_after,
            serial_number: info.serial,
            version: info.version,
        }
    }
}

fn moment<S: serde::Serializer>(moment: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&moment.to_rfc3339())
}

/// Tells what a certificate in DER says of itself; `None` when it cannot be read.
pub type Describe<'a> = &'a dyn Fn(&[u8]) -> Option<CertificateDescription>;

/// The attestation of an enrollment that is to be written.
#[derive(Clone)]
pub enum AttestationInput {
    /// A TPM.
    Tpm {
        /// The public part of the endorsement key.
        endorsement_key: Vec<u8>,
        /// The public part of the storage root key.
        storage_root_key: Option<Vec<u8>>,
    },
    /// Certificates of the device itself.
    ClientCertificates(Slots<CertificateInput>),
    /// Certificates that sign those of devices.
    SigningCertificates(Slots<CertificateInput>),
    /// Names of authorities that the service has.
    AuthorityReferences(Slots<CertificateName>),
    /// Keys. One that is absent, null or empty is left to the service: the old one stays, or a new one is made.
    SymmetricKey {
        /// First key.
        primary: Option<SymmetricKey>,
        /// Second key.
        secondary: Option<SymmetricKey>,
    },
}

/// A certificate in a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CertificateInput {
    /// Itself, in DER as far as that can be told without reading it.
    Given(Vec<u8>),
    /// Only what was answered about it, by its SHA-1: clients send back what they read, and answers leave the
    /// certificate itself out.
    Known {
        /// The thumbprint, in upper case.
        sha1_thumbprint: String,
    },
}

impl AttestationInput {
    /// Reads the member `attestation` of an enrollment.
    pub(super) fn read(body: &Members<'_>) -> Result<Self, InputError> {
        let missing = |path: String| InputError::Missing { path };
        let attestation = body
            .object("attestation")?
            .ok_or_else(|| missing(body.path_of("attestation")))?;
        let kind_path = attestation.path_of("type");
        let kind = attestation
            .text("type")?
            .ok_or_else(|| missing(kind_path.clone()))?;
        match AttestationKind::parse(kind) {
            Some(AttestationKind::Tpm) => tpm(&attestation),
            Some(AttestationKind::X509) => x509(&attestation),
            Some(AttestationKind::SymmetricKey) => keys(&attestation),
            None => Err(InputError::invalid(
                kind_path,
                "it must be tpm, x509 or symmetricKey",
            )),
        }
    }
}

fn tpm(attestation: &Members<'_>) -> Result<AttestationInput, InputError> {
    let missing = |path: String| InputError::Missing { path };
    let tpm = attestation
        .object("tpm")?
        .ok_or_else(|| missing(attestation.path_of("tpm")))?;
    let key = |name: &str| -> Result<Option<Vec<u8>>, InputError> {
        let Some(text) = tpm.text(name)?.filter(|text| !text.is_empty()) else {
            return Ok(None);
        };
        match STANDARD.decode(text.trim()) {
            Ok(bytes) if !bytes.is_empty() && bytes.len() <= TPM_KEY_BYTES_MAX => Ok(Some(bytes)),
            Ok(_) | Err(_) => Err(InputError::invalid(
                tpm.path_of(name),
                "it must be the public key of a TPM in base64",
            )),
        }
    };
    Ok(AttestationInput::Tpm {
        endorsement_key: key("endorsementKey")?
            .ok_or_else(|| missing(tpm.path_of("endorsementKey")))?,
        storage_root_key: key("storageRootKey")?,
    })
}

fn keys(attestation: &Members<'_>) -> Result<AttestationInput, InputError> {
    let Some(keys) = attestation.object("symmetricKey")? else {
        return Ok(AttestationInput::SymmetricKey {
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
    Ok(AttestationInput::SymmetricKey {
        primary: key("primaryKey")?,
        secondary: key("secondaryKey")?,
    })
}

fn x509(attestation: &Members<'_>) -> Result<AttestationInput, InputError> {
    let path = attestation.path_of("x509");
    let x509 = attestation
        .object("x509")?
        .ok_or_else(|| InputError::Missing { path: path.clone() })?;
    let client = certificates(&x509, "clientCertificates")?;
    let signing = certificates(&x509, "signingCertificates")?;
    let references = references(&x509)?;
    match (client, signing, references) {
        (Some(client), None, None) => Ok(AttestationInput::ClientCertificates(client)),
        (None, Some(signing), None) => Ok(AttestationInput::SigningCertificates(signing)),
        (None, None, Some(names)) => Ok(AttestationInput::AuthorityReferences(names)),
        (None, None, None) => Err(InputError::invalid(
            path,
            "it must have one of clientCertificates, signingCertificates and caReferences, with a primary or secondary",
        )),
        (Some(_), _, _) | (_, Some(_), _) => Err(InputError::invalid(
            path,
            "it must have only one of clientCertificates, signingCertificates and caReferences",
        )),
    }
}

fn certificates(
    x509: &Members<'_>,
    name: &str,
) -> Result<Option<Slots<CertificateInput>>, InputError> {
    let Some(slots) = x509.object(name)? else {
        return Ok(None);
    };
    let primary = certificate(&slots, "primary")?;
    let secondary = certificate(&slots, "secondary")?;
    Ok(slots_of(primary, secondary))
}

fn certificate(slots: &Members<'_>, slot: &str) -> Result<Option<CertificateInput>, InputError> {
    let Some(members) = slots.object(slot)? else {
        return Ok(None);
    };
    if let Some(text) = members
        .text("certificate")?
        .filter(|text| !text.trim().is_empty())
    {
        let bytes = certificate_bytes(text).ok_or_else(|| {
            InputError::invalid(
                members.path_of("certificate"),
                "it must be one certificate, as PEM or as DER in base64",
            )
        })?;
        return Ok(Some(CertificateInput::Given(bytes)));
    }
    let Some(info) = members.object("info")? else {
        return Ok(None);
    };
    Ok(info
        .text("sha1Thumbprint")?
        .map(|text| CertificateInput::Known {
            sha1_thumbprint: text.to_ascii_uppercase(),
        }))
}

fn references(x509: &Members<'_>) -> Result<Option<Slots<CertificateName>>, InputError> {
    let Some(slots) = x509.object("caReferences")? else {
        return Ok(None);
    };
    let name = |slot: &str| match slots.text(slot)?.filter(|text| !text.is_empty()) {
        None => Ok(None),
        Some(text) => CertificateName::parse(text)
            .map(Some)
            .map_err(|error| InputError::invalid(slots.path_of(slot), error)),
    };
    let (primary, secondary) = (name("primary")?, name("secondary")?);
    Ok(slots_of(primary, secondary))
}

fn slots_of<T>(primary: Option<T>, secondary: Option<T>) -> Option<Slots<T>> {
    (primary.is_some() || secondary.is_some()).then_some(Slots { primary, secondary })
}

/// The bytes of a certificate that stands in a document: PEM, DER in base64, or PEM in base64, which some tools make of
/// a file. Of several in PEM the first is meant, as clients send a chain where its leaf would do. `None` when it is none
/// of these; whether the bytes are a certificate is seen by who reads them.
pub fn certificate_bytes(text: &str) -> Option<Vec<u8>> {
    if let Some((_, rest)) = text.split_once(PEM_BEGIN) {
        let (digits, _) = rest.split_once(PEM_END)?;
        return decoded(digits);
    }
    let bytes = decoded(text)?;
    match std::str::from_utf8(&bytes) {
        Ok(inner) if inner.contains(PEM_BEGIN) => certificate_bytes(inner),
        Ok(_) | Err(_) => Some(bytes),
    }
}

fn decoded(digits: &str) -> Option<Vec<u8>> {
    // Some clients send the two characters \n for the end of a line.
    let digits: String = digits.replace("\\n", "").split_whitespace().collect();
    let bytes = STANDARD.decode(digits).ok()?;
    (!bytes.is_empty()).then_some(bytes)
}

/// A certificate in DER as PEM.
pub fn pem(der: &[u8]) -> String {
    let digits = STANDARD.encode(der);
    let mut text = format!("{PEM_BEGIN}\n");
    let mut rest = digits.as_str();
    while !rest.is_empty() {
        let (line, next) = rest.split_at(rest.len().min(PEM_LINE));
        text.push_str(line);
        text.push('\n');
        rest = next;
    }
    text.push_str(PEM_END);
    text.push('\n');
    text
}

/// The member `attestation`. With `Keys::Shown` it holds keys in clear and the certificates themselves.
pub fn attestation_document(
    attestation: &Attestation,
    keys: Keys,
    describe: Describe<'_>,
) -> Value {
    let mut document = Map::new();
    document.insert("type".to_owned(), attestation.kind().as_str().into());
    let (member, value) = match attestation {
        Attestation::Tpm {
            endorsement_key,
            storage_root_key,
        } => {
            let mut tpm = Map::new();
            let endorsement = STANDARD.encode(endorsement_key);
            tpm.insert("endorsementKey".to_owned(), endorsement.into());
            if let Some(key) = storage_root_key {
                tpm.insert("storageRootKey".to_owned(), STANDARD.encode(key).into());
            }
            ("tpm", Value::Object(tpm))
        }
        Attestation::ClientCertificates(slots) => (
            "x509",
            json!({ "clientCertificates": certificates_document(slots, keys, describe) }),
        ),
        Attestation::SigningCertificates(slots) => (
            "x509",
            json!({ "signingCertificates": certificates_document(slots, keys, describe) }),
        ),
        Attestation::AuthorityReferences(slots) => (
            "x509",
            json!({ "caReferences": slots_document(slots, |name| name.as_str().into()) }),
        ),
        Attestation::SymmetricKey { primary, secondary } => match keys {
            Keys::Hidden => return Value::Object(document),
            Keys::Shown => (
                "symmetricKey",
                json!({ "primaryKey": primary.to_base64(), "secondaryKey": secondary.to_base64() }),
            ),
        },
    };
    document.insert(member.to_owned(), value);
    Value::Object(document)
}

fn certificates_document(
    slots: &Slots<CertificateSlot>,
    keys: Keys,
    describe: Describe<'_>,
) -> Value {
    slots_document(slots, |slot| {
        let mut document = Map::new();
        match keys {
            Keys::Shown => {
                document.insert("certificate".to_owned(), pem(&slot.der).into());
            }
            Keys::Hidden => {}
        }
        if let Some(description) = describe(&slot.der) {
            document.insert("info".to_owned(), json!(description));
        }
        Value::Object(document)
    })
}

fn slots_document<T>(slots: &Slots<T>, document: impl Fn(&T) -> Value) -> Value {
    let mut members = Map::new();
    let both = [("primary", &slots.primary), ("secondary", &slots.secondary)];
    for (name, slot) in both {
        if let Some(slot) = slot {
            members.insert(name.to_owned(), document(slot));
        }
    }
    Value::Object(members)
}
