//! The owner of a directory: the log store refuses a directory with couchstore files before it
//! writes anything (E32).

use std::path::Path;
use std::sync::Arc;

use crate::contract::EngineError;
use crate::disk::{Disk, FaultyDisk, MemoryDisk};
use crate::logstor::log::{MANIFEST_NAME, SegmentTable};
use crate::logstor::{LogDirectory, LogFinding, Logstor, LogstorConfig, check_store};
use crate::shared::StoreOwner;

#[test]
fn couchstore_directory_is_refused_and_unchanged() {
    let (disk, dir) = (FaultyDisk::new(MemoryDisk::new()), Path::new("/store"));
    disk.create_dir(dir).expect("made");
    drop(disk.create(&dir.join("7.couch.1")).expect("new"));
    let before = disk.io_count();
    let mut found: Vec<LogFinding> = Vec::new();
    let opened = Logstor::open(Arc::new(disk.clone()), dir, LogstorConfig::new([1, 2])).map(drop);
    let read = LogDirectory::read(Arc::new(disk.clone()), dir, &mut found).map(drop);
    let checked = check_store(Arc::new(disk.clone()), dir, &mut found).map(drop);
    for result in [opened, read, checked] {
        let error = result.expect_err("foreign");
        let EngineError::ForeignStore { path, engine, file } = &error else {
            panic!("{error}")
        };
        assert_eq!(
            (path.as_path(), *engine, file.as_str()),
            (dir, "couchstore", "7.couch.1")
        );
    }
    // Making an existing directory is counted, and does nothing.
    assert_eq!(disk.io_count(), before + 1);
    assert_eq!(disk.list(dir).expect("listed"), ["7.couch.1"]);
}

#[test]
fn its_own_names_are_known_for_its_own() {
    for name in [
        MANIFEST_NAME.to_owned(),
        SegmentTable::file_name(0),
        SegmentTable::file_name(u32::MAX),
    ] {
        assert_eq!(
            StoreOwner::of_name(&name),
            Some(StoreOwner::Logstor),
            "{name}"
        );
    }
}
