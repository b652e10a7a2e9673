//! Presentation of a run: its progress, and at its end a summary, a JSON object or an HTML page.
//!
//! Only here do a report's figures meet the wall clock.

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
