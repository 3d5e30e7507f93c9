//! Files in blocks.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::{BLOCK_BLOB, World, refused};
use crate::testing::Answer;

async fn stage(world: &World, begun: &serde_json::Value, id: &str, body: &str) -> Answer {
    let id = STANDARD.encode(id).replace('=', "%3D").replace('+', "%2B");
    let more = format!("&comp=block&blockid={id}");
    world.put(begun, &more, &[], body.to_owned()).await
}

async fn commit(world: &World, begun: &serde_json::Value, ids: &[&str]) -> Answer {
    let ids: String = ids
        .iter()
        .map(|id| format!("<Latest>{}</Latest>", STANDARD.encode(id)))
        .collect();
    let list = format!("<?xml version=\"1.0\" encoding=\"utf-8\"?><BlockList>{ids}</BlockList>");
    world.put(begun, "&comp=blocklist", &[], list).await
}

#[tokio::test]
async fn blocks_become_the_file_in_the_order_of_the_list() {
    let world = World::new().await;
    let begun = world.begin("a").await;
    for (id, body) in [("2", "world"), ("1", "hello "), ("3", "unused")] {
        let staged = stage(&world, &begun, id, body).await;
        assert_eq!(staged.status, 201, "{}", staged.text());
        assert!(!staged.header("content-md5").is_empty());
    }
    assert_eq!(world.content("d1/a").await, None);
    let unknown = commit(&world, &begun, &["1", "4"]).await;
    assert_eq!(refused(&unknown), "400 InvalidBlockList");
    let committed = commit(&world, &begun, &["1", "2"]).await;
    assert_eq!(committed.status, 201, "{}", committed.text());
    assert!(committed.header("etag").starts_with('"'));
    assert_eq!(world.content("d1/a").await.as_deref(), Some("hello world"));
    let gone = commit(&world, &begun, &["3"]).await;
    assert_eq!(refused(&gone), "400 InvalidBlockList");
    assert_eq!(world.finish(&begun, true).await.status, 204);
}

#[tokio::test]
async fn bad_blocks_and_lists_are_refused() {
    let world = World::new().await;
    let begun = world.begin("a").await;
    for more in [
        "&comp=block",
        "&comp=block&blockid=",
        "&comp=block&blockid=%25",
    ] {
        let answer = world.put(&begun, more, &[], "x").await;
        assert_eq!(refused(&answer), "400 InvalidBlockId", "{more}");
    }
    let md5 = [("content-md5", "AAAAAAAAAAAAAAAAAAAAAA==")];
    let answer = world
        .put(&begun, "&comp=block&blockid=YQ%3D%3D", &md5, "x")
        .await;
    assert_eq!(refused(&answer), "400 Md5Mismatch");
    for (list, code) in [
        ("", "400 InvalidXmlDocument"),
        ("<BlockList>", "400 InvalidXmlDocument"),
        (
            "<BlockList><Latest>YQ==</Latest></BlockList>",
            "400 InvalidBlockList",
        ),
    ] {
        let answer = world.put(&begun, "&comp=blocklist", &[], list).await;
        assert_eq!(refused(&answer), code, "{list}");
    }
    let answer = world.put(&begun, "&comp=appendblock", &[], "x").await;
    assert_eq!(refused(&answer), "400 InvalidQueryParameterValue");
}

#[tokio::test]
async fn what_is_too_large_is_refused_before_and_while_it_comes() {
    let world = World::new().await;
    let begun = world.begin("a").await;
    let announced = [BLOCK_BLOB, ("content-length", "5368709121")];
    let answer = world.put(&begun, "", &announced, "x").await;
    assert_eq!(refused(&answer), "413 RequestBodyTooLarge");
    let odd = [BLOCK_BLOB, ("content-length", "many")];
    let answer = world.put(&begun, "", &odd, "x").await;
    assert_eq!(refused(&answer), "400 InvalidHeaderValue");
    let block = "&comp=block&blockid=YQ%3D%3D";
    for _ in 0..2 {
        let answer = world.put(&begun, block, &[], "x").await;
        assert_eq!(answer.status, 201);
    }
    // An empty file is one.
    let empty = world
        .put(&begun, "&comp=blocklist", &[], "<BlockList/>")
        .await;
    assert_eq!(empty.status, 201);
    assert_eq!(world.content("d1/a").await.as_deref(), Some(""));
    let answer = world
        .put(&begun, block, &[("content-length", "1")], "x")
        .await;
    assert_eq!(answer.status, 201);
}
