//! Uploaded certificates: PEM or DER, just one.

use x509_parser::pem::Pem;

use super::Certificate;

/// What was uploaded cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UploadError {
    /// It is no certificate.
    #[error("it is neither PEM nor DER of an X.509 certificate")]
    Unreadable,
    /// There are more than one.
    #[error("it holds several certificates, upload each by itself")]
    Several,
    /// It holds a private key.
    #[error("it holds a private key, which belongs to nobody but its owner")]
    PrivateKey,
}

/// The one certificate in `bytes`, as DER.
///
/// # Errors
/// When there is none, more than one, or something that must not leave its owner.
pub fn read_upload(bytes: &[u8]) -> Result<Vec<u8>, UploadError> {
    if Certificate::read(bytes).is_ok() {
        return Ok(bytes.to_vec());
    }
    let mut found = None;
    for block in Pem::iter_from_buffer(bytes) {
        let block = block.map_err(|_| UploadError::Unreadable)?;
        if block.label.ends_with("PRIVATE KEY") {
            return Err(UploadError::PrivateKey);
        }
        if block.label == "CERTIFICATE" && found.replace(block.contents).is_some() {
            return Err(UploadError::Several);
        }
    }
    let der = found.ok_or(UploadError::Unreadable)?;
    match Certificate::read(&der) {
        Ok(_) => Ok(der),
        Err(_) => Err(UploadError::Unreadable),
    }
}
