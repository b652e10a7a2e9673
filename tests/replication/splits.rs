//! Bytes arrive in any pieces and through buffers of any size; the replica ends equal to its
//! active.

use dcp_sim::node::NodeConfig;
use dcp_sim::sim::SimRng;

use super::pair::{Pair, write_some};

const ROUNDS: usize = 4;

fn config(buffer_bytes: u32, checkpoint_bytes_max: usize) -> NodeConfig {
    NodeConfig::new()
        .with_buffer_bytes(buffer_bytes)
        .with_checkpoint_bytes_max(checkpoint_bytes_max)
}

/// Writes and settles several times; `between` is the number of steps between the writes of two
/// rounds.
fn replicate(config: &NodeConfig, between: usize, choose: &mut dyn FnMut(usize) -> usize) -> Pair {
    let mut pair = Pair::new(3, config);
    write_some(&mut pair, 0);
    pair.connect();
    for round in 1..=ROUNDS {
        for _ in 0..between {
            let _is_busy = pair.step(choose).expect("both follow the rules");
        }
        write_some(&mut pair, round);
    }
    pair.settle(choose).expect("both follow the rules");
    pair
}

/// Guards both decoders, and every state of a connection between two bytes.
#[test]
fn stream_byte_by_byte_ends_equal() {
    for checkpoint_bytes_max in [1, 300, 1 << 20] {
        let pair = replicate(&config(10 << 20, checkpoint_bytes_max), 50, &mut |_| 0);
        assert_eq!(
            pair.difference(),
            None,
            "checkpoints of {checkpoint_bytes_max} bytes"
        );
        assert!(pair.arrived() > 1_000);
    }
}

/// Guards pieces of every size, and events in every order.
#[test]
fn stream_in_random_pieces_ends_equal() {
    for seed in 0..60 {
        let mut rng = SimRng::new(seed);
        let between = rng.range(0, 200) as usize;
        let config = config(rng.range(1, 2_000) as u32, rng.range(1, 1_000) as usize);
        let mut choose = |below: usize| rng.range(0, below as u64 - 1) as usize;
        let pair = replicate(&config, between, &mut choose);
        assert_eq!(pair.difference(), None, "seed {seed}, {config:?}");
    }
}

/// Guards flow control: a buffer smaller than any message still lets each through in the end, and
/// never stalls.
#[test]
fn stream_through_tiny_buffers_ends_equal() {
    for buffer_bytes in [0, 1, 2, 23, 24, 25, 100, 1_000] {
        for all_at_once in [true, false] {
            let mut choose = |below: usize| if all_at_once { below - 1 } else { 0 };
            let pair = replicate(&config(buffer_bytes, 200), 20, &mut choose);
            assert_eq!(pair.difference(), None, "a buffer of {buffer_bytes} bytes");
        }
    }
}
