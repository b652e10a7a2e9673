//! The smallest run that still fails: one thing less at a time, as long as that fails as well.
//!
//! What always holds: every run that is taken over failed; no single step from the one at the end does. Which invariant
//! breaks may change on the way: any failure will do, for it is the smaller one that is looked at.

use std::io::{self, Write};

use super::faults::{FaultList, VirtualTime};
use super::run::RunArguments;
use super::seeds::{Ended, run_seed};
use super::{Exit, Failure};

/// Steps tried at most.
const TRIES_MAX: usize = 500;

pub(super) fn shrink(arguments: &RunArguments) -> Result<Exit, Failure> {
    let mut out = io::stdout().lock();
    let mut smallest = arguments.with_seed(arguments.seed);
    let Some(mut why) = fails(&smallest)? else {
        writeln!(out, "seed {} is clean", arguments.seed)?;
        return Ok(Exit::Ok);
    };
    let mut tries = 0;
    'smaller: while tries < TRIES_MAX {
        for candidate in smaller(&smallest) {
            tries += 1;
            if let Some(reason) = fails(&candidate)? {
                eprintln!("fails: {}", candidate.command());
                (smallest, why) = (candidate, reason);
                continue 'smaller;
            }
        }
        break;
    }
    writeln!(out, "{why}")?;
    writeln!(out, "smallest of {tries} tried: {}", smallest.command())?;
    Ok(Exit::Violation)
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
