//! What each write checks and does. Every one checks before it writes.

mod provisioning;
mod uploads;

use hub_domain::identity::{Activity, MODULES_PER_DEVICE_MAX};
use hub_domain::twin::{BackEnd, Section, Twin, TwinEtag};
use hub_domain::{Etag, Hub, HubNo, Identity, Revision, Timestamp};
use hub_storage::store::{FactNo, Op, OpResult, Ordinal, Subscriptions};
use hub_storage::{Conflict, record};
use rusqlite::{Connection, OptionalExtension, Params, params};

use super::units::{Counters, WriteError};
use super::{queue, service_bound};
use crate::sql::{int, uint};

type Written = Result<OpResult, WriteError>;

pub(super) fn write(connection: &Connection, counters: &mut Counters, op: &Op) -> Written {
    let writer = Writer(connection);
    match op {
        Op::CreateHub(hub) => writer.create_hub(hub),
        Op::ReplaceHub { next, expected } => writer.replace_hub(next, *expected),
        Op::SetCheckpoint { hub, at } => writer.set_checkpoint(*hub, *at),
        Op::CreateIdentity {
            hub,
            identity,
            twin,
        } => writer.create_identity(counters, *hub, identity, twin),
        Op::ReplaceIdentity {
            identity,
            next,
            expected,
        } => writer.replace_identity(*identity, next, expected),
        Op::DeleteIdentity { identity, expected } => {
            writer.delete_identity(*identity, expected.as_ref())
        }
        Op::ReplaceBackEnd {
            identity,
            next,
            expected,
        } => writer.replace_back_end(*identity, next, *expected),
        Op::ReplaceReported {
            identity,
            next,
            expected,
        } => writer.replace_reported(*identity, next, *expected),
        Op::SetModelId { identity, model_id } => writer.set_model_id(*identity, model_id),
        Op::EnqueueMessage {
            identity,
            message,
            depth_max,
            bytes_max,
        } => queue::enqueue(
            connection,
            counters,
            *identity,
            message,
            &queue::Limits {
                depth: *depth_max,
                bytes: *bytes_max,
            },
        ),
        Op::SettleMessage {
            identity,
            message,
            outcome,
            feedback,
        } => queue::settle(
            connection,
            counters,
            (*identity, *message),
            *outcome,
            *feedback,
        ),
        Op::AbandonMessage {
            identity,
            message,
            delivery_count_max,
            feedback,
        } => queue::abandon(
            connection,
            counters,
            (*identity, *message),
            *delivery_count_max,
            *feedback,
        ),
        Op::PurgeMessages { identity, feedback } => {
            queue::purge(connection, counters, *identity, *feedback)
        }
        Op::AppendServiceBound {
            hub,
            record,
            records_max,
        } => service_bound::append(connection, counters, *hub, record, *records_max),
        Op::RemoveServiceBound { hub, kind, records } => {
            service_bound::remove(connection, *hub, *kind, records)
        }
        Op::AbandonServiceBound {
            hub,
            kind,
            records,
            delivery_count_max,
        } => service_bound::abandon(connection, *hub, *kind, records, *delivery_count_max),
        Op::ReplaceSubscriptions { identity, next } => {
            writer.replace_subscriptions(*identity, *next)
        }
        Op::BeginUpload {
            identity,
            upload,
            open_max,
        } => uploads::begin(connection, *identity, upload, *open_max),
        Op::FinishUpload {
            identity,
            correlation,
        } => uploads::finish(connection, *identity, correlation),
        Op::ReplaceProvisioningService { next, expected } => {
            provisioning::replace_service(connection, next, *expected)
        }
        Op::PutEnrollment { next, expected } => {
            provisioning::put_enrollment(connection, next, expected.as_ref())
        }
        Op::DeleteEnrollment { id, expected } => {
            provisioning::delete_enrollment(connection, id, expected.as_ref())
        }
        Op::PutEnrollmentGroup { next, expected } => {
            provisioning::put_group(connection, next, expected.as_ref())
        }
        Op::DeleteEnrollmentGroup { id, expected } => {
            provisioning::delete_group(connection, id, expected.as_ref())
        }
        Op::CheckEnrollment { id, expected } => {
            provisioning::check_enrollment(connection, id, expected.as_ref())
        }
        Op::CheckEnrollmentGroup { id, etag } => provisioning::check_group(connection, id, etag),
        Op::PutRegistration { next, expected } => {
            provisioning::put_registration(connection, next, expected.as_ref())
        }
        Op::DeleteRegistration { id, expected } => {
            provisioning::delete_registration(connection, id, expected.as_ref())
        }
        Op::NoteRefusals { refusals, kept_max } => {
            provisioning::note_refusals(connection, refusals, *kept_max)
        }
        Op::ForgetRefusal { id } => provisioning::forget_refusal(connection, id),
        Op::FlushActivity(entries) => writer.flush_activity(entries),
    }
}

/// What a change to the registry must know of the row it changes.
struct Registered {
    hub: i64,
    device: String,
    module: String,
    enabled: bool,
    module_count: i64,
    message_count: i64,
    etag: String,
}

impl Registered {
    fn is_device(&self) -> bool {
        self.module.is_empty()
    }

    fn check_etag(&self, expected: Option<&Etag>) -> Result<(), Conflict> {
        match expected {
            Some(expected) if expected.0 != self.etag => Err(Conflict::VersionMismatch),
            Some(_) | None => Ok(()),
        }
    }
}

/// How the counts of a hub change.
#[derive(Clone, Copy, Default)]
struct CountChange {
    devices: i64,
    enabled: i64,
}

struct Writer<'a>(&'a Connection);

impl Writer<'_> {
    fn create_hub(&self, hub: &Hub) -> Written {
        let no = i64::from(hub.no.0);
        if self.exists(
            "SELECT 1 FROM hub WHERE no = ?1 OR name = ?2",
            params![no, hub.name.as_str()],
        )? {
            return Err(Conflict::AlreadyExists.into());
        }
        self.run(
            "INSERT INTO hub(no, name, revision, record) VALUES(?1, ?2, ?3, ?4)",
            params![
                no,
                hub.name.as_str(),
                int(hub.revision.0),
                record::encode_hub(hub)
            ],
        )?;
        self.run(
            "INSERT INTO hub_statistics(hub, devices, enabled) VALUES(?1, 0, 0)",
            [no],
        )?;
        Ok(OpResult::Done)
    }

    fn set_checkpoint(&self, hub: HubNo, at: FactNo) -> Written {
        let hub = i64::from(hub.0);
        if !self.exists("SELECT 1 FROM hub WHERE no = ?1", [hub])? {
            return Err(Conflict::NotFound.into());
        }
        self.run(
            "INSERT INTO checkpoint(hub, at) VALUES(?1, ?2) ON CONFLICT(hub) DO UPDATE SET at = ?2",
            params![hub, int(at.0)],
        )?;
        Ok(OpResult::Done)
    }

    fn replace_hub(&self, next: &Hub, expected: Revision) -> Written {
        let (no, name) = (i64::from(next.no.0), next.name.as_str());
        let by_name = "SELECT 1 FROM hub WHERE no = ?1 AND name = ?2";
        if !self.exists(by_name, params![no, name])? {
            return Err(Conflict::NotFound.into());
        }
        let changed = self.run(
            "UPDATE hub SET revision = ?3, record = ?4 WHERE no = ?1 AND revision = ?2",
            params![
                no,
                int(expected.0),
                int(next.revision.0),
                record::encode_hub(next)
            ],
        )?;
        if changed == 0 {
            return Err(Conflict::VersionMismatch.into());
        }
        Ok(OpResult::Done)
    }

    fn create_identity(
        &self,
        counters: &mut Counters,
        hub: HubNo,
        identity: &Identity,
        twin: &Twin,
    ) -> Written {
        let hub = i64::from(hub.0);
        let device = identity.id.device.as_str();
        if !self.exists("SELECT 1 FROM hub WHERE no = ?1", [hub])? {
            return Err(Conflict::NotFound.into());
        }
        let by_name = "SELECT 1 FROM identity WHERE hub = ?1 AND device = ?2 AND module = ?3";
        if self.exists(by_name, params![hub, device, identity.id.module_text()])? {
            return Err(Conflict::AlreadyExists.into());
        }
        if identity.id.module.is_some() {
            self.count_module(hub, device)?;
        } else {
            self.count(
                hub,
                CountChange {
                    devices: 1,
                    enabled: i64::from(identity.is_enabled()),
                },
            )?;
        }
        let ordinal = Ordinal(counters.next_identity);
        counters.next_identity += 1;
        self.insert_identity(hub, ordinal, identity, twin)?;
        Ok(OpResult::Created(ordinal))
    }

    fn insert_identity(
        &self,
        hub: i64,
        ordinal: Ordinal,
        identity: &Identity,
        twin: &Twin,
    ) -> rusqlite::Result<()> {
        let never = Timestamp::NEVER.micros();
        self.run(
            "INSERT INTO identity(ordinal, hub, device, module, enabled, module_count, connected, connection_updated,
               last_activity, message_count, message_bytes, subscriptions, etag, model_id, record)
             VALUES(?1, ?2, ?3, ?4, ?5, 0, 0, ?6, ?6, 0, 0, 0, ?7, ?8, ?9)",
            params![
                int(ordinal.0),
                hub,
                identity.id.device.as_str(),
                identity.id.module_text(),
                identity.is_enabled(),
                never,
                identity.etag.0,
                twin.model_id,
                record::encode_identity(identity),
            ],
        )?;
        let desired = record::encode_section(&twin.back_end.desired);
        self.run(
            "INSERT INTO back_end(ordinal, etag, desired_version, tags, desired, desired_metadata)
             VALUES(?1, ?2, ?3, ?4, ?5, ?6)",
            params![
                int(ordinal.0),
                int(twin.back_end.etag.0),
                int(twin.back_end.desired.version),
                record::encode_document(&twin.back_end.tags),
                desired.document,
                desired.metadata,
            ],
        )?;
        let reported = record::encode_section(&twin.reported);
        self.run(
            "INSERT INTO reported(ordinal, version, document, metadata) VALUES(?1, ?2, ?3, ?4)",
            params![
                int(ordinal.0),
                int(twin.reported.version),
                reported.document,
                reported.metadata
            ],
        )?;
        Ok(())
    }

    /// Counts one more module of a device, if it has room.
    fn count_module(&self, hub: i64, device: &str) -> Result<(), WriteError> {
        let sql = "SELECT ordinal, module_count FROM identity WHERE hub = ?1 AND device = ?2 AND module = ''";
        let mut statement = self.0.prepare_cached(sql)?;
        let row: Option<(i64, i64)> = statement
            .query_row(params![hub, device], |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()?;
        let (ordinal, modules) = row.ok_or(Conflict::NotFound)?;
        if uint(modules) >= MODULES_PER_DEVICE_MAX {
            return Err(Conflict::TooManyModules.into());
        }
        self.run(
            "UPDATE identity SET module_count = module_count + 1 WHERE ordinal = ?1",
            [ordinal],
        )?;
        Ok(())
    }

    fn replace_identity(&self, ordinal: Ordinal, next: &Identity, expected: &Etag) -> Written {
        let before = self.registered(ordinal)?;
        before.check_etag(Some(expected))?;
        self.run(
            "UPDATE identity SET enabled = ?2, etag = ?3, record = ?4 WHERE ordinal = ?1",
            params![
                int(ordinal.0),
                next.is_enabled(),
                next.etag.0,
                record::encode_identity(next)
            ],
        )?;
        if before.is_device() && before.enabled != next.is_enabled() {
            let enabled = if next.is_enabled() { 1 } else { -1 };
            self.count(
                before.hub,
                CountChange {
                    devices: 0,
                    enabled,
                },
            )?;
        }
        Ok(OpResult::Done)
    }

    fn delete_identity(&self, ordinal: Ordinal, expected: Option<&Etag>) -> Written {
        let before = self.registered(ordinal)?;
        before.check_etag(expected)?;
        if before.is_device() {
            if before.module_count > 0 {
                for (module, messages) in self.modules(before.hub, &before.device)? {
                    self.remove(module, messages)?;
                }
            }
            self.count(
                before.hub,
                CountChange {
                    devices: -1,
                    enabled: -i64::from(before.enabled),
                },
            )?;
        } else {
            self.run(
                "UPDATE identity SET module_count = module_count - 1 WHERE hub = ?1 AND device = ?2 AND module = ''",
                params![before.hub, before.device],
            )?;
        }
        self.remove(int(ordinal.0), before.message_count)?;
        Ok(OpResult::Done)
    }

    /// Ordinals and message counts of a device's modules.
    fn modules(&self, hub: i64, device: &str) -> rusqlite::Result<Vec<(i64, i64)>> {
        let sql = "SELECT ordinal, message_count FROM identity WHERE hub = ?1 AND device = ?2 AND module <> ''";
        let mut statement = self.0.prepare_cached(sql)?;
        statement
            .query_map(params![hub, device], |row| Ok((row.get(0)?, row.get(1)?)))?
            .collect()
    }

    fn remove(&self, ordinal: i64, message_count: i64) -> rusqlite::Result<()> {
        if message_count > 0 {
            self.run("DELETE FROM message WHERE identity = ?1", [ordinal])?;
        }
        service_bound::forget(self.0, ordinal)?;
        self.run("DELETE FROM upload WHERE identity = ?1", [ordinal])?;
        self.run("DELETE FROM identity WHERE ordinal = ?1", [ordinal])?;
        self.run("DELETE FROM back_end WHERE ordinal = ?1", [ordinal])?;
        self.run("DELETE FROM reported WHERE ordinal = ?1", [ordinal])?;
        Ok(())
    }

    fn replace_back_end(&self, ordinal: Ordinal, next: &BackEnd, expected: TwinEtag) -> Written {
        let desired = record::encode_section(&next.desired);
        let changed = self.run(
            "UPDATE back_end SET etag = ?3, desired_version = ?4, tags = ?5, desired = ?6, desired_metadata = ?7
             WHERE ordinal = ?1 AND etag = ?2",
            params![
                int(ordinal.0),
                int(expected.0),
                int(next.etag.0),
                int(next.desired.version),
                record::encode_document(&next.tags),
                desired.document,
                desired.metadata,
            ],
        )?;
        self.done_or_stale(changed, ordinal)
    }

    fn replace_reported(&self, ordinal: Ordinal, next: &Section, expected: u64) -> Written {
        let reported = record::encode_section(next);
        let changed = self.run(
            "UPDATE reported SET version = ?3, document = ?4, metadata = ?5 WHERE ordinal = ?1 AND version = ?2",
            params![int(ordinal.0), int(expected), int(next.version), reported.document, reported.metadata],
        )?;
        self.done_or_stale(changed, ordinal)
    }

    fn done_or_stale(&self, changed: usize, ordinal: Ordinal) -> Written {
        if changed > 0 {
            Ok(OpResult::Done)
        } else if self.exists(
            "SELECT 1 FROM identity WHERE ordinal = ?1",
            [int(ordinal.0)],
        )? {
            Err(Conflict::VersionMismatch.into())
        } else {
            Err(Conflict::NotFound.into())
        }
    }

    fn set_model_id(&self, ordinal: Ordinal, model_id: &str) -> Written {
        let sql = "UPDATE identity SET model_id = ?2 WHERE ordinal = ?1";
        done_or_gone(self.run(sql, params![int(ordinal.0), model_id])?)
    }

    fn replace_subscriptions(&self, ordinal: Ordinal, next: Subscriptions) -> Written {
        let sql = "UPDATE identity SET subscriptions = ?2 WHERE ordinal = ?1";
        done_or_gone(self.run(sql, params![int(ordinal.0), next.0])?)
    }

    fn flush_activity(&self, entries: &[(Ordinal, Activity)]) -> Written {
        let sql = "UPDATE identity SET connected = ?2, connection_updated = ?3, last_activity = ?4 WHERE ordinal = ?1";
        let mut statement = self.0.prepare_cached(sql)?;
        for (ordinal, activity) in entries {
            statement.execute(params![
                int(ordinal.0),
                activity.connected,
                activity.connection_updated.micros(),
                activity.last_activity.micros(),
            ])?;
        }
        Ok(OpResult::Done)
    }

    fn registered(&self, ordinal: Ordinal) -> Result<Registered, WriteError> {
        let sql = "SELECT hub, device, module, enabled, module_count, message_count, etag FROM identity WHERE ordinal = ?1";
        let mut statement = self.0.prepare_cached(sql)?;
        let row = statement.query_row([int(ordinal.0)], |row| {
            Ok(Registered {
                hub: row.get(0)?,
                device: row.get(1)?,
                module: row.get(2)?,
                enabled: row.get(3)?,
                module_count: row.get(4)?,
                message_count: row.get(5)?,
                etag: row.get(6)?,
            })
        });
        Ok(row.optional()?.ok_or(Conflict::NotFound)?)
    }

    fn count(&self, hub: i64, change: CountChange) -> rusqlite::Result<()> {
        let sql = "UPDATE hub_statistics SET devices = devices + ?2, enabled = enabled + ?3 WHERE hub = ?1";
        self.run(sql, params![hub, change.devices, change.enabled])
            .map(drop)
    }

    fn exists(&self, sql: &str, values: impl Params) -> rusqlite::Result<bool> {
        self.0.prepare_cached(sql)?.exists(values)
    }

    fn run(&self, sql: &str, values: impl Params) -> rusqlite::Result<usize> {
        self.0.prepare_cached(sql)?.execute(values)
    }
}

fn done_or_gone(changed: usize) -> Written {
    if changed > 0 {
        Ok(OpResult::Done)
    } else {
        Err(Conflict::NotFound.into())
    }
}
