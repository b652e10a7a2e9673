//! Progress bar of a long command on a terminal.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::cli::output::shows_progress;

/// Number of rows between two updates of the bar.
pub(super) const PROGRESS_ROWS: u64 = 1_024;

/// Returns a bar of rows on a terminal, and a hidden one elsewhere.
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
