//! Generated writes: from a seed and the key distributions of the YCSB benchmark, or after
//! published measurements ([`preset`]).
//!
//! # Invariants
//!
//! - Equal arguments give equal bytes on every machine. Random numbers are ChaCha8's stream, which
//!   is specified. Sampling is our own code, without arithmetic with a platform-dependent last bit
//!   (see [`exact`]).

mod choice;
mod distribution;
mod exact;
mod live_keys;
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
