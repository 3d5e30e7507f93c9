//! The devices of a load: created when missing, and deleted again when asked.

use std::sync::Arc;

use anyhow::{Context as _, Result};
use hub_api::client::{Client, ClientError};
use hub_api::native::{Device, DeviceSettings};
use hub_domain::SymmetricKey;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::OPENS_AT_ONCE;

/// A device that can log in.
#[derive(Clone)]
pub(crate) struct Member {
    pub(crate) id: String,
    pub(crate) key: SymmetricKey,
    pub(crate) origin: Origin,
}

/// Where a device came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// This run made it.
    Created,
    /// It was there.
    Found,
}

/// The id of a device; ids sort as their numbers do.
pub(crate) fn device_id(prefix: &str, number: usize) -> String {
    format!("{prefix}{number:06}")
}

/// Creates what is missing, some at a time, and returns all in order. `progress` is called for each.
pub(crate) async fn ready(
    client: &Arc<Client>,
    hub: &str,
    ids: impl Iterator<Item = String>,
    progress: impl Fn(),
) -> Result<Vec<Member>> {
    let gate = Arc::new(Semaphore::new(OPENS_AT_ONCE));
    let mut tasks = JoinSet::new();
    let mut members = Vec::new();
    for id in ids {
        let permit = Arc::clone(&gate).acquire_owned().await;
        let (client, hub) = (Arc::clone(client), hub.to_owned());
        tasks.spawn(async move {
            let member = ready_one(&client, &hub, id).await;
            drop(permit);
            member
        });
        while let Some(done) = tasks.try_join_next() {
            members.push(done.context("a task that creates a device died")??);
            progress();
        }
    }
    while let Some(done) = tasks.join_next().await {
        members.push(done.context("a task that creates a device died")??);
        progress();
    }
    members.sort_by(|one, other| one.id.cmp(&other.id));
    Ok(members)
}

async fn ready_one(client: &Client, hub: &str, id: String) -> Result<Member> {
    let settings = DeviceSettings {
        device_id: Some(id.clone()),
        ..DeviceSettings::default()
    };
    let (device, origin) = match client.create_device(hub, &settings).await {
        Ok(device) => (device, Origin::Created),
        Err(ClientError::Refused { status: 409, .. }) => (
            client
                .device(hub, &id)
                .await
                .with_context(|| format!("cannot read the device {id}"))?,
            Origin::Found,
        ),
        Err(error) => {
            return Err(error).with_context(|| format!("cannot create the device {id}"));
        }
    };
    let key = key_of(&device).with_context(|| {
        format!("the device {id} was there and has no key; use another --prefix")
    })?;
    Ok(Member { id, key, origin })
}

fn key_of(device: &Device) -> Option<SymmetricKey> {
    let keys = device.authentication.symmetric_key.as_ref()?;
    SymmetricKey::parse(keys.primary_key.as_deref()?).ok()
}

/// Deletes devices, some at a time; one that is gone is no error. Returns how many were deleted.
pub(crate) async fn delete(client: &Arc<Client>, hub: &str, ids: Vec<String>) -> Result<usize> {
    let gate = Arc::new(Semaphore::new(OPENS_AT_ONCE));
    let mut tasks = JoinSet::new();
    for id in ids {
        let permit = Arc::clone(&gate).acquire_owned().await;
        let (client, hub) = (Arc::clone(client), hub.to_owned());
        tasks.spawn(async move {
            let deleted = client.delete_device(&hub, &id, None).await;
            drop(permit);
            match deleted {
                Ok(()) => Ok(1),
                Err(ClientError::Refused { status: 404, .. }) => Ok(0),
                Err(error) => Err(error).with_context(|| format!("cannot delete the device {id}")),
            }
        });
    }
    let mut deleted = 0;
    while let Some(done) = tasks.join_next().await {
        deleted += done.context("a task that deletes a device died")??;
    }
    Ok(deleted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_sort_as_their_numbers() {
        assert_eq!(device_id("sim-", 7), "sim-000007");
        assert!(device_id("sim-", 99) < device_id("sim-", 100));
        assert_eq!(device_id("b", 1_234_567), "b1234567");
    }
}
