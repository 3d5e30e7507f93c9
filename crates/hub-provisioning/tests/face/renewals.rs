//! Certificates for devices that are connected.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hub_domain::limits::RENEWALS_PER_WINDOW_MAX;
use hub_domain::provisioning::{CredentialPolicyName, EnrollmentGroupId};
use hub_domain::sas::sign_token;
use hub_domain::{HostName, HubName, IdentityId, Status};
use hub_engine::sessions::{Credential, OpenRequest, Persistence};
use hub_engine::x509::{Certificate, CertificateDer};
use hub_engine::{Environment as _, IfMatch, NewAuthentication, NewHub, NewIdentity, Session};
use hub_provisioning::{Begun, NewAttestation, NewEnrollment, Reply};
use serde_json::{Value, json};

use crate::issuance::{issuing, signing_request, with, world};
use crate::support::{World, group_key, key, registration, system};

fn body(device: &str, request: &[u8]) -> Value {
    json!({"id": device, "csr": STANDARD.encode(request)})
}

/// What a reply says, in a line.
fn said(reply: &Reply) -> String {
    let document: Value = serde_json::from_str(&reply.document).unwrap();
    let info = &document["info"];
    let detail = info["credentialError"].as_str().unwrap_or("-");
    match document["errorCode"].as_u64() {
        Some(code) => format!("{} {code} {detail}", reply.status),
        None => reply.status.to_string(),
    }
}

fn document(reply: &Reply) -> Value {
    serde_json::from_str(&reply.document).unwrap()
}

fn chain(reply: &Reply) -> Vec<CertificateDer<'static>> {
    let document = document(reply);
    let certificates = document["certificates"].as_array().unwrap().clone();
    certificates
        .iter()
        .map(|one| CertificateDer::from(STANDARD.decode(one.as_str().unwrap()).unwrap()))
        .collect()
}

impl World {
    /// Registers with a certificate request; returns what was issued.
    async fn issued(&self, id: &str, device: &str) -> Vec<CertificateDer<'static>> {
        let secret = match self
            .service
            .enrollments
            .fetch(&self.admin(), &registration(id))
            .await
        {
            Ok(_) => key(1),
            Err(_) => group_key(id),
        };
        let request = with(signing_request(id));
        let outcome = self.register_with(id, &secret, request).await.unwrap();
        assert_eq!(outcome["registrationState"]["deviceId"], device);
        let (ctx, registration) = (self.admin(), registration(id));
        let kept = self.service.registrations.fetch(&ctx, &registration);
        let kept = kept.await.unwrap().issued_certificates;
        kept.iter()
            .map(|der| CertificateDer::from(der.to_vec()))
            .collect()
    }

    async fn open(&self, hub: &str, id: &str, credential: Credential<'_>) -> Session {
        let request = OpenRequest {
            hub: self.engine.hubs.by_name(hub).unwrap(),
            id: IdentityId::parse(id).unwrap(),
            credential,
            model_id: None,
            persistence: Persistence::Transient,
        };
        let now = self.environment.now();
        self.engine
            .sessions
            .open(now, request)
            .await
            .unwrap()
            .session
    }

    /// The session of a device that registered with a certificate request.
    async fn connected(&self, id: &str, device: &str) -> Session {
        let chain = self.issued(id, device).await;
        self.open("a", device, Credential::Certificate(&chain))
            .await
    }

    fn begin_renewal(&self, session: &Session, request_id: &str, body: &Value) -> Begun {
        let now = self.environment.now();
        let body = body.to_string();
        self.service
            .renewals
            .begin(session, request_id, body.as_bytes(), now)
    }

    /// Both replies.
    async fn renew(&self, session: &Session, body: &Value) -> (Reply, Option<Reply>) {
        let begun = self.begin_renewal(session, "rid-1", body);
        let last = match begun.outcome {
            Some(outcome) => Some(outcome.await),
            None => None,
        };
        (begun.first, last)
    }

    /// How a request that was accepted ends.
    async fn end_of(&self, session: &Session, body: &Value) -> Reply {
        let (first, last) = self.renew(session, body).await;
        assert_eq!(first.status, 202, "{}", first.document);
        last.unwrap()
    }
}

#[tokio::test]
async fn a_connected_device_gets_its_next_certificate_and_connects_with_it() {
    let world = world().await;
    let session = world.connected("d", "d").await;
    world.later(20 * 24 * 3_600);
    let (first, last) = world
        .renew(&session, &body("d", &signing_request("d")))
        .await;
    assert_eq!(said(&first), "202");
    let accepted = document(&first);
    assert!(accepted["operationExpires"].as_str().unwrap() > "2023-");
    let last = last.unwrap();
    assert_eq!(said(&last), "200");
    assert_eq!(document(&last)["correlationId"], accepted["correlationId"]);
    let chain = chain(&last);
    let leaf = Certificate::read(&chain[0]).unwrap();
    assert_eq!(leaf.common_name(), Some("d"));
    let days = leaf.not_after().since(world.environment.now()).as_secs() / (24 * 3_600);
    assert_eq!(days, 30, "the policy's days begin anew");
    world.open("a", "d", Credential::Certificate(&chain)).await;
}

#[tokio::test]
async fn a_device_of_a_group_and_one_with_a_name_of_its_own_are_found() {
    let world = world().await;
    world.enroll_group("g", issuing()).await;
    let named = NewEnrollment {
        id: registration("serial-9"),
        device: hub_domain::DeviceId::parse("Pump-9").ok(),
        attestation: NewAttestation::SymmetricKey {
            primary: Some(key(1)),
            secondary: Some(key(2)),
        },
        terms: issuing(),
        information: None,
    };
    let enrollments = &world.service.enrollments;
    enrollments
        .put(&world.admin(), named, IfMatch::Absent)
        .await
        .unwrap();
    for (id, device, names) in [
        ("Line-1", "Line-1", ["Line-1", "line-1"]),
        ("serial-9", "Pump-9", ["Pump-9", "serial-9"]),
    ] {
        let session = world.connected(id, device).await;
        for name in names {
            let last = world
                .end_of(&session, &body(device, &signing_request(name)))
                .await;
            assert_eq!(said(&last), "200", "{name}");
            let chain = chain(&last);
            let leaf = Certificate::read(&chain[0]).unwrap();
            assert_eq!(leaf.common_name(), Some(device));
        }
    }
}

/// The terms count as they are now: another issuer is used at once, and the hub trusts it then.
#[tokio::test]
async fn the_terms_of_now_decide() {
    let world = world().await;
    let session = world.connected("d", "d").await;
    let (ctx, credentials) = (world.admin(), &world.service.credentials);
    let other = hub_domain::certificate::CertificateName::parse("Other-CA").unwrap();
    let created = credentials.create_issuer(&ctx, other.clone(), None).await;
    created.unwrap();
    let policy = hub_provisioning::NewCredentialPolicy {
        name: CredentialPolicyName::parse("week").unwrap(),
        issuer: other,
        validity_days: 7,
    };
    let put = credentials.put_policy(&ctx, policy, IfMatch::Absent).await;
    put.unwrap();
    let week = |terms: &mut hub_domain::provisioning::Terms| {
        terms.credential_policy = CredentialPolicyName::parse("week").ok();
    };
    world.change_terms("d", week).await;
    let last = world
        .end_of(&session, &body("d", &signing_request("d")))
        .await;
    let chain = chain(&last);
    let issuer = Certificate::read(&chain[1]).unwrap();
    assert_eq!(issuer.common_name(), Some("Other-CA"));
    world.open("a", "d", Credential::Certificate(&chain)).await;
}

#[tokio::test]
async fn requests_that_break_a_rule_are_refused_at_once() {
    let world = world().await;
    let session = world.connected("d", "d").await;
    let good = body("d", &signing_request("d"));
    let with = |name: &str, value: Value| {
        let mut body = good.clone();
        body[name] = value;
        body
    };
    for (body, expected) in [
        (json!([]), "400 400004 -"),
        (with("id", json!("e")), "400 400004 -"),
        (with("csr", json!("%")), "400 400004 -"),
        (with("more", json!(1)), "400 400004 -"),
        (with("replace", json!("123")), "400 400004 -"),
        (with("replace", json!("db8c0f73-ac73")), "412 412001 -"),
    ] {
        let (first, last) = world.renew(&session, &body).await;
        assert_eq!(said(&first), expected, "{body}");
        assert!(last.is_none());
        let document = document(&first);
        assert!(document["trackingId"].is_string() && document["timestampUtc"].is_string());
        assert!(!document["info"].is_null() || document.get("info").is_none());
    }
    let now = world.environment.now();
    let begun = world.service.renewals.begin(&session, "r", b"{", now);
    assert_eq!(said(&begun.first), "400 400006 -");
}

#[tokio::test]
async fn requests_that_cannot_be_signed_are_accepted_and_then_refused() {
    let world = world().await;
    let session = world.connected("d", "d").await;
    for request in [b"hello".to_vec(), signing_request("other")] {
        let last = world.end_of(&session, &body("d", &request)).await;
        assert_eq!(said(&last), "400 400037 400000");
        assert!(document(&last)["info"]["correlationId"].is_string());
    }
}

#[tokio::test]
async fn one_request_at_a_time_is_under_way() {
    let world = world().await;
    let session = world.connected("d", "d").await;
    let plain = body("d", &signing_request("d"));
    let replacing = |what: &str| {
        let mut body = plain.clone();
        body["replace"] = json!(what);
        body
    };
    let first = world.begin_renewal(&session, "rid-1", &plain);
    let correlation = document(&first.first)["correlationId"].clone();
    let refused = world.begin_renewal(&session, "rid-2", &plain);
    assert_eq!(said(&refused.first), "409 409004 -");
    let info = &document(&refused.first)["info"];
    assert_eq!(info["requestId"], "rid-1");
    assert_eq!(info["correlationId"], correlation);
    assert!(info["operationExpires"].is_string());
    let other = world.begin_renewal(&session, "rid-2", &replacing("rid-7"));
    assert_eq!(said(&other.first), "412 412001 -");
    let second = world.begin_renewal(&session, "rid-2", &replacing("rid-1"));
    let third = world.begin_renewal(&session, "rid-3", &replacing("*"));
    assert_eq!(
        (said(&second.first), said(&third.first)),
        ("202".to_owned(), "202".to_owned())
    );
    for gone in [first, second] {
        assert_eq!(said(&gone.outcome.unwrap().await), "400 400040 409000");
    }
    assert_eq!(said(&third.outcome.unwrap().await), "200");
    let after = world.end_of(&session, &plain).await;
    assert_eq!(said(&after), "200", "nothing is under way any more");
    let given_up = world.begin_renewal(&session, "rid-5", &plain);
    drop(given_up);
    let after = world.end_of(&session, &plain).await;
    assert_eq!(said(&after), "200", "the connection that asked is gone");
}

#[tokio::test]
async fn a_device_that_asks_too_often_is_told_when_it_may_again() {
    let world = world().await;
    let session = world.connected("d", "d").await;
    let request = body("d", &signing_request("d"));
    for _ in 0..RENEWALS_PER_WINDOW_MAX {
        assert_eq!(said(&world.end_of(&session, &request).await), "200");
    }
    world.later(20);
    let (first, last) = world.renew(&session, &request).await;
    assert_eq!(said(&first), "429 429002 -");
    assert_eq!(document(&first)["retryAfter"], 40);
    assert!(last.is_none());
    world.later(40);
    assert_eq!(said(&world.end_of(&session, &request).await), "200");
}

#[tokio::test]
async fn the_enrollment_decides_whether_there_is_a_certificate() {
    let world = world().await;
    world.enroll_group("g", issuing()).await;
    let (single, grouped) = (
        world.connected("d", "d").await,
        world.connected("e", "e").await,
    );
    let single_says = async || {
        let last = world
            .end_of(&single, &body("d", &signing_request("d")))
            .await;
        said(&last)
    };
    let grouped_says = async || {
        let last = world
            .end_of(&grouped, &body("e", &signing_request("e")))
            .await;
        said(&last)
    };
    world
        .change_terms("d", |terms| terms.status = Status::Disabled)
        .await;
    assert_eq!(single_says().await, "400 400040 403201");
    world
        .change_terms("d", |terms| {
            terms.status = Status::Enabled;
            terms.credential_policy = None;
        })
        .await;
    assert_eq!(single_says().await, "400 400040 400211");
    let ctx = world.admin();
    let enrollments = &world.service.enrollments;
    enrollments
        .delete(&ctx, &registration("d"), IfMatch::Any)
        .await
        .unwrap();
    assert_eq!(
        single_says().await,
        "400 400040 404201",
        "the registration went along"
    );

    assert_eq!(grouped_says().await, "200");
    // A disabled enrollment of its own keeps a device out, whatever group it is in.
    let disabled = hub_domain::provisioning::Terms {
        status: Status::Disabled,
        ..issuing()
    };
    world.enroll("e", disabled).await;
    assert_eq!(grouped_says().await, "400 400040 403201");
    enrollments
        .delete(&ctx, &registration("e"), IfMatch::Any)
        .await
        .unwrap();
    assert_eq!(grouped_says().await, "200");
    let group = EnrollmentGroupId::parse("g").unwrap();
    let groups = &world.service.groups;
    groups.delete(&ctx, &group, IfMatch::Any).await.unwrap();
    assert_eq!(grouped_says().await, "400 400040 404201");
}

#[tokio::test]
async fn whoever_is_not_vouched_for_by_an_authority_gets_none() {
    let world = world().await;
    world.register("d", &key(1)).await.unwrap();
    let expiry = world
        .environment
        .now()
        .plus(std::time::Duration::from_secs(3_600));
    let token = sign_token("a.test/devices/d", &key(1), expiry, None);
    let session = world.open("a", "d", Credential::Token(&token)).await;
    let (first, last) = world
        .renew(&session, &body("d", &signing_request("d")))
        .await;
    assert_eq!(said(&first), "400 400040 403001");
    assert!(last.is_none());
}

/// A device of the name exists in two hubs, and only one of them got it from a registration.
#[tokio::test]
async fn a_registration_is_good_for_its_own_hub_only() {
    let world = world().await;
    let chain = world.issued("d", "d").await;
    let ctx = system(&*world.environment);
    let new = NewHub {
        name: HubName::parse("b").unwrap(),
        host: HostName::parse("b.test").unwrap(),
        aliases: Vec::new(),
        partition_count: 2,
    };
    let hub = world.engine.hubs.create(&ctx, new).await.unwrap();
    let identity = NewIdentity {
        id: IdentityId::parse("d").unwrap(),
        status: Status::Enabled,
        status_reason: None,
        authentication: NewAuthentication::CertificateAuthority,
        iot_edge: false,
        device_scope: None,
        parent_scopes: Vec::new(),
        managed_by: None,
    };
    let registry = &world.engine.registry;
    registry.create(&ctx, hub.no, identity).await.unwrap();
    let upload = hub_engine::CertificateUpload {
        bytes: &chain[1],
        standing: hub_engine::UploadStanding::Verified,
    };
    let name = hub_domain::certificate::CertificateName::parse("ca").unwrap();
    let certificates = &world.engine.certificates;
    let created = certificates.create(&ctx, hub.no, name, upload, IfMatch::Absent);
    created.await.unwrap();
    let session = world.open("b", "d", Credential::Certificate(&chain)).await;
    let last = world
        .end_of(&session, &body("d", &signing_request("d")))
        .await;
    assert_eq!(said(&last), "400 400040 404201");
    assert!(last.document.contains("register again"));
}

/// Where several enrollments name one device, the one that wrote it last counts.
#[tokio::test]
async fn the_newest_registration_of_a_device_counts() {
    let world = world().await;
    for id in ["r1", "r2"] {
        world.enroll_as(id, Some("shared"), issuing()).await;
    }
    world.issued("r2", "shared").await;
    world.later(1);
    let session = world.connected("r1", "shared").await;
    let request = body("shared", &signing_request("shared"));
    world
        .change_terms("r2", |terms| terms.status = Status::Disabled)
        .await;
    assert_eq!(said(&world.end_of(&session, &request).await), "200");
    world
        .change_terms("r1", |terms| terms.status = Status::Disabled)
        .await;
    assert_eq!(
        said(&world.end_of(&session, &request).await),
        "400 400040 403201"
    );
}

#[tokio::test]
async fn a_device_renews_at_a_hub_that_got_another_name() {
    let world = world().await;
    let session = world.connected("d", "d").await;
    for host in ["b.test", "c.test"] {
        world.rename(host).await;
        let request = body("d", &signing_request("d"));
        assert_eq!(said(&world.end_of(&session, &request).await), "200");
    }
}
