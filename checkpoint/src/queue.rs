//! The queue of one manager: items at positions that never change, and the index of their keys.
//!
//! The queue stores items in chunks that it shares with readers. A reader holds the chunks it covers
//! and walks them without the lock. The key index finds the newest revision of a key by position.
//!
//! # Invariants
//! - Positions in `base..end` are filled, and seqnos never fall with the position (C3).
//! - Every count and total is exact (C2), and the index finds the resident revision (C6).
//! - Memory follows what is live, not the number of writes (C20).
//! - A slot is written once, before any reader can see it (C26).

mod append_only;
mod chunk;
mod cost;
mod key_index;
mod live_counts;
mod queries;
#[expect(
    clippy::module_inception,
    reason = "the wing is named after its main type"
)]
mod queue;
mod rewrite;
mod slot;
mod totals;

pub(crate) use chunk::{Chunk, NextChunk, RetiredChunk};
pub(crate) use key_index::{IndexSlot, KeyIndex, Resident};
pub(crate) use queue::Queue;
pub(crate) use slot::Slot;
pub(crate) use totals::Totals;

#[cfg(test)]
mod tests;
