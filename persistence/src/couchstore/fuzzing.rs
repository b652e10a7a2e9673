//! Entry points of the fuzz targets and of the tests of mutated files, which take arbitrary bytes.
//!
//! # Invariants
//!
//! *E21.* Whatever a file holds, opening, reading, scanning and committing end in content or in an
//! error that names the file. None panics, loops, or takes more memory than a multiple of the
//! file's size. A commit that was acknowledged on top of damage can be read back. A violation is a
//! panic here.

mod seal;
mod trees;

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use lowtide_checkpoint::{
    FailoverLog, Item, Key, Namespace, Seqno, State, VBucketState, VbUuid, Vbid,
};

use crate::contract::{CommitBatch, Engine, EngineError, ScanLimit};
use crate::couchstore::file::Keyring;
use crate::couchstore::format::{Header, Node, Tree, by_id, by_seqno, document, vbucket_state};
use crate::couchstore::tools::CouchFile;
use crate::disk::{Disk, MemoryDisk};

use super::config::CouchstoreConfig;
use super::engine::Couchstore;

pub use self::seal::seal;
pub use self::trees::trees;

const DIRECTORY: &str = "/store";
const FILE: &str = "/store/7.couch.1";
const VB: Vbid = Vbid(7);
/// Greatest usable seqno: 48 bits wide, and nothing can follow the last.
const SEQNO_MAX: u64 = (1 << 48) - 2;
/// Multiple of the file's size at which reading stops, because many rows may share a large body.
const READ_FACTOR: usize = 64;

/// Uses bytes as a file: reads all of it, also at an older header if the newest is damaged, opens it
/// for writing, and commits to it.
pub fn file(bytes: &[u8]) {
    let disk = MemoryDisk::new();
    if put(&disk, bytes).is_err() {
        return;
    }
    let keys = keys();
    match CouchFile::open_with_keys(&disk, Path::new(FILE), &keys) {
        Ok(file) => read_everything(&file, bytes.len()),
        Err(error) => expect_typed(&error),
    }
    match CouchFile::open_older(&disk, Path::new(FILE), &keys) {
        Ok((file, passed)) => {
            passed.iter().for_each(expect_typed);
            read_everything(&file, bytes.len());
        }
        Err(error) => expect_typed(&error),
    }
    write(&disk, bytes.len());
}

fn put(disk: &MemoryDisk, bytes: &[u8]) -> Result<(), crate::disk::DiskError> {
    disk.create_dir(Path::new(DIRECTORY))?;
    let file = disk.create(Path::new(FILE))?;
    file.write_at(&[bytes], 0)?;
    file.sync_data()?;
    disk.sync_dir(Path::new(DIRECTORY))
}

/// Returns the key of the vendor's encrypted test files.
fn keys() -> Keyring {
    let mut keys = Keyring::new();
    keys.insert("test-key-1", std::array::from_fn(|n| n as u8));
    keys
}

/// Checks that an error is about the file's content: the disk is sound and no argument is wrong.
fn expect_typed(error: &EngineError) {
    let expected = matches!(
        error,
        EngineError::Corrupt { .. }
            | EngineError::Unsupported { .. }
            | EngineError::KeyMissing { .. }
            | EngineError::KeyWrong { .. }
    );
    assert!(expected, "{error:?}");
}

fn checked<T>(result: Result<T, EngineError>) -> Option<T> {
    result.inspect_err(expect_typed).ok()
}

fn read_everything(file: &CouchFile, file_bytes: usize) {
    let _ = file.header();
    checked(file.state());
    checked(file.local_docs());
    for tree in [Tree::ById, Tree::BySeqno, Tree::Local] {
        checked(file.shape(tree));
    }
    let mut left_bytes = file_bytes.saturating_mul(READ_FACTOR);
    for info in checked(file.doc_infos(Seqno(0))).into_iter().flatten() {
        let Some(info) = checked(info) else { break };
        checked(file.doc_info(&info.id));
        let body = checked(file.body(&info)).flatten();
        left_bytes = left_bytes.saturating_sub(body.map_or(1, |body| body.len()));
        if left_bytes == 0 {
            break;
        }
    }
    scan(
        &|from, limit| file.scan(from, Seqno::MAX, limit),
        file_bytes,
    );
}

type Scan<'a> = &'a dyn Fn(Seqno, ScanLimit) -> Result<crate::contract::ScanSlice, EngineError>;

fn scan(scan: Scan<'_>, file_bytes: usize) {
    let limit = ScanLimit {
        items: 100,
        bytes: 1 << 16,
    };
    let mut left_bytes = file_bytes.saturating_mul(READ_FACTOR);
    let mut from = Seqno(0);
    while let Some(slice) = checked(scan(from, limit)) {
        let read = slice.items.iter().fold(1_usize, |sum, item| {
            sum.saturating_add(item.payload_bytes())
        });
        left_bytes = left_bytes.saturating_sub(read);
        let Some(next) = slice.next.filter(|_| left_bytes > 0) else {
            break;
        };
        assert!(next > from, "a scan comes nearer to its end");
        from = next;
    }
}

fn open(disk: &MemoryDisk) -> Option<Couchstore> {
    let disk = Arc::new(disk.clone());
    checked(Couchstore::open(
        disk,
        Path::new(DIRECTORY),
        CouchstoreConfig::default(),
    ))
    .map(|(store, _)| store)
}

fn write(disk: &MemoryDisk, file_bytes: usize) {
    let Some(store) = open(disk) else { return };
    let Some(snapshot) = checked(store.snapshot(VB)) else {
        return;
    };
    scan(
        &|from, limit| snapshot.scan(from, Seqno::MAX, limit),
        file_bytes,
    );
    let high = snapshot.high().0;
    if high > SEQNO_MAX - 4 {
        return;
    }
    let set = |seqno, key: &[u8]| Item {
        seqno: Seqno(seqno),
        ..Item::mutation(Key::new(key), Bytes::from_static(b"written by the fuzzer"))
    };
    let items = [
        set(high + 1, b"key03"),
        set(high + 2, b""),
        set(high + 3, b"\xff\xff"),
    ];
    let state = VBucketState::new(State::Active, FailoverLog::new(VbUuid(1)));
    let refs: Vec<&Item> = items.iter().collect();
    let batch = CommitBatch {
        vb: VB,
        items: &refs,
        state: &state,
        timestamp: 1,
    };
    let committed = store.commit(&[batch]).pop().and_then(checked).is_some();
    assert!(
        checked(store.close()).is_some(),
        "nothing is wrong with the disk"
    );
    drop((snapshot, store));
    let store = open(disk);
    let Some(snapshot) = store.and_then(|store| checked(store.snapshot(VB))) else {
        // The file could be opened before.
        assert!(!committed, "an acknowledged commit can be read");
        return;
    };
    for item in items.iter().filter(|_| committed) {
        let found = checked(snapshot.get(Namespace::Committed, &item.key)).flatten();
        assert!(
            found.as_ref() == Some(item),
            "{found:?} is not what was acknowledged: {item:?}"
        );
    }
}

/// Uses bytes as a node's chunk.
pub fn node(bytes: &[u8]) {
    if let Ok(node) = Node::decode(bytes) {
        let entries: usize = node
            .entries()
            .map(|(key, value)| 5 + key.len() + value.len())
            .sum();
        assert_eq!(1 + entries, node.len(), "entries fill the node");
    }
}

/// Uses bytes as a header, with their own checksum and with a right one.
pub fn header(bytes: &[u8]) {
    let mut sealed = bytes.to_vec();
    seal(&mut sealed);
    for position in [0, 4096, 1 << 46] {
        for bytes in [bytes, &sealed] {
            let Ok((header, length)) = Header::decode(bytes, position) else {
                continue;
            };
            assert!(length <= bytes.len() as u64);
            let again = Header::decode(&header.encode(1), position);
            assert_eq!(again, Ok((header, length)));
        }
    }
}

/// Uses bytes as the document of a vBucket's state.
pub fn vbucket_state(bytes: &[u8]) {
    if let Ok((state, figures)) = vbucket_state::decode(bytes) {
        let again = vbucket_state::encode(&state, &figures)
            .map(|document| vbucket_state::decode(&document));
        assert_eq!(again.ok(), Some(Ok((state, figures))));
    }
}

/// Uses bytes as a row of either index, and converts the row to an item.
pub fn row(bytes: &[u8]) {
    let (key, value) = bytes.split_at(bytes.len().min(6));
    let value = Bytes::copy_from_slice(value);
    let by_id = by_id::decode(key, &value).map(|info| (by_id::encode(&info), info));
    let by_seqno = by_seqno::decode(key, &value).map(|info| (by_seqno::encode(&info), info));
    for (encoded, info) in by_id.into_iter().chain(by_seqno) {
        assert_eq!(encoded, value, "a row is what it was read from");
        let body = Some(Bytes::from_static(b"body"));
        let Ok(item) = document::to_item(&info, body) else {
            continue;
        };
        // An item read from a document can be stored again, unless only the vendor can have written
        // it.
        if let Ok(Some(document)) = document::from_item(VB, &item) {
            let again = document::to_item(&document.info, document.body);
            assert_eq!(again.as_ref(), Ok(&item));
        }
    }
}

/// Uses bytes as a key file.
pub fn key_file(bytes: &[u8]) {
    let _ = Keyring::from_json(bytes);
}
