//! The oracle: what the documents must be, folded from the source's own words and nothing the cluster says.

mod expected;
mod history;

pub use expected::Oracle;
pub(super) use history::{Branched, Copied, History, Sees};
