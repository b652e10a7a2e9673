//! Opening of a store: the directory becomes the store as it was acknowledged, and a report of
//! everything else found there.
//!
//! ```text
//! manifest | log_files | segment_probe: every segment, on the host's executor
//! | log_survey: what counts | rebuild: vBuckets
//! ```
//!
//! # Invariants
//!
//! - Everything acknowledged comes back (L18). A bad frame at or below the number up to which
//!   nothing was in doubt, or before another frame of its segment's use, is damage. It is reported
//!   by the vBuckets it harms, or by the opening if these are unknown.
//! - The newest appends, which are in doubt, are there as a whole or not at all (L19). An append
//!   with all its frames is written again and synced, because it is unknown whether it was. Of any
//!   other append every frame is cut off by the manifest. Both are durable before the store serves.
//! - Which record wins is decided by epochs, caps and seqnos alone, not by locations or the order
//!   of reading (L22).

mod log_files;
mod log_survey;
mod open_store;
mod rebuild;
mod segment_probe;

pub(super) use self::open_store::open_store;
