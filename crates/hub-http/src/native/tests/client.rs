//! The typed client against the routes, over a socket.

use std::net::SocketAddr;

use hub_api::client::{
    AtEnd, Client, ClientConfig, ClientError, ConnectionString, Credential, EventQuery, PageQuery,
    Received,
};
use hub_api::native::{
    DeviceSettings, EventLine, EventSource, MethodCall, ModuleSettings, NewHub, NewMessage,
    StartPosition, TwinChange,
};
use serde_json::json;
use tokio::net::TcpListener;

use crate::testing::{ADMIN_TOKEN, Installation};

/// Serves the installation for as long as the test's runtime lives.
async fn serve(installation: &Installation) -> SocketAddr {
    serve_until(installation, std::future::pending).await
}

/// Serves the installation; each connection until what `stop` makes for it completes.
async fn serve_until<F>(
    installation: &Installation,
    stop: impl Fn() -> F + Send + 'static,
) -> SocketAddr
where
    F: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let service = installation.service.clone();
    tokio::spawn(async move {
        loop {
            let (stream, peer) = listener.accept().await.unwrap();
            let service = service.clone();
            let stop = stop();
            tokio::spawn(
                async move { service.serve(stream, crate::Client::new(peer), stop).await },
            );
        }
    });
    address
}

async fn admin(installation: &Installation) -> Client {
    let address = serve(installation).await;
    let credential = Credential::AdminToken(ADMIN_TOKEN.to_owned());
    Client::new(ClientConfig::new(format!("http://{address}"), credential)).unwrap()
}

fn device(id: &str) -> DeviceSettings {
    DeviceSettings {
        device_id: Some(id.to_owned()),
        ..DeviceSettings::default()
    }
}

#[tokio::test]
async fn the_client_speaks_every_operation() {
    let installation = Installation::new().await;
    let client = admin(&installation).await;
    let new = NewHub {
        name: "two".to_owned(),
        host_name: "two.test".to_owned(),
        aliases: Vec::new(),
        partition_count: None,
    };
    assert_eq!(client.create_hub(&new).await.unwrap().partition_count, 4);
    assert_eq!(
        client
            .list_hubs(&PageQuery::default())
            .await
            .unwrap()
            .items
            .len(),
        2
    );
    assert_eq!(client.hub("hub").await.unwrap().host_name, "hub.test");

    let created = client.create_device("hub", &device("a#1")).await.unwrap();
    assert_eq!(
        client.device("hub", "a#1").await.unwrap().etag,
        created.etag
    );
    let page = client
        .list_devices(
            "hub",
            &PageQuery {
                after: None,
                max: Some(1),
            },
        )
        .await
        .unwrap();
    assert_eq!(page.items[0].device_id, "a#1");
    let replaced = client
        .replace_device("hub", "a#1", &created.settings(), Some(&created.etag))
        .await
        .unwrap();
    let stale = client
        .replace_device("hub", "a#1", &created.settings(), Some(&created.etag))
        .await;
    assert!(stale.is_err_and(|error| error.is_precondition_failed()));
    assert_eq!(
        client.statistics("hub").await.unwrap().total_device_count,
        1
    );

    let module = ModuleSettings {
        module_id: Some("m".to_owned()),
        ..ModuleSettings::default()
    };
    let module = client.create_module("hub", "a#1", &module).await.unwrap();
    assert_eq!(
        client.list_modules("hub", "a#1").await.unwrap().items.len(),
        1
    );
    assert_eq!(
        client.module("hub", "a#1", "m").await.unwrap().etag,
        module.etag
    );
    client
        .replace_module("hub", "a#1", "m", &module.settings(), Some("*"))
        .await
        .unwrap();

    for target in [("a#1", None), ("a#1", Some("m"))] {
        let change = TwinChange {
            tags: Some(json!({ "a": 1 }).as_object().unwrap().clone()),
            properties: None,
        };
        let patched = client
            .patch_twin("hub", target, &change, None)
            .await
            .unwrap();
        client
            .replace_twin("hub", target, &change, Some(&patched.etag))
            .await
            .unwrap();
        assert_eq!(client.twin("hub", target).await.unwrap().version, 4);
        let call = MethodCall {
            method_name: "m".to_owned(),
            payload: Some(json!(null)),
            response_timeout_in_seconds: Some(5),
            connect_timeout_in_seconds: None,
        };
        let offline = client
            .invoke_method("hub", target, &call)
            .await
            .unwrap_err();
        assert_eq!(offline.refusal().unwrap().name, "DeviceNotOnline");
    }
    client
        .send_message("hub", "a#1", &NewMessage::default())
        .await
        .unwrap();
    assert_eq!(client.purge_messages("hub", "a#1").await.unwrap().purged, 1);
    client.delete_module("hub", "a#1", "m", None).await.unwrap();
    client
        .delete_device("hub", "a#1", Some(&replaced.etag))
        .await
        .unwrap();
    let gone = client.device("hub", "a#1").await.map(|_| ()).unwrap_err();
    assert!(
        matches!(gone, ClientError::Refused { status: 404, ref detail } if detail.name == "DeviceNotFound")
    );
}

#[tokio::test]
async fn a_policy_of_a_connection_string_opens_what_it_may() {
    let installation = Installation::new().await;
    let address = serve(&installation).await;
    let key = installation
        .hub
        .policy("registryRead")
        .unwrap()
        .primary
        .to_base64();
    let text = format!("HostName=hub.test;SharedAccessKeyName=registryRead;SharedAccessKey={key}");
    let Ok(_) = ConnectionString::parse(&text) else {
        panic!("a policy's string is one")
    };
    let credential = Credential::Policy {
        host: "hub.test".to_owned(),
        name: "registryRead".to_owned(),
        key: installation
            .hub
            .policy("registryRead")
            .unwrap()
            .primary
            .clone(),
    };
    let client = Client::new(ClientConfig::new(format!("http://{address}"), credential)).unwrap();
    assert_eq!(
        client
            .list_devices("hub", &PageQuery::default())
            .await
            .map(|page| page.items.len())
            .unwrap(),
        0
    );
    let refused = client
        .create_device("hub", &device("d"))
        .await
        .map(|_| ())
        .unwrap_err();
    assert!(matches!(refused, ClientError::Refused { status: 403, .. }));
}

#[tokio::test]
async fn the_client_reads_events_to_their_end() {
    let installation = Installation::new().await;
    let client = admin(&installation).await;
    for id in ["a", "b"] {
        client.create_device("hub", &device(id)).await.unwrap();
    }
    let query = EventQuery {
        source: EventSource::DeviceLifecycleEvents,
        from: StartPosition::Start,
        at_end: AtEnd::Stop,
        ..EventQuery::default()
    };
    let mut stream = client.events("hub", &query).await.unwrap();
    let mut seen = Vec::new();
    loop {
        match stream.next().await.unwrap() {
            Received::Line(EventLine::Event(event), text) => {
                assert!(text.starts_with('{') && text.ends_with('}'));
                seen.push(event.device_id);
            }
            Received::Line(EventLine::Notice(notice), _) => panic!("{notice:?}"),
            Received::Heartbeat => {}
            Received::End => break,
        }
    }
    assert_eq!(seen, ["a", "b"]);
}

#[tokio::test]
async fn an_open_stream_ends_when_the_server_stops() {
    let installation = Installation::new().await;
    let stop = tokio::sync::watch::Sender::new(false);
    let stopped = stop.subscribe();
    let address = serve_until(&installation, move || {
        let mut stopped = stopped.clone();
        async move { drop(stopped.wait_for(|stop| *stop).await) }
    })
    .await;
    let credential = Credential::AdminToken(ADMIN_TOKEN.to_owned());
    let client = Client::new(ClientConfig::new(format!("http://{address}"), credential)).unwrap();
    let mut stream = client.events("hub", &EventQuery::default()).await.unwrap();
    stop.send_replace(true);
    assert!(matches!(stream.next().await.unwrap(), Received::End));
}

#[tokio::test]
async fn what_does_not_answer_is_said_without_secrets() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let credential = Credential::AdminToken("top-secret".to_owned());
    let client = Client::new(ClientConfig::new(format!("http://{address}"), credential)).unwrap();
    let error = client.hub("hub").await.map(|_| ()).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("http://{address} does not answer")
    );
    assert!(!format!("{error:?}").contains("top-secret"));
}
