//! Reads any bytes as values, messages and bodies of frames. The judgment itself lives beside the test that replays
//! the corpus.

#![no_main]

#[path = "../../crates/hub-amqp/tests/support/decoding.rs"]
mod decoding;

libfuzzer_sys::fuzz_target!(|input: &[u8]| decoding::judge(input));
