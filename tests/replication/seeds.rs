//! Many seeds in the simulator, each with several shapes of cluster: every invariant holds, and was
//! checked.

use dcp_sim::input::{Distribution, GeneratedSource};
use dcp_sim::node::NodeConfig;
use dcp_sim::sim::{ClusterConfig, EngineKind, Report, Silent, Storage, World};

const OPS: u64 = 250;

fn run(cluster: ClusterConfig, kind: Distribution) -> Report {
    let source = GeneratedSource::new(kind, OPS, 40, 120, cluster.seed).expect("valid");
    let world = World::new(cluster, &Storage::Memory, Box::new(source)).expect("a cluster");
    world.run(&mut Silent, None).expect("it comes to its end")
}

fn shapes(seed: u64) -> [ClusterConfig; 4] {
    let cluster = |nodes, replicas, vbuckets, node: NodeConfig| {
        ClusterConfig::default()
            .with_size(nodes, replicas, vbuckets)
            .with_seed(seed)
            .with_node(node)
    };
    let flush_limit = lowtide_checkpoint::ReadLimit::NONE
        .with_items(3)
        .with_bytes(1_000);
    let tight = NodeConfig::new()
        .with_checkpoint_bytes_max(500)
        .with_buffer_bytes(700)
        .with_flush_limit(flush_limit);
    [
        cluster(1, 0, 3, NodeConfig::default()),
        cluster(2, 1, 1, tight.clone()),
        cluster(3, 2, 7, NodeConfig::default()),
        cluster(5, 3, 4, tight),
    ]
}

fn check(report: &Report) {
    let shape = format!(
        "seed {}, {} nodes, {} replicas",
        report.seed, report.nodes, report.replicas
    );
    assert!(report.is_clean(), "{shape}: {report:#?}");
    let names: Vec<_> = report
        .verdicts
        .iter()
        .map(|verdict| verdict.invariant)
        .collect();
    assert_eq!(names, ["W1", "W2", "W3", "W4", "W5", "W6"], "{shape}");
    for verdict in &report.verdicts {
        let has_a_subject = verdict.invariant != "W3" || report.replicas > 0;
        assert_eq!(
            verdict.checked > 0,
            has_a_subject,
            "{shape}: {verdict:?} proves nothing"
        );
    }
    assert_eq!(report.figures.mutations, OPS);
    for node in &report.per_node {
        assert!(node.persisted <= node.queued, "{shape}: {node:?}");
    }
}

/// Guards all invariants together.
#[test]
fn twenty_seeds_are_clean() {
    for seed in 0..20 {
        for (index, cluster) in shapes(seed).into_iter().enumerate() {
            let kind = Distribution::ALL[(index + seed as usize) % Distribution::ALL.len()];
            check(&run(cluster, kind));
        }
    }
}

/// Guards that nodes behave equally with both engines: the same run, except for the disks' figures.
#[test]
fn seeds_with_logstor_are_clean() {
    for seed in 0..4 {
        for (cluster, kind) in shapes(seed).into_iter().zip(Distribution::ALL) {
            check(&run(cluster.with_engine(EngineKind::Logstor), kind));
        }
    }
}

/// Guards the client's back-pressure: with little memory it waits, and all writes succeed.
#[test]
fn client_without_memory_waits_and_continues() {
    let [_, _, cluster, _] = shapes(3);
    let roomy = run(cluster.clone(), Distribution::Uniform);
    let report = run(
        cluster.clone().with_checkpoint_quota_bytes(40_000),
        Distribution::Uniform,
    );
    check(&report);
    assert_eq!(roomy.figures.client_waits, 0);
    assert!(report.figures.client_waits > 0, "{:?}", report.figures);
    // At rest no memory is held, so even the smallest quota lets one write after the other through.
    let smallest = run(
        cluster.clone().with_checkpoint_quota_bytes(0),
        Distribution::Uniform,
    );
    check(&smallest);
    assert!(
        smallest.figures.client_waits > report.figures.client_waits,
        "{:?}",
        smallest.figures
    );
    assert!(
        report.figures.checkpoint_bytes_max < roomy.figures.checkpoint_bytes_max,
        "{:?}",
        report.figures
    );
}
