//! Numbers: counters for statistics, and conversions between lengths in memory and numbers of files.

mod counter;
mod lengths;

pub(crate) use counter::Counter;
pub(crate) use lengths::{part_to_usize, to_u64, to_usize};
