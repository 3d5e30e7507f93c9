//! Gives any bytes to a client, or to a server that was not opened. The judgment itself lives beside the test that replays
//! the corpus.

#![no_main]

#[path = "../../crates/hub-amqp/tests/support/conversing.rs"]
mod conversing;

libfuzzer_sys::fuzz_target!(|input: &[u8]| conversing::judge(input));
