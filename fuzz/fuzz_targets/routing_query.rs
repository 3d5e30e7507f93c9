//! Reads any text as a condition of a route and decides by it. The judgment itself lives beside the test that replays
//! the corpus.

#![no_main]

#[path = "../../crates/hub-query/tests/support/judge.rs"]
mod judge;

libfuzzer_sys::fuzz_target!(|input: &[u8]| judge::judge(input));
