//! Authorities, what they issue, and requests as they should not be. The certificates are judged by rustls-webpki and by
//! OpenSSL's command.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hub_domain::Timestamp;
use hub_engine::x509::{Certificate, CertificateDer};
use rcgen::{
    CertificateParams, CertifiedIssuer, CustomExtension, DistinguishedName, DnType, IsCa, KeyPair,
    KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384, PKCS_ED25519, SanType,
};
use rustls_pki_types::UnixTime;
use webpki::{ALL_VERIFICATION_ALGS, EndEntityCert, KeyUsage};
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer as _;

use super::{AuthorityError, CertificateRequest, IssueError, IssuingAuthority, RequestError};

const NOW: Timestamp = Timestamp::from_seconds(1_800_000_000);
const DAY: Duration = Duration::from_secs(24 * 3600);

fn random() -> impl FnMut(&mut [u8]) {
    let mut next = 0x9C_u8;
    move |bytes| {
        for byte in bytes {
            next = next.wrapping_mul(5).wrapping_add(17);
            *byte = next;
        }
    }
}

fn root(name: &str) -> IssuingAuthority {
    IssuingAuthority::create(name, NOW, 10, &mut random()).unwrap()
}

fn params(common_names: &[&str]) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    for (place, name) in common_names.iter().enumerate() {
        let kind = match place {
            0 => DnType::CommonName,
            _ => DnType::CustomDnType(vec![2, 5, 4, 3]),
        };
        params.distinguished_name.push(kind, *name);
    }
    params
}

fn request_der(common_name: &str) -> Vec<u8> {
    let key = KeyPair::generate_for(&PKCS_ECDSA_P384_SHA384).unwrap();
    let request = params(&[common_name]).serialize_request(&key).unwrap();
    request.der().to_vec()
}

fn request(common_name: &str) -> CertificateRequest {
    CertificateRequest::parse(&request_der(common_name)).unwrap()
}

/// Judges the chain as a TLS server would that trusts its last certificate.
fn judge(chain: &[Vec<u8>], now: Timestamp) -> Result<(), webpki::Error> {
    let ders: Vec<CertificateDer<'_>> = chain
        .iter()
        .map(|der| CertificateDer::from(der.as_slice()))
        .collect();
    let [leaf, between @ .., last] = ders.as_slice() else {
        panic!("a chain of at least two");
    };
    let anchor = webpki::anchor_from_trusted_cert(last)?;
    let seconds = u64::try_from(now.seconds()).unwrap_or_default();
    let leaf = EndEntityCert::try_from(leaf)?;
    leaf.verify_for_usage(
        ALL_VERIFICATION_ALGS,
        &[anchor],
        between,
        UnixTime::since_unix_epoch(Duration::from_secs(seconds)),
        KeyUsage::client_auth(),
        None,
        None,
    )
    .map(|_| ())
}

fn pem(der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    format!("-----BEGIN CERTIFICATE-----\n{text}\n-----END CERTIFICATE-----\n")
}

/// When the certificate of the device expires.
fn expires(chain: &[Vec<u8>]) -> Timestamp {
    Certificate::read(&chain[0]).unwrap().not_after()
}

/// What `openssl` says, or why it refused.
fn openssl(folder: &Path, arguments: &[&str]) -> String {
    let done = Command::new("openssl")
        .args(arguments)
        .current_dir(folder)
        .output()
        .unwrap();
    let (said, why) = (done.stdout, done.stderr);
    if done.status.success() {
        String::from_utf8(said).unwrap()
    } else {
        panic!("{arguments:?}: {}", String::from_utf8_lossy(&why));
    }
}

#[test]
fn a_root_issues_a_certificate_that_says_no_more_than_the_name() {
    let authority = root("Issuer");
    let issued = authority
        .issue(&request("d1"), "d1", 30, NOW, &mut random())
        .unwrap();
    assert_eq!(issued.len(), 2);
    assert_eq!(expires(&issued), NOW.plus(DAY * 30));
    assert_eq!(judge(&issued, NOW), Ok(()));
    assert_eq!(judge(&issued, NOW.plus(DAY * 30)), Ok(()));
    assert!(judge(&issued, NOW.plus(DAY * 31)).is_err());
    let leaf = Certificate::read(&issued[0]).unwrap();
    assert_eq!(leaf.subject(), "CN=d1");
    assert_eq!(leaf.issuer(), "CN=Issuer");
    assert!(!leaf.is_authority());
    let (_, fields) = X509Certificate::from_der(&issued[0]).unwrap();
    let extensions: Vec<String> = fields
        .extensions()
        .iter()
        .map(|extension| format!("{} {}", extension.oid, extension.critical))
        .collect();
    let expected = [
        "2.5.29.14 false",
        "2.5.29.35 false",
        "2.5.29.19 true",
        "2.5.29.15 true",
        "2.5.29.37 false",
    ];
    assert_eq!(extensions, expected);
    let usage = fields.key_usage().unwrap().unwrap().value;
    assert_eq!(usage.to_string(), "Digital Signature");
    let extended = fields.extended_key_usage().unwrap().unwrap().value;
    assert!(extended.client_auth && !extended.server_auth && extended.other.is_empty());
    // ecdsa-with-SHA384
    let algorithm = fields.signature_algorithm.algorithm.to_id_string();
    assert_eq!(algorithm, "1.2.840.10045.4.3.3");
}

/// Writes the files that `names` says, and has OpenSSL verify the first against the last.
fn verify_strictly(folder: &Path, names: &[&str], chain: &[Vec<u8>]) {
    for (name, der) in names.iter().zip(chain) {
        std::fs::write(folder.join(name), pem(der)).unwrap();
    }
    let [leaf, between @ .., root] = names else {
        panic!("a chain of at least two");
    };
    let at = NOW.seconds().to_string();
    let mut verify = vec!["verify", "-x509_strict", "-purpose", "sslclient"];
    verify.extend(["-attime", &at, "-CAfile", root]);
    for one in between {
        verify.extend(["-untrusted", one]);
    }
    verify.push(leaf);
    assert_eq!(openssl(folder, &verify), format!("{leaf}: OK\n"));
}

#[test]
fn openssl_takes_the_chain_at_its_strictest() {
    let issued = root("Root")
        .issue(&request("d1"), "d1", 90, NOW, &mut random())
        .unwrap();
    let folder = tempfile::tempdir().unwrap();
    verify_strictly(folder.path(), &["leaf.pem", "root.pem"], &issued);
    let text = openssl(
        folder.path(),
        &["x509", "-in", "root.pem", "-noout", "-text"],
    );
    for part in [
        "ecdsa-with-SHA384",
        "ASN1 OID: secp384r1",
        "CA:TRUE",
        "Certificate Sign, CRL Sign",
        "Issuer: CN = Root",
        "Subject: CN = Root",
    ] {
        assert!(text.contains(part), "{part} in {text}");
    }
}

#[test]
fn requests_by_openssl_are_answered_whatever_the_key() {
    let authority = root("Issuer");
    let folder = tempfile::tempdir().unwrap();
    for (kind, option) in [
        ("ec", "ec_paramgen_curve:P-384"),
        ("ec", "ec_paramgen_curve:P-256"),
        ("rsa", "rsa_keygen_bits:2048"),
    ] {
        let make = [
            "req",
            "-new",
            "-newkey",
            kind,
            "-pkeyopt",
            option,
            "-nodes",
            "-keyout",
            "key.pem",
            "-subj",
            "/O=Some Company/CN=Press-07",
            "-outform",
            "DER",
            "-out",
            "request.der",
            "-addext",
            "subjectAltName=DNS:other",
            "-addext",
            "basicConstraints=critical,CA:TRUE",
        ];
        openssl(folder.path(), &make);
        let der = std::fs::read(folder.path().join("request.der")).unwrap();
        let request = CertificateRequest::parse(&der).unwrap();
        assert_eq!(request.common_name(), "Press-07");
        assert_eq!(request.check_name("press-07"), Ok(()));
        let issued = authority
            .issue(&request, "press-07", 7, NOW, &mut random())
            .unwrap();
        assert_eq!(judge(&issued, NOW), Ok(()));
        let leaf = Certificate::read(&issued[0]).unwrap();
        assert_eq!(leaf.subject(), "CN=press-07");
        assert!(!leaf.is_authority());
        // The device's key fits.
        std::fs::write(folder.path().join("leaf.pem"), pem(&issued[0])).unwrap();
        let of_key = openssl(folder.path(), &["pkey", "-in", "key.pem", "-pubout"]);
        let of_leaf = openssl(
            folder.path(),
            &["x509", "-in", "leaf.pem", "-noout", "-pubkey"],
        );
        assert_eq!(of_leaf, of_key);
    }
}

#[test]
fn a_certificate_lives_7_to_90_days_and_no_longer_than_its_authority() {
    let authority = IssuingAuthority::create("Issuer", NOW, 1, &mut random()).unwrap();
    let request = request("d1");
    let expires = |days, now| {
        let issued = authority.issue(&request, "d1", days, now, &mut random());
        issued.map(|issued| expires(&issued))
    };
    assert_eq!(expires(1, NOW), Ok(NOW.plus(DAY * 7)));
    assert_eq!(expires(45, NOW), Ok(NOW.plus(DAY * 45)));
    assert_eq!(expires(365, NOW), Ok(NOW.plus(DAY * 90)));
    let late = NOW.plus(DAY * 360);
    assert_eq!(expires(90, late), Ok(NOW.plus(DAY * 365)));
    for now in [NOW.plus(DAY * 365), NOW.minus(DAY)] {
        assert_eq!(expires(90, now), Err(IssueError::AuthorityOutOfDate));
    }
    // Beyond 2049 years have four digits.
    let long = IssuingAuthority::create("Long", NOW, 30, &mut random()).unwrap();
    let root = Certificate::read(&long.chain()[0]).unwrap();
    assert_eq!(root.not_after(), NOW.plus(DAY * 365 * 30));
}

#[test]
fn a_stored_authority_issues_like_the_one_that_was_made() {
    let made = root("Root");
    let again = IssuingAuthority::read(made.chain(), made.key(), NOW).unwrap();
    let issued = again
        .issue(&request("d1"), "d1", 30, NOW, &mut random())
        .unwrap();
    assert_eq!(issued[1..], *made.chain());
    assert_eq!(judge(&issued, NOW), Ok(()));
    // Serial numbers come from the given randomness alone.
    let serial = |der: &[u8]| Certificate::read(der).unwrap().serial();
    let mut counter = random();
    let mut other = || {
        let issued = again.issue(&request("d1"), "d1", 30, NOW, &mut counter);
        serial(&issued.unwrap()[0])
    };
    let (first, second) = (other(), other());
    assert_eq!((first.len(), second.len()), (32, 32));
    assert_ne!(first, second);
}

/// What an operator's authority is made of.
fn authority_params(name: &str, ca: IsCa) -> CertificateParams {
    let mut params = params(&[name]);
    // A name that a rewriting would not survive: parts twice, and another kind of text.
    params
        .distinguished_name
        .push(DnType::OrganizationalUnitName, "one");
    params.distinguished_name.push(
        DnType::CustomDnType(vec![2, 5, 4, 11]),
        rcgen::DnValue::PrintableString("two".try_into().unwrap()),
    );
    params.is_ca = ca;
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    params.not_before = rcgen::date_time_ymd(2020, 1, 1);
    params.not_after = rcgen::date_time_ymd(2040, 1, 1);
    params.use_authority_key_identifier_extension = true;
    params
}

/// An authority of an operator, made elsewhere: its certificate and key in DER.
fn uploaded(algorithm: &'static rcgen::SignatureAlgorithm, ca: IsCa) -> (Vec<u8>, Vec<u8>) {
    let key = KeyPair::generate_for(algorithm).unwrap();
    let private = key.serialize_der();
    let issuer = CertifiedIssuer::self_signed(authority_params("Plant 7", ca), key).unwrap();
    (issuer.der().to_vec(), private)
}

#[test]
fn an_uploaded_authority_issues_whatever_its_key() {
    for algorithm in [
        &PKCS_ECDSA_P256_SHA256,
        &PKCS_ECDSA_P384_SHA384,
        &rcgen::PKCS_RSA_SHA256,
    ] {
        let unlimited = IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let (der, key) = uploaded(algorithm, unlimited);
        let authority = IssuingAuthority::read(&[der], &key, NOW).unwrap();
        let issued = authority
            .issue(&request("d1"), "d1", 30, NOW, &mut random())
            .unwrap();
        assert_eq!(judge(&issued, NOW), Ok(()));
    }
}

#[test]
fn an_uploaded_authority_below_another_ends_with_that_one() {
    let mut above = authority_params("Company", IsCa::Ca(rcgen::BasicConstraints::Unconstrained));
    above.not_after = rcgen::date_time_ymd(2027, 2, 1);
    let key = KeyPair::generate_for(&PKCS_ECDSA_P384_SHA384).unwrap();
    let above = CertifiedIssuer::self_signed(above, key).unwrap();
    let lowest = IsCa::Ca(rcgen::BasicConstraints::Constrained(0));
    let key = KeyPair::generate_for(&PKCS_ECDSA_P384_SHA384).unwrap();
    let private = key.serialize_der();
    let below = authority_params("Plant 7", lowest);
    let below = CertifiedIssuer::signed_by(below, key, &above).unwrap();
    let chain = [below.der().to_vec(), above.der().to_vec()];
    let authority = IssuingAuthority::read(&chain, &private, NOW).unwrap();
    let issued = authority
        .issue(&request("d1"), "d1", 90, NOW, &mut random())
        .unwrap();
    assert_eq!(issued[1..], chain);
    assert_eq!(judge(&issued, NOW), Ok(()));
    assert_eq!(expires(&issued), expires(&chain[1..]));
    let names = ["leaf.pem", "below.pem", "above.pem"];
    let folder = tempfile::tempdir().unwrap();
    verify_strictly(folder.path(), &names, &issued);
}

#[test]
fn what_cannot_be_an_authority_is_refused_with_its_reason() {
    let unlimited = || IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let (own, key) = uploaded(&PKCS_ECDSA_P384_SHA384, unlimited());
    let (other, other_key) = uploaded(&PKCS_ECDSA_P384_SHA384, unlimited());
    let (device, device_key) = uploaded(&PKCS_ECDSA_P384_SHA384, IsCa::ExplicitNoCa);
    let (_, curve_key) = uploaded(&PKCS_ED25519, unlimited());
    let verdict = |chain: &[&[u8]], key: &[u8], now| {
        let read = IssuingAuthority::read(chain, key, now);
        read.err()
            .map(|error| error.to_string())
            .unwrap_or_default()
    };
    assert_eq!(verdict(&[&own], &key, NOW), "");
    assert_eq!(
        verdict(&[], &key, NOW),
        "an authority has 1 to 8 certificates, its own first"
    );
    assert_eq!(
        verdict(&[own.as_slice(); 9], &key, NOW),
        "an authority has 1 to 8 certificates, its own first"
    );
    assert_eq!(
        verdict(&[&own, b"x"], &key, NOW),
        "certificate 2 of the authority cannot be read"
    );
    assert_eq!(
        verdict(&[&device], &device_key, NOW),
        "certificate 1 is no authority's"
    );
    // The same name with another key.
    assert_eq!(
        verdict(&[&own, &other], &key, NOW),
        "certificate 1 is not issued by the next one"
    );
    assert_eq!(
        verdict(&[&own], &other_key, NOW),
        "the private key does not belong to the first certificate"
    );
    for key in [&curve_key, &b"x".to_vec()] {
        assert_eq!(
            verdict(&[&own], key, NOW),
            "the private key is no PKCS#8 key for P-256, P-384 or RSA of at least 2048 bits"
        );
    }
    assert_eq!(
        verdict(&[&own], &key, NOW.plus(DAY * 365 * 20)),
        "certificate 1 cannot be used"
    );
    for name in [String::new(), "x".repeat(65)] {
        let made = IssuingAuthority::create(&name, NOW, 1, &mut random());
        assert!(matches!(made, Err(AuthorityError::Name)));
    }
}

#[test]
fn a_device_asks_for_itself_under_one_name_that_fits() {
    let authority = root("Issuer");
    let asked = request("d1");
    assert_eq!(asked.check_name("D1"), Ok(()));
    assert_eq!(asked.check_name("d2"), Err(RequestError::OtherName));
    assert_eq!(asked.check_name(""), Err(RequestError::OtherName));
    let long = "x".repeat(65);
    for name in ["", &long] {
        let refused = authority.issue(&asked, name, 30, NOW, &mut random());
        assert_eq!(
            refused.unwrap_err().to_string(),
            "the device's name has to have 1 to 64 characters"
        );
    }
    let key = KeyPair::generate().unwrap();
    for names in [&[][..], &["d1", "d2"]] {
        let der = params(names).serialize_request(&key).unwrap();
        assert_eq!(
            CertificateRequest::parse(der.der()),
            Err(RequestError::Name)
        );
    }
}

#[test]
fn only_whole_requests_signed_by_their_own_key_are_taken() {
    let der = request_der("d1");
    let verdict = |der: &[u8]| CertificateRequest::parse(der).err();
    assert_eq!(verdict(&der), None);
    for end in 0..der.len() {
        assert_eq!(verdict(&der[..end]), Some(RequestError::Malformed));
    }
    let behind = [&*der, b"x"].concat();
    assert_eq!(verdict(&behind), Some(RequestError::Malformed));
    let huge = vec![0x30; 8 * 1024 + 1];
    assert_eq!(verdict(&huge), Some(RequestError::Malformed));
    // Another name under the old signature.
    let mut renamed = der.clone();
    let at = renamed.windows(2).position(|two| two == b"d1").unwrap();
    renamed[at + 1] = b'2';
    assert_eq!(verdict(&renamed), Some(RequestError::Signature));
    for at in 0..der.len() {
        let mut changed = der.clone();
        changed[at] ^= 1;
        assert!(verdict(&changed).is_some(), "byte {at}");
    }
    let key = KeyPair::generate_for(&PKCS_ED25519).unwrap();
    let other = params(&["d1"]).serialize_request(&key).unwrap();
    assert_eq!(verdict(other.der()), Some(RequestError::Algorithm));
}

#[test]
fn extensions_of_a_request_are_not_even_read() {
    let mut params = params(&["d1"]);
    params.subject_alt_names = vec![SanType::DnsName("hub.test".try_into().unwrap())];
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    params.custom_extensions = vec![CustomExtension::from_oid_content(
        &[1, 2, 3, 4],
        b"\x04\x01x".to_vec(),
    )];
    let key = KeyPair::generate_for(&PKCS_ECDSA_P384_SHA384).unwrap();
    let der = params.serialize_request(&key).unwrap();
    let request = CertificateRequest::parse(der.der()).unwrap();
    let issued = root("Issuer")
        .issue(&request, "d1", 30, NOW, &mut random())
        .unwrap();
    let (_, fields) = X509Certificate::from_der(&issued[0]).unwrap();
    assert_eq!(fields.extensions().len(), 5);
    assert!(fields.subject_alternative_name().unwrap().is_none());
    assert!(!fields.key_usage().unwrap().unwrap().value.key_cert_sign());
}
