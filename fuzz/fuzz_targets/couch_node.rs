//! Fuzzes a couchstore b-tree node.
#![no_main]

use libfuzzer_sys::fuzz_target;
use lowtide_persistence::couchstore::fuzzing;

fuzz_target!(|data: &[u8]| fuzzing::node(data));
