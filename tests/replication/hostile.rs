//! Peers that send corrupt bytes: a side refuses them or ends the connection, and its vBuckets stay
//! sound.

use dcp_sim::fuzzing;
use dcp_sim::node::NodeConfig;
use dcp_sim::sim::SimRng;
use lowtide_checkpoint::Vbid;
use proptest::prelude::*;

use super::pair::{Pair, write_some};

/// Guards both ends of a connection: no byte makes one panic, or a replica hold data that breaks
/// its own rules.
#[test]
fn changed_bytes_are_refused_or_end_the_connection() {
    let mut ended = 0;
    for seed in 0..400 {
        let mut rng = SimRng::new(seed);
        let mut pair = Pair::new(2, &NodeConfig::new().with_buffer_bytes(500));
        write_some(&mut pair, 0);
        pair.connect();
        for _ in 0..rng.range(0, 12) {
            let _is_busy = pair.step(&mut |below| below - 1).expect("untouched so far");
        }
        let mut change = |mut bytes: Vec<u8>| {
            if let Some(below) = bytes.len().checked_sub(1) {
                for _ in 0..rng.range(1, 3) {
                    bytes[rng.range(0, below as u64) as usize] ^= 1 << rng.range(0, 7);
                }
            }
            bytes
        };
        if seed % 2 == 0 {
            pair.tamper(&mut change)
        } else {
            pair.tamper_back(&mut change)
        }
        ended += usize::from(pair.settle(&mut |below| below - 1).is_err());
        for node in [&pair.active, &pair.replica] {
            for vb in [Vbid(0), Vbid(1)] {
                let vbucket = &node.partition(vb).expect("there").vbucket;
                assert_eq!(vbucket.manager().check(), [""; 0], "seed {seed}");
            }
        }
    }
    assert!(
        (20..400).contains(&ended),
        "{ended} of 400 connections ended"
    );
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    /// Guards S26, as the fuzz target `producer` does at length.
    #[test]
    fn producer_survives_any_bytes_of_its_client(data in prop::collection::vec(any::<u8>(), 0..400)) {
        fuzzing::producer(&data);
    }

    /// Guards S27, as the fuzz target `consumer` does at length.
    #[test]
    fn follower_survives_any_bytes_of_its_producer(data in prop::collection::vec(any::<u8>(), 0..400)) {
        fuzzing::consumer(&data);
    }
}
