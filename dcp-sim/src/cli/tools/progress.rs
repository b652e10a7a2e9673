//! How far a long command is, on a terminal.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::cli::output::shows_progress;

/// A bar is moved once in so many rows.
pub(super) const PROGRESS_ROWS: u64 = 1_024;

/// Rows on a terminal, nothing elsewhere.
pub(super) fn progress_bar() -> ProgressBar {
    let target = if shows_progress() {
        ProgressDrawTarget::stderr()
    } else {
        ProgressDrawTarget::hidden()
    };
    let bar = ProgressBar::with_draw_target(None, target);
    match ProgressStyle::with_template("{bar:30} {pos}/{len} rows  {elapsed}") {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}
