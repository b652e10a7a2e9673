//! The soak: a store on real files whose process is killed again and again, on a disk that fails now
//! and then.
//!
//! ```text
//!   parent: model, readers  <--lines---  child: Store, 4 writers, 8 followers, failing disk
//!                           --SIGKILL->
//! ```
//!
//! Models and fault matrices try each order of a small case. The soak tries few orders of the whole:
//! threads, both engines, memory recovery, upkeep, reopening, and the death of the process, together.
//!
//! The child writes a line before and after each step, so that the parent knows what was taken, what
//! was acknowledged, and what was in flight. The parent is also the memory of the followers: it keeps
//! their documents and points, and gives the points to the next child.
//!
//! # Invariants
//!
//! - R3. What a child has acknowledged is there after its death.
//! - What is there was written: the newest revision of each key up to the high seqno, or the one write
//!   of a writer that was in flight.
//! - R7. The mark of an orderly stop is found only after an orderly stop.
//! - S35, S36, S37. A follower delivers what was written, in order; its documents are the model's at
//!   the end of each snapshot that it reported last; and at the end they are the store's.
//! - The seed decides what is written, when the child dies, and which calls of the disk fail. The order
//!   of threads is chance.
//!
//! Killing a process loses no bytes that it has written. A loss of power is tested on simulated disks.

mod child;
mod disk;
mod followers;
mod lines;
mod model;
mod outcome;
mod parent;
mod plan;
mod progress;
mod reader;
mod rounds;
mod stored;
mod told;
mod writer;

pub use child::serve;
pub use outcome::{Counts, Violation};
pub use plan::Engine;
pub use rounds::{Length, Soak};
