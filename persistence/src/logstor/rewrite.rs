//! Rewriting: closed segments go in, their live records come out in others, and the segments are free. Separating what
//! several vBuckets wrote and compacting what is mostly dead are the same thing with other victims.
//!
//! ```text
//! claim victims, read them | copy what lives, sync | name the copies, by compare-and-swap | invalidate, sync | reuse
//! ```
//!
//! What always holds:
//!
//! - A record's copy is durable before the index names it, and the record's segment is freed only after that (L15): so
//!   whenever the power goes, one of them is there.
//! - Each record on the disk but the one the index names is counted as stale before it can matter, and counted off when
//!   its segment is durably freed, not before (L16): copies nobody took count, too.
//! - Records of a vBucket are copied in the order of their seqnos.
//! - It needs one free segment, and there are [`RESERVE`](super::config::RESERVE) nobody else takes: so it goes on when
//!   nothing else does.

mod choose;
mod job;
mod outputs;
mod pace;
mod reclaim;
mod relief;
mod round;

pub(super) use self::job::{Current, RewriteJob, Task};
pub(super) use self::outputs::Outputs;
pub(super) use self::reclaim::reclaim;
pub(super) use self::relief::{MARK, Relief};
