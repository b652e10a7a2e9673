//! Runs of many seeds: a line for each, a summary, and for each failure the command that replays
//! it.
//!
//! # Invariants
//!
//! - W17. The lines are equal bytes in equal order, regardless of the number of seeds that run at
//!   once.

use std::any::Any;
use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

use super::arguments::RunArguments;
use super::source::{Input, Origin, git_proof};
use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::cli::ordered_map::in_order;
use crate::cli::output::{Output, message};
use crate::report::{SeedResult, SeedsPage, seed_json, seed_text, units};
use crate::sim::{Proof, Report, Silent, SimError, Storage, World};

/// Result of one seed.
pub(in crate::cli) struct Ended {
    /// Report of a run that reached its end.
    pub(in crate::cli) report: Option<Box<Report>>,
    /// Description of the violations, if any.
    pub(in crate::cli) why: Option<String>,
}

/// Runs one seed to its end. Errors of the command or of this machine are no verdict on the seed; a
/// panic is one.
pub(in crate::cli) fn run_seed(
    arguments: &RunArguments,
    origin: &Origin,
    seed: u64,
) -> Result<Ended, Failure> {
    let run = arguments.with_seed(seed);
    let shape = run.drawn()?;
    let Input { source, tree, .. } = origin.input(&run, shape.as_ref())?;
    let cluster = run.cluster(shape.as_ref())?;
    let world = World::new(cluster, &Storage::Memory, source)?;
    let mut proof = tree.map(git_proof);
    let mut ended = ended(|| {
        world.run(
            &mut Silent,
            proof.as_mut().map(|proof| proof as &mut Proof<'_>),
        )
    })?;
    if let Some(report) = &mut ended.report {
        report.shape = shape;
    }
    Ok(ended)
}

fn ended(run: impl FnOnce() -> Result<Report, SimError>) -> Result<Ended, Failure> {
    let broken = |why| {
        Ok(Ended {
            report: None,
            why: Some(why),
        })
    };
    // Nothing of a world outlives its run.
    let report = match catch_unwind(AssertUnwindSafe(run)) {
        Err(panic) => return broken(format!("panicked: {}", panic_text(panic.as_ref()))),
        Ok(Ok(report)) => report,
        Ok(Err(error)) if is_of_the_seed(&error) => return broken(error.to_string()),
        Ok(Err(error)) => return Err(error.into()),
    };
    let verdicts = report.verdicts.iter().filter(|verdict| !verdict.holds());
    let violations = verdicts.map(|verdict| {
        let first = verdict.told.first().map_or("", String::as_str);
        format!(
            "{} ({}): {first}",
            verdict.invariant,
            units::count(verdict.violations)
        )
    });
    let why = violations.collect::<Vec<_>>().join("; ");
    Ok(Ended {
        why: (!report.is_clean()).then_some(why),
        report: Some(Box::new(report)),
    })
}

fn is_of_the_seed(error: &SimError) -> bool {
    matches!(
        error,
        SimError::Node { .. }
            | SimError::StreamStopped { .. }
            | SimError::Stalled { .. }
            | SimError::Engine { .. }
            | SimError::Disk(_)
            | SimError::Internal { .. }
    )
}

fn panic_text(panic: &dyn Any) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("without a message")
}

pub(in crate::cli) fn run(
    arguments: &RunArguments,
    seeds: u64,
    out: &mut Output,
) -> Result<Exit, Failure> {
    let started = Instant::now();
    let mut broken = 0_u64;
    let mut mutations = 0;
    let first = arguments.seed;
    // There is no seed after the largest number.
    let count = seeds.min((u64::MAX - first).saturating_add(1));
    let file = arguments.page()?;
    let mut page = file.is_some().then(SeedsPage::default);
    let origin = arguments.origin()?;
    let run = |number| run_seed(arguments, &origin, first + number);
    in_order(arguments.jobs(), count, run, |number, ended| {
        let seed = first + number;
        let Ended { report, why } = ended?;
        broken += u64::from(why.is_some());
        mutations += report.as_ref().map_or(0, |report| report.figures.mutations);
        let replayed = arguments.with_seed(seed);
        let shape = replayed.drawn()?;
        let result = SeedResult {
            seed,
            report: report.as_deref(),
            shape: shape.as_ref(),
            why: why.as_deref(),
            command: &replayed.command(),
        };
        if arguments.json {
            writeln!(out, "{}", seed_json(&result)?)?;
        } else {
            write!(out, "{}", seed_text(&result))?;
        }
        if let Some(page) = &mut page {
            page.add(&result);
        }
        Ok::<_, Failure>(())
    })?;
    let seconds = started.elapsed().as_secs_f64();
    let summary = format!(
        "{} seeds, {} broken, {} mutations",
        units::count(count),
        units::count(broken),
        units::count(mutations)
    );
    // With JSON, standard output has only the seeds' lines, and figures of this machine go to
    // standard error.
    if arguments.json {
        message!("{summary}");
    } else {
        writeln!(out, "{summary}")?;
    }
    message!("{seconds:.1} s");
    let exit = if broken == 0 {
        Exit::Ok
    } else {
        Exit::Violation
    };
    let (Some(mut file), Some(page)) = (file, page) else {
        return Ok(exit);
    };
    file.write_all(
        page.page(&arguments.command_of_seeds(), &summary)
            .as_bytes(),
    )?;
    Ok(file.end(exit))
}

impl RunArguments {
    /// Returns the command that repeats all of these seeds.
    fn command_of_seeds(&self) -> String {
        let seeds = self
            .seeds
            .map_or(String::new(), |seeds| format!(" --seeds {seeds}"));
        self.command() + &seeds
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seed_that_panics_is_broken() {
        for panic in [
            || panic!("no such slot"),
            || panic!("{}", "no such slot".to_owned()),
        ] {
            let Ok(Ended {
                report: None,
                why: Some(why),
            }) = ended(panic)
            else {
                panic!("it is not broken")
            };
            assert_eq!(why, "panicked: no such slot");
        }
    }

    /// Guards W21 in release builds, where a bug of the simulator does not panic.
    #[test]
    fn seed_that_ends_with_an_internal_error_is_broken() {
        let internal = || {
            Err(SimError::Internal {
                invariant: "W21",
                what: "a vBucket has an active",
            })
        };
        let Ok(Ended {
            report: None,
            why: Some(why),
        }) = ended(internal)
        else {
            panic!("it is not broken")
        };
        assert!(why.contains("W21"), "{why}");
    }
}
