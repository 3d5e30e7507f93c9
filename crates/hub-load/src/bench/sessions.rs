//! Opening many sessions, some at a time.

use std::ops::Range;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use hub_mqtt::{ClientSession, Connect, KeepAlive, Window};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::server::{HOST, Server, device_id};
use crate::OPENS_AT_ONCE;
use crate::amqp::device::{Device, Links};
use crate::connection::{Connection, Endpoint};
use crate::tls;

/// Long enough that nothing is said in between.
const KEEP_ALIVE: KeepAlive = KeepAlive::from_seconds(1_200);

/// An open session of a device.
pub(super) struct Session<T> {
    pub(super) id: String,
    pub(super) connection: Connection<T>,
}

/// Opens the sessions of the devices with these numbers.
pub(super) async fn open<T: Send + 'static>(
    server: &Server,
    version: tls::Version,
    numbers: Range<usize>,
    window: u16,
) -> Result<Vec<Session<T>>> {
    let endpoint = server.endpoint(version)?;
    let token: Arc<str> = server.token().into();
    some_at_a_time(numbers, |number| {
        let (endpoint, token) = (endpoint.clone(), Arc::clone(&token));
        async move { open_one(&endpoint, &token, number, window).await }
    })
    .await
}

/// Connects the devices with these numbers over AMQP.
pub(super) async fn open_amqp(
    server: &Server,
    version: tls::Version,
    numbers: Range<usize>,
    links: Links,
) -> Result<Vec<Device>> {
    let endpoint = server.amqp_endpoint(version)?;
    let token: Arc<str> = server.token().into();
    some_at_a_time(numbers, |number| {
        let (endpoint, token) = (endpoint.clone(), Arc::clone(&token));
        async move {
            let id = device_id(number);
            let opened = Device::open(&endpoint, HOST, &id, &token, links).await;
            opened.with_context(|| format!("the device {id} cannot connect"))
        }
    })
    .await
}

async fn some_at_a_time<T: Send + 'static, F: Future<Output = Result<T>> + Send + 'static>(
    numbers: Range<usize>,
    open: impl Fn(usize) -> F,
) -> Result<Vec<T>> {
    let gate = Arc::new(Semaphore::new(OPENS_AT_ONCE));
    let mut tasks = JoinSet::new();
    for number in numbers {
        let permit = Arc::clone(&gate).acquire_owned().await;
        let opening = open(number);
        tasks.spawn(async move {
            let opened = opening.await;
            drop(permit);
            opened
        });
    }
    let mut connections = Vec::new();
    while let Some(opened) = tasks.join_next().await {
        connections.push(opened.context("a task that opens a session died")??);
    }
    Ok(connections)
}

async fn open_one<T>(
    endpoint: &Endpoint,
    token: &str,
    number: usize,
    window: u16,
) -> Result<Session<T>> {
    let id = device_id(number);
    let user_name = Server::user_name(&id);
    let connect = Connect {
        client_id: &id,
        clean_session: true,
        keep_alive: KEEP_ALIVE,
        will: None,
        user_name: Some(&user_name),
        password: Some(token.as_bytes()),
    };
    let session = ClientSession::new(Window::new(window).context("the window is zero")?);
    let opened = Connection::open(endpoint, &connect, session).await;
    let (connection, _) = opened
        .map_err(|(error, _)| error)
        .with_context(|| format!("the device {id} cannot log in"))?;
    Ok(Session { id, connection })
}
