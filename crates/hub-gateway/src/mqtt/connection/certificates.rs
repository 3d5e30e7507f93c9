//! Devices that ask their hub for the next certificate ("IoT Hub certificate renewal").

use std::task::Context;

use hub_engine::sessions::Subscription;
use hub_mqtt::PacketId;

use super::super::topics;
use super::Connection;
use super::receive::{ack_bytes, answer};

impl Connection {
    /// Two answers follow: that the request is accepted, at once, and the certificates. Whoever is not subscribed to them
    /// gets none, and no certificate is issued.
    pub(super) fn issue_certificate(
        &mut self,
        request_id: &str,
        payload: &[u8],
        ack: Option<PacketId>,
        context: &mut Context<'_>,
    ) {
        let mut first = ack_bytes(ack);
        let is_heard = self.session.subscriptions().has(Subscription::Certificates);
        let Some(provisioning) = self.provisioning.as_ref().filter(|_| is_heard) else {
            self.outstanding.push_done(first);
            return;
        };
        let now = self.engine.environment().now();
        let begun = provisioning
            .renewals
            .begin(&self.session, request_id, payload, now);
        let reply = begun.first;
        let topic = topics::certificate_answer(reply.status, request_id);
        answer(&topic, reply.document.as_bytes(), &mut first);
        self.outstanding.push_done(first);
        let Some(outcome) = begun.outcome else {
            return;
        };
        let request_id = request_id.to_owned();
        let work = async move {
            let reply = outcome.await;
            let topic = topics::certificate_answer(reply.status, &request_id);
            let mut last = Vec::new();
            answer(&topic, reply.document.as_bytes(), &mut last);
            Ok(last)
        };
        self.outstanding
            .push(Box::pin(work), 1, payload.len(), context);
    }
}
