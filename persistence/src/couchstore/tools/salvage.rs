//! The salvage of a damaged file: whatever can be read goes into a new, sound file, and the rest is reported.
//!
//! What always holds (T5): the source is only read; the new file passes the check before it is handed over, or is
//! removed; each row of the source is in the new file or reported as lost.

mod claims;
mod gaps;
mod local_copy;
mod loss;
mod row_copy;
mod salvage_file;

#[cfg(test)]
mod tests;

pub use self::loss::{Loss, SalvageObserver, Salvaged};
pub use self::salvage_file::salvage;
