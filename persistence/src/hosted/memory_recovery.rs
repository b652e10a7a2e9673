//! Memory recovery of a whole store, down to the lower mark of the quota that its managers share.
//!
//! The mildest step comes first, over all vBuckets: close and expel everywhere, then drop cursors
//! in the vBuckets that take most. A consumer whose cursor was dropped reads from disk.
//!
//! # Invariants
//!
//! - N4. After [`recover_memory`] the quota is down to its lower mark, or nothing more can be
//!   recovered: no cursor can be dropped whose items no flush needs.

use std::cmp::Reverse;

use lowtide_checkpoint::{MemoryRecovery, MemoryState, Quota, VBucket};

/// Recovers memory down to the quota's lower mark, as far as possible, if its use has reached the
/// upper one. Returns the sum of all managers' recoveries; `is_satisfied` says that the use is below
/// the upper mark now.
///
/// O(vBuckets log vBuckets) for each round, and one round suffices in most cases. O(1) below the
/// upper mark.
pub fn recover_memory<'a>(
    quota: &Quota,
    vbuckets: impl IntoIterator<Item = &'a VBucket>,
) -> MemoryRecovery {
    let mut all = MemoryRecovery::default();
    if quota.state() == MemoryState::Available {
        all.is_satisfied = true;
        return all;
    }
    let vbuckets: Vec<_> = vbuckets.into_iter().collect();
    for vbucket in &vbuckets {
        let manager = vbucket.manager();
        let before = manager.stats();
        if before.open_items > 0 {
            manager.close();
            all.checkpoints_created += 1;
        }
        all.expelled += manager.expel();
        // Other threads may write meanwhile: the difference is a figure, and decides nothing.
        let bytes = manager.stats().memory_bytes();
        all.freed_bytes += before.memory_bytes().saturating_sub(bytes);
    }
    // A manager reports the size of its items. The quota counts the chunks that hold them, which
    // are freed with their last item. So a round that frees the requested bytes may not be enough.
    while recover_from_the_fullest(quota, &vbuckets, &mut all) {}
    all.is_satisfied = quota.excess_bytes() == 0;
    all
}

/// Runs one round over all vBuckets. Returns `true` if it freed memory and more is needed.
fn recover_from_the_fullest(
    quota: &Quota,
    vbuckets: &[&VBucket],
    all: &mut MemoryRecovery,
) -> bool {
    let bytes = |vbucket: &VBucket| vbucket.manager().stats().memory_bytes();
    let mut fullest: Vec<_> = vbuckets.iter().map(|one| (bytes(one), *one)).collect();
    fullest.sort_by_key(|(bytes, one)| (Reverse(*bytes), one.id()));
    let mut has_freed = false;
    for (_, vbucket) in fullest {
        let excess_bytes = quota.excess_bytes();
        if excess_bytes == 0 {
            return false;
        }
        let recovered = vbucket.manager().recover_memory(excess_bytes);
        has_freed |= recovered.freed_bytes > 0;
        all.checkpoints_created += recovered.checkpoints_created;
        all.expelled += recovered.expelled;
        all.cursors_dropped.extend(recovered.cursors_dropped);
        all.freed_bytes += recovered.freed_bytes;
    }
    has_freed
}

#[cfg(test)]
mod tests;
