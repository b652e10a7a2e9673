//! Fuzzes the bytes that a producer sends to the node that follows it.
#![no_main]

use dcp_sim::fuzzing;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| fuzzing::consumer(data));
