//! Sessions: who may connect, who is cut, what is kept.

mod ends;
mod many_on_one;
mod races;
mod subscriptions;
mod tokens;

use hub_domain::Status;
use hub_engine::{IfMatch, NewIdentity};

use super::support::{World, device, id};

impl World {
    /// Replaces an identity without saying so.
    async fn changed(&self, new: NewIdentity) {
        self.engine
            .registry
            .replace(&self.owner(), self.hub.no, new, IfMatch::Any)
            .await
            .unwrap();
    }

    async fn disable(&self, text: &str) {
        self.changed(NewIdentity {
            status: Status::Disabled,
            ..device(text)
        })
        .await;
    }

    async fn remove(&self, text: &str) {
        self.engine
            .registry
            .delete(&self.owner(), self.hub.no, &id(text), IfMatch::Any)
            .await
            .unwrap();
    }

    /// Says what back ends see of an identity's connection.
    async fn say_connection(&mut self, text: &str) {
        let view = self
            .engine
            .registry
            .fetch(&self.owner(), self.hub.no, &id(text))
            .await
            .unwrap();
        let since = |moment: hub_domain::Timestamp| match moment {
            hub_domain::Timestamp::NEVER => "never".to_owned(),
            moment => format!("+{}s", moment.since(super::support::BEGINNING).as_secs()),
        };
        let activity = view.activity;
        let state = if activity.connected {
            "connected"
        } else {
            "disconnected"
        };
        let updated = since(activity.connection_updated);
        self.say(format!(
            "{text} {state} since {updated}, active {}",
            since(activity.last_activity)
        ));
    }

    async fn say_connected_count(&mut self) {
        let statistics = self
            .engine
            .registry
            .statistics(&self.owner(), self.hub.no)
            .await
            .unwrap();
        self.say(format!("{} connected", statistics.connected));
    }
}
