//! Fuzzes a couchstore file whose checksums are corrected before it is opened.
#![no_main]

use libfuzzer_sys::fuzz_target;
use lowtide_persistence::couchstore::fuzzing;

fuzz_target!(|data: &[u8]| {
    let mut bytes = data.to_vec();
    fuzzing::seal(&mut bytes);
    fuzzing::file(&bytes);
});
