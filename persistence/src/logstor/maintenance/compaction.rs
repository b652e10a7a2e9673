//! Rewriting of closed segments: their live records are copied to other segments, then they are
//! free.
//!
//! A log only grows, so space comes back by copying what lives. Separating what several vBuckets
//! wrote and compacting what is mostly dead are the same work with other victims.
//!
//! ```text
//! claim victims, read them | copy live records, sync | install copies by compare-and-swap
//! | invalidate victims, sync | reuse them
//! ```
//!
//! # Invariants
//!
//! - A record's copy is durable before the index names it, and the record's segment is freed only
//!   after that (L15). Whenever the power fails, one of them is there.
//! - Each record on disk except the one the index names is counted in its slot before it can
//!   matter. It is counted off when its segment is durably freed, not before (L16). Copies that
//!   lost the compare-and-swap count, too.
//! - Records of a vBucket are copied in the order of their seqnos.
//! - Rewriting needs one free segment. [`REWRITE_RESERVE`](crate::logstor::config::REWRITE_RESERVE)
//!   segments are left to it, so it proceeds when nothing else can.

mod output_segments;
mod reclaim;
mod round;
mod victim_selection;
mod write_backpressure;

pub(super) use self::output_segments::OutputSegments;
pub(in crate::logstor) use self::reclaim::reclaim;
pub(super) use self::round::{CompactionRound, Packing};
pub(super) use self::victim_selection::{Candidate, VICTIMS_MAX, is_dead, select_by_gain};
pub(in crate::logstor) use self::write_backpressure::LOW_SPACE_SEGMENTS;
pub(super) use self::write_backpressure::WriteBackpressure;
