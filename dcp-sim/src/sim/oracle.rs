//! The oracle: expected documents and histories, computed without the cluster's help.

mod expected;
mod history;

pub use expected::Oracle;
pub(super) use history::{Branched, Copied, History, Sees};
