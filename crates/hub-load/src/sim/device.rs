//! A device over all its connections.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use hub_domain::Timestamp;
use hub_domain::sas::sign_token;
use hub_mqtt::{ClientSession, Connect, KeepAlive, Window};
use tokio::sync::watch;

use super::Plan;
use super::live::{End, Live};
use crate::backoff::{Backoff, Dice};
use crate::connection::{Connection, ConnectionError};
use crate::fleet::Member;
use crate::messages;
use crate::pacing::Pacing;
use crate::topics;

/// How long a token lives; the SDKs' default.
const TOKEN_LIFE: Duration = Duration::from_secs(3_600);
/// When a device connects anew with a fresh token, before the old one ends.
const TOKEN_USE: Duration = Duration::from_secs(3_000);
/// Keep-alive of a device: that of the Python SDK.
const KEEP_ALIVE: KeepAlive = KeepAlive::from_seconds(60);
/// Messages without acknowledgement that a device allows itself.
const WINDOW: u16 = 64;
/// How long a device that was told to reboot is away.
const REBOOT: Duration = Duration::from_secs(2);
/// A device waits this long at most before its first connection, for each thousand devices to spread.
const FIRST_SPREAD: Duration = Duration::from_millis(200);

/// A QoS 1 publish that waits: enough to make the same message again.
#[derive(Clone, Copy, Debug)]
pub(super) enum Tag {
    /// The telemetry message with this sequence.
    Telemetry { sequence: u64, at: Instant },
}

/// A device with what outlives a connection.
pub(super) struct Device {
    pub(super) plan: Arc<Plan>,
    pub(super) member: Member,
    pub(super) dice: Dice,
    pub(super) sequence: u64,
    pub(super) pacing: Option<Pacing>,
}

impl Device {
    pub(super) fn new(plan: Arc<Plan>, member: Member, mut dice: Dice) -> Self {
        let pacing = plan
            .rate
            .map(|rate| Pacing::new(rate, Instant::now() + dice.within(rate.interval())));
        Self {
            plan,
            member,
            dice,
            sequence: 0,
            pacing,
        }
    }

    /// Connects, lives and comes back until `stopped`.
    pub(super) async fn run(mut self, mut stopped: watch::Receiver<bool>) {
        let mut session =
            ClientSession::new(Window::new(WINDOW).expect("invariant: the window is not zero"));
        let mut backoff = Backoff::new();
        let mut wait = self.dice.within(FIRST_SPREAD);
        loop {
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = is_stopped(&mut stopped) => return,
            }
            let opened = tokio::select! {
                opened = self.open(session) => opened,
                () = is_stopped(&mut stopped) => return,
            };
            match opened {
                Ok(connection) => {
                    backoff = Backoff::new();
                    let (end, rest) = self.live(connection, &mut stopped).await;
                    session = rest;
                    wait = match end {
                        End::Stopped => return,
                        End::Rebooting => REBOOT,
                        End::TokenOld => Duration::ZERO,
                        End::Lost => backoff.wait(&mut self.dice),
                    };
                }
                Err((error, rest)) => {
                    self.plan.counters.refused.up();
                    self.plan.counters.error(&self.member.id, &error);
                    session = rest;
                    wait = backoff.wait(&mut self.dice);
                }
            }
            session.reconnect();
        }
    }

    async fn open(
        &self,
        session: ClientSession<Tag>,
    ) -> Result<Connection<Tag>, (ConnectionError, ClientSession<Tag>)> {
        let _permit = self
            .plan
            .gate
            .acquire()
            .await
            .expect("invariant: the gate is never closed");
        let user_name = topics::user_name(&self.plan.host, &self.member.id);
        let token = self.token();
        let connect = Connect {
            client_id: &self.member.id,
            clean_session: false,
            keep_alive: KEEP_ALIVE,
            will: None,
            user_name: Some(&user_name),
            password: Some(token.as_bytes()),
        };
        let (connection, _) = Connection::open(&self.plan.endpoint, &connect, session).await?;
        self.plan.counters.opened.up();
        Ok(connection)
    }

    fn token(&self) -> String {
        let resource = format!("{}/devices/{}", self.plan.host, self.member.id);
        sign_token(&resource, &self.member.key, now().plus(TOKEN_LIFE), None)
    }

    async fn live(
        &mut self,
        connection: Connection<Tag>,
        stopped: &mut watch::Receiver<bool>,
    ) -> (End, ClientSession<Tag>) {
        self.plan.counters.connected.up();
        let renew = Instant::now() + TOKEN_USE + self.dice.within(TOKEN_USE / 12);
        let mut live = Live::new(self, connection, renew);
        let end = live.run(stopped).await;
        let session = live.into_session();
        self.plan.counters.connected.down();
        let end = end.unwrap_or_else(|error| {
            self.plan.counters.lost.up();
            self.plan.counters.error(&self.member.id, &error);
            End::Lost
        });
        (end, session)
    }

    /// Topic and body of a message, as it was and as it will be.
    pub(super) fn message(&self, sequence: u64) -> (String, Vec<u8>) {
        let message = messages::telemetry(&self.member.id, sequence, self.plan.size);
        (message.topic, message.body)
    }
}

/// Returns when the run ends.
pub(super) async fn is_stopped(stopped: &mut watch::Receiver<bool>) {
    // The sender lives as long as the run; were it gone, the run would be over too.
    drop(stopped.wait_for(|is_stopped| *is_stopped).await);
}

/// The time that tokens are counted from.
pub(crate) fn now() -> Timestamp {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    Timestamp::from_micros(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
}
