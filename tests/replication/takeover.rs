//! A vBucket is handed over during writes, and bytes arrive in any pieces.

use bytes::Bytes;
use dcp_sim::node::{Event, NodeConfig};
use dcp_sim::sim::SimRng;
use lowtide_checkpoint::{Key, State, Vbid};

use super::pair::{Pair, write_some};

/// Guards S16 with whole nodes: at most one of the two takes writes at any moment, and no accepted
/// write is lost.
#[test]
fn vbucket_handed_over_during_writes_loses_none() {
    for seed in 0..30 {
        let mut rng = SimRng::new(seed);
        let buffer_bytes = rng.range(1, 2_000) as u32;
        let mut pair = Pair::new(2, &NodeConfig::new().with_buffer_bytes(buffer_bytes));
        write_some(&mut pair, 0);
        pair.connect();
        for _ in 0..rng.range(0, 50) {
            pair.step(&mut |below| rng.range(0, below as u64 - 1) as usize)
                .expect("rules are followed");
        }
        pair.take_over(0);
        let mut round = 0;
        loop {
            let states = [&pair.active, &pair.replica]
                .map(|node| node.partition(Vbid(0)).expect("there").vbucket.state());
            assert_ne!(states, [State::Active, State::Active], "seed {seed}");
            if states[0] == State::Active && round < 20 {
                pair.write(
                    0,
                    format!("{round}").as_bytes(),
                    Some(Bytes::from_static(b"late")),
                );
                round += 1;
            }
            if !pair
                .step(&mut |below| rng.range(0, below as u64 - 1) as usize)
                .expect("rules are followed")
            {
                break;
            }
        }
        assert_eq!(pair.difference(), None, "seed {seed}");
        let [old, new] = [&pair.active, &pair.replica]
            .map(|node| &node.partition(Vbid(0)).expect("there").vbucket);
        assert_eq!(
            (old.state(), new.state()),
            (State::Dead, State::Active),
            "seed {seed}"
        );
        assert_eq!(
            old.failover_log(),
            new.failover_log(),
            "a takeover is no branch"
        );
        let write = Event::Write {
            vb: Vbid(0),
            key: Key::new(b"new"),
            value: Some(Bytes::new()),
        };
        pair.replica.step(write, 3_000).expect("it takes writes");
        let other = pair
            .replica
            .partition(Vbid(1))
            .expect("there")
            .vbucket
            .state();
        assert_eq!(other, State::Replica, "the other stays what it was");
    }
}
