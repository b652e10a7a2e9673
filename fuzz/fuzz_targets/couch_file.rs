//! Fuzzes any bytes as a couchstore file: opened, read, recovered, opened for writing, committed
//! to.
#![no_main]

use libfuzzer_sys::fuzz_target;
use lowtide_persistence::couchstore::fuzzing;

fuzz_target!(|data: &[u8]| fuzzing::file(data));
