//! Fuzzes a couchstore file with valid checksums whose trees are made of the input.
#![no_main]

use libfuzzer_sys::fuzz_target;
use lowtide_persistence::couchstore::fuzzing;

fuzz_target!(|data: &[u8]| fuzzing::trees(data));
