//! Fuzzes the document of a vBucket's state.
#![no_main]

use libfuzzer_sys::fuzz_target;
use lowtide_persistence::couchstore::fuzzing;

fuzz_target!(|data: &[u8]| fuzzing::vbucket_state(data));
