//! Fuzzes what a client sends to a producer, and what happens to its vBucket meanwhile.
#![no_main]

use dcp_sim::fuzzing;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| fuzzing::producer(data));
