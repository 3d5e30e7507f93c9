//! Who may not send files.

use super::{BLOCK_BLOB, FILES, World, refused, target};
use crate::compat::testing::{ask, register, token};

#[tokio::test]
async fn an_address_without_its_own_ticket_takes_nothing() {
    let world = World::new().await;
    let mine = world.begin("a").await;
    let other = world.begin("b").await;
    let ticket = |begun: &serde_json::Value| begun["sasToken"].as_str().unwrap().to_owned();
    let (mine_ticket, other_ticket) = (ticket(&mine), ticket(&other));
    let plain = world
        .send("PUT", "/device-files/d1/a?comp=block", &[BLOCK_BLOB], "x")
        .await;
    assert_eq!(refused(&plain), "401 NoAuthenticationInformation");
    let wrong = [
        format!("/device-files/d1/b{mine_ticket}"),
        format!("/device-files/d1/a/b{mine_ticket}"),
        format!("/device-files/d2/a{mine_ticket}"),
        format!("/device-files/d1/a{other_ticket}"),
        format!("/device-files/{mine_ticket}"),
        format!("/device-files{mine_ticket}"),
        target(&mine).replace("&sig=", "&sig=A"),
        target(&mine).replace("&si=", "&si=0"),
        target(&mine).split("&sig=").next().unwrap().to_owned() + "&sig=",
    ];
    for target in wrong {
        let answer = world.send("PUT", &target, &[BLOCK_BLOB], "x").await;
        assert_eq!(refused(&answer), "403 AuthenticationFailed", "{target}");
    }
    // A hub's token opens nothing here.
    let owner = world.hub.token("iothubowner");
    let headers = [BLOCK_BLOB, ("authorization", owner.as_str())];
    let answer = world
        .send("PUT", "/device-files/d1/a?x=y", &headers, "x")
        .await;
    assert_eq!(refused(&answer), "401 NoAuthenticationInformation");
    assert_eq!(world.content("d1/a").await, None);
    assert_eq!(world.content("d1/b").await, None);
}

#[tokio::test]
async fn a_ticket_only_writes() {
    let world = World::new().await;
    let begun = world.begin("a").await;
    world.put(&begun, "", &[BLOCK_BLOB], "secret").await;
    for method in ["GET", "DELETE"] {
        let answer = world.send(method, &target(&begun), &[], "").await;
        assert_eq!(refused(&answer), "403 AuthorizationPermissionMismatch");
    }
    let answer = world.send("POST", &target(&begun), &[], "").await;
    assert_eq!(refused(&answer), "405 UnsupportedHttpVerb");
}

#[tokio::test]
async fn a_device_that_may_not_connect_sends_nothing() {
    let world = World::new().await;
    let begun = world.begin("a").await;
    let disabled = r#"{"deviceId":"d1","status":"disabled"}"#;
    world
        .hub
        .guarded("PUT", "/devices/d1", "*", disabled)
        .await
        .ok();
    let answer = world.put(&begun, "", &[BLOCK_BLOB], "x").await;
    assert_eq!(refused(&answer), "403 AuthenticationFailed");
    let enabled = r#"{"deviceId":"d1","status":"enabled"}"#;
    world
        .hub
        .guarded("PUT", "/devices/d1", "*", enabled)
        .await
        .ok();
    assert_eq!(world.put(&begun, "", &[BLOCK_BLOB], "x").await.status, 201);
    world.hub.guarded("DELETE", "/devices/d1", "*", "").await;
    let answer = world.put(&begun, "", &[BLOCK_BLOB], "y").await;
    assert_eq!(refused(&answer), "403 AuthenticationFailed");
}

#[tokio::test]
async fn another_device_does_not_finish_it() {
    let world = World::new().await;
    let begun = world.begin("a").await;
    world.put(&begun, "", &[BLOCK_BLOB], "x").await;
    let key = register(&world.hub, "d2", r#"{"deviceId":"d2"}"#).await;
    let body = serde_json::json!({ "correlationId": begun["correlationId"], "isSuccess": true });
    let path = ("POST", "/devices/d2/files/notifications");
    let answer = ask(&world.hub, path, &token("d2", &key), &[], body.to_string()).await;
    assert_eq!(answer.refused(), "400 InvalidFileUploadCorrelationId");
    let answer = ask(
        &world.hub,
        FILES,
        &token("d2", &key),
        &[],
        r#"{"blobName":"a"}"#,
    )
    .await;
    assert_eq!(answer.refused(), "401 IotHubUnauthorized");
}
