//! Encrypted files (E18): read with their key, and refused without it by an error with the key's
//! id.

use std::path::Path;
use std::sync::Arc;

use lowtide_checkpoint::{
    FailoverLog, Item, Key, Namespace, Seqno, State, VBucketState, VbUuid, Vbid,
};
use lowtide_persistence::couchstore::{
    CouchFile, Couchstore, CouchstoreConfig, Keyring, compact_file,
};
use lowtide_persistence::disk::{Access, Disk, MemoryDisk, OsDisk};
use lowtide_persistence::{CommitBatch, CompactionRequest, Engine, EngineError, ScanLimit};

use super::support::{check_file, check_header, open, path};

const CASES: [&str; 2] = ["i_encrypted_v0_wrapped", "i_encrypted_v1_derived"];

fn keys(key: [u8; 32]) -> Keyring {
    let mut keys = Keyring::new();
    keys.insert("another", [1; 32]);
    keys.insert("test-key-1", key);
    keys
}

fn test_key() -> [u8; 32] {
    std::array::from_fn(|n| n as u8)
}

#[test]
fn encrypted_content_with_its_key_equals_the_vendors_dumps() {
    for case in CASES {
        let file = CouchFile::open_with_keys(&OsDisk::new(), &path(case), &keys(test_key()))
            .expect("opens");
        assert_eq!(file.header().key_id.as_deref(), Some("test-key-1"));
        check_header(case, &file);
        check_file(case, &file);
        let (file, passed) =
            CouchFile::open_older(&OsDisk::new(), &path(case), &keys(test_key())).expect("opens");
        assert!(passed.is_empty());
        check_file(case, &file);
    }
    assert_eq!(open("b_ten").expect("opens").header().key_id, None);
}

#[test]
fn encrypted_file_without_its_key_is_refused_with_the_keys_id() {
    for case in CASES {
        match open(case) {
            Err(EngineError::KeyMissing { key_id, .. }) => assert_eq!(key_id, "test-key-1"),
            other => panic!("{case}: {other:?}"),
        }
    }
}

#[test]
fn another_key_under_the_same_id_is_not_reported_as_damage() {
    let mut wrong = test_key();
    wrong[31] ^= 1;
    for case in CASES {
        match CouchFile::open_with_keys(&OsDisk::new(), &path(case), &keys(wrong)) {
            Err(EngineError::KeyWrong { key_id, .. }) => assert_eq!(key_id, "test-key-1"),
            other => panic!("{case}: {other:?}"),
        }
    }
}

/// Opens a case with one byte changed, and reads all of it.
fn flipped(case: &str, at: usize) -> Result<usize, EngineError> {
    let mut bytes = std::fs::read(path(case)).expect("fixture");
    bytes[at] ^= 1;
    let (disk, name) = (MemoryDisk::new(), Path::new("/7.couch.1"));
    disk.create(name)
        .and_then(|file| file.write_at(&[&bytes], 0))
        .expect("written");
    let file = CouchFile::open_with_keys(&disk, name, &keys(test_key()))?;
    Ok(file
        .scan(Seqno(0), Seqno::MAX, ScanLimit::NONE)?
        .items
        .len())
}

#[test]
fn damage_is_not_reported_as_a_missing_key() {
    for case in CASES {
        // A body comes first after the header at the beginning. The key's context comes last before
        // the zeros.
        let body = open("b_ten")
            .expect("opens")
            .doc_infos(Seqno(0))
            .expect("rows")
            .next();
        let body = body.expect("a row").expect("readable").body_position as usize;
        for at in [5, 9, 30] {
            let result = flipped(case, at);
            assert!(
                matches!(result, Err(EngineError::Corrupt { offset: 0, .. })),
                "{case} {at}: {result:?}"
            );
        }
        let at = 4096 + body + 10;
        let result = flipped(case, at);
        assert!(
            matches!(result, Err(EngineError::Corrupt { offset, .. }) if offset > 4096),
            "{result:?}"
        );
        assert_eq!(flipped(case, 4000).expect("between the blocks' data"), 10);
    }
}

const STORED: &str = "/store/7.couch.1";

/// Returns a store that has the case as a vBucket's file.
fn store_with(case: &str) -> MemoryDisk {
    let disk = MemoryDisk::new();
    disk.create_dir(Path::new("/store")).expect("made");
    let bytes = std::fs::read(path(case)).expect("fixture");
    disk.create(Path::new(STORED))
        .and_then(|file| file.write_at(&[&bytes], 0))
        .expect("written");
    disk
}

fn stored(disk: &MemoryDisk) -> Vec<u8> {
    let file = disk
        .open(Path::new(STORED), Access::ReadOnly)
        .expect("there");
    let mut bytes = vec![0; usize::try_from(file.len().expect("known")).expect("small")];
    file.read_at(&mut bytes, 0).expect("readable");
    bytes
}

fn assert_refused<T: std::fmt::Debug>(what: &str, result: Result<T, EngineError>) {
    let error = result.expect_err(what);
    assert_eq!(error.kind(), "unsupported", "{what}: {error}");
    let said = error.to_string();
    assert!(
        said.contains("encrypted with key test-key-1") && said.contains(STORED),
        "{what}: {said}"
    );
}

/// Nothing is written to an encrypted file: not in plain text next to the encrypted parts, and not
/// in their place.
#[test]
fn writes_to_an_encrypted_file_are_refused_with_the_reason() {
    for case in CASES {
        let disk = store_with(case);
        let before = stored(&disk);
        let config = CouchstoreConfig::default();
        let (engine, report) =
            Couchstore::open(Arc::new(disk.clone()), Path::new("/store"), config).expect("opens");
        let vb = Vbid(7);
        assert_eq!(
            (report.unreadable.len(), report.repairs.len()),
            (1, 0),
            "{case}: {report:?}"
        );
        let item = Item {
            seqno: Seqno(1000),
            ..Item::deletion(Key::new(b"key"))
        };
        let state = VBucketState::new(State::Active, FailoverLog::new(VbUuid(1)));
        let items = [&item];
        let batch = CommitBatch::new(vb, &items, &state).with_timestamp(1);
        assert_refused("commit", engine.commit(&[batch]).pop().expect("one"));
        assert_refused("purge", engine.purge(vb, Seqno(1000)));
        assert_refused("rollback", engine.rollback(vb, Seqno(1)));
        assert_refused("compact", engine.compact(vb, CompactionRequest::default()));
        assert_refused(
            "get",
            engine.get(vb, Namespace::Committed, &Key::new(b"key")),
        );
        assert!(engine.maintenance().is_none(), "{case}");
        engine.close().expect("closed");
        let target = Path::new("/store/new");
        let compacted = compact_file(
            &disk,
            Path::new(STORED),
            target,
            CompactionRequest::default(),
            &mut |_, _| (),
        );
        assert_refused("compact_file", compacted);
        assert_eq!(stored(&disk), before, "{case}: not a byte has changed");
        let mut names = disk.list(Path::new("/store")).expect("listed");
        names.retain(|name| name != "LOCK");
        assert_eq!(names, ["7.couch.1"], "{case}: nothing is beside it");
    }
}
