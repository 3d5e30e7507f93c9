//! Reads any bytes as a request for a certificate. The judgment itself lives beside the test that replays the corpus.

#![no_main]

#[path = "../../crates/hub-provisioning/tests/support/judge_certificate_request.rs"]
mod judge_certificate_request;

libfuzzer_sys::fuzz_target!(|input: &[u8]| judge_certificate_request::judge(input));
