//! The queue of cloud-to-device messages: what each write checks and does.

use hub_domain::Timestamp;
use hub_domain::message::{CloudToDeviceMessage, FeedbackAck};
use hub_domain::service_bound::FeedbackStatus;
use hub_storage::store::{FeedbackTerms, MessageNo, OpResult, Ordinal, Outcome};
use hub_storage::{Conflict, record};
use rusqlite::{Connection, OptionalExtension, Params, params};

use super::service_bound;
use super::units::{Counters, WriteError};
use crate::sql::{int, uint};

type Written = Result<OpResult, WriteError>;

const GOOD_OUTCOMES: i64 = 1;
const BAD_OUTCOMES: i64 = 2;

/// The feedback that a message asks for, as bits.
fn ack_bits(ack: FeedbackAck) -> i64 {
    let mut bits = 0;
    if ack.wants_positive() {
        bits |= GOOD_OUTCOMES;
    }
    if ack.wants_negative() {
        bits |= BAD_OUTCOMES;
    }
    bits
}

/// The bit that a message has whose sender wants to hear of this outcome.
const fn bit_of(status: FeedbackStatus) -> i64 {
    match status {
        FeedbackStatus::Success => GOOD_OUTCOMES,
        FeedbackStatus::Expired
        | FeedbackStatus::DeliveryCountExceeded
        | FeedbackStatus::Rejected
        | FeedbackStatus::Purged => BAD_OUTCOMES,
    }
}

/// What a queue may hold.
pub(super) struct Limits {
    pub(super) depth: u64,
    pub(super) bytes: u64,
}

pub(super) fn enqueue(
    connection: &Connection,
    counters: &mut Counters,
    ordinal: Ordinal,
    message: &CloudToDeviceMessage,
    limits: &Limits,
) -> Written {
    let sql = "SELECT message_count, message_bytes FROM identity WHERE ordinal = ?1";
    let mut statement = connection.prepare_cached(sql)?;
    let queue: Option<(i64, i64)> = statement
        .query_row([int(ordinal.0)], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let (count, bytes) = queue.ok_or(Conflict::NotFound)?;
    let body_bytes = message.body.len() as u64;
    if uint(count) + 1 > limits.depth || uint(bytes) + body_bytes > limits.bytes {
        return Err(Conflict::QueueFull.into());
    }
    let no = MessageNo(counters.next_message);
    counters.next_message += 1;
    run(
        connection,
        "INSERT INTO message(no, identity, expiry, delivery_count, ack, body_bytes, record)
         VALUES(?1, ?2, ?3, 0, ?4, ?5, ?6)",
        params![
            int(no.0),
            int(ordinal.0),
            message.expiry.map(Timestamp::micros),
            ack_bits(message.ack),
            int(body_bytes),
            record::encode_message(message),
        ],
    )?;
    run(
        connection,
        "UPDATE identity SET message_count = message_count + 1, message_bytes = message_bytes + ?2 WHERE ordinal = ?1",
        params![int(ordinal.0), int(body_bytes)],
    )?;
    Ok(OpResult::Enqueued(no))
}

/// The columns of a queued message that its end depends on.
struct Queued {
    delivery_count: u32,
    ack: i64,
    body_bytes: i64,
}

fn queued(
    connection: &Connection,
    (ordinal, no): (Ordinal, MessageNo),
) -> Result<Queued, WriteError> {
    let sql = "SELECT delivery_count, ack, body_bytes FROM message WHERE no = ?1 AND identity = ?2";
    let mut statement = connection.prepare_cached(sql)?;
    let row = statement.query_row(params![int(no.0), int(ordinal.0)], |row| {
        Ok(Queued {
            delivery_count: row.get(0)?,
            ack: row.get(1)?,
            body_bytes: row.get(2)?,
        })
    });
    Ok(row.optional()?.ok_or(Conflict::NotFound)?)
}

pub(super) fn settle(
    connection: &Connection,
    counters: &mut Counters,
    (ordinal, no): (Ordinal, MessageNo),
    outcome: Outcome,
    terms: FeedbackTerms,
) -> Written {
    let queued = queued(connection, (ordinal, no))?;
    let status = outcome.feedback_status();
    if queued.ack & bit_of(status) != 0 {
        let sql = "SELECT record FROM message WHERE no = ?1";
        let message = connection
            .prepare_cached(sql)?
            .query_row([int(no.0)], |row| row.get(0))?;
        let outcome = service_bound::Outcome {
            identity: ordinal,
            status,
            messages: &[message],
            terms,
        };
        service_bound::give_feedback(connection, counters, &outcome)?;
    }
    run(connection, "DELETE FROM message WHERE no = ?1", [int(no.0)])?;
    run(
        connection,
        "UPDATE identity SET message_count = message_count - 1, message_bytes = message_bytes - ?2 WHERE ordinal = ?1",
        params![int(ordinal.0), queued.body_bytes],
    )?;
    Ok(OpResult::Done)
}

pub(super) fn abandon(
    connection: &Connection,
    counters: &mut Counters,
    message: (Ordinal, MessageNo),
    delivery_count_max: u32,
    terms: FeedbackTerms,
) -> Written {
    let delivered = queued(connection, message)?.delivery_count + 1;
    if delivered >= delivery_count_max {
        let dead = Outcome::DeliveryCountExceeded;
        settle(connection, counters, message, dead, terms)?;
        return Ok(OpResult::DeadLettered);
    }
    let (_, no) = message;
    run(
        connection,
        "UPDATE message SET delivery_count = ?2 WHERE no = ?1",
        params![int(no.0), delivered],
    )?;
    Ok(OpResult::Done)
}

pub(super) fn purge(
    connection: &Connection,
    counters: &mut Counters,
    ordinal: Ordinal,
    terms: FeedbackTerms,
) -> Written {
    let cleared = run(
        connection,
        "UPDATE identity SET message_count = 0, message_bytes = 0 WHERE ordinal = ?1",
        [int(ordinal.0)],
    )?;
    if cleared == 0 {
        return Err(Conflict::NotFound.into());
    }
    let status = FeedbackStatus::Purged;
    let messages = asking_for(connection, ordinal, status)?;
    let outcome = service_bound::Outcome {
        identity: ordinal,
        status,
        messages: &messages,
        terms,
    };
    service_bound::give_feedback(connection, counters, &outcome)?;
    let purged = run(
        connection,
        "DELETE FROM message WHERE identity = ?1",
        [int(ordinal.0)],
    )?;
    Ok(OpResult::Purged(purged as u64))
}

/// The records of the queued messages whose senders want to hear of this outcome, oldest first.
fn asking_for(
    connection: &Connection,
    ordinal: Ordinal,
    status: FeedbackStatus,
) -> rusqlite::Result<Vec<Vec<u8>>> {
    let sql = "SELECT record FROM message WHERE identity = ?1 AND ack & ?2 <> 0 ORDER BY no";
    let mut statement = connection.prepare_cached(sql)?;
    statement
        .query_map(params![int(ordinal.0), bit_of(status)], |row| row.get(0))?
        .collect()
}

fn run(connection: &Connection, sql: &str, values: impl Params) -> rusqlite::Result<usize> {
    connection.prepare_cached(sql)?.execute(values)
}
