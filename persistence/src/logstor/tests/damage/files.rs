//! A damaged manifest, and files that are missing or not the store's.

use super::stores::store;
use crate::disk::Disk;
use crate::logstor::tests::support::{change_byte, dir, log_path, open};

#[test]
fn damaged_manifest_is_reported() {
    for offset in [0, 8, 20] {
        let disk = store();
        change_byte(
            &disk,
            std::path::Path::new("/store/MANIFEST"),
            offset,
            |byte| byte ^ 1,
        );
        assert_eq!(open(&disk).expect_err("damaged").kind(), "corrupt");
    }
}

#[test]
fn missing_files_are_reported() {
    let disk = store();
    disk.remove(std::path::Path::new("/store/MANIFEST"))
        .expect("removed");
    assert_eq!(open(&disk).expect_err("no manifest").kind(), "corrupt");
    let disk = store();
    disk.rename(&log_path(0), &log_path(1)).expect("renamed");
    assert_eq!(open(&disk).expect_err("no first file").kind(), "corrupt");
}

/// An opening removes what a crash left unfinished, and older images.
#[test]
fn file_that_only_looks_like_the_stores_is_left_alone() {
    let disk = store();
    let strays = ["log-2024", "log-notes", "log-notes.new", "index-2024"];
    for name in strays {
        disk.create(&dir().join(name)).expect("made");
    }
    let (_, report) = open(&disk).expect("opens");
    assert_eq!(report.repairs, []);
    let names = disk.list(&dir()).expect("listed");
    for name in strays {
        assert!(names.iter().any(|found| found == name), "{name}: {names:?}");
    }
}
