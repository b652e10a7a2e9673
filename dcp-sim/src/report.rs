//! How a run is shown: progress while it goes on, a summary, one JSON object or a page at its end.
//!
//! In go a report and the times of this machine; out comes text. Only here do figures meet the wall clock.

mod html;
mod json;
mod progress;
mod seeds;
mod seeds_page;
mod summary;
mod times;
pub(crate) mod units;

pub use html::{Page, page};
pub use json::json;
pub use progress::ProgressLine;
pub use seeds::{SeedResult, seed_json, seed_text};
pub use seeds_page::SeedsPage;
pub use summary::summary;
pub use times::Times;
