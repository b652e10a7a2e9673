//! Rows that lie under right checksums, in one index or in both.

mod compaction;
mod salvage;

use std::path::Path;

use bytes::Bytes;

use crate::contract::{Budget, EngineError, Job, JobProgress};
use crate::couchstore::config::{CompactionConfig, CouchstoreConfig};
use crate::couchstore::format::{DocInfo, RevisionMeta};
use crate::couchstore::tests::craft::Craft;
use crate::couchstore::tests::support::{dir, file, fixture};
use crate::disk::{Access, Disk, MemoryDisk};

/// Settings under which every file is compacted.
const EAGER: CouchstoreConfig = CouchstoreConfig {
    compaction: CompactionConfig {
        fragmentation_percent: Some(0),
        file_bytes_min: 0,
        ..CompactionConfig::DEFAULT
    },
    ..CouchstoreConfig::DEFAULT
};

/// Makes a store whose only file is this one.
fn store_of(image: &[u8]) -> MemoryDisk {
    let disk = MemoryDisk::new();
    disk.create_dir(&dir()).expect("made");
    disk.create(&file())
        .expect("new")
        .write_at(&[image], 0)
        .expect("written");
    disk
}

fn bytes(disk: &MemoryDisk, path: &Path) -> Vec<u8> {
    let file = disk.open(path, Access::ReadOnly).expect("there");
    let mut bytes = vec![0; file.len().expect("known") as usize];
    file.read_at(&mut bytes, 0).expect("readable");
    bytes
}

fn run(job: &mut dyn Job, budget: Budget) -> Result<(), EngineError> {
    while !matches!(job.step(budget)?, JobProgress::Done(_)) {}
    Ok(())
}

const fn row(seqno: usize) -> usize {
    seqno - 1
}

/// A change of a row. The other row is a sound one of the file.
type Lie = Box<dyn Fn(&mut DocInfo, &DocInfo)>;

/// Changes of each field of a by-seqno row, while the by-id row stays.
fn lies() -> Vec<(&'static str, Lie)> {
    vec![
        ("body position 0", Box::new(|row, _| row.body_position = 0)),
        (
            "no body at all",
            Box::new(|row, _| (row.body_position, row.physical_bytes) = (0, 0)),
        ),
        (
            "body where none is",
            Box::new(|row, _| row.body_position += 1),
        ),
        (
            "body beyond the file",
            Box::new(|row, _| row.body_position = 1 << 40),
        ),
        (
            "another row's body",
            Box::new(|row, other| row.body_position = other.body_position),
        ),
        ("size", Box::new(|row, _| row.physical_bytes -= 1)),
        ("compression", Box::new(|row, _| row.content_meta = 0)),
        ("a tombstone", Box::new(|row, _| row.deleted = true)),
        (
            "metadata of no known layout",
            Box::new(|row, _| row.rev_meta = Bytes::from_static(b"16 bytes, as of ")),
        ),
        (
            "metadata",
            Box::new(|row, _| {
                row.rev_meta = RevisionMeta {
                    cas: 9,
                    ..RevisionMeta::default()
                }
                .encode()
            }),
        ),
        ("revision", Box::new(|row, _| row.rev_seqno = 9)),
        (
            "another key",
            Box::new(|row, _| row.id = Bytes::from_static(b"\0key9")),
        ),
        (
            "another row's key",
            Box::new(|row, other| row.id = other.id.clone()),
        ),
    ]
}

fn lie_at(rows: &mut [DocInfo], lie: &dyn Fn(&mut DocInfo, &DocInfo)) {
    let other = rows[row(5)].clone();
    lie(&mut rows[row(3)], &other);
}

/// The command line's tests use a file of this kind.
#[test]
fn crafted_fixture_has_a_row_without_a_body() {
    let image = Craft::of_rows(&|by_seqno, _| by_seqno[row(3)].body_position = 0).image();
    let path = fixture("")
        .with_file_name("crafted")
        .join("lying_row.couch.1");
    assert!(std::fs::read(path).expect("fixture") == image);
}
