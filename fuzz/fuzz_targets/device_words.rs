//! Reads any bytes as what devices say over MQTT and AMQP to register, and to ask their hub. The judgment itself lives beside
//! the test that replays the corpus.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| hub_gateway::fuzzing::judge_words(input));
