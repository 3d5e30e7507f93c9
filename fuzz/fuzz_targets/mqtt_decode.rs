//! Reads any bytes as packets, in both roles. The judgment itself lives beside the test that replays the corpus.

#![no_main]

#[path = "../../crates/hub-mqtt/tests/support/judge.rs"]
mod judge;

libfuzzer_sys::fuzz_target!(|input: &[u8]| judge::judge(input));
