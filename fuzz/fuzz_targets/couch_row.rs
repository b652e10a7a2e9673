//! Fuzzes a row of a couchstore index.
#![no_main]

use libfuzzer_sys::fuzz_target;
use lowtide_persistence::couchstore::fuzzing;

fuzz_target!(|data: &[u8]| fuzzing::row(data));
