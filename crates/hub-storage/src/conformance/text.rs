//! The whole visible state of a store as text, to be compared.

mod provisioning;

use std::fmt::Write as _;

use hub_domain::twin::Twin;
use hub_domain::{Authentication, Hub, HubNo, Identity, IdentityId, Policy, ServiceBoundKind};

use super::fixtures::{moment, pages_of_changes, pages_of_messages, pages_of_service_bound};
use crate::Store;
use crate::store::{StoredIdentity, all_devices};

pub(crate) use provisioning::{
    describe_enrollment, describe_group, describe_registration, describe_service,
};

/// Everything that can be read from `store`.
pub(super) async fn snapshot(store: &dyn Store) -> String {
    let mut out = String::new();
    for hub in store.hubs().await.expect("hubs can be read") {
        line(&mut out, &describe_hub(&hub));
        let statistics = store
            .statistics(hub.no)
            .await
            .expect("statistics can be read");
        line(&mut out, &format!("{statistics:?}"));
        for kind in ServiceBoundKind::ALL {
            for record in pages_of_service_bound(store, hub.no, kind, 100).await {
                line(&mut out, &format!("{kind:?} {record:?}"));
            }
        }
        for device in all_devices(store, hub.no)
            .await
            .expect("devices can be read")
        {
            let modules = store
                .modules(hub.no, &device.identity.id.device)
                .await
                .expect("modules can be read");
            for stored in std::iter::once(&device).chain(&modules) {
                add_identity(store, hub.no, stored, &mut out).await;
            }
        }
    }
    provisioning::add(store, &mut out).await;
    for change in pages_of_changes(store, 100).await {
        line(&mut out, &format!("{change:?}"));
    }
    let mut expired = store
        .expired_messages(moment(1_000_000_000), 100_000)
        .await
        .expect("expired ones can be read");
    expired.sort_unstable();
    line(
        &mut out,
        &format!("expired {expired:?} head {:?}", *store.fact_head().borrow()),
    );
    out
}

async fn add_identity(store: &dyn Store, hub: HubNo, stored: &StoredIdentity, out: &mut String) {
    let id: &IdentityId = &stored.identity.id;
    line(out, &describe_stored(stored));
    let alone = store
        .identity(hub, id)
        .await
        .expect("an identity can be read")
        .expect("a listed identity exists");
    assert_eq!(
        describe_stored(&alone),
        describe_stored(stored),
        "an identity read alone is the one of the list"
    );
    let (with_twin, twin) = store
        .twin(hub, id)
        .await
        .expect("a twin can be read")
        .expect("a listed identity has one");
    assert_eq!(
        describe_stored(&with_twin),
        describe_stored(stored),
        "an identity read with its twin is the listed one"
    );
    line(out, &describe_twin(&twin));
    let messages = pages_of_messages(store, stored.ordinal, 100).await;
    assert_eq!(
        messages.len() as u64,
        stored.message_count,
        "the count of {id} is the length of its queue"
    );
    for message in messages {
        line(out, &format!("{message:?}"));
    }
}

fn line(out: &mut String, text: &str) {
    writeln!(out, "{text}").expect("writing to a string works");
}

/// A hub with every field.
pub(super) fn describe_hub(hub: &Hub) -> String {
    let Hub {
        no,
        name,
        host,
        aliases,
        policies,
        partition_count,
        retention,
        retention_bytes_max,
        created,
        settings,
        revision,
    } = hub;
    let policies: Vec<String> = policies.iter().map(describe_policy).collect();
    format!(
        "hub {no} {name} {host} {aliases:?} {policies:?} {partition_count} {retention:?} {retention_bytes_max} {created:?} {settings:?} {revision:?}"
    )
}

fn describe_policy(policy: &Policy) -> String {
    let Policy {
        name,
        permissions,
        primary,
        secondary,
    } = policy;
    format!(
        "{name} {permissions:?} {} {}",
        primary.to_base64(),
        secondary.to_base64()
    )
}

/// An identity with every field.
pub(super) fn describe_identity(identity: &Identity) -> String {
    let Identity {
        id,
        generation,
        etag,
        status,
        status_reason,
        status_updated,
        authentication,
        iot_edge,
        device_scope,
        parent_scopes,
        managed_by,
    } = identity;
    let proof = match authentication {
        Authentication::Sas { primary, secondary } => {
            format!("{} {}", primary.to_base64(), secondary.to_base64())
        }
        Authentication::SelfSigned { primary, secondary } => format!("{primary:?} {secondary:?}"),
        Authentication::CertificateAuthority | Authentication::None => {
            authentication.kind().to_owned()
        }
    };
    format!(
        "{id} {generation:?} {etag:?} {status:?} {status_reason:?} {status_updated:?} {proof} {iot_edge} \
         {device_scope:?} {parent_scopes:?} {managed_by:?}"
    )
}

/// A stored identity with every field.
pub(super) fn describe_stored(stored: &StoredIdentity) -> String {
    let StoredIdentity {
        ordinal,
        identity,
        activity,
        message_count,
        subscriptions,
    } = stored;
    let identity = describe_identity(identity);
    format!("{ordinal:?} {identity} {activity:?} messages {message_count} {subscriptions:?}")
}

/// A twin with every field.
pub(super) fn describe_twin(twin: &Twin) -> String {
    format!("{twin:?}")
}
