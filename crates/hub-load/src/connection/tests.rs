use hub_mqtt::{KeepAlive, Window};

use super::*;
use crate::fake_server::{FakeServer, Script, Seen};

fn login(client_id: &str) -> Connect<'_> {
    Connect {
        client_id,
        clean_session: false,
        keep_alive: KeepAlive::from_seconds(60),
        will: None,
        user_name: Some("hub.test/d/?api-version=2021-04-12"),
        password: Some(b"token"),
    }
}

fn session<T>() -> ClientSession<T> {
    ClientSession::new(Window::new(32).unwrap())
}

async fn open<T>(server: &FakeServer) -> Connection<T> {
    let opened = Connection::open(&server.endpoint(), &login("d"), session()).await;
    let (connection, resumed) = opened.map_err(|(error, _)| error).unwrap();
    assert_eq!(resumed, Resumed::No);
    connection
}

async fn acknowledged(connection: &mut Connection<u64>, count: usize) -> Vec<u64> {
    let mut tags = Vec::new();
    while tags.len() < count {
        connection.read().await.unwrap();
        let receive = connection.receive(|inbound, _| {
            if let ClientInbound::Published(tag) = inbound {
                tags.push(tag);
            }
            Ok(())
        });
        receive.unwrap();
    }
    tags
}

#[tokio::test]
async fn a_window_of_messages_leaves_at_once_and_comes_back_acknowledged_in_order() {
    let mut server = FakeServer::start(Script::default()).await;
    let mut connection = open(&server).await;
    for tag in 0..32_u64 {
        let outgoing = connection.outgoing();
        outgoing
            .publish(tag, "devices/d/messages/events/", b"body")
            .unwrap();
    }
    assert!(connection.outgoing().is_full());
    connection.flush().await.unwrap();
    let tags = acknowledged(&mut connection, 32).await;
    assert_eq!(tags, (0..32).collect::<Vec<_>>());
    assert_eq!(connection.outgoing().in_flight(), 0);
    assert!(matches!(server.next().await, Seen::Connect { client_id, .. } if client_id == "d"));
    for _ in 0..32 {
        assert!(matches!(
            server.next().await,
            Seen::Publish {
                qos: 1,
                duplicate: false,
                ..
            }
        ));
    }
}

#[tokio::test]
async fn a_window_that_is_full_takes_no_more() {
    let server = FakeServer::start(Script::default()).await;
    let mut connection = open(&server).await;
    for tag in 0..32_u64 {
        connection.outgoing().publish(tag, "t", b"").unwrap();
    }
    let refused = connection.outgoing().publish(32, "t", b"");
    assert!(matches!(
        refused,
        Err(ConnectionError::Order(SessionError::WindowFull(32)))
    ));
}

#[tokio::test]
async fn a_refused_connection_says_why_and_gives_the_session_back() {
    let refusal = Some(Refusal::NotAuthorized);
    let server = FakeServer::start(Script {
        refusal,
        ..Script::default()
    })
    .await;
    let opened = Connection::<u64>::open(&server.endpoint(), &login("d"), session()).await;
    let (error, session) = opened.err().unwrap();
    assert!(matches!(
        error,
        ConnectionError::Refused(Refusal::NotAuthorized)
    ));
    assert_eq!(session.in_flight_count(), 0);
    assert_eq!(
        error.to_string(),
        "the hub refused the connection with code 5"
    );
}

#[tokio::test]
async fn what_was_not_acknowledged_is_sent_again_on_the_next_connection() {
    let mut server = FakeServer::start(Script {
        drops: 1,
        ..Script::default()
    })
    .await;
    let mut connection = open(&server).await;
    connection
        .outgoing()
        .publish(7_u64, "devices/d/messages/events/", b"7")
        .unwrap();
    connection.flush().await.unwrap();
    assert!(matches!(
        connection.read().await,
        Err(ConnectionError::Closed | ConnectionError::Socket(_))
    ));

    let mut session = connection.into_session();
    session.reconnect();
    let opened = Connection::open(&server.endpoint(), &login("d"), session).await;
    let (mut connection, _) = opened.map_err(|(error, _)| error).unwrap();
    let again = connection
        .outgoing()
        .publish_again(|tag| ("devices/d/messages/events/".into(), tag.to_string().into()));
    again.unwrap();
    connection.flush().await.unwrap();
    assert_eq!(acknowledged(&mut connection, 1).await, [7]);
    let resent = loop {
        if let Seen::Publish {
            payload, duplicate, ..
        } = server.next().await
        {
            break (payload, duplicate);
        }
    };
    assert_eq!(resent, (b"7".to_vec(), true));
}

#[tokio::test]
async fn a_name_that_the_certificate_lacks_is_refused() {
    let server = FakeServer::start(Script::default()).await;
    let mut endpoint = server.endpoint();
    endpoint.name = ServerName::try_from("other.test").unwrap();
    let opened = Connection::<u64>::open(&endpoint, &login("d"), session()).await;
    assert!(matches!(opened.err().unwrap().0, ConnectionError::Tls(_)));
}

#[tokio::test]
async fn both_versions_of_tls_can_be_asked_for() {
    let server = FakeServer::start(Script::default()).await;
    for (version, prefix) in [
        (crate::tls::Version::Tls12, "TLS_ECDHE"),
        (crate::tls::Version::Tls13, "TLS13"),
    ] {
        let mut endpoint = server.endpoint();
        endpoint.tls = crate::tls::trusting(&server.ca(), &[version]).unwrap();
        let opened = Connection::<u64>::open(&endpoint, &login("d"), session()).await;
        let (mut connection, _) = opened.map_err(|(error, _)| error).unwrap();
        let suite = connection.cipher_suite().unwrap();
        assert!(suite.starts_with(prefix), "{suite}");
        connection.outgoing().disconnect();
        connection.flush().await.unwrap();
    }
}
