//! Search for the smallest run that still fails, one step at a time.
//!
//! The violated invariant may change on the way: any failure counts, since the smaller one is
//! examined.
//!
//! # Invariants
//!
//! - Every accepted run failed.
//! - No single step from the final run fails, unless the search ended after [`TRIES_MAX`] tries.

use std::collections::BTreeSet;
use std::io::Write;

use super::arguments::RunArguments;
use super::faults::{FaultArguments, FaultList, ProfileName, VirtualTime};
use super::seeds::run_seed;
use super::shape::ShapeList;
use super::source::Origin;
use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::cli::output::{Output, message};
use crate::sim::{Setting, Shape};

/// Largest number of tried steps.
const TRIES_MAX: usize = 1_000;

pub(in crate::cli) fn shrink(arguments: &RunArguments, out: &mut Output) -> Result<Exit, Failure> {
    let first = normal(arguments.with_seed(arguments.seed))?;
    let Some(why) = fails(&first)? else {
        writeln!(out, "seed {} is clean", arguments.seed)?;
        return Ok(Exit::Ok);
    };
    let Smallest { run, why, tries } = smallest(first, why, |candidate| {
        let failed = fails(candidate)?;
        if failed.is_some() {
            message!("fails: {}", candidate.command());
        }
        Ok(failed)
    })?;
    let run = shortened(run)?;
    writeln!(out, "{why}")?;
    if let Some(shape) = run.drawn()? {
        writeln!(out, "drew: {}", shape.describe())?;
    }
    writeln!(out, "smallest of {tries} tried: {}", run.command())?;
    Ok(Exit::Violation)
}

/// Result of the search.
struct Smallest {
    run: RunArguments,
    why: String,
    tries: usize,
}

/// Searches from one failing run to smaller ones, until no smaller one fails or the limit is
/// reached.
fn smallest(
    mut run: RunArguments,
    mut why: String,
    mut fails: impl FnMut(&RunArguments) -> Result<Option<String>, Failure>,
) -> Result<Smallest, Failure> {
    let mut tries = 0;
    let mut place = 0;
    let mut failed = 0;
    let mut candidates = smaller(&run)?;
    // A step that failed to help will hardly help now: the search continues at its place, and ends
    // after a full round without success.
    while tries < TRIES_MAX && failed < candidates.len() {
        // The place is one of the candidates: there is one that has not failed to help.
        let Some(candidate) = candidates.get(place % candidates.len()) else {
            break;
        };
        tries += 1;
        match fails(candidate)? {
            Some(reason) => {
                run = candidate.clone();
                why = reason;
                candidates = smaller(&run)?;
                failed = 0;
            }
            None => {
                place += 1;
                failed += 1;
            }
        }
    }
    Ok(Smallest { run, why, tries })
}

fn fails(arguments: &RunArguments) -> Result<Option<String>, Failure> {
    Ok(run_seed(arguments, &Origin::Generated, arguments.seed)?.why)
}

/// Returns an equal run, with drawn values fixed only by `--shape`.
fn normal(run: RunArguments) -> Result<RunArguments, Failure> {
    let Some(shape) = run.drawn()? else {
        return Ok(run);
    };
    let fixed = run.fixed()?;
    let mut settings = fixed.settings;
    if fixed.faults.is_some() {
        let faults = shape
            .settings()
            .filter(|setting| setting.dimension.is_fault());
        settings.extend(faults.map(|Setting { dimension, value }| (dimension, value)));
    }
    let faults = FaultArguments {
        faults: None,
        duration: None,
        clients: None,
        profile: Some(ProfileName::Swarm),
    };
    Ok(RunArguments {
        workload: None,
        ops: None,
        keys: None,
        value_bytes: None,
        nodes: None,
        replicas: None,
        vbuckets: None,
        engine: None,
        shape: (!settings.is_empty()).then_some(ShapeList(settings)),
        faults,
        ..run
    })
}

/// Returns an equal run without settings that are drawn anyway.
fn shortened(mut run: RunArguments) -> Result<RunArguments, Failure> {
    let (Some(shape), Some(ShapeList(settings))) = (run.drawn()?, run.shape.clone()) else {
        return Ok(run);
    };
    for dimension in settings.keys() {
        let mut fewer = run.clone();
        if let Some(ShapeList(settings)) = &mut fewer.shape {
            settings.remove(dimension);
        }
        fewer.shape = fewer
            .shape
            .filter(|ShapeList(settings)| !settings.is_empty());
        if fewer.drawn()?.as_ref() == Some(&shape) {
            run = fewer;
        }
    }
    Ok(run)
}

/// Returns each run that is one step smaller, the largest steps first.
fn smaller(from: &RunArguments) -> Result<Vec<RunArguments>, Failure> {
    let mut candidates = match from.drawn()? {
        Some(shape) => smaller_shapes(from, &shape),
        None => smaller_arguments(from),
    };
    candidates.extend(fewer_clients(from));
    Ok(candidates)
}

/// Foreign clients draw independently of their number; a seed draws three at most.
fn fewer_clients(from: &RunArguments) -> impl Iterator<Item = RunArguments> {
    let is_fewer = |clients: &usize| from.faults.clients.is_none_or(|count| *clients < count);
    (0..3).filter(is_fewer).map(|clients| {
        let mut run = from.clone();
        run.faults.clients = Some(clients);
        run
    })
}

fn smaller_shapes(from: &RunArguments, shape: &Shape) -> Vec<RunArguments> {
    let fixed = |steps: Vec<Setting>| {
        let ShapeList(mut settings) = from.shape.clone().unwrap_or_default();
        settings.extend(
            steps
                .into_iter()
                .map(|Setting { dimension, value }| (dimension, value)),
        );
        RunArguments {
            shape: Some(ShapeList(settings)),
            ..from.clone()
        }
    };
    // A step that contradicts a fixed value is dropped.
    shape
        .smaller()
        .into_iter()
        .map(fixed)
        .filter(|run| run.drawn().is_ok())
        .collect()
}

fn smaller_arguments(from: &RunArguments) -> Vec<RunArguments> {
    let mut candidates = Vec::new();
    let mut add = |change: &dyn Fn(&mut RunArguments)| {
        let mut candidate = from.clone();
        change(&mut candidate);
        candidates.push(candidate);
    };
    let kinds = from.faults.kinds();
    for kind in &kinds {
        let fewer: BTreeSet<_> = kinds
            .iter()
            .copied()
            .filter(|other| other != kind)
            .collect();
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
    let vbuckets = from.vbuckets_or_default();
    let nodes = from.nodes_or_default();
    let replicas = from.replicas_or_default();
    if vbuckets > 1 {
        add(&|run| run.vbuckets = Some(vbuckets / 2));
        add(&|run| run.vbuckets = Some(vbuckets - 1));
    }
    if nodes > replicas + 1 {
        add(&|run| run.nodes = Some(nodes - 1));
    }
    if replicas > 0 {
        add(&|run| run.replicas = Some(replicas - 1));
    }
    candidates
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::sim::{Dimension, FaultKind};

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        run: RunArguments,
    }

    fn parsed(line: &str) -> RunArguments {
        Line::parse_from(line.split(' ')).run
    }

    #[test]
    fn shrinking_keeps_only_the_cause_of_the_failure() {
        let line = "x --workload uniform --profile hostile --nodes 7 --replicas 2 --vbuckets 64 --seed 9 --engine logstor";
        let needs = |run: &RunArguments| {
            let kinds = run.faults.kinds();
            let fails = kinds.contains(&FaultKind::Crash)
                && kinds.contains(&FaultKind::Move)
                && run.vbuckets_or_default() >= 5
                && run.nodes_or_default() >= 3
                && run.ops_or_default() >= 40;
            Ok(fails.then(|| "it broke".to_owned()))
        };
        let Ok(found) = smallest(parsed(line), String::new(), needs) else {
            panic!("nothing fails to run")
        };
        assert_eq!(
            (found.why.as_str(), found.tries < TRIES_MAX),
            ("it broke", true)
        );
        let words = "dcp-sim run --workload uniform --ops 78 --nodes 3 --replicas 0 --vbuckets 5 --engine logstor --seed 9 \
                     --faults crash,move --profile hostile --duration 1220us --clients 0";
        assert_eq!(found.run.command(), words);
    }

    #[test]
    fn drawn_shape_shrinks_in_every_dimension() {
        let drawn = |run: &RunArguments| run.drawn().ok().flatten().expect("drawn");
        let line = "x --profile swarm --seed 11 --engine logstor --nodes 6 --replicas 2 --faults crash,move,delay";
        let Ok(first) = normal(parsed(line)) else {
            panic!("it is drawn")
        };
        assert_eq!(
            drawn(&first),
            drawn(&parsed(line)),
            "the same shape, by settings"
        );
        let needs = |run: &RunArguments| {
            let shape = drawn(run);
            let kinds: Vec<_> = shape.faults().collect();
            let fails = kinds.contains(&FaultKind::Crash)
                && shape.get(Dimension::NODES) >= 2
                && shape.get(Dimension::REPLICAS) >= 1
                && shape.get(Dimension::OPS) >= 7;
            Ok(fails.then(|| "it broke".to_owned()))
        };
        let Ok(found) = smallest(first, String::new(), needs) else {
            panic!("nothing fails to run")
        };
        let Ok(run) = shortened(found.run) else {
            panic!("it is drawn")
        };
        let shape = drawn(&run);
        assert_eq!(shape.faults().collect::<Vec<_>>(), [FaultKind::Crash]);
        let left = [Dimension::NODES, Dimension::REPLICAS, Dimension::VBUCKETS]
            .map(|left| shape.get(left));
        assert_eq!(left, [2, 1, 1]);
        assert!(
            (7..14).contains(&shape.get(Dimension::OPS)),
            "{}",
            shape.describe()
        );
        // Everything else is at its usual value.
        let needed = [
            Dimension::NODES,
            Dimension::REPLICAS,
            Dimension::OPS,
            Dimension::Fault(FaultKind::Crash),
        ];
        for step in shape.smaller() {
            assert!(
                step.iter()
                    .all(|setting| needed.contains(&setting.dimension)),
                "{step:?}"
            );
        }
        // The command gives an equal shape.
        let command = run.command();
        let words = command.strip_prefix("dcp-sim run").expect("a command");
        assert_eq!(drawn(&parsed(&format!("x{words}"))), shape, "{command}");
    }
}
