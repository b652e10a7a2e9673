//! The reasons of refusals, limits, and the example of the page.

use std::fmt::Write as _;

use bytes::Bytes;
use lowtide_checkpoint::{Cas, Item, Key, Seqno, Vbid};
use lowtide_persistence::{DeliveryError, FollowerEvent, FollowerItems};

/// Returns a message with a right checksum.
fn crafted(version: u8, tag: u8, body: &[u8]) -> Vec<u8> {
    let mut message = [&[version, tag], body].concat();
    let checksum = crc32c::crc32c(&message);
    message.extend_from_slice(&checksum.to_be_bytes());
    message
}

fn refusal(message: &[u8]) -> String {
    let refused = FollowerEvent::from_bytes(message);
    refused.expect_err("it is no event").to_string()
}

/// Guards S39: errors say what was found.
#[test]
fn refused_message_says_what_is_wrong() {
    let item = |seqno: u64, value_bytes: u64, key: &[u8]| {
        let mut bytes = vec![1, 0, 0, 0];
        for number in [seqno, 0, 1, 0, 0, key.len() as u64, value_bytes] {
            bytes.extend_from_slice(&number.to_be_bytes());
        }
        [&bytes[..], key].concat()
    };
    let items = |items: &[Vec<u8>]| crafted(1, 3, &[&[0][..], &items.concat()].concat());
    let refused = [
        (vec![], "message ends inside the version"),
        (vec![1], "message ends inside the checksum"),
        (vec![1, 4, 0, 0, 0, 0], "message has checksum"),
        (crafted(2, 5, &[0; 8]), "message has version 2, expected 1"),
        (crafted(1, 0, &[]), "the tag has the undefined value 0"),
        (
            crafted(1, 5, &[0; 7]),
            "message ends inside the seqno to go back to",
        ),
        (
            crafted(1, 5, &[0; 9]),
            "message has 1 bytes after its last field",
        ),
        (crafted(1, 6, &[5]), "the state has the undefined value 5"),
        (crafted(1, 6, &[0]), "the state has the undefined value 0"),
        (
            crafted(1, 1, &[]),
            "a failover log must have at least one entry",
        ),
        (
            crafted(1, 1, &[1; 16 * 26]),
            "26 branches, expected at most 25",
        ),
        (
            crafted(1, 2, &[1, 128]),
            "the flag byte of a snapshot has the undefined value 128",
        ),
        (
            crafted(1, 4, &[[0; 16], [1; 16]].concat()),
            "resume point is outside of its snapshot",
        ),
        (
            items(&[item(2, 0, &[0]), item(2, 0, &[0])]),
            "item 2 follows item 2",
        ),
        (items(&[item(0, 0, &[0])]), "item 0 follows item 0"),
        (
            items(&[item(2, 0, &[])]),
            "item 2 has a key without a valid collection prefix",
        ),
        (
            items(&[item(2, 9, &[0])]),
            "item 2 has no value, and states 9 bytes of it",
        ),
        (
            items(&[item(2, 0, &[0])[..10].to_vec()]),
            "message ends inside the seqno",
        ),
    ];
    for (message, expected) in refused {
        let found = refusal(&message);
        assert!(found.starts_with(expected), "{found}, not {expected}");
    }
}

/// Guards S39: a stated length takes no memory, and is limited.
#[test]
fn frame_with_a_huge_length_is_refused_without_memory() {
    let frame = |bytes: u32| {
        let mut head = [&bytes.to_be_bytes()[..], &[0, 7]].concat();
        let checksum = crc32c::crc32c(&head);
        head.extend_from_slice(&checksum.to_be_bytes());
        head
    };
    let read = |bytes: u32, limit| FollowerEvent::read_from(&mut &frame(bytes)[..], limit);
    assert!(matches!(
        read(1_001, 1_000),
        Err(DeliveryError::TooLong {
            bytes: 1_001,
            limit: 1_000
        })
    ));
    assert!(matches!(
        read(u32::MAX, u32::MAX),
        Err(DeliveryError::Stream(_))
    ));
    let mut changed = frame(10);
    changed[5] ^= 1;
    let refused = FollowerEvent::read_from(&mut &changed[..], u32::MAX);
    assert!(matches!(refused, Err(DeliveryError::FrameHead { .. })));
    let ended = FollowerEvent::read_from(&mut &[][..], u32::MAX);
    assert!(ended.expect("an end").is_none());
}

/// Guards S39: a long event becomes short messages, with every item once.
#[test]
fn many_items_go_in_messages_of_bounded_size() {
    let value = Bytes::from(vec![7; 300_000]);
    let items = (1..=10).map(|seqno| Item {
        seqno: Seqno(seqno),
        ..Item::mutation(Key::new(b"k"), value.clone())
    });
    let items: Vec<_> = items.collect();
    let event = FollowerEvent::Items(FollowerItems::new(items.clone(), true).expect("in order"));
    let mut stream = Vec::new();
    event
        .write_to(Vbid(1), &mut stream)
        .expect("memory takes it");
    let (mut rest, mut found, mut messages) = (&stream[..], Vec::new(), 0);
    while let Some((_, event)) = FollowerEvent::read_from(&mut rest, 1 << 20).expect("an event") {
        let FollowerEvent::Items(items) = event else {
            panic!("only items were written");
        };
        assert!(items.are_from_disk());
        found.extend(items.iter().cloned());
        messages += 1;
    }
    assert_eq!(found, items);
    assert_eq!(messages, 4);
}

/// The example of the page.
#[test]
fn delivery_format_example_equals_a_frame() {
    let item = Item {
        seqno: Seqno(7),
        cas: Cas(0x0102_0304),
        ..Item::mutation(Key::new(b"apple"), Bytes::from_static(b"red"))
    };
    let event = FollowerEvent::Items(FollowerItems::new(vec![item], false).expect("in order"));
    let mut stream = Vec::new();
    event
        .write_to(Vbid(3), &mut stream)
        .expect("memory takes it");
    let mut dump = String::new();
    for (row, bytes) in stream.chunks(16).enumerate() {
        let hex = bytes.iter().map(|byte| format!(" {byte:02x}"));
        writeln!(dump, "{:04x} {}", row * 16, hex.collect::<String>()).expect("text");
    }
    let page = include_str!("../../../docs/formats/delivery.md");
    let example = page.split("```text\n0000 ").nth(1).expect("the example");
    let example = example.split("```").next().expect("its end");
    assert_eq!(format!("0000 {example}"), dump, "{dump}");
}
