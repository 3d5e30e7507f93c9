//! Reads any bytes as the body of a batch over HTTPS. The judgment itself lives beside the test that replays the corpus.

#![no_main]

#[path = "../../crates/hub-api/tests/support/batch.rs"]
mod batch;

libfuzzer_sys::fuzz_target!(|input: &[u8]| batch::judge(input));
