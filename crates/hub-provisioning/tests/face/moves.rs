//! Devices at hubs of other installations, whatever goes wrong on the way: one hub has the device in the end, whole.

use hub_domain::Status;
use hub_domain::provisioning::{
    AllocationPolicy, InitialTwin, Link, LinkedHub, ReprovisionPolicy, Terms,
};
use hub_engine::x509::Certificate;
use hub_provisioning::{HubLink, RegisterRequest};
use serde_json::{Map, Value, json};
use tokio::time::{Duration, timeout};

use crate::issuance::{add_policy, issuing, signing_request, with};
use crate::remote::{Failure, Fault, RemoteHub};
use crate::support::{World, key, line};
use crate::webhooks::Webhook;

pub(crate) const MIGRATE: ReprovisionPolicy = ReprovisionPolicy {
    update_hub_assignment: true,
    migrate_device_data: true,
};
pub(crate) const RESET: ReprovisionPolicy = ReprovisionPolicy {
    update_hub_assignment: true,
    migrate_device_data: false,
};
const NEVER: ReprovisionPolicy = ReprovisionPolicy {
    update_hub_assignment: false,
    migrate_device_data: false,
};

/// An own hub `a.test` and two others, which are linked and given to whom names them.
pub(crate) struct Hubs {
    pub(crate) world: World,
    pub(crate) far: RemoteHub,
    further: RemoteHub,
}

/// One way that a device takes.
#[derive(Clone, Copy, Debug)]
struct Way {
    from: Option<&'static str>,
    to: &'static str,
    policy: ReprovisionPolicy,
    /// Tag in the end, and substatus.
    ends: (&'static str, &'static str),
}

pub(crate) const OWN: &str = "a.test";
pub(crate) const FAR: &str = "localhost";
pub(crate) const FURTHER: &str = "127.0.0.1";

const WAYS: [Way; 7] = [
    Way {
        from: None,
        to: FAR,
        policy: MIGRATE,
        ends: ("initial", "initialAssignment"),
    },
    Way {
        from: Some(OWN),
        to: FAR,
        policy: MIGRATE,
        ends: ("lived in", "deviceDataMigrated"),
    },
    Way {
        from: Some(OWN),
        to: FAR,
        policy: RESET,
        ends: ("initial", "deviceDataReset"),
    },
    Way {
        from: Some(FAR),
        to: OWN,
        policy: MIGRATE,
        ends: ("lived in", "deviceDataMigrated"),
    },
    Way {
        from: Some(FAR),
        to: FURTHER,
        policy: MIGRATE,
        ends: ("lived in", "deviceDataMigrated"),
    },
    Way {
        from: Some(FURTHER),
        to: FAR,
        policy: RESET,
        ends: ("initial", "deviceDataReset"),
    },
    Way {
        from: Some(FAR),
        to: FAR,
        policy: NEVER,
        ends: ("lived in", "reprovisionedToInitialAssignment"),
    },
];

pub(crate) fn tagged(tag: &str) -> InitialTwin {
    InitialTwin {
        tags: members(json!({"by": tag})),
        desired: members(json!({"interval": 5})),
    }
}

fn members(value: Value) -> Map<String, Value> {
    serde_json::from_value(value).unwrap()
}

impl Hubs {
    pub(crate) async fn new() -> Self {
        let far = RemoteHub::new(FAR).await;
        let further = RemoteHub::new(FURTHER).await;
        let trust = format!("{}{}", far.certificate, further.certificate);
        let world = World::trusting(&[OWN], Some(trust)).await;
        for hub in [&far, &further] {
            let ctx = world.admin();
            world
                .service
                .service
                .link_hub(&ctx, hub.link())
                .await
                .unwrap();
        }
        Self {
            world,
            far,
            further,
        }
    }

    pub(crate) fn remote(&self, host: &str) -> Option<&RemoteHub> {
        [&self.far, &self.further]
            .into_iter()
            .find(|hub| hub.host.as_str() == host)
    }

    async fn enroll(&self, hub: &str, policy: ReprovisionPolicy) {
        let terms = Terms {
            allocation: Some(AllocationPolicy::Static),
            hubs: vec![hub.parse_host()],
            reprovision: Some(policy),
            initial_twin: tagged("initial"),
            ..Terms::default()
        };
        self.world.enroll("d", terms).await;
    }

    /// Brings the device to where its way begins, and lets it live there.
    async fn begin(&self, way: Way) {
        self.enroll(way.from.unwrap_or(way.to), way.policy).await;
        let Some(from) = way.from else { return };
        let outcome = self.world.register("d", &key(1)).await.unwrap();
        assert_eq!(
            line(&outcome),
            format!("assigned {from} d initialAssignment")
        );
        match self.remote(from) {
            Some(hub) => hub.live("d", "lived in"),
            None => self.world.live("a", "d", "lived in").await,
        }
        let to = way.to.parse_host();
        self.world
            .change_terms("d", |terms| terms.hubs = vec![to])
            .await;
    }

    /// The hubs that have the device, and the tag of its twin there.
    async fn places(&self) -> Vec<(String, Value)> {
        let mut found = Vec::new();
        if self.world.identity("a", "d").await.is_some() {
            let twin = self.world.twin("a", "d").await.twin.back_end;
            found.push((
                OWN.to_owned(),
                twin.tags.get("by").cloned().unwrap_or_default(),
            ));
        }
        for hub in [&self.far, &self.further] {
            if let Some(device) = hub.device("d") {
                found.push((hub.host.to_string(), device.twin["tags"]["by"].clone()));
            }
        }
        found
    }

    /// The device registers until it is assigned, and is in that one hub alone.
    async fn arrives(&self, way: Way, what: &str) {
        let mut outcome = self.world.register("d", &key(1)).await.unwrap();
        if outcome["status"] != "assigned" {
            let text = outcome["registrationState"]["errorMessage"]
                .as_str()
                .unwrap();
            assert!(!text.is_empty(), "{what}: {outcome}");
            self.world.later(20);
            outcome = self.world.register("d", &key(1)).await.unwrap();
        }
        let (tag, substatus) = way.ends;
        assert_eq!(
            line(&outcome),
            format!("assigned {} d {substatus}", way.to),
            "{what}"
        );
        // What was not reached a moment ago is tried again later.
        self.world.later(20);
        self.world.register("d", &key(1)).await.unwrap();
        self.world.settled("d").await;
        let expected = [(way.to.to_owned(), json!(tag))];
        assert_eq!(self.places().await, expected, "{what}");
        if let Some(hub) = self.remote(way.to) {
            let keys = &hub.device("d").unwrap().document["authentication"]["symmetricKey"];
            assert_eq!(keys["primaryKey"], key(1).to_base64(), "{what}");
        }
    }
}

pub(crate) trait ParseHost {
    fn parse_host(&self) -> hub_domain::HostName;
}

impl ParseHost for str {
    fn parse_host(&self) -> hub_domain::HostName {
        hub_domain::HostName::parse(self).unwrap()
    }
}

/// Lets each call of a way fail in turn, and says how many there were.
async fn every_call_fails(way: Way, at: &str, fault: Fault) -> usize {
    for call in 0.. {
        let mut hubs = Hubs::new().await;
        hubs.begin(way).await;
        let what = format!("{way:?}: call {call} to {at}, {fault:?}");
        hubs.remote(at).unwrap().fail(call, fault);
        let held = hubs.remote(at).unwrap().held.clone();
        let begun = hubs
            .world
            .begin("d", &key(1), RegisterRequest::default())
            .await
            .unwrap();
        let ends = async {
            let key = key(1);
            let outcome = hubs.world.outcome("d", &key, begun.operation());
            tokio::select! {
                _ = outcome => timeout(Duration::from_millis(200), held.notified()).await.is_ok(),
                () = held.notified() => true,
            }
        };
        let is_held = ends.await;
        if is_held {
            hubs.world.crash().await;
        }
        let has_failed = hubs.remote(at).unwrap().has_failed();
        hubs.arrives(way, &what).await;
        if !has_failed {
            return call;
        }
    }
    unreachable!("a way has an end")
}

async fn whatever_fails(fault: Fault) {
    for way in WAYS {
        let mut calls = 0;
        for at in [way.from, Some(way.to)].into_iter().flatten() {
            if at != OWN {
                calls += every_call_fails(way, at, fault).await;
            }
        }
        assert!(calls >= 2, "{way:?} has {calls} calls");
    }
}

#[tokio::test]
async fn a_kill_before_any_call_has_one_outcome() {
    whatever_fails(Fault::Before(Failure::Kill)).await;
}

#[tokio::test]
async fn a_kill_after_any_call_has_one_outcome() {
    whatever_fails(Fault::After(Failure::Kill)).await;
}

#[tokio::test]
async fn an_answer_that_is_lost_has_one_outcome() {
    whatever_fails(Fault::After(Failure::Drop)).await;
}

#[tokio::test]
async fn a_hub_that_is_away_for_a_moment_has_one_outcome() {
    whatever_fails(Fault::Before(Failure::Drop)).await;
    whatever_fails(Fault::Before(Failure::Unavailable)).await;
}

#[tokio::test]
async fn an_answer_of_something_else_has_one_outcome() {
    whatever_fails(Fault::Before(Failure::Page)).await;
    whatever_fails(Fault::Before(Failure::NotFoundPage)).await;
}

/// The device of whoever was there before is taken over, not replaced: an operator disabled it, and gave it a twin.
#[tokio::test]
async fn a_device_that_is_there_already_keeps_its_twin_and_its_standing() {
    let hubs = Hubs::new().await;
    hubs.far.create("d", "somebody");
    hubs.enroll(FAR, MIGRATE).await;
    let outcome = hubs.world.register("d", &key(1)).await.unwrap();
    assert_eq!(
        line(&outcome),
        format!("assigned {FAR} d initialAssignment")
    );
    let device = hubs.far.device("d").unwrap();
    assert_eq!(device.twin["tags"], json!({"by": "somebody"}));
    assert_eq!(device.document["status"], "disabled");
    assert_eq!(
        device.document["authentication"]["symmetricKey"]["primaryKey"],
        key(1).to_base64()
    );
}

#[tokio::test]
async fn a_disabled_device_stays_disabled_wherever_it_goes() {
    for policy in [MIGRATE, RESET] {
        let hubs = Hubs::new().await;
        hubs.enroll(OWN, policy).await;
        hubs.world.register("d", &key(1)).await.unwrap();
        hubs.world.disable("a", "d", "quarantine").await;
        for to in [FAR, FURTHER, OWN] {
            let host = to.parse_host();
            hubs.world
                .change_terms("d", |terms| terms.hubs = vec![host])
                .await;
            hubs.world.register("d", &key(1)).await.unwrap();
            hubs.world.settled("d").await;
            let places = hubs.places().await;
            assert_eq!(places.len(), 1);
            assert_eq!(places.first().unwrap().0, to);
            if let Some(hub) = hubs.remote(to) {
                let document = hub.device("d").unwrap().document;
                assert_eq!(document["status"], "disabled");
                assert_eq!(document["statusReason"], "quarantine");
            }
        }
        let identity = hubs.world.identity("a", "d").await.unwrap().identity;
        assert_eq!(identity.status, Status::Disabled);
        assert_eq!(identity.status_reason.as_deref(), Some("quarantine"));
    }
}

/// The webhook names another hub when it is asked again: the first one is gone on with.
#[tokio::test]
async fn a_crash_does_not_change_what_the_webhook_said() {
    // The write of the twin of a device that is new, and of the identity of one that is there.
    let calls = ["GET /devices/d", "PUT /devices/d", "PUT /twins/d"];
    let cases = [
        (None, Fault::Before(Failure::Kill), &calls[..]),
        (Some("webhook"), Fault::Before(Failure::Kill), &calls[..2]),
        (Some("webhook"), Fault::After(Failure::Kill), &calls[..2]),
    ];
    for (tag, fault, calls) in cases {
        let mut hubs = Hubs::new().await;
        if let Some(tag) = tag {
            hubs.far.create("d", tag);
        }
        let webhook = Webhook::new(200, &named(FAR)).await;
        hubs.world.enroll("d", webhook.terms()).await;
        hubs.far.fail(calls.len() - 1, fault);
        let begun = hubs
            .world
            .begin("d", &key(1), RegisterRequest::default())
            .await
            .unwrap();
        hubs.far.held.notified().await;
        assert_eq!(hubs.far.calls(), calls);
        hubs.goes_on(&webhook, begun.operation()).await;
    }
}

/// The enrollment changes while the webhook is asked: it is asked once more, and what it says then is kept.
#[tokio::test]
async fn a_crash_after_a_change_of_the_enrollment_does_not_change_what_the_webhook_said() {
    let mut hubs = Hubs::new().await;
    let webhook = Webhook::with_gate(200, &named(FAR), 0).await;
    hubs.world.enroll("d", webhook.terms()).await;
    hubs.far.fail(2, Fault::Before(Failure::Kill));
    let begun = hubs
        .world
        .begin("d", &key(1), RegisterRequest::default())
        .await
        .unwrap();
    webhook.arrived.notified().await;
    let change = |terms: &mut Terms| terms.initial_twin = tagged("changed");
    hubs.world.change_terms("d", change).await;
    webhook.gate.add_permits(10);
    hubs.far.held.notified().await;
    assert_eq!(webhook.times(), 2);
    hubs.goes_on(&webhook, begun.operation()).await;
}

fn named(host: &str) -> String {
    format!(
        r#"{{"iotHubHostName":"{host}","payload":{{"n":1}},"initialTwin":{{"tags":{{"by":"webhook"}}}}}}"#
    )
}

impl Hubs {
    /// After a crash the device goes where the webhook said before, whatever it would say by now.
    async fn goes_on(&mut self, webhook: &Webhook, operation: &str) {
        let asked = webhook.times();
        webhook.change(200, &named(OWN));
        self.world.crash().await;
        let outcome = self.world.outcome("d", &key(1), operation).await.unwrap();
        assert_eq!(
            line(&outcome),
            format!("assigned {FAR} d initialAssignment")
        );
        assert_eq!(outcome["registrationState"]["payload"], json!({"n": 1}));
        assert_eq!(self.places().await, [(FAR.to_owned(), json!("webhook"))]);
        assert_eq!(webhook.times(), asked, "it is not asked again");
    }
}

/// The hub where it was begun does not come back: the next one is taken, and the first one is left when it does.
#[tokio::test]
async fn a_hub_that_dies_between_create_and_twin_is_left_for_the_next() {
    for failure in [
        Failure::Drop,
        Failure::Unavailable,
        Failure::Page,
        Failure::NotFoundPage,
    ] {
        let hubs = Hubs::new().await;
        let terms = Terms {
            allocation: Some(AllocationPolicy::Hashed),
            hubs: vec![FAR.parse_host(), OWN.parse_host()],
            initial_twin: tagged("initial"),
            ..Terms::default()
        };
        // With this weight it is the first choice.
        let link = HubLink {
            weight: Some(1_000),
            ..HubLink::default()
        };
        let service = &hubs.world.service.service;
        let ctx = hubs.world.admin();
        service
            .set_link(&ctx, &FAR.parse_host(), link, None)
            .await
            .unwrap();
        hubs.world.enroll("d", terms).await;
        hubs.far.fail(1, Fault::After(failure));
        let outcome = hubs.world.register("d", &key(1)).await.unwrap();
        assert_eq!(
            line(&outcome),
            format!("assigned {OWN} d initialAssignment"),
            "{failure:?}"
        );
        hubs.world.later(20);
        let stays = |terms: &mut Terms| terms.hubs = vec![OWN.parse_host()];
        hubs.world.change_terms("d", stays).await;
        hubs.world.register("d", &key(1)).await.unwrap();
        hubs.world.settled("d").await;
        assert_eq!(
            hubs.places().await,
            [(OWN.to_owned(), json!("initial"))],
            "{failure:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_hub_that_is_silent_gives_way_to_the_next() {
    let world = World::with(&[OWN]).await;
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let silent = LinkedHub {
        link: Link::Remote {
            policy: "iothubowner".to_owned(),
            key: key(9),
            port: Some(listener.local_addr().unwrap().port()),
        },
        weight: 1_000,
        ..LinkedHub::own(FAR.parse_host())
    };
    let ctx = world.admin();
    world.service.service.link_hub(&ctx, silent).await.unwrap();
    world.enroll("d", Terms::default()).await;
    let outcome = world.register("d", &key(1)).await.unwrap();
    assert_eq!(
        line(&outcome),
        format!("assigned {OWN} d initialAssignment")
    );
    assert!(world.settled("d").await.strays.is_empty());
}

#[tokio::test]
async fn a_registration_says_why_a_hub_cannot_be_used() {
    let world = World::with(&[OWN]).await;
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = closed.local_addr().unwrap().port();
    drop(closed);
    let untrusted = RemoteHub::new(FAR).await;
    let cases = [
        ("127.0.0.2", port, "the connection is refused"),
        (FAR, untrusted.port(), "its TLS certificate is not trusted"),
        ("nowhere.invalid", 443, "there is no such host"),
    ];
    for (host, port, why) in cases {
        let link = LinkedHub {
            link: Link::Remote {
                policy: "iothubowner".to_owned(),
                key: key(9),
                port: Some(port),
            },
            ..LinkedHub::own(host.parse_host())
        };
        let ctx = world.admin();
        world.service.service.link_hub(&ctx, link).await.unwrap();
        let terms = Terms {
            hubs: vec![host.parse_host()],
            ..Terms::default()
        };
        world.enroll(host, terms).await;
        let outcome = world.register(host, &key(1)).await.unwrap();
        let text = line(&outcome);
        assert!(text.starts_with("failed 503201 "), "{text}");
        assert!(text.contains(host) && text.contains(why), "{text}");
    }
}

/// Nobody registered our issuer there, so the certificate itself is what the hub knows.
#[tokio::test]
async fn an_issued_certificate_is_known_by_its_thumbprint_at_another_installation() {
    let hubs = Hubs::new().await;
    add_policy(&hubs.world).await;
    let terms = Terms {
        hubs: vec![FAR.parse_host()],
        ..issuing()
    };
    hubs.world.enroll("d", terms).await;
    let request = with(signing_request("d"));
    let outcome = hubs.world.register_with("d", &key(1), request).await;
    assert_eq!(
        line(&outcome.unwrap()),
        format!("assigned {FAR} d initialAssignment")
    );
    let kept = hubs.world.settled("d").await;
    let leaf = kept.issued_certificates.first().unwrap();
    let sha256 = Certificate::read(leaf).unwrap().sha256();
    let authentication = &hubs.far.device("d").unwrap().document["authentication"];
    assert_eq!(authentication["type"], "selfSigned");
    assert_eq!(
        authentication["x509Thumbprint"]["primaryThumbprint"],
        sha256
    );
}
