//! The memory thread: frees what managers no longer need, and recovers memory when the quota's upper
//! mark is reached.
//!
//! It does both, so that a thread that waits for memory is woken after it was freed.

use std::time::Duration;

use lowtide_checkpoint::MemoryState;

use crate::runtime::shared::Shared;

/// The pause after a recovery that could not free enough: more is freed only as the disk and the
/// readers move on.
const PAUSE: Duration = Duration::from_millis(2);

pub(in crate::runtime) fn run(shared: &Shared) {
    loop {
        shared.memory_due.wait();
        if shared.stop.is_raised() {
            return;
        }
        // Lowered first: a thread that finds memory short from here on raises it again.
        shared.memory_due.lower();
        shared.recover_memory();
        if shared.quota.state() != MemoryState::Available && shared.stop.wait_for(PAUSE) {
            return;
        }
    }
}
