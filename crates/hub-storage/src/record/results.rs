//! Results of units as records, kept to answer a repeated unit.

use serde::{Deserialize, Serialize};

use super::{from_json, to_json};
use crate::StoreError;
use crate::store::{Committed, FactNo, MessageNo, OpResult, Ordinal};

#[derive(Serialize, Deserialize)]
struct CommittedRecord {
    results: Vec<ResultRecord>,
    last_fact: u64,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum ResultRecord {
    Done,
    Created(u64),
    Enqueued(u64),
    Purged(u64),
    DeadLettered,
}

/// The record of `committed`.
pub fn encode_committed(committed: &Committed) -> Vec<u8> {
    let result = |result: &OpResult| match result {
        OpResult::Done => ResultRecord::Done,
        OpResult::Created(Ordinal(no)) => ResultRecord::Created(*no),
        OpResult::Enqueued(MessageNo(no)) => ResultRecord::Enqueued(*no),
        OpResult::Purged(count) => ResultRecord::Purged(*count),
        OpResult::DeadLettered => ResultRecord::DeadLettered,
    };
    to_json(&CommittedRecord {
        results: committed.results.iter().map(result).collect(),
        last_fact: committed.last_fact.0,
    })
}

/// Reads what [`encode_committed`] wrote.
///
/// # Errors
/// When the bytes are not such a record.
pub fn decode_committed(bytes: &[u8]) -> Result<Committed, StoreError> {
    let record: CommittedRecord = from_json("result", bytes)?;
    let result = |record| match record {
        ResultRecord::Done => OpResult::Done,
        ResultRecord::Created(no) => OpResult::Created(Ordinal(no)),
        ResultRecord::Enqueued(no) => OpResult::Enqueued(MessageNo(no)),
        ResultRecord::Purged(count) => OpResult::Purged(count),
        ResultRecord::DeadLettered => OpResult::DeadLettered,
    };
    Ok(Committed {
        results: record.results.into_iter().map(result).collect(),
        last_fact: FactNo(record.last_fact),
    })
}
