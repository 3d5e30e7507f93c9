//! What must hold for any input, for the fuzz targets (feature `fuzzing`) and the tests that replay their corpora.

use hub_amqp::Sections;
use hub_domain::message::{PropertyBag, telemetry_size};

use crate::amqp::telemetry::{BATCH_FORMAT, Collected, MESSAGE_BYTES_MAX, convert, push};

/// Takes the bytes as whatever a device says to be let in and to be answered, over MQTT and AMQP, and panics when what is
/// understood does not hold together.
pub fn judge_words(words: &[u8]) {
    crate::mqtt::fuzzing::judge(words);
    crate::amqp::fuzzing::judge(words);
}

/// Takes the same bytes as a single message and as a batch, and panics when what is collected does not hold together.
pub fn judge_telemetry(message: &[u8]) {
    for format in [0, BATCH_FORMAT] {
        let mut collected = Collected::default();
        let before = push(&mut collected, 0, b"").map(|()| collected.batch.count());
        assert!(matches!(before, Ok(1)), "an empty message is one");
        let is_taken = push(&mut collected, format, message).is_ok();
        let count = collected.batch.count();
        match (is_taken, format) {
            (true, BATCH_FORMAT) => assert!(count > 1, "a batch has a message"),
            (true, _) => assert_eq!(count, 2),
            (false, _) => assert_eq!(count, 1, "what is refused leaves nothing"),
        }
        assert!(collected.batch.bytes() <= bytes_max());
    }
    if let Ok(sections) = Sections::parse(message)
        && let Ok((bag, body)) = convert(&sections)
    {
        PropertyBag::decode(bag.as_bytes()).expect("a bag that is written can be read");
        telemetry_size(bag.as_bytes(), body.len()).expect("what is too large is refused");
    }
}

/// What a message may become at most, with room for the lengths of its parts.
fn bytes_max() -> usize {
    2 * usize::try_from(MESSAGE_BYTES_MAX).expect("a size in memory")
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    fn replay(target: &str, judge: fn(&[u8])) {
        let corpus = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../../fuzz/corpus")
            .join(target);
        let mut count = 0;
        for entry in fs::read_dir(&corpus).expect("the corpus is part of the repository") {
            let path = entry.expect("readable folder").path();
            judge(&fs::read(&path).expect("readable file"));
            count += 1;
        }
        assert!(count >= 100, "{count} files in {}", corpus.display());
    }

    #[test]
    fn every_batch_of_the_corpus_is_judged_without_panic() {
        replay("amqp_batch", super::judge_telemetry);
    }

    #[test]
    fn all_words_of_the_corpus_are_judged_without_panic() {
        replay("device_words", super::judge_words);
    }
}
