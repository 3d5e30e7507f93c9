//! Files, as operators get them.

use hub_domain::upload::BlobName;
use hub_engine::Existing;
use hub_storage::Blobs as _;

use super::{Ask, refused};
use crate::testing::Installation;

/// Puts a file where an upload would.
async fn put(installation: &Installation, name: &str, content: &'static [u8]) {
    let path = hub_storage::blobs::BlobPath {
        hub: installation.hub.no,
        name: BlobName::parse(name).unwrap(),
    };
    let mut writer = installation.blobs.put(&path).await.unwrap();
    writer
        .write(bytes::Bytes::from_static(content))
        .await
        .unwrap();
    writer.finish(Existing::Keep).await.unwrap();
}

async fn ask(installation: &Installation, method: &str, path: &str) -> crate::testing::Answer {
    let token = Some(installation.token("service"));
    Ask::with(method, path, token).send(installation, "").await
}

#[tokio::test]
async fn files_are_listed_downloaded_and_deleted() {
    let installation = Installation::new().await;
    for (name, content) in [
        ("d1/a/b.txt", b"one" as &[u8]),
        ("d1/c", b"two"),
        ("d2/a", b"three"),
    ] {
        put(&installation, name, content).await;
    }
    let names = async |query: &str| {
        let page = ask(&installation, "GET", &format!("/hubs/hub/files{query}"))
            .await
            .ok();
        let items = page["items"].as_array().unwrap().clone();
        let names: Vec<_> = items
            .iter()
            .map(|f| f["name"].as_str().unwrap().to_owned())
            .collect();
        (names.join(" "), page["next"].as_str().map(str::to_owned))
    };
    assert_eq!(names("").await.0, "d1/a/b.txt d1/c d2/a");
    assert_eq!(names("?device=d1").await.0, "d1/a/b.txt d1/c");
    assert_eq!(
        names("?max=2").await,
        ("d1/a/b.txt d1/c".to_owned(), Some("d1/c".to_owned()))
    );
    assert_eq!(
        names("?after=d1%2Fc&max=2").await,
        ("d2/a".to_owned(), None)
    );
    let file = ask(&installation, "GET", "/hubs/hub/files/d1%2Fa%2Fb.txt").await;
    assert_eq!((file.status.as_u16(), file.text().as_str()), (200, "one"));
    assert_eq!(file.header("content-type"), "application/octet-stream");
    assert_eq!(file.header("content-disposition"), "attachment");
    let gone = ask(&installation, "DELETE", "/hubs/hub/files/d1%2Fc").await;
    assert_eq!(gone.status, 204);
    for method in ["GET", "DELETE"] {
        let gone = ask(&installation, method, "/hubs/hub/files/d1%2Fc").await;
        assert_eq!(refused(&gone), "404 GenericNotFound");
    }
    let odd = ask(&installation, "GET", "/hubs/hub/files/nothing").await;
    assert_eq!(refused(&odd), "400 ArgumentInvalid");
}
