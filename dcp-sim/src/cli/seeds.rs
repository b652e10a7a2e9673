//! Many seeds in a row: one line each, a summary, and for each that failed the command that replays it.

use std::io::{self, Write};
use std::time::Instant;

use super::run::RunArguments;
use super::{Exit, Failure};
use crate::report::units;
use crate::sim::{Report, Silent, SimError};

/// How one seed ended.
pub(super) enum Ended {
    Clean(Box<Report>),
    Broken(String),
}

/// Runs one seed to its end. Errors of the command or of this machine are no verdict on the seed.
pub(super) fn run_seed(arguments: &RunArguments, seed: u64) -> Result<Ended, Failure> {
    let arguments = arguments.with_seed(seed);
    let report = match arguments.world()?.run(&mut Silent, None) {
        Ok(report) => report,
        Err(error @ (SimError::Node { .. } | SimError::StreamStopped { .. } | SimError::Stalled { .. })) => {
            return Ok(Ended::Broken(error.to_string()));
        }
        Err(error @ SimError::Engine { .. }) => return Ok(Ended::Broken(error.to_string())),
        Err(error) => return Err(error.into()),
    };
    if report.is_clean() {
        return Ok(Ended::Clean(Box::new(report)));
    }
    let broken = report.verdicts.iter().filter(|verdict| !verdict.holds());
    let told = broken.map(|verdict| {
        let first = verdict.told.first().map_or("", String::as_str);
        format!("{} ({}): {first}", verdict.invariant, units::count(verdict.violations))
    });
    Ok(Ended::Broken(told.collect::<Vec<_>>().join("; ")))
}

pub(super) fn run(arguments: &RunArguments, seeds: u64) -> Result<Exit, Failure> {
    let started = Instant::now();
    let (mut broken, mut mutations) = (Vec::new(), 0);
    let mut out = io::stdout().lock();
    for seed in (arguments.seed..).take(usize::try_from(seeds).unwrap_or(usize::MAX)) {
        match run_seed(arguments, seed)? {
            Ended::Clean(report) => {
                mutations += report.figures.mutations;
                writeln!(out, "seed {seed:<8} clean   {}", line(&report))?;
            }
            Ended::Broken(why) => {
                broken.push(seed);
                writeln!(out, "seed {seed:<8} BROKEN  {why}")?;
                writeln!(out, "  replay: {}", arguments.with_seed(seed).command())?;
            }
        }
    }
    let seconds = started.elapsed().as_secs_f64();
    let (count, failed) = (units::count(seeds), broken.len());
    writeln!(out, "{count} seeds, {failed} broken, {} mutations", units::count(mutations))?;
    // What depends on this machine goes where no comparison looks.
    eprintln!("{seconds:.1} s");
    Ok(if broken.is_empty() { Exit::Ok } else { Exit::Violation })
}

fn line(report: &Report) -> String {
    let figures = &report.figures;
    let mut text =
        format!("{} mutations, {}", units::count(figures.mutations), units::micros(figures.virtual_micros));
    if let Some(faults) = &report.faults {
        let struck: u64 = faults.struck.values().sum();
        let counts = [
            (struck, "faults"),
            (faults.branches, "branches"),
            (faults.rollbacks, "rollbacks"),
            (faults.lost_with_branch, "writes lost with a branch"),
        ];
        for (count, what) in counts {
            text.push_str(&format!(", {} {what}", units::count(count)));
        }
    }
    text
}
