//! `hub`.

use std::path::Path;

use hub_api::native::{EventsAccess, HubDocument, HubSummary, Ports};

use super::parse;
use crate::commands;
use crate::offline::{Offline, OfflineDocument};
use crate::render;

/// A data directory with one hub.
pub(super) struct Fixed;

impl Offline for Fixed {
    fn hub_document<'a>(&'a self, _: &'a Path, name: Option<&'a str>) -> OfflineDocument<'a> {
        Box::pin(async move {
            anyhow::ensure!(matches!(name, None | Some("hub")), "there is no such hub");
            Ok(document())
        })
    }
}

fn document() -> HubDocument {
    HubDocument {
        name: "hub".to_owned(),
        host_name: "hub.test".to_owned(),
        ports: Ports {
            https: Some(443),
            mqtt: Some(8883),
            amqp: None,
        },
        ca_certificate: Some("D/ca.pem".to_owned()),
        connection_strings: None,
        events: EventsAccess {
            connection_string: None,
            partition_count: 4,
        },
        provisioning: None,
    }
}

async fn show(line: &[&str], data_dir: &Path) -> Result<String, String> {
    let line = [
        &["hub", "show"],
        line,
        &["--data-dir", data_dir.to_str().unwrap()],
    ]
    .concat();
    let mut out = Vec::new();
    let result = commands::execute(parse(&line).unwrap(), &Fixed, &|_| None, &mut out).await;
    result.map_err(|failure| failure.to_string())?;
    Ok(String::from_utf8(out).unwrap())
}

#[tokio::test]
async fn a_hub_is_shown_without_a_server() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(
        show(&[], folder.path()).await.unwrap(),
        "\
name         hub
host name    hub.test
https port   443
mqtt port    8883
amqp port    none
certificate  D/ca.pem
partitions   4
"
    );
    let json = show(&["hub", "-o", "json"], folder.path()).await.unwrap();
    assert_eq!(
        serde_json::from_str::<serde_json::Value>(&json).unwrap(),
        serde_json::json!({
            "name": "hub", "hostName": "hub.test", "ports": { "https": 443, "mqtt": 8883 },
            "caCertificate": "D/ca.pem", "events": { "partitionCount": 4 },
        })
    );
    assert_eq!(
        show(&["other"], folder.path()).await.unwrap_err(),
        "error: there is no such hub\n"
    );
}

#[tokio::test]
async fn the_run_file_of_a_killed_server_does_not_hide_the_directory() {
    let folder = tempfile::tempdir().unwrap();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let certificate = folder.path().join("ca.pem");
    std::fs::write(&certificate, "").unwrap();
    let run = serde_json::json!({
        "pid": 1, "ports": { "https": port }, "caCertificate": certificate, "adminToken": "t",
    });
    std::fs::write(folder.path().join("run.json"), run.to_string()).unwrap();
    assert!(
        show(&[], folder.path())
            .await
            .unwrap()
            .starts_with("name         hub\n")
    );
}

#[test]
fn hubs_are_listed_as_a_table() {
    let hub = HubSummary {
        name: "hub".to_owned(),
        host_name: "hub.test".to_owned(),
        aliases: vec!["a.test".to_owned(), "b.test".to_owned()],
        partition_count: 4,
        retention_days: 1,
        default: true,
    };
    assert_eq!(
        render::hubs(&[hub]),
        "\
NAME  HOST NAME  ALIASES        PARTITIONS  RETENTION  DEFAULT
----------------------------------------------------------------
hub   hub.test   a.test b.test  4           1 d        yes"
    );
}
