//! Fuzzes a couchstore header.
#![no_main]

use libfuzzer_sys::fuzz_target;
use lowtide_persistence::couchstore::fuzzing;

fuzz_target!(|data: &[u8]| fuzzing::header(data));
