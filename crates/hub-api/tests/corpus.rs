//! Replays what the fuzzer found worth keeping (`fuzz/corpus/http_batch`), without the fuzzer.

#[path = "support/batch.rs"]
mod batch;

use std::fs;
use std::path::Path;

#[test]
fn every_file_of_the_corpus_is_judged_without_panic() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus/http_batch");
    let mut count = 0;
    for entry in fs::read_dir(&corpus).expect("the corpus is part of the repository") {
        let path = entry.expect("readable folder").path();
        batch::judge(&fs::read(&path).expect("readable file"));
        count += 1;
    }
    assert!(count >= 100, "{count} files in {}", corpus.display());
}
