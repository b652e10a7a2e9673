//! The smallest run that still fails: one thing less at a time, as long as that fails as well.
//!
//! What always holds: every run that is taken over failed; no single step from the one at the end does. Which invariant
//! breaks may change on the way: any failure will do, for it is the smaller one that is looked at.

use std::io::Write;

use super::faults::{FaultList, VirtualTime};
use super::output::{Output, tell};
use super::run::RunArguments;
use super::seeds::{Ended, run_seed};
use super::{Exit, Failure};

/// Steps tried at most.
const TRIES_MAX: usize = 500;

pub(super) fn shrink(arguments: &RunArguments, out: &mut Output) -> Result<Exit, Failure> {
    let first = arguments.with_seed(arguments.seed);
    let Some(why) = fails(&first)? else {
        writeln!(out, "seed {} is clean", arguments.seed)?;
        return Ok(Exit::Ok);
    };
    let Smallest { run, why, tries } = smallest(first, why, |candidate| {
        let failed = fails(candidate)?;
        if failed.is_some() {
            tell!("fails: {}", candidate.command());
        }
        Ok(failed)
    })?;
    writeln!(out, "{why}")?;
    writeln!(out, "smallest of {tries} tried: {}", run.command())?;
    Ok(Exit::Violation)
}

/// Where the search ended.
struct Smallest {
    run: RunArguments,
    why: String,
    tries: usize,
}

/// Goes from one failing run to a smaller one until none is left, or enough were tried.
fn smallest(
    mut run: RunArguments,
    mut why: String,
    mut fails: impl FnMut(&RunArguments) -> Result<Option<String>, Failure>,
) -> Result<Smallest, Failure> {
    let mut tries = 0;
    'smaller: while tries < TRIES_MAX {
        for candidate in smaller(&run) {
            tries += 1;
            if let Some(reason) = fails(&candidate)? {
                (run, why) = (candidate, reason);
                continue 'smaller;
            }
        }
        break;
    }
    Ok(Smallest { run, why, tries })
}

fn fails(arguments: &RunArguments) -> Result<Option<String>, Failure> {
    match run_seed(arguments, arguments.seed)? {
        Ended::Clean(_) => Ok(None),
        Ended::Broken(why) => Ok(Some(why)),
    }
}

/// Each run that is one step smaller, the largest steps first.
fn smaller(from: &RunArguments) -> Vec<RunArguments> {
    let mut candidates = Vec::new();
    let mut add = |change: &dyn Fn(&mut RunArguments)| {
        let mut candidate = from.clone();
        change(&mut candidate);
        candidates.push(candidate);
    };
    let kinds = from.faults.kinds();
    for kind in &kinds {
        let fewer: std::collections::BTreeSet<_> =
            kinds.iter().copied().filter(|other| other != kind).collect();
        add(&|run| run.faults.faults = Some(FaultList(fewer.clone())));
    }
    let duration = from.faults.duration_micros();
    if duration >= 2_000 {
        add(&|run| run.faults.duration = Some(VirtualTime(duration / 2)));
    }
    let ops = from.ops_or_default();
    if ops >= 2 {
        add(&|run| run.ops = Some(ops / 2));
    }
    if from.vbuckets > 1 {
        add(&|run| run.vbuckets = from.vbuckets / 2);
        add(&|run| run.vbuckets = from.vbuckets - 1);
    }
    if from.nodes > from.replicas + 1 {
        add(&|run| run.nodes = from.nodes - 1);
    }
    if from.replicas > 0 {
        add(&|run| run.replicas = from.replicas - 1);
    }
    candidates
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::sim::FaultKind;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        run: RunArguments,
    }

    #[test]
    fn what_a_failure_needs_is_all_that_stays() {
        let line = "x --workload uniform --profile hostile --nodes 7 --replicas 2 --vbuckets 64 --seed 9 --engine logstor";
        let from = Line::parse_from(line.split(' ')).run;
        let needs = |run: &RunArguments| {
            let kinds = run.faults.kinds();
            let fails = kinds.contains(&FaultKind::Crash)
                && kinds.contains(&FaultKind::Move)
                && run.vbuckets >= 5
                && run.nodes >= 3
                && run.ops_or_default() >= 40;
            Ok(fails.then(|| "it broke".to_owned()))
        };
        let Ok(found) = smallest(from, String::new(), needs) else { panic!("nothing fails to run") };
        assert_eq!((found.why.as_str(), found.tries < TRIES_MAX), ("it broke", true));
        let words = "dcp-sim run --workload uniform --ops 78 --nodes 3 --replicas 0 --vbuckets 5 --engine logstor --seed 9 \
                     --faults crash,move --profile hostile --duration 1220us";
        assert_eq!(found.run.command(), words);
    }
}
