//! T1: for every changed byte of a file, the check reports a finding, or the file reads as before.

use lowtide_checkpoint::{Item, Seqno, VBucketState};

use crate::contract::{EngineError, ScanLimit};
use crate::couchstore::file::Keyring;
use crate::couchstore::tools::check_file;
use crate::couchstore::tools::couch_file::CouchFile;
use crate::disk::{Access, Disk};

use super::{fixture, stored};

/// Everything that a reader of the file can see.
type Contents = (
    Vec<Item>,
    Vec<(bytes::Bytes, bytes::Bytes)>,
    Option<VBucketState>,
    u64,
);

fn read(file: &CouchFile) -> Result<Contents, EngineError> {
    let items = file.scan(Seqno(0), Seqno::MAX, ScanLimit::NONE)?.items;
    for item in &items {
        let namespace = item.operation.namespace().expect("stored");
        assert_eq!(
            file.get(namespace, &item.key)?.as_ref(),
            Some(item),
            "by key and by seqno"
        );
    }
    Ok((
        items,
        file.local_docs()?,
        file.state()?,
        file.header().info.purge.0,
    ))
}

fn every_byte(case: &str, step: usize) {
    let sound = fixture(case);
    let (disk, path) = stored(&sound);
    let open = || CouchFile::open_read_only(&disk, &path);
    let mut usual = Vec::new();
    check_file(&disk, &path, &Keyring::new(), &mut usual).expect("readable");
    let before = read(&open().expect("opens")).expect("readable");
    let (mut silent, mut reported) = (0, 0);
    for at in (0..sound.len()).step_by(step) {
        for flip in [0x01, 0x80] {
            let file = disk.open(&path, Access::ReadWrite).expect("there");
            file.write_at(&[&[sound[at] ^ flip]], at as u64)
                .expect("written");
            let mut found = Vec::new();
            let checked = check_file(&disk, &path, &Keyring::new(), &mut found);
            if checked.is_ok() && found == usual {
                silent += 1;
                let after = open().and_then(|file| read(&file));
                assert_eq!(
                    after.ok().as_ref(),
                    Some(&before),
                    "{case}: byte {at} changed by {flip:#x}"
                );
            } else {
                reported += 1;
            }
            file.write_at(&[&[sound[at]]], at as u64).expect("written");
        }
    }
    assert!(
        reported > 0 && silent > 0,
        "{case}: {reported} reported, {silent} in dead space"
    );
}

#[test]
fn changed_byte_is_never_unnoticed() {
    every_byte("b_ten", 1);
    every_byte("d_rich", 3);
    every_byte("e_base", 3);
    every_byte("g_ten_v11", 3);
    every_byte("k_compact_d_rich", 3);
    every_byte("h_boundary", 149);
}
