//! Figures of this machine rather than of the run: seconds and memory.

use std::time::Instant;

use serde::Serialize;

use crate::sim::Report;

/// The only figures that differ between two runs of one seed.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Times {
    /// From the command's start to its verdict.
    pub seconds: f64,
    /// Writes to actives per second.
    pub mutations_per_second: f64,
    /// Peak memory of the process, if the system reports it.
    pub peak_memory_bytes: Option<u64>,
}

impl Times {
    /// Returns the times of a run that began at `started` and has just ended.
    #[must_use]
    pub fn since(started: Instant, report: &Report) -> Self {
        let seconds = started.elapsed().as_secs_f64();
        let mutations = report.figures.mutations as f64;
        let mutations_per_second = if seconds > 0.0 {
            mutations / seconds
        } else {
            0.0
        };
        Self {
            seconds,
            mutations_per_second,
            peak_memory_bytes: peak_memory_bytes(),
        }
    }
}

/// Returns the peak memory. Only Linux reports it to a process.
fn peak_memory_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}
