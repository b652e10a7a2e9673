//! The way of a child's lines to its parent: standard output.
//!
//! A pipe keeps what a killed process wrote. A slow parent slows the child, which loses nothing.

use std::fmt::Write as _;
use std::io::Write as _;

use lowtide_persistence::{StoreEvent, StoreObserver};

use super::lines::Line;

/// Writes lines, all at once.
pub(super) fn tell(lines: &[Line]) {
    let mut text = String::new();
    for line in lines {
        writeln!(text, "{line}").expect("a string takes anything");
    }
    let mut out = std::io::stdout().lock();
    let written = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    // Without a parent there is nothing to do.
    written.expect("the parent reads");
}

/// Reports a violation, and ends the process.
pub(super) fn bad(text: impl std::fmt::Display) -> ! {
    tell(&[Line::bad(text)]);
    std::process::exit(1);
}

/// An observer that has the events of a store counted.
#[derive(Clone, Copy, Debug)]
pub(super) struct TellingObserver;

impl StoreObserver for TellingObserver {
    fn observe(&self, event: &StoreEvent<'_>) {
        let line = match *event {
            StoreEvent::Flushed { .. } => Line::count("flushes", 1),
            StoreEvent::FlushFailed { .. } => Line::count("failed-flushes", 1),
            StoreEvent::Reopening { .. } => Line::count("reopenings-begun", 1),
            StoreEvent::Reopened { .. } => Line::count("reopenings", 1),
            StoreEvent::MemoryRecovered { recovery, .. } => {
                let dropped = recovery.cursors_dropped.len() as u64;
                tell(&[Line::count("memory-recoveries", 1)]);
                Line::count("cursors-dropped", dropped)
            }
            StoreEvent::UpkeepDone { .. } => Line::count("upkeep-jobs", 1),
            StoreEvent::UpkeepFailed { .. } => Line::count("failed-upkeep-jobs", 1),
            _ => return,
        };
        tell(&[line]);
    }
}
