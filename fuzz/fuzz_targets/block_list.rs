//! Reads any bytes as the body of Put Block List. The judgment itself lives beside the test that replays the corpus.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| hub_http::fuzzing::judge_block_list(input));
