//! Gives any bytes to a server whose connection is open. The judgment itself lives beside the test that replays the
//! corpus.

#![no_main]

#[path = "../../crates/hub-amqp/tests/support/serving.rs"]
mod serving;

libfuzzer_sys::fuzz_target!(|input: &[u8]| serving::judge(input));
