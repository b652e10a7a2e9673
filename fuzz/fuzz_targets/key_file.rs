//! Fuzzes a key file.
#![no_main]

use libfuzzer_sys::fuzz_target;
use lowtide_persistence::couchstore::fuzzing;

fuzz_target!(|data: &[u8]| fuzzing::key_file(data));
