//! What a device sends to get a certificate: PKCS#10 (RFC 2986).

use hub_domain::limits::CERTIFICATE_REQUEST_BYTES_MAX;
use rustls_pki_types::{AlgorithmIdentifier, SubjectPublicKeyInfoDer, alg_id};
use webpki::{ALL_VERIFICATION_ALGS, RawPublicKeyEntity};
use x509_parser::certification_request::X509CertificationRequest;
use x509_parser::prelude::FromDer as _;

/// The keys that get a certificate. The bounds of RSA, 2048 to 8192 bits, are those of the algorithms below.
const KEYS: [AlgorithmIdentifier; 3] = [
    alg_id::ECDSA_P384,
    alg_id::ECDSA_P256,
    alg_id::RSA_ENCRYPTION,
];

/// How requests may be signed.
const SIGNATURES: [AlgorithmIdentifier; 6] = [
    alg_id::ECDSA_SHA256,
    alg_id::ECDSA_SHA384,
    alg_id::ECDSA_SHA512,
    alg_id::RSA_PKCS1_SHA256,
    alg_id::RSA_PKCS1_SHA384,
    alg_id::RSA_PKCS1_SHA512,
];

/// A request that was signed by the key it names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateRequest {
    common_name: String,
    public_key: Vec<u8>,
}

/// A request cannot be answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// Not base64 of a whole PKCS#10 structure, or longer than 8 KiB.
    #[error("the certificate request is not a PKCS#10 structure in base64")]
    Malformed,
    /// The subject has no common name, several, or one that is no text.
    #[error("the certificate request has to have one common name")]
    Name,
    /// The common name is not the registration id.
    #[error("the common name of the certificate request is not the registration id")]
    OtherName,
    /// The key is of another kind than P-384, P-256 or RSA of 2048 to 8192 bits, or signed by another algorithm than
    /// ECDSA or PKCS#1 with SHA-256, SHA-384 or SHA-512.
    #[error(
        "the certificate request needs a key for P-384, P-256 or RSA of 2048 to 8192 bits, and a signature with SHA-2"
    )]
    Algorithm,
    /// The signature is not that of the key.
    #[error("the certificate request is not signed by its own key")]
    Signature,
}

impl CertificateRequest {
    /// Reads DER, and checks that the request's own key signed it. Attributes, and so extensions, are not read.
    ///
    /// # Errors
    /// When it is malformed, its key or name cannot serve, or the signature is not that of the key.
    pub fn parse(der: &[u8]) -> Result<Self, RequestError> {
        if der.len() > CERTIFICATE_REQUEST_BYTES_MAX {
            return Err(RequestError::Malformed);
        }
        let Ok(([], request)) = X509CertificationRequest::from_der(der) else {
            return Err(RequestError::Malformed);
        };
        check_signature(&request)?;
        let content = &request.certification_request_info;
        let mut names = content.subject.iter_common_name();
        let (Some(name), None) = (names.next(), names.next()) else {
            return Err(RequestError::Name);
        };
        let name = name.as_str().map_err(|_| RequestError::Name)?;
        Ok(Self {
            common_name: name.to_owned(),
            public_key: content.subject_pki.raw.to_vec(),
        })
    }

    /// The subject's common name.
    pub fn common_name(&self) -> &str {
        &self.common_name
    }

    /// The key, in DER (`SubjectPublicKeyInfo`).
    pub fn public_key(&self) -> &[u8] {
        &self.public_key
    }

    /// Checks that the device asks for itself. Registration ids differ in more than case.
    ///
    /// # Errors
    /// When it asks for another.
    pub fn check_name(&self, registration_id: &str) -> Result<(), RequestError> {
        if self.common_name.eq_ignore_ascii_case(registration_id) {
            Ok(())
        } else {
            Err(RequestError::OtherName)
        }
    }
}

/// Checks that the request was signed by its own key, by the algorithm that it says.
fn check_signature(request: &X509CertificationRequest<'_>) -> Result<(), RequestError> {
    let content = &request.certification_request_info;
    if request.signature_value.unused_bits != 0 {
        return Err(RequestError::Malformed);
    }
    let signature =
        signature_algorithm(request.as_raw(), content.raw.len()).ok_or(RequestError::Algorithm)?;
    let key = SubjectPublicKeyInfoDer::from(content.subject_pki.raw);
    let key = RawPublicKeyEntity::try_from(&key).map_err(|_| RequestError::Malformed)?;
    let candidates = ALL_VERIFICATION_ALGS.iter().filter(|algorithm| {
        algorithm.signature_alg_id() == signature && KEYS.contains(&algorithm.public_key_alg_id())
    });
    let mut verdict = RequestError::Algorithm;
    for algorithm in candidates {
        let signed = content.raw;
        match key.verify_signature(*algorithm, signed, &request.signature_value.data) {
            Ok(()) => return Ok(()),
            Err(webpki::Error::UnsupportedSignatureAlgorithmForPublicKeyContext(_)) => {}
            Err(_) => verdict = RequestError::Signature,
        }
    }
    Err(verdict)
}

/// The algorithm that the request says behind its signed part, of `signed` bytes. Read byte for byte: it is not signed.
fn signature_algorithm(der: &[u8], signed: usize) -> Option<AlgorithmIdentifier> {
    let header = match der.get(1)? {
        ..0x80 => 2,
        0x81 => 3,
        0x82.. => 4,
        0x80 => return None,
    };
    let [0x30, size, rest @ ..] = der.get(header + signed..)? else {
        return None;
    };
    let algorithm = rest.get(..usize::from(*size))?;
    SIGNATURES
        .into_iter()
        .find(|known| known.as_ref() == algorithm)
}
