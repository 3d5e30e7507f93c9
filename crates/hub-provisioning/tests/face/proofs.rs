//! Who may register.

use hub_domain::Status;
use hub_domain::provisioning::{Refusal, Terms, derived_key};
use hub_provisioning::{Credential, RegisterRequest, TpmKeys};

use crate::support::{World, group_key, key, line, registration, said};

const NOT_ACCEPTED: &str =
    "401002 the device's proof is not accepted; the service keeps the reason";

/// Who was refused, how often, and why.
async fn refusals(world: &World) -> Vec<String> {
    let registrations = &world.service.registrations;
    let refusals = registrations
        .refusals(&world.admin(), None, 1_000)
        .await
        .unwrap();
    let line = |one: &Refusal| format!("{} {} {}", one.id, one.count, one.message);
    refusals.iter().map(line).collect()
}

#[tokio::test]
async fn either_key_of_an_enrollment_registers() {
    let world = World::with(&["a.test"]).await;
    world.enroll("d", Terms::default()).await;
    for fill in [1, 2] {
        let outcome = world.register("d", &key(fill)).await.unwrap();
        assert_eq!(line(&outcome), "assigned a.test d initialAssignment");
    }
}

#[tokio::test]
async fn keys_derived_of_either_group_key_register() {
    let world = World::with(&["a.test"]).await;
    world.enroll_group("g", Terms::default()).await;
    for (id, fill) in [("d1", 3), ("d2", 4)] {
        let outcome = world
            .register(id, &derived_key(&key(fill), id))
            .await
            .unwrap();
        assert_eq!(
            line(&outcome),
            format!("assigned a.test {id} initialAssignment")
        );
        assert_eq!(
            outcome["registrationState"]["symmetricKey"]["enrollmentGroupId"],
            "g"
        );
    }
}

#[tokio::test]
async fn an_id_in_capitals_registers_with_a_key_derived_of_either_spelling() {
    let world = World::with(&["a.test"]).await;
    world.enroll_group("g", Terms::default()).await;
    let as_sent = world.register("Big-1", &group_key("Big-1")).await.unwrap();
    assert_eq!(line(&as_sent), "assigned a.test Big-1 initialAssignment");
    let lower = world.register("Big-2", &group_key("big-2")).await.unwrap();
    assert_eq!(line(&lower), "assigned a.test Big-2 initialAssignment");
}

#[tokio::test]
async fn what_proves_nothing_is_refused_and_noted() {
    let world = World::with(&["a.test"]).await;
    world.enroll("d", Terms::default()).await;
    world.enroll_group("g", Terms::default()).await;
    // Its own enrollment decides alone, whatever group would take it.
    let cases = [
        ("d", key(9)),
        ("d", group_key("d")),
        ("x", key(1)),
        ("x", key(3)),
    ];
    for (id, key) in cases {
        assert_eq!(
            world.register(id, &key).await,
            Err(NOT_ACCEPTED.to_owned()),
            "nobody learns which ids are enrolled"
        );
    }
    let mut noted = refusals(&world).await;
    noted.sort();
    assert_eq!(
        noted,
        [
            "d 2 the token's signature is wrong",
            "x 2 no enrollment has this registration id, and no group's key signed the token"
        ]
    );
}

#[tokio::test]
async fn tokens_for_others_and_old_tokens_are_refused() {
    let world = World::with(&["a.test"]).await;
    world.enroll("d", Terms::default()).await;
    let of_another = world.token("e", &key(1));
    let call = world.call("d", Credential::Token(&of_another));
    let admitted = world.service.registrations.admit(&call).await;
    assert_eq!(admitted.map_err(said), Err(NOT_ACCEPTED.to_owned()));
    let old = world.token("d", &key(1));
    world.later(3600 + 301);
    let call = world.call("d", Credential::Token(&old));
    let admitted = world.service.registrations.admit(&call).await;
    assert_eq!(
        admitted.map_err(said),
        Err("401002 the token has expired, make a new one".to_owned())
    );
    let call = world.call("d", Credential::None);
    let admitted = world.service.registrations.admit(&call).await;
    assert_eq!(
        admitted.map_err(said),
        Err("401002 the call shows no proof".to_owned())
    );
}

#[tokio::test]
async fn another_scope_is_no_scope() {
    let world = World::with(&["a.test"]).await;
    world.enroll("d", Terms::default()).await;
    let token = world.token("d", &key(1));
    let mut call = world.call("d", Credential::Token(&token));
    call.id_scope = "0neFFFFFFFF";
    let admitted = world.service.registrations.admit(&call).await;
    assert_eq!(
        admitted.map_err(said),
        Err("404001 no provisioning service has this id scope".to_owned())
    );
}

#[tokio::test]
async fn a_disabled_enrollment_tells_its_device_so() {
    let world = World::with(&["a.test"]).await;
    let disabled = Terms {
        status: Status::Disabled,
        ..Terms::default()
    };
    world.enroll("d", disabled.clone()).await;
    world.enroll_group("g", disabled).await;
    for (id, key) in [("d", key(1)), ("x", group_key("x"))] {
        let status = world
            .begin(id, &key, RegisterRequest::default())
            .await
            .unwrap();
        assert!(status.is_final());
        let document: serde_json::Value = serde_json::from_str(&status.document()).unwrap();
        assert_eq!(document["status"], "disabled");
        assert!(world.identity("a", id).await.is_none());
    }
    let refusals = world
        .service
        .registrations
        .refusals(&world.admin(), None, 1_000)
        .await
        .unwrap();
    assert_eq!(refusals.len(), 2);
}

#[tokio::test]
async fn without_a_registration_there_is_no_status() {
    let world = World::with(&["a.test"]).await;
    world.enroll("d", Terms::default()).await;
    assert_eq!(
        world.outcome("d", &key(1), "5.x").await,
        Err("404201 there is no registration d".to_owned())
    );
    assert_eq!(registration("D"), registration("d"));
}

#[tokio::test]
async fn strangers_do_not_push_out_the_refusals_of_enrolled_devices() {
    let world = World::with(&["a.test"]).await;
    world.enroll("d", Terms::default()).await;
    for stranger in 0..1_500 {
        let _ = world.register(&format!("x{stranger}"), &key(9)).await;
        let id = format!("tpm{stranger}");
        let request = RegisterRequest {
            tpm: Some(TpmKeys {
                endorsement_key: vec![1, 2],
                storage_root_key: None,
            }),
            ..RegisterRequest::default()
        };
        let call = world.call(&id, Credential::None);
        let refused = world.service.registrations.register(&call, request).await;
        assert!(refused.is_err());
    }
    let _ = world.register("d", &key(9)).await;
    let noted = refusals(&world).await;
    let first = noted.first().map(String::as_str);
    assert_eq!(first, Some("d 1 the token's signature is wrong"));
    assert_eq!(noted.len(), 1_000);
}

#[tokio::test]
async fn a_device_that_registers_is_refused_no_longer() {
    let world = World::with(&["a.test"]).await;
    for id in ["d", "e"] {
        world.enroll(id, Terms::default()).await;
        let _ = world.register(id, &key(9)).await;
    }
    assert_eq!(refusals(&world).await.len(), 2, "both are written down");
    world.register("D", &key(1)).await.unwrap();
    let of_e = "e 1 the token's signature is wrong";
    assert_eq!(refusals(&world).await, [of_e]);
    // What waits to be written goes as well.
    let _ = world.register("d", &key(9)).await;
    world.register("d", &key(1)).await.unwrap();
    assert_eq!(refusals(&world).await, [of_e]);
    // One that comes after that counts.
    let _ = world.register("d", &key(9)).await;
    let mut noted = refusals(&world).await;
    noted.sort();
    assert_eq!(noted, ["d 1 the token's signature is wrong", of_e]);
}

#[tokio::test]
async fn a_device_that_gets_no_hub_has_failed_and_is_not_refused() {
    let world = World::with(&[]).await;
    world.enroll("d", Terms::default()).await;
    let _ = world.register("d", &key(9)).await;
    let outcome = world.register("d", &key(1)).await.unwrap();
    assert_eq!(outcome["status"], "failed");
    assert!(refusals(&world).await.is_empty());
}

#[tokio::test]
async fn a_device_whose_request_cannot_be_read_is_noted() {
    let world = World::with(&["a.test"]).await;
    world.enroll("d", Terms::default()).await;
    let token = world.token("d", &key(1));
    let call = world.call("d", Credential::Token(&token));
    let registrations = &world.service.registrations;
    let read = registrations.read(&call, br#"{"csr":"%"}"#, None).await;
    assert_eq!(
        read.map_err(said),
        Err("400004 csr is not base64".to_owned())
    );
    assert_eq!(refusals(&world).await, ["d 1 csr is not base64"]);
}

#[tokio::test]
async fn a_disabled_device_that_was_assigned_is_told_so_whatever_it_asks() {
    let world = World::with(&["a.test"]).await;
    world.enroll("d", Terms::default()).await;
    world.register("d", &key(1)).await.unwrap();
    let token = world.token("d", &key(1));
    let call = world.call("d", Credential::Token(&token));
    let registrations = &world.service.registrations;
    let state = registrations.lookup(&call).await.unwrap().state_document();
    assert!(state.contains(r#""status":"assigned""#), "{state}");
    world
        .change_terms("d", |terms| terms.status = Status::Disabled)
        .await;
    let state = registrations.lookup(&call).await.unwrap().state_document();
    assert!(state.contains(r#""status":"disabled""#), "{state}");
    assert!(!state.contains("a.test"), "{state}");
    let begun = world.begin("d", &key(1), RegisterRequest::default()).await;
    let operation = begun.unwrap().operation().to_owned();
    assert!(!operation.is_empty());
    let outcome = world.outcome("d", &key(1), &operation).await.unwrap();
    assert_eq!(outcome["status"], "disabled");
    assert_eq!(outcome["operationId"], operation);
}
