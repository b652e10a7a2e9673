//! Layout of a cluster, and the setters of its configuration.

use super::*;

#[test]
fn copies_of_a_vbucket_are_on_different_nodes() {
    let config = ClusterConfig {
        nodes: 4,
        replicas: 2,
        vbuckets: 10,
        ..ClusterConfig::default()
    };
    let topology = config.topology().expect("valid");
    for vb in topology.vbuckets() {
        let mut copies: Vec<_> = topology.replicas(vb).chain([topology.active(vb)]).collect();
        copies.sort_unstable();
        copies.dedup();
        assert_eq!(copies.len(), 3, "{vb}");
    }
    let pairs = topology.pairs();
    assert_eq!(pairs.get(&(0, 1)), Some(&vec![Vbid(0), Vbid(4), Vbid(8)]));
    assert_eq!(pairs.get(&(0, 3)), None);
}

#[test]
fn topology_follows_promotions_and_moves() {
    let config = ClusterConfig {
        nodes: 4,
        replicas: 1,
        vbuckets: 2,
        ..ClusterConfig::default()
    };
    let mut topology = config.topology().expect("valid");
    topology.promote(Vbid(1), 2);
    assert_eq!(topology.copies_of(Vbid(1)).collect::<Vec<_>>(), [2, 1]);
    topology.promote(Vbid(1), 3);
    assert_eq!(topology.active(Vbid(1)), 2, "it has no copy");
    topology.add_replica(Vbid(1), 3);
    topology.add_replica(Vbid(1), 2);
    topology.remove_replica(Vbid(1), 1);
    assert_eq!(topology.copies_of(Vbid(1)).collect::<Vec<_>>(), [2, 3]);
    assert_eq!(topology.role(Vbid(1), 1), None);
    assert_eq!(topology.copies_of(Vbid(0)).collect::<Vec<_>>(), [0, 1]);
}

#[test]
fn invalid_cluster_is_refused() {
    let config = ClusterConfig::default;
    for bad in [
        ClusterConfig {
            nodes: 0,
            ..config()
        },
        ClusterConfig {
            nodes: 2,
            replicas: 2,
            ..config()
        },
        ClusterConfig {
            vbuckets: 0,
            ..config()
        },
        ClusterConfig {
            vbuckets: 1_025,
            ..config()
        },
    ] {
        assert!(
            matches!(bad.topology(), Err(SimError::Config(_))),
            "{bad:?}"
        );
    }
}

#[test]
fn each_setter_of_a_cluster_sets_its_own_field() {
    let store = StoreConfig {
        upkeep_flushes: 1,
        ..StoreConfig::default()
    };
    let node = NodeConfig::new().with_buffer_bytes(2);
    let faults = FaultConfig::default().with_duration_micros(3);
    assert_eq!(
        ClusterConfig::default()
            .with_size(4, 5, 6)
            .with_seed(7)
            .with_checkpoint_quota_bytes(8)
            .with_engine(EngineKind::Logstor)
            .with_store(store)
            .with_clock_skew_micros(9)
            .with_node(node.clone())
            .with_faults(faults.clone())
            .with_clients(10),
        ClusterConfig {
            nodes: 4,
            replicas: 5,
            vbuckets: 6,
            seed: 7,
            checkpoint_quota_bytes: 8,
            engine: EngineKind::Logstor,
            store,
            clock_skew_micros: 9,
            node,
            faults: Some(faults),
            clients: Some(10),
        }
    );
}
