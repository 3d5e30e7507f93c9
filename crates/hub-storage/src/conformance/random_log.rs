//! Random appends and reads of a message log, compared with a model.

use std::sync::Arc;

use hub_domain::Timestamp;

use super::Backend;
use super::fixtures::{HUB, hub, moment, reopen};
use super::generator::Generator;
use crate::MessageLog;
use crate::log::{BatchWriter, Position, ReadLimit, RecordFlags, TelemetrySource};

const BURSTS: usize = 250;
const PARTITIONS: u16 = 4;

#[derive(Clone, Default)]
struct Partition {
    /// Time, bag and body of each message; its place is its number.
    messages: Vec<(Timestamp, Vec<u8>, Vec<u8>)>,
}

impl Partition {
    fn last(&self) -> Timestamp {
        self.messages
            .last()
            .map_or(Timestamp::NEVER, |(enqueued, _, _)| *enqueued)
    }

    /// Where reading begins.
    fn place(&self, from: Position) -> usize {
        match from {
            Position::Start => 0,
            Position::End => self.messages.len(),
            Position::Sequence(sequence) => usize::try_from(sequence)
                .expect("the walk's numbers are small")
                .min(self.messages.len()),
            Position::Time(time) => self
                .messages
                .iter()
                .position(|message| message.0 >= time)
                .unwrap_or(self.messages.len()),
        }
    }

    /// The end of the page that begins at `place`.
    fn page_end(&self, place: usize, limit: ReadLimit) -> usize {
        let mut bytes = 0;
        let mut end = place;
        while end < self.messages.len() && end - place < limit.records {
            bytes += self.messages[end].1.len() + self.messages[end].2.len();
            if bytes > limit.bytes && end > place {
                break;
            }
            end += 1;
        }
        end
    }
}

/// A walk of bursts of appends, reads from anywhere, and reopenings.
pub async fn a_log_does_what_the_model_does<B: Backend>(mut backend: B) {
    let mut generator = Generator::new(7);
    let mut model = vec![Partition::default(); usize::from(PARTITIONS)];
    let mut log = backend.logs().open(&hub(HUB)).expect("a log can be opened");
    let mut now = 0;
    for burst in 0..BURSTS {
        now += i64::try_from(generator.below(400)).expect("a small number");
        append_burst(&mut generator, &mut model, &log, now).await;
        for _ in 0..4 {
            check_read(&mut generator, &model, &*log, now, burst).await;
        }
        if generator.once_in(30) {
            drop(log);
            let store = backend.store();
            (backend, _) = reopen(backend, store).await;
            log = backend.logs().open(&hub(HUB)).expect("a log can be opened");
        }
    }
}

async fn append_burst(
    generator: &mut Generator,
    model: &mut [Partition],
    log: &Arc<dyn MessageLog>,
    now: i64,
) {
    let mut pending = Vec::new();
    for _ in 0..=generator.below(10) {
        let partition = u16::try_from(generator.below(u64::from(PARTITIONS))).expect("a partition");
        let kept = &mut model[usize::from(partition)];
        let at = moment(now - i64::try_from(generator.below(100)).expect("a small number"));
        let enqueued = at.max(kept.last());
        let first = kept.messages.len() as u64;
        let mut writer = BatchWriter::new();
        for _ in 0..=generator.below(12) {
            let bag = vec![b'b'; generator.index(60)];
            let mut body = vec![b'x'; generator.index(400)];
            body.extend(generator.next().to_le_bytes());
            writer.push(RecordFlags::default(), &bag, &body);
            kept.messages.push((enqueued, bag, body));
        }
        let source = TelemetrySource {
            device: format!("d{partition}"),
            ..TelemetrySource::default()
        };
        pending.push((
            first,
            enqueued,
            log.append(writer.take(partition, source.encode(), at)),
        ));
    }
    for (first, enqueued, result) in pending {
        let appended = result.await.expect("a batch can be appended");
        assert_eq!((appended.first, appended.enqueued), (first, enqueued));
    }
}

async fn check_read(
    generator: &mut Generator,
    model: &[Partition],
    log: &dyn MessageLog,
    now: i64,
    burst: usize,
) {
    let partition = u16::try_from(generator.below(u64::from(PARTITIONS))).expect("a partition");
    let kept = &model[usize::from(partition)];
    let count = kept.messages.len() as u64;
    let from = match generator.below(8) {
        0 => Position::Start,
        1 => Position::End,
        2..=4 => Position::Sequence(generator.below(count + 3)),
        _ => Position::Time(moment(
            now - i64::try_from(generator.below(20_000)).expect("a small number"),
        )),
    };
    let limit = ReadLimit {
        records: 1 + generator.index(80),
        bytes: 1 + generator.index(20_000),
    };
    let place = kept.place(from);
    let expected = &kept.messages[place..kept.page_end(place, limit)];
    let page = log
        .read(partition, from, limit)
        .await
        .expect("a partition can be read");
    assert_eq!(
        page.len(),
        expected.len(),
        "burst {burst}: {from:?} {limit:?}"
    );
    for ((record, sequence), (enqueued, bag, body)) in page.iter().zip(place as u64..).zip(expected)
    {
        assert_eq!(
            (record.sequence, record.enqueued),
            (sequence, *enqueued),
            "burst {burst}: {from:?}"
        );
        assert_eq!(
            (&record.bag[..], &record.body[..]),
            (&bag[..], &body[..]),
            "burst {burst}: {from:?}"
        );
        assert_eq!(record.source.device, format!("d{partition}"));
    }
    let state = log
        .partition(partition)
        .await
        .expect("a partition's state can be read");
    assert_eq!(
        (state.first, state.next, state.last_enqueued),
        (0, count, kept.last())
    );
}
