//! The budget of documents in memory, which all vBuckets of a store share.
//!
//! # Invariants
//! - Used bytes are the sum of what the vBuckets have charged (D3).

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use lowtide_checkpoint::internal::checked_invariant;

/// Share of the limit that [`CacheBudget::is_above_mark`] leaves free: one in this number.
const FREE_SHARE: usize = 16;

/// Limit and use of the memory of documents. Clones are handles of the same budget.
///
/// The limit bounds what may be evicted. Revisions that are not persisted, open prepares and keys
/// with a fetch in progress count as used and stay, also above the limit.
#[derive(Clone, Debug)]
pub struct CacheBudget(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    limit_bytes: AtomicUsize,
    used_bytes: AtomicUsize,
    generations: AtomicU64,
    seed: u64,
}

impl CacheBudget {
    /// Creates a budget of that many bytes. With 0, nothing stays that is persisted.
    ///
    /// Hashes are seeded with 0. See [`CacheBudget::with_seed`].
    #[must_use]
    pub fn new(limit_bytes: usize) -> Self {
        Self::with_seed(limit_bytes, 0)
    }

    /// Creates a budget whose vBuckets seed the hashes of keys with `seed`.
    ///
    /// A host whose clients choose keys passes a random seed, so that no client can choose keys of
    /// equal hashes. No answer depends on the seed.
    #[must_use]
    pub fn with_seed(limit_bytes: usize, seed: u64) -> Self {
        Self(Arc::new(Shared {
            limit_bytes: AtomicUsize::new(limit_bytes),
            used_bytes: AtomicUsize::new(0),
            generations: AtomicU64::new(0),
            seed,
        }))
    }

    /// Returns the limit in bytes.
    #[must_use]
    pub fn limit_bytes(&self) -> usize {
        self.0.limit_bytes.load(Ordering::Relaxed)
    }

    /// Sets the limit in bytes. A lower one takes effect with later operations and calls of
    /// [`Documents::evict`].
    ///
    /// [`Documents::evict`]: super::Documents::evict
    pub fn set_limit_bytes(&self, limit_bytes: usize) {
        self.0.limit_bytes.store(limit_bytes, Ordering::Relaxed);
    }

    /// Returns the bytes that all vBuckets hold.
    #[must_use]
    pub fn used_bytes(&self) -> usize {
        self.0.used_bytes.load(Ordering::Relaxed)
    }

    /// Returns whether more is used than the limit.
    #[must_use]
    pub fn is_exceeded(&self) -> bool {
        self.used_bytes() > self.limit_bytes()
    }

    /// Returns whether more than fifteen sixteenths of the limit are used.
    ///
    /// The host should then call [`Documents::evict`] on one vBucket after the other. Operations
    /// evict from their own vBucket only, which leaves the idle ones what they have.
    ///
    /// [`Documents::evict`]: super::Documents::evict
    #[must_use]
    pub fn is_above_mark(&self) -> bool {
        let limit = self.limit_bytes();
        self.used_bytes() > limit - limit / FREE_SHARE
    }

    pub(super) fn seed(&self) -> u64 {
        self.0.seed
    }

    /// Returns a number that no other vBucket of this budget has had.
    pub(super) fn next_generation(&self) -> u64 {
        self.0.generations.fetch_add(1, Ordering::Relaxed)
    }

    /// Replaces a charge of `before` bytes by one of `after`.
    pub(super) fn recharge(&self, before: usize, after: usize) {
        if after > before {
            self.0
                .used_bytes
                .fetch_add(after - before, Ordering::Relaxed);
        } else if after < before {
            let used = self
                .0
                .used_bytes
                .fetch_sub(before - after, Ordering::Relaxed);
            checked_invariant!(
                used >= before - after,
                "D3",
                "only charged bytes are discharged"
            );
        }
    }
}
