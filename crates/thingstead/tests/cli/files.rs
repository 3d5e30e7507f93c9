//! Certificates that commands read.

use std::path::Path;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType, IsCa, KeyPair,
};

/// An authority that can sign, named `Factory`, written to `ca.pem` and `ca.key`.
pub(crate) struct Factory(CertifiedIssuer<'static, KeyPair>);

impl Factory {
    pub(crate) fn new(folder: &Path) -> Self {
        let key = KeyPair::generate().unwrap();
        std::fs::write(folder.join("ca.key"), key.serialize_pem()).unwrap();
        let mut params = named("Factory");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![rcgen::KeyUsagePurpose::KeyCertSign];
        let issuer = CertifiedIssuer::self_signed(params, key).unwrap();
        std::fs::write(folder.join("ca.pem"), issuer.pem()).unwrap();
        Self(issuer)
    }

    /// A certificate of that common name, written to `{file}.pem` and `{file}.key`.
    pub(crate) fn certify(&self, folder: &Path, name: &str, file: &str) {
        let key = KeyPair::generate().unwrap();
        let certificate = named(name).signed_by(&key, &self.0).unwrap();
        std::fs::write(folder.join(format!("{file}.pem")), certificate.pem()).unwrap();
        std::fs::write(folder.join(format!("{file}.key")), key.serialize_pem()).unwrap();
    }
}

fn named(name: &str) -> CertificateParams {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    // In place of the name that the library gives.
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params
}
