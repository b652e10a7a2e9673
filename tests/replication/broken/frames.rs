//! Frames that are lost, repeated, swapped or redirected between two nodes.

use dcp_sim::node::NodeConfig;

use crate::pair::{Pair, write_some};

/// Splits the bytes of a wire into frames: a header of 24 bytes, with the body's length in its
/// bytes 8 to 11.
fn frames(bytes: &[u8]) -> Vec<Vec<u8>> {
    let (mut frames, mut rest) = (Vec::new(), bytes);
    while let Some(length) = rest.get(8..12) {
        let body = u32::from_be_bytes(length.try_into().expect("four")) as usize;
        let (frame, after) = rest.split_at(24 + body);
        frames.push(frame.to_vec());
        rest = after;
    }
    frames
}

/// Runs a pair with one vBucket, and changes the frames on their way from the active to the
/// replica.
fn on_the_way(
    tamper: impl FnOnce(&mut Vec<Vec<u8>>),
) -> (Pair, Result<(), dcp_sim::node::NodeError>) {
    let mut pair = Pair::new(1, &NodeConfig::default());
    pair.connect();
    pair.settle(&mut |below| below - 1).expect("connected");
    write_some(&mut pair, 1);
    pair.tamper(|bytes| {
        assert!(
            bytes.is_empty(),
            "nothing is sent before the sender is called"
        );
        bytes
    });
    assert!(pair.step(&mut |below| below - 1).expect("sent"));
    pair.tamper(|bytes| {
        let mut frames = frames(&bytes);
        tamper(&mut frames);
        frames.concat()
    });
    let settled = pair.settle(&mut |below| below - 1);
    (pair, settled)
}

/// Opcodes of DCP.
const MARKER: u8 = 0x56;
const ITEMS: [u8; 2] = [0x57, 0x58];

/// Guards the comparison of copies: the loss of any item on the way is seen at rest.
#[test]
fn lost_item_is_seen_at_rest() {
    let (pair, settled) = on_the_way(|_| {});
    settled.expect("untouched");
    assert_eq!(pair.difference(), None);
    let mut items = 0;
    on_the_way(|frames| {
        items = frames
            .iter()
            .filter(|frame| ITEMS.contains(&frame[1]))
            .count()
    })
    .1
    .expect("untouched");
    assert!(items >= 4, "{items} items");
    for lost in 0..items {
        let (pair, settled) = on_the_way(|frames| {
            let mut seen = 0;
            frames.retain(|frame| {
                seen += usize::from(ITEMS.contains(&frame[1]));
                !(ITEMS.contains(&frame[1]) && seen == lost + 1)
            });
        });
        settled.expect(
            "a gap is no break of the rules: something newer may have replaced what is missing",
        );
        assert!(pair.difference().is_some(), "item {lost} of {items}");
    }
}

/// Guards the replica's own rules. An item that comes twice, out of order or without its marker is
/// refused, and ends the connection. An item of another stream is only left out.
#[test]
fn frames_that_break_the_rules_end_the_connection() {
    let is_item = |frame: &Vec<u8>| ITEMS.contains(&frame[1]);
    let twice = on_the_way(|frames| {
        let at = frames.iter().position(is_item).expect("an item");
        frames.insert(at, frames[at].clone());
    });
    let swapped = on_the_way(|frames| {
        let at = frames.iter().position(is_item).expect("an item");
        frames.swap(at, at + 1);
    });
    let unannounced = on_the_way(|frames| frames.retain(|frame| frame[1] != MARKER));
    let of_no_stream = on_the_way(|frames| {
        let item = frames
            .iter_mut()
            .find(|frame| is_item(frame))
            .expect("an item");
        item[12] ^= 0xff;
    });
    for (what, (_, settled)) in [
        ("twice", twice),
        ("swapped", swapped),
        ("unannounced", unannounced),
    ] {
        assert!(settled.is_err(), "{what}");
    }
    let (pair, settled) = of_no_stream;
    settled.expect("what crossed with the end of its stream is forgiven");
    assert!(pair.difference().is_some(), "it was not applied");
}
