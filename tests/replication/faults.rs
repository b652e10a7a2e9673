//! Seeds in which things go wrong: a fixed set for every run of the tests, and what each kind of fault must have done.

use std::collections::BTreeSet;

use dcp_sim::input::{Distribution, GeneratedSource};
use dcp_sim::node::NodeConfig;
use dcp_sim::sim::{
    ClusterConfig, EngineKind, FaultConfig, FaultKind, Profile, Report, Silent, Storage, World,
};
use lowtide_checkpoint::QuotaConfig;

fn cluster(
    seed: u64,
    kinds: impl IntoIterator<Item = FaultKind>,
    profile: Profile,
) -> ClusterConfig {
    let quota = QuotaConfig {
        limit_bytes: 4 << 20,
        ..QuotaConfig::default()
    };
    // With a small buffer snapshots are often cut in the middle.
    let buffer_bytes = if seed.is_multiple_of(2) {
        1_500
    } else {
        10 << 20
    };
    ClusterConfig {
        seed,
        vbuckets: 6,
        node: NodeConfig {
            quota: Some(quota),
            buffer_bytes,
            ..NodeConfig::default()
        },
        faults: Some(FaultConfig {
            kinds: kinds.into_iter().collect(),
            interval_micros: profile.interval_micros(),
            duration_micros: 1_000_000,
            ..FaultConfig::default()
        }),
        ..ClusterConfig::default()
    }
}

fn world(cluster: ClusterConfig, ops: u64) -> World {
    let kind = Distribution::ALL[cluster.seed as usize % Distribution::ALL.len()];
    let source = GeneratedSource::new(kind, ops, 80, 100, cluster.seed).expect("valid");
    World::new(cluster, &Storage::Memory, Box::new(source)).expect("a cluster")
}

fn run(cluster: ClusterConfig, ops: u64) -> Report {
    let seed = cluster.seed;
    let report = world(cluster, ops).run(&mut Silent, None);
    report.unwrap_or_else(|error| panic!("seed {seed}: {error}"))
}

fn check(report: &Report) {
    let broken: Vec<_> = report
        .verdicts
        .iter()
        .filter(|verdict| !verdict.holds())
        .collect();
    assert!(broken.is_empty(), "seed {}: {broken:#?}", report.seed);
    let names: Vec<_> = report
        .verdicts
        .iter()
        .map(|verdict| verdict.invariant)
        .collect();
    let of_faults = [
        "W1", "W2", "W3", "W4", "W6", "W9", "W10", "W11", "W12", "W13", "W14", "W15", "W16", "W18",
        "W19", "W20",
    ];
    assert_eq!(names, of_faults, "seed {}", report.seed);
}

/// Guards all of it together: shapes of clusters in which everything goes wrong at once.
#[test]
fn hostile_seeds_are_clean() {
    let (mut rollbacks, mut branches, mut lost) = (0, 0, 0);
    for seed in 0..40 {
        let mut cluster = cluster(seed, FaultKind::ALL, Profile::Hostile);
        (cluster.nodes, cluster.replicas) = [(3, 2), (2, 1), (4, 1), (5, 3)][seed as usize % 4];
        let report = run(cluster, 1_500);
        check(&report);
        let faults = report.faults.expect("there were some");
        rollbacks += faults.rollbacks;
        branches += faults.branches;
        lost += faults.lost_with_branch;
    }
    assert!(
        rollbacks > 40 && branches > 400 && lost > 400,
        "{rollbacks} {branches} {lost}: they prove little"
    );
}

/// A run as `dcp-sim run --workload zipfian --profile hostile --seed N` has it.
fn as_on_the_command_line(seed: u64) -> Report {
    with_engine(seed, EngineKind::Couchstore)
}

/// The same with `--engine`.
fn with_engine(seed: u64, engine: EngineKind) -> Report {
    let all = cluster(seed, FaultKind::ALL, Profile::Hostile);
    let faults = all.faults.map(|faults| FaultConfig {
        duration_micros: 5_000_000,
        ..faults
    });
    let node = NodeConfig {
        quota: Some(QuotaConfig::default()),
        ..NodeConfig::default()
    };
    let cluster = ClusterConfig {
        seed,
        faults,
        node,
        engine,
        ..ClusterConfig::default()
    };
    let source = GeneratedSource::new(Distribution::Zipfian, 5_000, 500, 256, seed).expect("valid");
    let world = World::new(cluster, &Storage::Memory, Box::new(source)).expect("a cluster");
    world
        .run(&mut Silent, None)
        .unwrap_or_else(|error| panic!("seed {seed}: {error}"))
}

/// W9. Found by these seeds: a copy that had in memory only what every copy was said to have on disk became the active, died,
/// and began a branch with less.
#[test]
fn who_leads_has_on_disk_what_clients_were_told_is_everywhere() {
    [3, 13, 16]
        .map(as_on_the_command_line)
        .iter()
        .for_each(check);
}

/// Found by this seed: a store that a failed sync had poisoned, with nothing to write since, made the whole run an error.
#[test]
fn a_store_that_is_poisoned_and_idle_at_the_end_is_opened_anew() {
    check(&as_on_the_command_line(112));
}

/// W11 and W12. Found by these seeds: a copy that was promoted announced ends of snapshots that it had received in part, or as a
/// part of others.
#[test]
fn half_a_snapshot_ends_with_the_one_that_brings_its_rest_or_with_a_promotion() {
    [38, 361].map(as_on_the_command_line).iter().for_each(check);
    [297, 1225]
        .map(|seed| with_engine(seed, EngineKind::Logstor))
        .iter()
        .for_each(check);
}

/// W10. Found by these seeds: one that had led, and never heard that another had been promoted, was chosen again and went on
/// with the branch it had.
#[test]
fn who_leads_again_begins_a_branch() {
    [976, 995]
        .map(as_on_the_command_line)
        .iter()
        .for_each(check);
}

/// W4. Found by this seed: the state on disk said half a snapshot where all of it was there, and was never said again.
#[test]
fn an_extension_of_which_nothing_came_leaves_what_was_whole() {
    check(&as_on_the_command_line(3730));
}

/// W2. Found by these seeds: a vBucket that its engine took long to make had no stream when it was there, and was given none.
#[test]
fn who_is_made_late_is_not_forgotten() {
    [3430, 4982]
        .map(|seed| with_engine(seed, EngineKind::Logstor))
        .iter()
        .for_each(check);
}

/// W11. Found by this seed: a vBucket that was dead when a snapshot was announced to it took what came of it after.
#[test]
fn a_stream_that_lost_something_is_asked_for_anew() {
    check(&as_on_the_command_line(2367));
}

/// W19. Found by this seed: a client that was inside another copy's snapshot was told by a replica that had not come to its end that
/// it was whole there. The other two broke before that was looked for.
#[test]
fn a_foreign_client_is_whole_where_it_is_told_so() {
    check(&as_on_the_command_line(826));
    [262, 408]
        .map(|seed| with_engine(seed, EngineKind::Logstor))
        .iter()
        .for_each(check);
}

/// W12. Found by this seed: a copy that had received a snapshot in two parts, and led then, announced it twice to its replica.
#[test]
fn a_snapshot_that_was_received_in_parts_is_announced_once() {
    check(&as_on_the_command_line(421));
}

/// Guards each kind of fault by itself: it strikes, and the cluster survives it.
#[test]
fn each_fault_strikes_and_is_survived() {
    for kind in FaultKind::ALL {
        let mut struck = 0;
        for seed in 100..104 {
            let mut cluster = cluster(seed, [kind], Profile::Hostile);
            cluster.nodes = 4;
            let report = run(cluster, 500);
            check(&report);
            struck += report
                .faults
                .expect("there were some")
                .struck
                .values()
                .sum::<u64>();
        }
        assert!(struck > 0, "{kind:?} never struck");
    }
}

/// Guards that without faults nothing is refused or lost, though everything is checked as if there were some.
#[test]
fn a_calm_run_loses_nothing() {
    let report = run(cluster(1, [], Profile::Calm), 800);
    check(&report);
    let faults = report.faults.expect("asked for");
    assert_eq!(
        (
            faults.refused,
            faults.unknown,
            faults.lost_with_branch,
            faults.branches
        ),
        (0, 0, 0, 0)
    );
    assert_eq!(faults.acknowledged, report.figures.mutations);
}

/// Guards determinism where most of it could be lost: the same seed, the same report, whatever happened.
#[test]
fn a_seed_with_faults_is_a_promise() {
    let once = || {
        format!(
            "{:?}",
            run(cluster(5, FaultKind::ALL, Profile::Hostile), 600)
        )
    };
    assert_eq!(once(), once());
    let picture = || {
        let world = world(cluster(5, FaultKind::ALL, Profile::Hostile), 600);
        world.picture_at(900).expect("it comes so far")
    };
    assert_eq!(picture(), picture());
    assert!(picture().starts_with("event 900, "), "{}", picture());
}

/// Guards that each kind has a stream of chance of its own: with one kind less the others' first strikes stay.
#[test]
fn fewer_kinds_leave_the_others_alone() {
    let struck = |kinds: BTreeSet<FaultKind>| {
        let report = run(cluster(9, kinds, Profile::Stormy), 200);
        report.faults.expect("asked for").struck
    };
    let all = struck([FaultKind::Delay, FaultKind::SlowDisk].into());
    let one = struck([FaultKind::Delay].into());
    assert_eq!(all.get("delay"), one.get("delay"));
}
