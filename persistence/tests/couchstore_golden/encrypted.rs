//! Encrypted files (E18): read with their key, refused by its name without.

use std::path::Path;

use checkpoint::Seqno;
use persistence::couchstore::{CouchFile, Keyring};
use persistence::disk::{Disk, MemoryDisk, OsDisk};
use persistence::{EngineError, ScanLimit};

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
fn content_is_what_the_vendors_tools_print_with_the_key() {
    for case in CASES {
        let file = CouchFile::open_with_keys(&OsDisk::new(), &path(case), &keys(test_key())).expect("opens");
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
fn without_the_key_its_id_is_told() {
    for case in CASES {
        match open(case) {
            Err(EngineError::KeyMissing { key_id, .. }) => assert_eq!(key_id, "test-key-1"),
            other => panic!("{case}: {other:?}"),
        }
    }
}

#[test]
fn another_key_under_the_same_id_is_told_from_damage() {
    let mut wrong = test_key();
    wrong[31] ^= 1;
    for case in CASES {
        match CouchFile::open_with_keys(&OsDisk::new(), &path(case), &keys(wrong)) {
            Err(EngineError::KeyWrong { key_id, .. }) => assert_eq!(key_id, "test-key-1"),
            other => panic!("{case}: {other:?}"),
        }
    }
}

/// Opens a case, one of whose bytes is another, and reads all of it.
fn flipped(case: &str, at: usize) -> Result<usize, EngineError> {
    let mut bytes = std::fs::read(path(case)).expect("fixture");
    bytes[at] ^= 1;
    let (disk, name) = (MemoryDisk::new(), Path::new("/7.couch.1"));
    disk.create(name).and_then(|file| file.write_at(&[&bytes], 0)).expect("written");
    let file = CouchFile::open_with_keys(&disk, name, &keys(test_key()))?;
    Ok(file.scan(Seqno(0), Seqno::MAX, ScanLimit::NONE)?.items.len())
}

#[test]
fn damage_is_told_from_a_missing_key() {
    for case in CASES {
        // A body is the first thing after the header at the beginning, the key's context the last before the zeros.
        let body = open("b_ten").expect("opens").doc_infos(Seqno(0)).expect("rows").next();
        let body = body.expect("a row").expect("readable").body_position as usize;
        for at in [5, 9, 30] {
            let result = flipped(case, at);
            assert!(matches!(result, Err(EngineError::Corrupt { offset: 0, .. })), "{case} {at}: {result:?}");
        }
        let at = 4096 + body + 10;
        let result = flipped(case, at);
        assert!(matches!(result, Err(EngineError::Corrupt { offset, .. }) if offset > 4096), "{result:?}");
        assert_eq!(flipped(case, 4000).expect("between the blocks' data"), 10);
    }
}
