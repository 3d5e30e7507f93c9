//! Reads any bytes as telemetry over AMQP, single and batched. The judgment itself lives beside the test that replays the
//! corpus.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| hub_gateway::fuzzing::judge_telemetry(input));
