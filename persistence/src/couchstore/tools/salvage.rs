//! The salvage of a damaged file: everything readable goes into a new, sound file, and the rest is
//! reported.
//!
//! # Invariants
//!
//! T5. The source is only read. The new file passes the check before it is handed over, or is
//! removed. Each row of the source is in the new file or reported as lost.

mod disputed_rows;
mod gaps;
mod local_copy;
mod loss;
mod row_copy;
mod salvage_file;

#[cfg(test)]
mod tests;

pub use self::loss::{Loss, SalvageObserver, Salvaged};
pub use self::salvage_file::salvage;
