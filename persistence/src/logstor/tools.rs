//! Tools for a store at rest: inspection without an engine, verification, and the entry points of
//! fuzzing.
//!
//! # Invariants
//!
//! - Inspection changes nothing and takes no lock (T7). Its figures add up (T8).
//! - Damage is reported wherever it is, and the rest is still read (T9).
//! - No bytes make opening or reading panic, hang, or take memory without bound (L34): `fuzzing`.

mod check;
mod dry_open;
#[cfg(any(test, feature = "fuzzing"))]
#[doc(hidden)]
pub mod fuzzing;
mod inspect;
mod overlay_disk;

pub use self::check::{LogCheckReport, check_store};
pub use self::inspect::{
    ImageLayout, LogDirectory, LogFinding, LogFindingKind, LogLayout, LogObserver, SegmentKind,
    SegmentLayout, VBucketLayout, is_log_store,
};
