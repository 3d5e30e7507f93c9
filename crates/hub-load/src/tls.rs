//! What the load trusts, and how it speaks TLS.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use rustls::client::Resumption;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion};
use rustls_platform_verifier::BuilderVerifierExt as _;

/// The versions of TLS that devices use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub(crate) enum Version {
    #[serde(rename = "1.2")]
    Tls12,
    #[serde(rename = "1.3")]
    Tls13,
}

impl Version {
    pub(crate) const BOTH: [Self; 2] = [Self::Tls12, Self::Tls13];

    const fn supported(self) -> &'static SupportedProtocolVersion {
        match self {
            Self::Tls12 => &rustls::version::TLS12,
            Self::Tls13 => &rustls::version::TLS13,
        }
    }

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Tls12 => "TLS 1.2",
            Self::Tls13 => "TLS 1.3",
        }
    }
}

/// Sessions of TLS that one client remembers of one server.
const REMEMBERED_SESSIONS: usize = 8;

/// A client that trusts only the certificates of a PEM file. Sessions are not resumed: every connection costs a full
/// handshake, as a device's first one does.
pub(crate) fn trusting(ca: &Path, versions: &[Version]) -> Result<Arc<ClientConfig>> {
    config(ca, versions, Resumption::disabled())
}

/// The same, but a session is resumed where the server offered that.
pub(crate) fn trusting_and_resuming(ca: &Path, versions: &[Version]) -> Result<Arc<ClientConfig>> {
    config(
        ca,
        versions,
        Resumption::in_memory_sessions(REMEMBERED_SESSIONS),
    )
}

fn config(ca: &Path, versions: &[Version], resumption: Resumption) -> Result<Arc<ClientConfig>> {
    let mut roots = RootCertStore::empty();
    let certificates = CertificateDer::pem_file_iter(ca)
        .with_context(|| format!("cannot read the certificate {}", ca.display()))?;
    for certificate in certificates {
        let certificate =
            certificate.with_context(|| format!("{} is no PEM file", ca.display()))?;
        roots
            .add(certificate)
            .with_context(|| format!("{} holds no certificate", ca.display()))?;
    }
    let versions: Vec<_> = versions.iter().map(|version| version.supported()).collect();
    let mut config = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&versions)
        .context("the provider has no cipher suite for these versions of tls")?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.resumption = resumption;
    Ok(Arc::new(config))
}

/// A client that trusts what the system trusts.
pub(crate) fn trusting_the_system() -> Result<Arc<ClientConfig>> {
    let config = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .context("the provider has no cipher suites")?
        .with_platform_verifier()
        .context("the certificates of the system cannot be read")?
        .with_no_client_auth();
    Ok(Arc::new(config))
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}
