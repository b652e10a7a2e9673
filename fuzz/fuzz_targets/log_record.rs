//! Fuzzes a record of the log, and a vBucket's state.
#![no_main]

use libfuzzer_sys::fuzz_target;
use lowtide_persistence::logstor::fuzzing;

fuzz_target!(|data: &[u8]| fuzzing::record(data));
