//! The server's certificates: made at the first start, renewed in time, or the operator's own.
//!
//! The CA and the leaf pass strict verifiers: key identifiers, critical basic constraints and key
//! usage. There are no wildcards: OpenSSL and Node refuse `*.localhost`.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::SystemTime;

use hub_domain::Timestamp;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256,
};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use time::{Duration, OffsetDateTime};

use crate::config::Tls;
use crate::run_file::write_private;

/// How long a leaf lives: the longest that browsers take.
const LEAF_DAYS: i64 = 397;
/// A leaf with less than this left is made anew.
const RENEW_DAYS: i64 = 30;
/// How long the CA lives.
const CA_DAYS: i64 = 10 * 365;
/// Names that every leaf has.
const OWN_NAMES: [&str; 3] = ["localhost", "127.0.0.1", "::1"];

/// Certificates cannot be read or made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CertificateError {
    #[error("the certificate file {} cannot be used", path.display())]
    File { path: PathBuf, source: io::Error },
    #[error("the certificate or key in {} is not valid: {problem}", path.display())]
    Invalid { path: PathBuf, problem: String },
    #[error("a certificate cannot be made")]
    Make(#[from] rcgen::Error),
}

/// The certificate in use. Changes without a restart; connections that are open keep theirs.
#[derive(Debug)]
pub(crate) struct Certificates {
    source: Source,
    current: RwLock<Arc<CertifiedKey>>,
}

#[derive(Debug)]
enum Source {
    /// Made here; the folder holds the CA and the leaf.
    Made { folder: PathBuf },
    /// The operator's, with the time of the last change seen.
    Given {
        certificate: PathBuf,
        key: PathBuf,
        changed: RwLock<Option<SystemTime>>,
    },
}

/// What is remembered of a leaf beside its PEM files.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct LeafNote {
    names: BTreeSet<String>,
    not_after_seconds: i64,
}

impl Certificates {
    /// Opens the operator's certificate, or makes what is missing in `data_dir/tls` for `names`.
    pub(crate) fn open(
        tls: &Tls,
        data_dir: &Path,
        names: &BTreeSet<String>,
        now: Timestamp,
    ) -> Result<Arc<Self>, CertificateError> {
        let (source, current) = match (&tls.certificate, &tls.private_key) {
            (Some(certificate), Some(key)) => {
                let changed = RwLock::new(modified(certificate));
                let current = load(certificate, key)?;
                (
                    Source::Given {
                        certificate: certificate.clone(),
                        key: key.clone(),
                        changed,
                    },
                    current,
                )
            }
            _ => {
                let folder = data_dir.join("tls");
                let current = ensure_made(&folder, names, now)?;
                (Source::Made { folder }, current)
            }
        };
        Ok(Arc::new(Self {
            source,
            current: RwLock::new(Arc::new(current)),
        }))
    }

    /// The PEM file that clients have to trust.
    pub(crate) fn trust_file(&self) -> PathBuf {
        match &self.source {
            Source::Made { folder } => folder.join("ca.pem"),
            Source::Given { certificate, .. } => certificate.clone(),
        }
    }

    /// The certificate that clients are shown, in DER.
    pub(crate) fn leaf(&self) -> Option<Vec<u8>> {
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
        current.cert.first().map(|leaf| leaf.to_vec())
    }

    /// Makes the leaf anew if it lacks a name or ends soon; reads the operator's again if it changed.
    pub(crate) fn refresh(
        &self,
        names: &BTreeSet<String>,
        now: Timestamp,
    ) -> Result<(), CertificateError> {
        let next = match &self.source {
            Source::Made { folder } => ensure_made(folder, names, now)?,
            Source::Given {
                certificate,
                key,
                changed,
            } => {
                let found = modified(certificate);
                if *changed.read().unwrap_or_else(PoisonError::into_inner) == found {
                    return Ok(());
                }
                let next = load(certificate, key)?;
                *changed.write().unwrap_or_else(PoisonError::into_inner) = found;
                tracing::info!(path = %certificate.display(), "certificate read again");
                next
            }
        };
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(next);
        Ok(())
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(
            &self.current.read().unwrap_or_else(PoisonError::into_inner),
        ))
    }
}

fn modified(path: &Path) -> Option<SystemTime> {
    fs::metadata(path)
        .and_then(|metadata| metadata.modified())
        .ok()
}

fn load(certificate: &Path, key: &Path) -> Result<CertifiedKey, CertificateError> {
    let invalid = |path: &Path, problem: String| CertificateError::Invalid {
        path: path.to_owned(),
        problem,
    };
    let chain: Vec<_> = CertificateDer::pem_file_iter(certificate)
        .and_then(Iterator::collect)
        .map_err(|error| invalid(certificate, error.to_string()))?;
    let private_key =
        PrivateKeyDer::from_pem_file(key).map_err(|error| invalid(key, error.to_string()))?;
    CertifiedKey::from_der(chain, private_key, &aws_lc_rs::default_provider())
        .map_err(|error| invalid(key, error.to_string()))
}

fn ensure_made(
    folder: &Path,
    names: &BTreeSet<String>,
    now: Timestamp,
) -> Result<CertifiedKey, CertificateError> {
    let file = |source| CertificateError::File {
        path: folder.to_owned(),
        source,
    };
    fs::create_dir_all(folder).map_err(file)?;
    let names: BTreeSet<String> = OWN_NAMES
        .iter()
        .map(|name| (*name).to_owned())
        .chain(names.iter().cloned())
        .collect();
    let [leaf, leaf_key, note] =
        ["leaf.pem", "leaf.key", "leaf.json"].map(|name| folder.join(name));
    let usable = read_note(&note).is_some_and(|note| {
        note.names == names && note.not_after_seconds - now.seconds() > RENEW_DAYS * 24 * 3600
    });
    if !usable || !leaf.exists() || !leaf_key.exists() {
        let issuer = ensure_authority(folder, now)?;
        let (pem, key, not_after) = make_leaf(&issuer, &names, now)?;
        // The note goes first: without it a half-written leaf is made again at the next start.
        drop(fs::remove_file(&note));
        write_private(&leaf_key, key.as_bytes()).map_err(file)?;
        fs::write(&leaf, pem).map_err(file)?;
        let text = serde_json::to_vec(&LeafNote {
            names,
            not_after_seconds: not_after,
        })
        .map_err(|error| file(error.into()))?;
        fs::write(&note, text).map_err(file)?;
        tracing::info!(folder = %folder.display(), "server certificate made");
    }
    load(&leaf, &leaf_key)
}

fn read_note(path: &Path) -> Option<LeafNote> {
    serde_json::from_slice(&fs::read(path).ok()?).ok()
}

fn moment(now: Timestamp) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(now.seconds()).unwrap_or(OffsetDateTime::UNIX_EPOCH)
}

/// The CA in `folder`, made when there is none. Its certificate follows from its key, so that the key is enough to
/// issue again.
fn ensure_authority(
    folder: &Path,
    now: Timestamp,
) -> Result<Issuer<'static, KeyPair>, CertificateError> {
    let (path, key_path) = (folder.join("ca.pem"), folder.join("ca.key"));
    if key_path.exists() && path.exists() {
        let pem = fs::read_to_string(&key_path).map_err(|source| CertificateError::File {
            path: key_path,
            source,
        })?;
        let key = KeyPair::from_pem(&pem)?;
        return Ok(Issuer::new(authority(&key, now), key));
    }
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
    let params = authority(&key, now);
    let certificate = params.self_signed(&key)?;
    let file = |source| CertificateError::File {
        path: folder.to_owned(),
        source,
    };
    write_private(&key_path, key.serialize_pem().as_bytes()).map_err(file)?;
    fs::write(&path, certificate.pem()).map_err(file)?;
    Ok(Issuer::new(params, key))
}

fn authority(key: &KeyPair, now: Timestamp) -> CertificateParams {
    let mut params = CertificateParams::default();
    let mut name = DistinguishedName::new();
    // Two installations on one machine have two names: verifiers look CAs up by name.
    let fingerprint = Sha256::digest(key.public_key_raw());
    let suffix: String = fingerprint
        .iter()
        .take(4)
        .map(|byte| format!("{byte:02x}"))
        .collect();
    name.push(DnType::CommonName, format!("Thingstead CA {suffix}"));
    params.distinguished_name = name;
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![
        KeyUsagePurpose::KeyCertSign,
        KeyUsagePurpose::CrlSign,
        KeyUsagePurpose::DigitalSignature,
    ];
    params.not_before = moment(now) - Duration::DAY;
    params.not_after = moment(now) + Duration::days(CA_DAYS);
    params
}

fn make_leaf(
    issuer: &Issuer<'_, KeyPair>,
    names: &BTreeSet<String>,
    now: Timestamp,
) -> Result<(String, String, i64), CertificateError> {
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
    let mut params = CertificateParams::new(names.iter().cloned().collect::<Vec<_>>())?;
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, "Thingstead");
    params.distinguished_name = name;
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.use_authority_key_identifier_extension = true;
    params.not_before = moment(now) - Duration::DAY;
    params.not_after = moment(now) + Duration::days(LEAF_DAYS - 1);
    let not_after = params.not_after.unix_timestamp();
    let certificate = params.signed_by(&key, issuer)?;
    Ok((certificate.pem(), key.serialize_pem(), not_after))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    fn leaf(folder: &Path) -> Vec<u8> {
        fs::read(folder.join("tls/leaf.pem")).unwrap()
    }

    #[test]
    fn a_leaf_is_kept_until_it_lacks_a_name_or_ends_soon() {
        let folder = tempfile::tempdir().unwrap();
        let now = Timestamp::from_seconds(1_800_000_000);
        let open = |names: &BTreeSet<String>, now| {
            Certificates::open(&Tls::default(), folder.path(), names, now).unwrap();
            leaf(folder.path())
        };
        let first = open(&names(&["hub.test"]), now);
        let authority = fs::read(folder.path().join("tls/ca.pem")).unwrap();
        assert_eq!(open(&names(&["hub.test"]), now), first);
        let second = open(&names(&["hub.test", "other.test"]), now);
        assert_ne!(second, first);
        let later =
            Timestamp::from_seconds(now.seconds() + (LEAF_DAYS - RENEW_DAYS + 1) * 24 * 3600);
        assert_ne!(open(&names(&["hub.test", "other.test"]), later), second);
        assert_eq!(
            fs::read(folder.path().join("tls/ca.pem")).unwrap(),
            authority,
            "clients trust the same CA"
        );
    }

    #[test]
    fn a_given_certificate_is_read_again_when_it_changed() {
        let folder = tempfile::tempdir().unwrap();
        let now = Timestamp::from_seconds(1_800_000_000);
        Certificates::open(&Tls::default(), folder.path(), &names(&["a.test"]), now).unwrap();
        let tls = Tls {
            certificate: Some(folder.path().join("tls/leaf.pem")),
            private_key: Some(folder.path().join("tls/leaf.key")),
        };
        let given = Certificates::open(&tls, folder.path(), &BTreeSet::new(), now).unwrap();
        let before = Arc::clone(&given.current.read().unwrap());
        given.refresh(&BTreeSet::new(), now).unwrap();
        assert!(
            Arc::ptr_eq(&before, &given.current.read().unwrap()),
            "unchanged"
        );
        Certificates::open(&Tls::default(), folder.path(), &names(&["b.test"]), now).unwrap();
        let file = fs::File::options()
            .append(true)
            .open(tls.certificate.as_ref().unwrap())
            .unwrap();
        file.set_modified(SystemTime::UNIX_EPOCH).unwrap();
        given.refresh(&BTreeSet::new(), now).unwrap();
        assert_ne!(before.cert, given.current.read().unwrap().cert);
    }
}
