//! The oracle: expected documents and histories, computed without the cluster's help, and the copies
//! that are compared with them.

mod contents;
mod copies;
mod expected;
mod history;

pub use contents::{Contents, Document};
pub(super) use copies::{Copies, Digests, Revision};
pub use expected::Oracle;
pub(super) use history::{Branched, Copied, History, Sees};
