//! The owner of a directory: the engine and its tools refuse one that holds a log store, before
//! anything is written (E32).

use std::path::Path;

use crate::contract::{Engine, EngineError};
use crate::couchstore::list_store;
use crate::couchstore::store::file_names;
use crate::couchstore::tests::support::{VB, dir, open};
use crate::disk::{Disk, FaultyDisk, MemoryDisk};
use crate::shared::StoreOwner;

#[test]
fn directory_of_a_log_store_is_refused_and_unchanged() {
    for name in ["MANIFEST", "log-00000000"] {
        let disk = FaultyDisk::new(MemoryDisk::new());
        disk.create_dir(&dir()).expect("made");
        drop(disk.create(&dir().join(name)).expect("new"));
        let before = disk.io_count();
        for error in [
            open(&disk).expect_err("foreign"),
            list_store(&disk, &dir()).expect_err("foreign"),
        ] {
            let EngineError::ForeignStore { path, engine, file } = &error else {
                panic!("{error}")
            };
            assert_eq!(
                (path.as_path(), *engine, file.as_str()),
                (dir().as_path(), "logstor", name)
            );
        }
        // Creating an existing directory is counted, and does nothing.
        assert_eq!(disk.io_count(), before + 1);
        assert_eq!(disk.list(&dir()).expect("listed"), [name]);
    }
}

#[test]
fn own_file_names_have_the_engine_as_owner() {
    let disk = MemoryDisk::new();
    let (engine, _) = open(&disk).expect("opens");
    engine.create(VB).expect("created");
    let names = disk.list(&dir()).expect("listed");
    assert_eq!(StoreOwner::of_name(&names[0]), Some(StoreOwner::Couchstore));
    assert_eq!(
        StoreOwner::of_name(&file_names::file(VB, u64::MAX)),
        Some(StoreOwner::Couchstore)
    );
    assert!(list_store(&disk, Path::new("/store")).is_ok());
}
