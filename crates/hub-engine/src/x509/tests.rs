//! Paths and fields, over certificates made here.

use hub_domain::Timestamp;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, KeyUsagePurpose,
};
use rustls_pki_types::CertificateDer;

use super::{Certificate, read_upload, vouch};

const NOW: Timestamp = Timestamp::from_seconds(1_700_000_000);

fn params(common_name: &str, years: (i32, i32)) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params
        .distinguished_name
        .push(DnType::CommonName, common_name);
    params.not_before = rcgen::date_time_ymd(years.0, 1, 1);
    params.not_after = rcgen::date_time_ymd(years.1, 1, 1);
    params
}

fn authority_params(common_name: &str, years: (i32, i32)) -> CertificateParams {
    let mut params = params(common_name, years);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    params
}

type Issuer = CertifiedIssuer<'static, KeyPair>;

fn root(common_name: &str, years: (i32, i32)) -> Issuer {
    let key = KeyPair::generate().unwrap();
    CertifiedIssuer::self_signed(authority_params(common_name, years), key).unwrap()
}

fn below(issuer: &Issuer, common_name: &str, years: (i32, i32)) -> Issuer {
    let key = KeyPair::generate().unwrap();
    CertifiedIssuer::signed_by(authority_params(common_name, years), key, issuer).unwrap()
}

fn leaf(issuer: &Issuer, common_name: &str, years: (i32, i32)) -> CertificateDer<'static> {
    let key = KeyPair::generate().unwrap();
    let certificate = params(common_name, years).signed_by(&key, issuer).unwrap();
    certificate.der().clone()
}

fn check(chain: &[CertificateDer<'_>], authorities: &[&Issuer]) -> String {
    let ders: Vec<&[u8]> = authorities.iter().map(|one| &**one.der()).collect();
    match vouch(chain, &ders, NOW) {
        Ok(vouched) => format!("{} until {}", vouched.authority, vouched.expires.seconds()),
        Err(error) => error.to_string(),
    }
}

const YEAR_2024: i64 = 1_704_067_200;
const YEAR_2025: i64 = 1_735_689_600;

#[test]
fn the_path_may_be_direct_or_lead_through_others() {
    let (other, top) = (root("other", (2020, 2030)), root("top", (2020, 2030)));
    let direct = leaf(&top, "d1", (2020, 2025));
    assert_eq!(
        check(&[direct], &[&other, &top]),
        format!("1 until {YEAR_2025}")
    );
    let middle = below(&top, "middle", (2020, 2024));
    let lowest = below(&middle, "lowest", (2020, 2026));
    let far = leaf(&lowest, "d1", (2020, 2025));
    let whole = [far.clone(), lowest.der().clone(), middle.der().clone()];
    assert_eq!(check(&whole, &[&top]), format!("0 until {YEAR_2024}"));
    // An authority below the top may be the registered one.
    assert_eq!(check(&whole, &[&middle]), format!("0 until {YEAR_2024}"));
    let with_top = [
        far.clone(),
        middle.der().clone(),
        top.der().clone(),
        lowest.der().clone(),
    ];
    assert_eq!(check(&with_top, &[&top]), format!("0 until {YEAR_2024}"));
    assert_eq!(
        check(&[far, middle.der().clone()], &[&top]),
        "no path leads from the certificate to this authority"
    );
}

#[test]
fn every_certificate_of_the_path_must_be_in_date() {
    let top = root("top", (2020, 2030));
    for (years, expected) in [
        ((2020, 2023), "the certificate has expired"),
        ((2025, 2030), "the certificate is not valid yet"),
    ] {
        assert_eq!(check(&[leaf(&top, "d1", years)], &[&top]), expected);
        let middle = below(&top, "middle", years);
        let leaf = leaf(&middle, "d1", (2020, 2030));
        assert_eq!(
            check(&[leaf, middle.der().clone()], &[&top]),
            "a certificate between the device's and its authority's has expired or is not valid yet"
        );
    }
    let old = root("old", (2010, 2020));
    assert_eq!(
        check(&[leaf(&old, "d1", (2020, 2030))], &[&old]),
        "the certificate of the authority has expired or is not valid yet"
    );
}

#[test]
fn a_renewed_authority_with_the_same_key_stands_in_for_the_old() {
    let key = KeyPair::generate().unwrap();
    let copy = KeyPair::try_from(key.serialize_der()).unwrap();
    let old = CertifiedIssuer::self_signed(authority_params("a", (2010, 2020)), key).unwrap();
    let new = CertifiedIssuer::self_signed(authority_params("a", (2020, 2030)), copy).unwrap();
    let leaf = leaf(&old, "d1", (2020, 2025));
    assert_eq!(
        check(&[leaf], &[&old, &new]),
        format!("1 until {YEAR_2025}")
    );
}

#[test]
fn a_device_is_no_authority() {
    let top = root("top", (2020, 2030));
    let key = KeyPair::generate().unwrap();
    let device = CertifiedIssuer::signed_by(params("d1", (2020, 2030)), key, &top).unwrap();
    let forged = leaf(&device, "d2", (2020, 2030));
    assert_eq!(
        check(&[forged, device.der().clone()], &[&top]),
        "no path leads from the certificate to this authority"
    );
    // The same name with another key.
    let impostor = root("top", (2020, 2030));
    assert_eq!(
        check(&[leaf(&impostor, "d1", (2020, 2030))], &[&top]),
        "no path leads from the certificate to this authority"
    );
}

/// Made with `openssl x509 -req` without an extension file, which gives version 1: an authority of version 3, `v1-device`
/// issued by it, both valid from the end of 2026 to 2051.
const AUTHORITY_OF_V1: &[u8] = include_bytes!("tests/authority-of-v1.pem");
const NOW_OF_V1: Timestamp = Timestamp::from_seconds(1_800_000_000);
const DEVICE_V1: &[u8] = include_bytes!("tests/device-v1.pem");

#[test]
fn a_certificate_whose_key_may_not_sign_vouches_for_nobody() {
    let top = root("top", (2020, 2030));
    let mut middle = authority_params("middle", (2020, 2030));
    middle.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    let key = KeyPair::generate().unwrap();
    let middle = CertifiedIssuer::signed_by(middle, key, &top).unwrap();
    let chain = [leaf(&middle, "d1", (2020, 2030)), middle.der().clone()];
    assert_eq!(
        check(&chain, &[&top]),
        "no path leads from the certificate to this authority"
    );
}

#[test]
fn a_device_of_version_1_is_vouched_for_by_its_issuer_only() {
    let authority = read_upload(AUTHORITY_OF_V1).unwrap();
    let device = CertificateDer::from(read_upload(DEVICE_V1).unwrap());
    let read = Certificate::read(&device).unwrap();
    assert_eq!(read.common_name(), Some("v1-device"));
    assert!(!read.is_authority());
    let vouched = vouch(std::slice::from_ref(&device), &[&authority], NOW_OF_V1).unwrap();
    assert_eq!(vouched.authority, 0);
    let stranger = root("authority of v1", (2020, 2030));
    assert!(vouch(std::slice::from_ref(&device), &[stranger.der()], NOW_OF_V1).is_err());
    let mut forged = device.to_vec();
    let last = forged.len() - 1;
    forged[last] ^= 1;
    let forged = CertificateDer::from(forged);
    assert!(vouch(&[forged], &[&authority], NOW_OF_V1).is_err());
}

#[test]
fn fields_are_read_as_people_write_them() {
    let authority = read_upload(AUTHORITY_OF_V1).unwrap();
    let certificate = Certificate::read(&authority).unwrap();
    assert!(certificate.is_authority());
    assert_eq!(certificate.subject(), "CN=authority of v1");
    assert_eq!(certificate.sha1().len(), 40);
    assert_eq!(certificate.sha256().len(), 64);
    let mut two_names = params("d1", (2020, 2030));
    two_names
        .distinguished_name
        .push(DnType::CustomDnType(vec![2, 5, 4, 3]), "d2");
    let key = KeyPair::generate().unwrap();
    let two_names = two_names.self_signed(&key).unwrap();
    let two_names = Certificate::read(two_names.der()).unwrap();
    assert_eq!(two_names.common_name(), None);
}

#[test]
fn an_upload_is_one_certificate_in_pem_or_der() {
    let der = read_upload(AUTHORITY_OF_V1).unwrap();
    assert_eq!(read_upload(&der), Ok(der.clone()));
    let verdict = |bytes: &[u8]| read_upload(bytes).unwrap_err().to_string();
    let none = "it is neither PEM nor DER of an X.509 certificate";
    assert_eq!(verdict(b""), none);
    assert_eq!(verdict(b"\x30\x03\x02\x01\x01"), none);
    assert_eq!(verdict(&der[..der.len() - 1]), none);
    let trailing = [&*der, b"x"].concat();
    assert_eq!(verdict(&trailing), none);
    let two = [AUTHORITY_OF_V1, DEVICE_V1].concat();
    assert_eq!(
        verdict(&two),
        "it holds several certificates, upload each by itself"
    );
    let key = KeyPair::generate().unwrap().serialize_pem();
    assert_eq!(
        verdict(key.as_bytes()),
        "it holds a private key, which belongs to nobody but its owner"
    );
}
