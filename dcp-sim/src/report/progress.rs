//! Progress of a run on standard error: a bar on a terminal, and lines elsewhere.

use std::io::{self, Write};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::units;
use crate::sim::{Observer, RunProgress};

/// Progress in percent between two lines.
const LINE_PERCENT: u64 = 25;
const BAR: &str = "{bar:16} {pos}/{len}  {msg}  {elapsed}";
const SPINNER: &str = "{spinner} {pos}  {msg}  {elapsed}";

/// Display of a run's progress.
#[derive(Debug)]
pub struct ProgressLine {
    bar: Option<ProgressBar>,
    is_styled: bool,
    percent_shown: u64,
}

impl ProgressLine {
    /// Creates the display for a terminal, or for another output.
    #[must_use]
    pub fn new(is_terminal: bool) -> Self {
        let bar =
            is_terminal.then(|| ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr()));
        Self {
            bar,
            is_styled: false,
            percent_shown: 0,
        }
    }

    /// Removes the bar at the end of the run.
    pub fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

impl Observer for ProgressLine {
    fn progress(&mut self, progress: &RunProgress) {
        match &self.bar {
            Some(bar) => {
                if !self.is_styled {
                    style(bar, progress.batches_total);
                    self.is_styled = true;
                }
                bar.set_position(progress.batches);
                bar.set_message(message(progress, bar.elapsed()));
            }
            None => self.line(progress),
        }
    }
}

impl ProgressLine {
    fn line(&mut self, progress: &RunProgress) {
        let Some(total) = progress.batches_total.filter(|&total| total > 0) else {
            return;
        };
        let percent = progress.batches * 100 / total;
        if percent < self.percent_shown + LINE_PERCENT {
            return;
        }
        self.percent_shown = percent - percent % LINE_PERCENT;
        let batches = units::count(progress.batches);
        let seqnos = units::count(progress.seqnos);
        let total = units::count(total);
        let memory = units::bytes(progress.checkpoint_bytes as u64);
        let line = format!(
            "{percent:>3} %  {batches}/{total} batches, {seqnos} seqnos, checkpoints {memory}"
        );
        // A lost line of progress has no other consequence.
        let _ = writeln!(io::stderr(), "{line}");
    }
}

fn style(bar: &ProgressBar, total: Option<u64>) {
    if let Some(total) = total {
        bar.set_length(total);
    }
    let template = if total.is_some() { BAR } else { SPINNER };
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
}

fn message(progress: &RunProgress, elapsed: Duration) -> String {
    if progress.is_settling {
        return "settling and checking every copy".to_owned();
    }
    let rate = (progress.seqnos as f64 / elapsed.as_secs_f64().max(0.001)) as u64;
    let rate = units::count(rate);
    let lag = units::count(progress.lag_seqnos);
    let memory = units::bytes(progress.checkpoint_bytes as u64);
    format!("{rate} seqnos/s  lag {lag}  checkpoints {memory}")
}
