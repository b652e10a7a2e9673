//! Fuzzes a log store's directory: its files changed by the input, or made of it; checked, opened,
//! read, committed to.
#![no_main]

use libfuzzer_sys::fuzz_target;
use lowtide_persistence::logstor::fuzzing;

fuzz_target!(|data: &[u8]| fuzzing::store(data));
