//! A log store on the real disk for the tools to work on, and the calls that make, change and
//! damage it.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use lowtide_checkpoint::{FailoverLog, Item, Key, Seqno, State, VBucketState, VbUuid, Vbid};
use lowtide_persistence::disk::OsDisk;
use lowtide_persistence::logstor::{Logstor, LogstorConfig};
use lowtide_persistence::{CommitBatch, Engine};
use support::cli::{Ended, argument};
use tempfile::TempDir;

use crate::DCP_SIM;

/// Key of the stores that the tools are shown.
const HASH_KEY: [u64; 2] = [0x6c6f_7774_6964_6531, 0x6c6f_6773_746f_7232];

/// Small sizes: closing writes an image of the index once a sixteenth of `image_bytes` was
/// appended.
pub(super) const SMALL: LogstorConfig = LogstorConfig::new(HASH_KEY)
    .with_segment_bytes(64 << 10)
    .with_file_bytes(256 << 10)
    .with_image_bytes(1 << 20);

pub(super) fn open(dir: &Path) -> Logstor {
    Logstor::open(Arc::new(OsDisk::new()), dir, SMALL)
        .expect("a store that opens")
        .0
}

pub(super) fn commit(store: &Logstor, vb: u16, items: &[Item]) {
    let state = VBucketState::new(State::Active, FailoverLog::new(VbUuid(0xabc)));
    let items: Vec<&Item> = items.iter().collect();
    let batch = CommitBatch::new(Vbid(vb), &items, &state).with_timestamp(1);
    let _committed = store
        .commit(&[batch])
        .pop()
        .expect("one")
        .expect("committed");
}

pub(super) fn set(seqno: u64, key: &[u8], value: Vec<u8>) -> Item {
    Item {
        seqno: Seqno(seqno),
        ..Item::mutation(Key::new(key), Bytes::from(value))
    }
}

/// Makes a store: vBucket 3 is overwritten five times, has a large value and a deletion; vBucket 9
/// has binary keys.
pub(in super::super) fn make(dir: &Path) {
    let store = open(dir);
    for vb in [3, 9] {
        store.create(Vbid(vb)).expect("created");
    }
    commit(
        &store,
        9,
        &[
            set(1, b"\xff\x01", b"\xfe".to_vec()),
            set(2, b"text", b"{\"a\":1}".to_vec()),
        ],
    );
    for round in 0..5 {
        let items: Vec<Item> = (1..=20)
            .map(|n| {
                set(
                    round * 20 + n,
                    format!("key-{n:02}").as_bytes(),
                    vec![b'a' + round as u8; 2000],
                )
            })
            .collect();
        commit(&store, 3, &items);
    }
    commit(&store, 3, &[set(101, b"large", vec![b'x'; 100_000])]);
    commit(
        &store,
        3,
        &[Item {
            seqno: Seqno(102),
            ..Item::deletion(Key::new(b"key-07"))
        }],
    );
    store.close().expect("closed");
}

pub(super) fn home() -> (TempDir, PathBuf) {
    let home = TempDir::new().expect("a directory");
    let dir = home.path().join("node-0");
    make(&dir);
    (home, dir)
}

pub(super) fn run(command: &str, dir: &Path, options: &[&str]) -> Ended {
    DCP_SIM.run(&[&[command, argument(dir)], options].concat())
}

pub(super) fn flip(path: &Path, offset: usize) {
    let mut bytes = fs::read(path).expect("there");
    bytes[offset] ^= 4;
    fs::write(path, bytes).expect("written");
}
