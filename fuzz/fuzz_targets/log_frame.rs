//! Fuzzes a frame's header, and a segment's frames.
#![no_main]

use libfuzzer_sys::fuzz_target;
use lowtide_persistence::logstor::fuzzing;

fuzz_target!(|data: &[u8]| fuzzing::frame(data));
