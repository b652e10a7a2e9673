//! The example of `docs/formats/logstor.md`, compared byte for byte with a log store.
//!
//! The page shows a small store's bytes field by field. A reader relies on them as on the tables
//! above them. So they are compared here with a store that is made the same way.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use lowtide_checkpoint::{Cas, FailoverLog, Item, Key, Seqno, State, VBucketState, VbUuid, Vbid};
use lowtide_persistence::disk::{Access, Disk, MemoryDisk};
use lowtide_persistence::logstor::{Logstor, LogstorConfig};
use lowtide_persistence::{CommitBatch, Engine};

const PAGE: &str = include_str!("../../docs/formats/logstor.md");
const VB: Vbid = Vbid(7);

/// Returns a store with one vBucket and one commit of two items, on a disk in memory.
fn example() -> MemoryDisk {
    let disk = MemoryDisk::new();
    let config = LogstorConfig::new([0x0102_0304_0506_0708, 0x090a_0b0c_0d0e_0f10])
        .with_segment_bytes(64 << 10)
        .with_file_bytes(64 << 10);
    let (store, _report) = Logstor::open(Arc::new(disk.clone()), Path::new("/store"), config)
        .expect("an empty disk opens");
    store.create(VB).expect("created");
    let items = [
        Item {
            seqno: Seqno(1),
            cas: Cas(0x1111),
            rev_seqno: 1,
            ..Item::mutation(Key::new(b"apple"), Bytes::from_static(b"red"))
        },
        Item {
            seqno: Seqno(2),
            cas: Cas(0x2222),
            rev_seqno: 2,
            expiry: 0x6000_0000,
            ..Item::deletion(Key::new(b"pear"))
        },
    ];
    let state = VBucketState {
        snapshot_start: Seqno(1),
        snapshot_end: Seqno(2),
        max_visible_seqno: Seqno(2),
        max_cas: Cas(0x2222),
        ..VBucketState::new(State::Active, FailoverLog::new(VbUuid(0xabcd)))
    };
    let items: Vec<&Item> = items.iter().collect();
    let batch = CommitBatch::new(VB, &items, &state).with_timestamp(1);
    for result in store.commit(&[batch]) {
        result.expect("committed");
    }
    disk
}

fn bytes_of(disk: &MemoryDisk, name: &str) -> Vec<u8> {
    let file = disk
        .open(&Path::new("/store").join(name), Access::ReadOnly)
        .expect("there");
    let mut bytes = vec![0; usize::try_from(file.len().expect("known")).expect("small")];
    let count = file.read_at(&mut bytes, 0).expect("readable");
    bytes.truncate(count);
    bytes
}

/// Returns the bytes in the page's block with that first line. A line has an offset, bytes, and
/// after two spaces their meaning; each begins at the end of the one before.
fn shown(title: &str) -> Vec<u8> {
    let block = PAGE
        .split("```text\n")
        .find(|block| block.starts_with(title))
        .unwrap_or_else(|| panic!("no block {title:?} in the page"));
    let lines = block.lines().skip(1).take_while(|line| *line != "```");
    let mut bytes = Vec::new();
    for line in lines {
        let (offset, rest) = line.split_at(4);
        assert_eq!(
            usize::from_str_radix(offset, 16),
            Ok(bytes.len()),
            "{title}: {line}"
        );
        let digits = rest.trim_start().split("  ").next().unwrap_or_default();
        for byte in digits.split(' ') {
            bytes.push(u8::from_str_radix(byte, 16).expect("two digits"));
        }
    }
    bytes
}

/// Returns lines of 16 bytes, to compare by eye.
fn dump(bytes: &[u8]) -> String {
    let line = |(number, line): (usize, &[u8])| {
        let digits: Vec<_> = line.iter().map(|byte| format!("{byte:02x}")).collect();
        format!("{:04x}  {}\n", number * 16, digits.join(" "))
    };
    bytes.chunks(16).enumerate().map(line).collect()
}

/// Returns a file's lines as the page shows them, and as the file has them.
fn compare(disk: &MemoryDisk, name: &str) -> (String, String) {
    let bytes = bytes_of(disk, name);
    let is_written = |byte: &u8| *byte != 0;
    let written = bytes.iter().rposition(is_written).map_or(0, |at| at + 1);
    let shown = shown(name);
    // The last field may end in zeros.
    let end = written.max(shown.len());
    (
        format!("{name}\n{}", dump(&shown)),
        format!("{name}\n{}", dump(&bytes[..end])),
    )
}

#[test]
fn log_format_example_equals_a_store() {
    let disk = example();
    let (shown, written): (Vec<_>, Vec<_>) = ["log-00000000", "MANIFEST"]
        .map(|name| compare(&disk, name))
        .into_iter()
        .unzip();
    assert_eq!(shown, written, "\n{}", written.concat());
}
