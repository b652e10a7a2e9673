//! Commits of which a power loss took a part, at any byte: opening returns the commit before, never
//! a part of one.
//!
//! A lost sector reads as zeros, and its first byte may be any byte of a commit. A chunk of which
//! only the first byte survived looks empty, and the checksum of nothing is 0.

use lowtide_checkpoint::{Item, Seqno};

use crate::contract::Engine;
use crate::couchstore::config::CouchstoreConfig;
use crate::couchstore::file::{CommitView, header_search};
use crate::couchstore::format::block;
use crate::couchstore::tests::support::{VB, commit, contents, delete, file, open, open_with, set};
use crate::couchstore::write::tail_recovery;
use crate::disk::{Access, Disk, DiskFile, MemoryDisk, PowerLoss};

/// Commits on top of an activated commit. Returns the view of the lower one and the position of the
/// upper one's header.
fn two_commits(disk: &MemoryDisk, items: &[Item]) -> (CommitView, u64) {
    let (engine, _) = open_with(disk, CouchstoreConfig::default()).expect("opens");
    engine.create(VB).expect("created");
    commit(&engine, VB, &[set(1, "a", b"before")]).expect("committed");
    engine.close().expect("closed");
    let (engine, _) = open(disk).expect("opens");
    commit(&engine, VB, items).expect("committed");
    // The block type of the newest commit is not synced, and lost.
    disk.crash(PowerLoss::DropUnsynced);
    drop(engine);
    let before = activated(disk);
    let next = tail_recovery::successor(&before)
        .expect("readable")
        .expect("it is whole");
    (before, next.position)
}

fn activated(disk: &MemoryDisk) -> CommitView {
    header_search::newest(
        disk.open(&file(), Access::ReadOnly).expect("there"),
        &file(),
    )
    .expect("a commit")
}

/// Guards E2 and E6.
#[test]
fn commit_that_lost_its_end_at_any_byte_is_cut_off() {
    let many: Vec<Item> = (2..150)
        .map(|seqno| set(seqno, &format!("key-{seqno}"), b"some value"))
        .collect();
    for items in [
        vec![],
        vec![set(2, "a", b"")],
        vec![set(2, "b", b"1"), delete(3, "a")],
        many,
    ] {
        let disk = MemoryDisk::new();
        let (before, header) = two_commits(&disk, &items);
        let stored = disk.open(&file(), Access::ReadWrite).expect("there");
        let whole = image(&*stored);
        let mut taken = Vec::new();
        for from in before.end..header {
            if block::data_start(from) != from {
                continue;
            }
            let mut torn = whole.clone();
            let lost = &mut torn[from as usize..header as usize];
            if lost.iter().all(|&byte| byte == 0) {
                continue;
            }
            lost.fill(0);
            stored.write_at(&[&torn], 0).expect("written");
            if tail_recovery::successor(&activated(&disk))
                .expect("readable")
                .is_some()
            {
                taken.push(from);
            }
        }
        assert_eq!(
            taken,
            [0; 0],
            "{} items, up to the header at {header}",
            items.len()
        );
    }
}

/// The worst of these cuts, as a user of the engine sees it: the store continues at the commit
/// before.
#[test]
fn torn_commit_keeps_everything_acknowledged() {
    let disk = MemoryDisk::new();
    let (before, header) = two_commits(&disk, &[set(2, "b", b"new")]);
    let after = tail_recovery::successor(&before)
        .expect("readable")
        .expect("it is whole");
    // The state is written last. One byte of its node survives.
    let root = after.header.local.expect("there is a state").position + 1;
    let stored = disk.open(&file(), Access::ReadWrite).expect("there");
    stored
        .write_at(&[&vec![0; (header - root) as usize]], root)
        .expect("written");
    let (engine, report) = open(&disk).expect("opens");
    assert_eq!(report.repairs.len(), 1, "{:?}", report.repairs);
    assert_eq!(engine.info(VB).expect("there").high, Seqno(1));
    assert_eq!(contents(&engine, VB).len(), 1);
    commit(&engine, VB, &[set(2, "c", b"another")]).expect("committed");
    assert_eq!(contents(&engine, VB).len(), 2);
}

fn image(file: &dyn DiskFile) -> Vec<u8> {
    let mut bytes = vec![0; file.len().expect("known") as usize];
    file.read_at(&mut bytes, 0).expect("readable");
    bytes
}
