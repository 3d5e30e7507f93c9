//! Replays what the fuzzer found worth keeping (`fuzz/corpus`), without the fuzzer.

#[path = "support/judge_certificate_request.rs"]
mod judge_certificate_request;
#[path = "support/judge_tpm_public.rs"]
mod judge_tpm_public;

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
fn every_tpm_key_of_the_corpus_is_judged_without_panic() {
    replay("tpm_public", judge_tpm_public::judge);
}

#[test]
fn every_certificate_request_of_the_corpus_is_judged_without_panic() {
    replay("certificate_request", judge_certificate_request::judge);
}
