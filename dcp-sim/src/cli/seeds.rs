//! Many seeds in a row: one line each, a summary, and for each that failed the command that replays it.
//!
//! What always holds (W17): the lines are the same bytes, in the same order, whatever the number of seeds that run at once.

use std::any::Any;
use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

use super::in_order::in_order;
use super::output::{Output, tell};
use super::run::RunArguments;
use super::{Exit, Failure};
use crate::report::units;
use crate::sim::{Report, Silent, SimError};

/// How one seed ended.
pub(super) enum Ended {
    Clean(Box<Report>),
    Broken(String),
}

/// Runs one seed to its end. Errors of the command or of this machine are no verdict on the seed; a panic is.
pub(super) fn run_seed(arguments: &RunArguments, seed: u64) -> Result<Ended, Failure> {
    let world = arguments.with_seed(seed).world()?;
    ended(|| world.run(&mut Silent, None))
}

fn ended(run: impl FnOnce() -> Result<Report, SimError>) -> Result<Ended, Failure> {
    // Nothing of a world outlives its run.
    let report = match catch_unwind(AssertUnwindSafe(run)) {
        Err(panic) => return Ok(Ended::Broken(format!("panicked: {}", message(panic.as_ref())))),
        Ok(Ok(report)) => report,
        Ok(Err(error)) if is_of_the_seed(&error) => return Ok(Ended::Broken(error.to_string())),
        Ok(Err(error)) => return Err(error.into()),
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

fn is_of_the_seed(error: &SimError) -> bool {
    matches!(
        error,
        SimError::Node { .. }
            | SimError::StreamStopped { .. }
            | SimError::Stalled { .. }
            | SimError::Engine { .. }
    )
}

fn message(panic: &dyn Any) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("without a word")
}

pub(super) fn run(arguments: &RunArguments, seeds: u64, out: &mut Output) -> Result<Exit, Failure> {
    let started = Instant::now();
    let (mut broken, mut mutations) = (0_u64, 0);
    let first = arguments.seed;
    let count = seeds.min((u64::MAX - first).saturating_add(1));
    let run = |number| run_seed(arguments, first + number);
    in_order(arguments.jobs(), count, run, |number, ended| {
        let seed = first + number;
        match ended? {
            Ended::Clean(report) => {
                mutations += report.figures.mutations;
                writeln!(out, "seed {seed:<8} clean   {}", line(&report))?;
            }
            Ended::Broken(why) => {
                broken += 1;
                writeln!(out, "seed {seed:<8} BROKEN  {why}")?;
                writeln!(out, "  replay: {}", arguments.with_seed(seed).command())?;
            }
        }
        Ok::<_, Failure>(())
    })?;
    let seconds = started.elapsed().as_secs_f64();
    let (count, failed) = (units::count(count), units::count(broken));
    writeln!(out, "{count} seeds, {failed} broken, {} mutations", units::count(mutations))?;
    // What depends on this machine goes where no comparison looks.
    tell!("{seconds:.1} s");
    Ok(if broken == 0 { Exit::Ok } else { Exit::Violation })
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_that_panics_is_broken() {
        for panic in [|| panic!("no such slot"), || panic!("{}", "no such slot".to_owned())] {
            let Ok(Ended::Broken(why)) = ended(panic) else { panic!("it is not broken") };
            assert_eq!(why, "panicked: no such slot");
        }
    }
}
