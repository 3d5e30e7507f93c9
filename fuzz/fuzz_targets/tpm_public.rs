//! Reads any bytes as a key of a TPM, and challenges it. The judgment itself lives beside the test that replays the corpus.

#![no_main]

#[path = "../../crates/hub-provisioning/tests/support/judge_tpm_public.rs"]
mod judge_tpm_public;

libfuzzer_sys::fuzz_target!(|input: &[u8]| judge_tpm_public::judge(input));
