//! Progress bars of a long command on a terminal.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::cli::output::shows_progress;

/// Number of rows between two updates of the bar.
pub(super) const PROGRESS_ROWS: u64 = 1_024;

/// Returns a bar of rows on a terminal, and a hidden one elsewhere.
pub(super) fn progress_bar() -> ProgressBar {
    bar("{bar:30} {pos}/{len} rows  {elapsed}")
}

/// Same as [`progress_bar`], of parts that mean nothing to the user.
pub(super) fn percent_bar() -> ProgressBar {
    bar("{bar:30} {percent} %  {elapsed}")
}

fn bar(template: &str) -> ProgressBar {
    let target = if shows_progress() {
        ProgressDrawTarget::stderr()
    } else {
        ProgressDrawTarget::hidden()
    };
    let bar = ProgressBar::with_draw_target(None, target);
    match ProgressStyle::with_template(template) {
        Ok(style) => bar.with_style(style),
        // A bar of the usual style shows as much.
        Err(_) => bar,
    }
}
