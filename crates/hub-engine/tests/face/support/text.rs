//! Answers, errors, facts and notices as text.

use hub_domain::fact::SectionChange;
use hub_domain::{Fact, FactKind};
use hub_engine::methods::MethodAnswer;
use hub_engine::{Error, IdentityView, Notice, TwinView};

use super::World;

/// `NotFound 404001`.
pub(crate) fn failure(error: &Error) -> String {
    format!("{:?} {}", error.kind(), error.code().number())
}

/// The public words of a refused session, for all have the same code.
pub(crate) fn session_failure(error: &Error) -> String {
    format!("{:?}: {error}", error.kind())
}

pub(crate) fn answer(result: Result<MethodAnswer, Error>) -> String {
    match result {
        Ok(answer) => format!(
            "{} {}",
            answer.status,
            String::from_utf8_lossy(&answer.payload)
        ),
        Err(error) => failure(&error),
    }
}

/// `d1 enabled sas etag1 gen1` and what else there is to tell.
pub(super) fn identity(world: &mut World, view: &IdentityView) -> String {
    let identity = &view.identity;
    let mut words = vec![
        identity.id.to_string(),
        identity.status.as_str().to_owned(),
        identity.authentication.kind().to_owned(),
        world.label("etag", &identity.etag.0),
        world.label("gen", identity.generation.as_str()),
    ];
    if identity.iot_edge {
        words.push("edge".to_owned());
    }
    let generation = identity.generation.as_str();
    let scope_text = |scope: &String| scope.replace(generation, "{gen}");
    words.extend(
        identity
            .device_scope
            .as_ref()
            .map(|scope| format!("scope {}", scope_text(scope))),
    );
    words.extend(
        identity
            .parent_scopes
            .iter()
            .map(|scope| format!("parent {}", scope_text(scope))),
    );
    words.extend(
        identity
            .managed_by
            .as_ref()
            .map(|by| format!("managed by {by}")),
    );
    words.extend(
        identity
            .status_reason
            .as_ref()
            .map(|reason| format!("because {reason}")),
    );
    if identity.status_updated != hub_domain::Timestamp::NEVER {
        words.push(format!(
            "status +{}s",
            identity.status_updated.since(super::BEGINNING).as_secs()
        ));
    }
    if view.activity.connected {
        words.push("connected".to_owned());
    }
    if view.message_count > 0 {
        words.push(format!("messages {}", view.message_count));
    }
    words.join(" ")
}

/// `v3 e2 tags {…} desired 2 {…} reported 1 {…}`.
pub(super) fn twin(view: &TwinView) -> String {
    let twin = &view.twin;
    let map = |map| serde_json::to_string(map).unwrap();
    format!(
        "v{} e{} tags {} desired {} {} reported {} {}",
        twin.version(),
        twin.back_end.etag.0,
        map(&twin.back_end.tags),
        twin.back_end.desired.version,
        map(&twin.back_end.desired.properties),
        twin.reported.version,
        map(&twin.reported.properties),
    )
}

pub(super) fn fact(world: &mut World, fact: &Fact) -> String {
    let id = &fact.id;
    match &fact.kind {
        FactKind::IdentityCreated { generation } => {
            format!(
                "fact created {id} {}",
                world.label("gen", generation.as_str())
            )
        }
        FactKind::IdentityUpdated {
            enabled,
            credentials_changed,
        } => {
            let status = if *enabled { "enabled" } else { "disabled" };
            let credentials = if *credentials_changed {
                " credentials"
            } else {
                ""
            };
            format!("fact updated {id} {status}{credentials}")
        }
        FactKind::IdentityDeleted { generation, .. } => {
            format!(
                "fact deleted {id} {}",
                world.label("gen", generation.as_str())
            )
        }
        FactKind::TwinChanged(change) => {
            let verb = if change.replaced {
                "replaced"
            } else {
                "patched"
            };
            let mut words = vec![format!("fact {verb} {id} v{}", change.version)];
            words.extend(
                change
                    .tags
                    .as_ref()
                    .map(|tags| format!("tags {}", serde_json::to_string(tags).unwrap())),
            );
            words.extend(
                change
                    .desired
                    .as_ref()
                    .map(|change| section("desired", change)),
            );
            words.extend(
                change
                    .reported
                    .as_ref()
                    .map(|change| section("reported", change)),
            );
            words.join(" ")
        }
        FactKind::MessageQueued => format!("fact queued {id}"),
        FactKind::MessagesPurged => format!("fact purged {id}"),
    }
}

fn section(name: &str, change: &SectionChange) -> String {
    format!(
        "{name} {} {}",
        change.version,
        serde_json::to_string(&change.members).unwrap()
    )
}

pub(super) fn notice(notice: &Notice) -> String {
    match notice {
        Notice::DesiredChanged { text, version } => {
            format!("desired {version} {}", String::from_utf8_lossy(text))
        }
        Notice::ReadTwin => "read twin".to_owned(),
        Notice::MessageAvailable => "message available".to_owned(),
        Notice::Method(call) => {
            let payload = call
                .payload
                .as_ref()
                .map(|payload| String::from_utf8_lossy(payload).into_owned());
            format!("method {} {} {payload:?}", call.id.0, call.name)
        }
        Notice::Fault(kind) => format!("fault {kind:?}"),
        Notice::Close(reason) => format!("close {reason:?}"),
    }
}
