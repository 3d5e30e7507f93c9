//! Replays what the fuzzers found worth keeping (`fuzz/corpus/amqp_*`), without the fuzzer.

#[path = "support/conversing.rs"]
mod conversing;
#[path = "support/decoding.rs"]
mod decoding;
#[path = "support/serving.rs"]
mod serving;

use std::fs;
use std::path::Path;

fn replay(corpus: &str, judge: impl Fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus");
    let folder = folder.join(corpus);
    let mut count = 0;
    for entry in fs::read_dir(&folder).expect("the corpus is part of the repository") {
        let path = entry.expect("readable folder").path();
        judge(&fs::read(&path).expect("readable file"));
        count += 1;
    }
    assert!(count > 0, "no files in {}", folder.display());
}

#[test]
fn every_value_message_and_frame_of_the_corpus_is_judged_without_panic() {
    replay("amqp_decode", decoding::judge);
}

#[test]
fn every_conversation_of_the_corpus_is_judged_without_panic() {
    replay("amqp_connection", serving::judge);
}

#[test]
fn every_login_and_answer_of_the_corpus_is_judged_without_panic() {
    replay("amqp_client", conversing::judge);
}
