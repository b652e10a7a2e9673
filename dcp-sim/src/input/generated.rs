//! Writes made up from a seed: the key choices of the YCSB benchmark.
//!
//! In go a distribution, sizes and a seed; out come batches of one write each. What always holds: the same arguments
//! give the same bytes on every machine. Randomness is ChaCha8's stream, whose output is specified; sampling is ours, and
//! no arithmetic is used whose last bit depends on the platform (see [`exact`]).
//!
//! YCSB reads, updates and inserts; here only writes count, so every operation is one. YCSB never deletes, but
//! tombstones are half of what a replication system is about: one in [`DELETE_ONE_IN`] operations deletes its key, if
//! the key is there.
//!
//! Workloads after published measurements are beside it ([`preset`]).

mod choice;
mod distribution;
mod exact;
mod mix;
mod preset;
mod sizes;
mod source;
mod zipf;

pub use distribution::Distribution;
pub use mix::{Mix, MixSource, ValueSpread};
pub use preset::{Preset, PresetSource};
pub use source::GeneratedSource;

#[cfg(test)]
mod tests;
