//! `$management`: what a hub's event log and its partitions hold.
//!
//! `_client_base.py` of azure-eventhub, `managementClient.ts` of @azure/event-hubs: operation `READ` on the types
//! `com.microsoft:eventhub` and `com.microsoft:partition`.

use std::sync::Arc;

use hub_domain::{Hub, Timestamp};
use hub_engine::{Engine, Error, ErrorKind, OpContext, PartitionState};

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Question {
    pub(crate) operation: String,
    /// The entity.
    pub(crate) name: String,
    pub(crate) kind: String,
    pub(crate) partition: Option<String>,
}

/// What is answered.
pub(crate) enum Answer {
    /// About the whole log.
    Hub(Arc<Hub>),
    /// About one partition.
    Partition {
        hub: Arc<Hub>,
        partition: u16,
        state: PartitionState,
    },
}

/// The kind of the whole log.
pub(crate) const KIND_HUB: &str = "com.microsoft:eventhub";
/// The kind of one partition.
pub(crate) const KIND_PARTITION: &str = "com.microsoft:partition";

/// Answers.
///
/// # Errors
/// `Invalid` for what is no such question, `NotFound` for another entity or partition.
pub(crate) async fn answer(
    engine: &Engine,
    ctx: &OpContext,
    hub: Arc<Hub>,
    question: Question,
) -> Result<Answer, Error> {
    if !question.operation.eq_ignore_ascii_case("READ") {
        let text = "the operation must be READ";
        return Err(Error::new(ErrorKind::Invalid, text));
    }
    if !hub.name.as_str().eq_ignore_ascii_case(&question.name) {
        let text = "the hub has no event hub of this name";
        return Err(Error::new(ErrorKind::NotFound, text));
    }
    // Who may read the first partition may read them all.
    if question.kind.eq_ignore_ascii_case(KIND_HUB) {
        engine.events.partition(ctx, hub.no, 0).await?;
        return Ok(Answer::Hub(hub));
    }
    if !question.kind.eq_ignore_ascii_case(KIND_PARTITION) {
        let text = "the type must be com.microsoft:eventhub or com.microsoft:partition";
        return Err(Error::new(ErrorKind::Invalid, text));
    }
    let partition = parse_partition(question.partition.as_deref().unwrap_or_default())?;
    let state = engine.events.partition(ctx, hub.no, partition).await?;
    Ok(Answer::Partition {
        hub,
        partition,
        state,
    })
}

/// The number of a partition.
///
/// # Errors
/// `Invalid` when the text is none.
pub(crate) fn parse_partition(text: &str) -> Result<u16, Error> {
    text.parse()
        .map_err(|_| Error::new(ErrorKind::Invalid, "the partition must be a number"))
}

/// What both clients are told of a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PartitionReport {
    pub(crate) begin_sequence_number: i64,
    /// -1 when there is nothing.
    pub(crate) last_sequence_number: i64,
    pub(crate) last_enqueued: Timestamp,
    pub(crate) is_empty: bool,
}

impl From<PartitionState> for PartitionReport {
    fn from(state: PartitionState) -> Self {
        Self {
            begin_sequence_number: sequence(state.first),
            last_sequence_number: sequence(state.next) - 1,
            last_enqueued: state.last_enqueued,
            is_empty: state.first == state.next,
        }
    }
}

/// Sequence numbers are signed on the wire.
pub(crate) fn sequence(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
