//! Fuzzes the bytes that a client sends to a producer, and the concurrent events of its vBucket.
#![no_main]

use dcp_sim::fuzzing;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| fuzzing::producer(data));
