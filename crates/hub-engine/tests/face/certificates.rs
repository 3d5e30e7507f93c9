//! Devices that prove themselves with certificates, and the authorities that vouch for them.

use std::time::Duration;

use hub_domain::Permission;
use hub_domain::certificate::CertificateName;
use hub_domain::identity::Thumbprint;
use hub_engine::sessions::{Credential, OpenRequest, Opened, Persistence};
use hub_engine::{
    Caller, CertificateDer, CertificateUpload, Error, IfMatch, NewAuthentication, NewIdentity,
    UploadStanding,
};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType, IsCa, KeyPair,
};
use sha1::{Digest as _, Sha1};
use sha2::Sha256;

use crate::support::{Device, World, device, failure, id, session_failure};

type Authority = CertifiedIssuer<'static, KeyPair>;
type Chain = Vec<CertificateDer<'static>>;

const YEARS: (i32, i32) = (2020, 2030);

fn params(common_name: &str, years: (i32, i32)) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params
        .distinguished_name
        .push(DnType::CommonName, common_name);
    params.not_before = rcgen::date_time_ymd(years.0, 1, 1);
    params.not_after = rcgen::date_time_ymd(years.1, 1, 1);
    params
}

fn authority(common_name: &str) -> Authority {
    let mut params = params(common_name, YEARS);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

fn issued(authority: &Authority, common_name: &str) -> Chain {
    let key = KeyPair::generate().unwrap();
    let leaf = params(common_name, YEARS)
        .signed_by(&key, authority)
        .unwrap();
    vec![leaf.der().clone()]
}

fn self_signed(common_name: &str, years: (i32, i32)) -> Chain {
    let key = KeyPair::generate().unwrap();
    let leaf = params(common_name, years).self_signed(&key).unwrap();
    vec![leaf.der().clone()]
}

fn digits(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn sha1(chain: &Chain) -> String {
    digits(&Sha1::digest(&chain[0]))
}

fn sha256(chain: &Chain) -> String {
    digits(&Sha256::digest(&chain[0]))
}

fn by_thumbprints(name: &str, primary: &str, secondary: Option<&str>) -> NewIdentity {
    NewIdentity {
        authentication: NewAuthentication::SelfSigned {
            primary: Thumbprint::parse(primary),
            secondary: secondary.and_then(Thumbprint::parse),
        },
        ..device(name)
    }
}

fn by_authority(name: &str) -> NewIdentity {
    NewIdentity {
        authentication: NewAuthentication::CertificateAuthority,
        ..device(name)
    }
}

fn name(text: &str) -> CertificateName {
    CertificateName::parse(text).unwrap()
}

impl World {
    async fn try_chain(&self, identity: &str, chain: &Chain) -> Result<Device, Error> {
        let request = OpenRequest {
            hub: std::sync::Arc::clone(&self.hub),
            id: id(identity),
            credential: Credential::Certificate(chain),
            model_id: None,
            persistence: Persistence::Kept,
        };
        let Opened { session, resumed } = self.engine.sessions.open(self.now(), request).await?;
        Ok(Device { session, resumed })
    }

    async fn shows(&mut self, what: &str, identity: &str, chain: &Chain) {
        let line = match self.try_chain(identity, chain).await {
            Ok(_) => "connected".to_owned(),
            Err(error) => session_failure(&error),
        };
        self.say(format!("{what}: {line}"));
    }

    async fn register(&self, text: &str, authority: &Authority, standing: UploadStanding) {
        let upload = CertificateUpload {
            bytes: authority.der(),
            standing,
        };
        self.engine
            .certificates
            .create(
                &self.called_by(Caller::Admin),
                self.hub.no,
                name(text),
                upload,
                IfMatch::Absent,
            )
            .await
            .unwrap();
    }

    async fn verify(&mut self, what: &str, text: &str, proof: &Chain) {
        let verified = self
            .engine
            .certificates
            .verify(
                &self.called_by(Caller::Admin),
                self.hub.no,
                &name(text),
                &proof[0],
                IfMatch::Absent,
            )
            .await;
        let line = match verified {
            Ok(view) => format!("verified {}", view.certificate.is_verified()),
            Err(error) => session_failure(&error),
        };
        self.say(format!("{what}: {line}"));
    }

    async fn new_code(&self, text: &str) -> String {
        let admin = self.called_by(Caller::Admin);
        let certificates = &self.engine.certificates;
        let view = certificates
            .generate_verification_code(&admin, self.hub.no, &name(text), IfMatch::Absent)
            .await
            .unwrap();
        let code = view.certificate.verification_code().unwrap();
        code.as_str().to_owned()
    }
}

#[tokio::test(start_paused = true)]
async fn a_self_signed_device_is_known_by_either_thumbprint() {
    let mut world = World::new().await;
    let (one, two, three) = (
        self_signed("anything", YEARS),
        self_signed("d1", YEARS),
        self_signed("d1", YEARS),
    );
    let secondary = sha256(&two).to_uppercase();
    let new = by_thumbprints("d1", &sha1(&one), Some(&secondary));
    world.given(new).await;
    world.shows("sha-1 in the first slot", "d1", &one).await;
    world.shows("sha-256 in the second", "d1", &two).await;
    world.shows("another certificate", "d1", &three).await;
    world.shows("none at all", "d1", &Vec::new()).await;
    world
        .shows("bytes", "d1", &vec![CertificateDer::from(vec![0x30, 1])])
        .await;
    world.shows("an unknown device", "d2", &one).await;
    world.check(
        "sha-1 in the first slot: connected
        sha-256 in the second: connected
        another certificate: NotAuthenticated: the certificate's thumbprint is neither the primary nor the secondary one of the identity
        none at all: NotAuthenticated: neither a token nor a certificate was given
        bytes: NotAuthenticated: the certificate cannot be read
        an unknown device: NotAuthenticated: the identity is not registered in this hub",
    );
}

#[tokio::test(start_paused = true)]
async fn a_self_signed_certificate_is_good_between_its_dates() {
    let mut world = World::new().await;
    for (device, years) in [("old", (2010, 2020)), ("young", (2025, 2030))] {
        let chain = self_signed(device, years);
        world
            .given(by_thumbprints(device, &sha1(&chain), None))
            .await;
        world.shows(device, device, &chain).await;
    }
    let chain = self_signed("d1", (2020, 2024));
    world.given(by_thumbprints("d1", &sha1(&chain), None)).await;
    let open = world.try_chain("d1", &chain).await.unwrap();
    let expires = open.session.expires();
    world.say(format!("d1 expires at {}", expires.seconds()));
    world.check(
        "old: NotAuthenticated: the certificate has expired
        young: NotAuthenticated: the certificate is not valid yet
        d1 expires at 1704067200",
    );
}

#[tokio::test(start_paused = true)]
async fn tokens_and_certificates_do_not_stand_in_for_each_other() {
    let mut world = World::new().await;
    world.given(device("by-token")).await;
    let chain = self_signed("by-token", YEARS);
    world.shows("a certificate", "by-token", &chain).await;
    let connect = world.connect("by-token").await;
    world
        .given(by_thumbprints("by-thumb", &sha1(&chain), None))
        .await;
    let connect = crate::support::Connect {
        id: "by-thumb",
        ..connect
    };
    let line = session_failure(&world.try_open(connect).await.err().unwrap());
    world.say(format!("a token: {line}"));
    world.check(
        "a certificate: NotAuthenticated: the identity proves itself with tokens, not with a certificate
        a token: NotAuthenticated: the token does not speak for this identity",
    );
}

#[tokio::test(start_paused = true)]
async fn a_verified_authority_vouches_for_the_name_it_certified() {
    let mut world = World::new().await;
    let (ours, theirs) = (authority("ours"), authority("theirs"));
    world.given(by_authority("d1")).await;
    world.given(by_authority("d1/m1")).await;
    world
        .shows("no authority", "d1", &issued(&ours, "d1"))
        .await;
    world
        .register("ours", &ours, UploadStanding::Unverified)
        .await;
    world
        .shows("not verified", "d1", &issued(&ours, "d1"))
        .await;
    world
        .engine
        .certificates
        .delete(
            &world.called_by(Caller::Admin),
            world.hub.no,
            &name("OURS"),
            IfMatch::Any,
        )
        .await
        .unwrap();
    world
        .register("ours", &ours, UploadStanding::Verified)
        .await;
    world.shows("verified", "d1", &issued(&ours, "d1")).await;
    world
        .shows("its module", "d1/m1", &issued(&ours, "d1/m1"))
        .await;
    world
        .shows("the device as its module", "d1/m1", &issued(&ours, "d1"))
        .await;
    world
        .shows("another case", "d1", &issued(&ours, "D1"))
        .await;
    world
        .shows("another authority", "d1", &issued(&theirs, "d1"))
        .await;
    world.check(
        "no authority: NotAuthenticated: no registered authority of the hub vouches for the certificate
        not verified: NotAuthenticated: the certificate's authority is registered but not verified
        verified: connected
        its module: connected
        the device as its module: NotAuthenticated: the certificate's common name is not the identity's id
        another case: NotAuthenticated: the certificate's common name is not the identity's id
        another authority: NotAuthenticated: no registered authority of the hub vouches for the certificate",
    );
}

#[tokio::test(start_paused = true)]
async fn the_owner_of_an_authority_proves_possession() {
    let mut world = World::new().await;
    let (ours, theirs) = (authority("ours"), authority("theirs"));
    world
        .register("ours", &ours, UploadStanding::Unverified)
        .await;
    world
        .verify("before a code", "ours", &issued(&ours, "x"))
        .await;
    let first = world.new_code("ours").await;
    let code = world.new_code("ours").await;
    assert_ne!(first, code);
    world
        .verify("an older code", "ours", &issued(&ours, &first))
        .await;
    world
        .verify("another issuer", "ours", &issued(&theirs, &code))
        .await;
    world
        .verify("itself", "ours", &self_signed(&code, YEARS))
        .await;
    world
        .verify("another certificate", "theirs", &issued(&theirs, &code))
        .await;
    world
        .verify("the proof", "ours", &issued(&ours, &code.to_lowercase()))
        .await;
    world.given(by_authority("d1")).await;
    world.shows("d1", "d1", &issued(&ours, "d1")).await;
    world.restart().await;
    world
        .shows("d1 after a restart", "d1", &issued(&ours, "d1"))
        .await;
    let no_proof = "the authority did not issue the proof: no path leads from the certificate to this authority";
    world.check(&format!(
        "before a code: Invalid: no verification code was made for the certificate
        an older code: Invalid: the common name of the proof is not the verification code
        another issuer: Invalid: {no_proof}
        itself: Invalid: {no_proof}
        another certificate: NotFound: there is no certificate theirs
        the proof: verified true
        d1: connected
        d1 after a restart: connected"
    ));
}

#[tokio::test(start_paused = true)]
async fn sessions_end_with_the_trust_in_their_authority() {
    let mut world = World::running().await;
    let (first, second) = (authority("first"), authority("second"));
    world
        .register("first", &first, UploadStanding::Verified)
        .await;
    world
        .register("second", &second, UploadStanding::Verified)
        .await;
    for device in ["d1", "d2"] {
        world.given(by_authority(device)).await;
    }
    let one = world.try_chain("d1", &issued(&first, "d1")).await.unwrap();
    let two = world.try_chain("d2", &issued(&second, "d2")).await.unwrap();
    world.idle().await;
    world.say_notices("d1", &one);
    let admin = world.called_by(Caller::Admin);
    let upload = CertificateUpload {
        bytes: first.der(),
        standing: UploadStanding::Unverified,
    };
    let engine = std::sync::Arc::clone(&world.engine);
    let certificates = &engine.certificates;
    let no = world.hub.no;
    certificates
        .create(&admin, no, name("first"), upload, IfMatch::Any)
        .await
        .unwrap();
    world.idle().await;
    world.say_notices("d1", &one);
    world.say_notices("d2", &two);
    certificates
        .delete(&admin, no, &name("second"), IfMatch::Any)
        .await
        .unwrap();
    world.idle().await;
    world.say_notices("d2", &two);
    world.check(
        "d1 is told nothing
        d1 is told close CredentialsChanged
        d2 is told nothing
        d2 is told close CredentialsChanged",
    );
}

#[tokio::test(start_paused = true)]
async fn a_session_ends_with_its_thumbprint() {
    let mut world = World::running().await;
    let chain = self_signed("d1", YEARS);
    world.given(by_thumbprints("d1", &sha1(&chain), None)).await;
    let open = world.try_chain("d1", &chain).await.unwrap();
    let other = by_thumbprints("d1", &sha1(&self_signed("d1", YEARS)), None);
    let owner = world.owner();
    let registry = &world.engine.registry;
    registry
        .replace(&owner, world.hub.no, other, IfMatch::Any)
        .await
        .unwrap();
    world.idle().await;
    world.say_notices("d1", &open);
    world.check("d1 is told close CredentialsChanged");
}

#[tokio::test(start_paused = true)]
async fn certificates_are_uploaded_once_and_read_back() {
    let mut world = World::new().await;
    let ours = authority("ours");
    let admin = world.called_by(Caller::Admin);
    let no = world.hub.no;
    world.register("b", &ours, UploadStanding::Unverified).await;
    world
        .register("A", &authority("other"), UploadStanding::Verified)
        .await;
    let certificates = &world.engine.certificates;
    let names: Vec<_> = certificates
        .list(&admin, no)
        .unwrap()
        .into_iter()
        .map(|view| format!("{} {}", view.certificate.name, view.subject))
        .collect();
    assert_eq!(names, ["A CN=other", "b CN=ours"]);
    let fetched = certificates.fetch(&admin, no, &name("B")).unwrap();
    assert_eq!(fetched.not_after.seconds(), 1_893_456_000);
    let tries = [
        (
            "the same name",
            "B",
            authority("x").pem().into_bytes(),
            IfMatch::Absent,
        ),
        (
            "the same certificate",
            "c",
            ours.pem().into_bytes(),
            IfMatch::Absent,
        ),
        (
            "no authority",
            "c",
            self_signed("x", YEARS)[0].to_vec(),
            IfMatch::Absent,
        ),
        ("no certificate", "c", b"hello".to_vec(), IfMatch::Absent),
        ("too large", "c", vec![0; 40_000], IfMatch::Absent),
        (
            "a stale etag",
            "b",
            authority("x").pem().into_bytes(),
            IfMatch::Etag("x".to_owned()),
        ),
        (
            "nothing to replace",
            "c",
            authority("x").pem().into_bytes(),
            IfMatch::Any,
        ),
    ];
    let mut said = Vec::new();
    for (what, text, bytes, if_match) in tries {
        let upload = CertificateUpload {
            bytes: &bytes,
            standing: UploadStanding::Verified,
        };
        let error = certificates
            .create(&admin, no, name(text), upload, if_match)
            .await;
        said.push(format!("{what}: {}", failure(&error.err().unwrap())));
    }
    for line in said {
        world.say(line);
    }
    world.check(
        "the same name: AlreadyExists 409000
        the same certificate: AlreadyExists 409000
        no authority: Invalid 400004
        no certificate: Invalid 400004
        too large: TooLarge 413001
        a stale etag: PreconditionFailed 412001
        nothing to replace: NotFound 404008",
    );
}

#[tokio::test(start_paused = true)]
async fn a_hub_has_so_many_certificates_and_no_more() {
    let world = World::new().await;
    for number in 0..25 {
        let ca = authority(&format!("ca {number}"));
        world
            .register(&format!("c{number}"), &ca, UploadStanding::Verified)
            .await;
    }
    let one_more = authority("one more");
    let upload = CertificateUpload {
        bytes: one_more.der(),
        standing: UploadStanding::Verified,
    };
    let admin = world.called_by(Caller::Admin);
    let certificates = &world.engine.certificates;
    let refused = certificates.create(&admin, world.hub.no, name("c25"), upload, IfMatch::Absent);
    assert_eq!(
        failure(&refused.await.err().unwrap()),
        "QuotaExceeded 403002"
    );
}

#[tokio::test(start_paused = true)]
async fn only_the_administrator_touches_certificates() {
    let mut world = World::new().await;
    let ours = authority("ours");
    world
        .register("ours", &ours, UploadStanding::Verified)
        .await;
    let owner = world.with(&Permission::ALL);
    let no = world.hub.no;
    let ours_name = name("ours");
    let engine = std::sync::Arc::clone(&world.engine);
    let certificates = &engine.certificates;
    let upload = CertificateUpload {
        bytes: ours.der(),
        standing: UploadStanding::Verified,
    };
    let results = [
        certificates.list(&owner, no).err(),
        certificates.fetch(&owner, no, &ours_name).err(),
        certificates
            .create(&owner, no, name("x"), upload, IfMatch::Absent)
            .await
            .err(),
        certificates
            .generate_verification_code(&owner, no, &ours_name, IfMatch::Any)
            .await
            .err(),
        certificates
            .verify(&owner, no, &ours_name, &issued(&ours, "x")[0], IfMatch::Any)
            .await
            .err(),
        certificates
            .delete(&owner, no, &ours_name, IfMatch::Any)
            .await
            .err(),
    ];
    for error in results {
        world.say(failure(&error.unwrap()));
    }
    world.check(&"NotAllowed 401002\n".repeat(6));
}

#[tokio::test(start_paused = true)]
async fn trust_that_ended_before_the_session_began_is_noticed() {
    let world = World::running().await;
    let ours = authority("ours");
    world
        .register("ours", &ours, UploadStanding::Verified)
        .await;
    world.given(by_authority("d1")).await;
    // The head still holds the hub as it was.
    let admin = world.called_by(Caller::Admin);
    let certificates = &world.engine.certificates;
    certificates
        .delete(&admin, world.hub.no, &name("ours"), IfMatch::Any)
        .await
        .unwrap();
    world.pass(Duration::from_secs(1)).await;
    assert!(world.try_chain("d1", &issued(&ours, "d1")).await.is_err());
}
