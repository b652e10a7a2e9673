//! The check against the vendor's files, files with a single flaw, and files with one byte changed.

mod crafted;
mod golden;
mod mutation;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::couchstore::file::Keyring;
use crate::disk::{Disk, MemoryDisk};

use super::file_check::check_file;
use super::finding::{Finding, FindingKind};
use super::observer::CheckReport;

fn fixture(case: &str) -> Vec<u8> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/couchstore");
    std::fs::read(dir.join(format!("{case}.couch.1"))).expect("fixture")
}

fn stored(bytes: &[u8]) -> (MemoryDisk, PathBuf) {
    let (disk, path) = (MemoryDisk::new(), PathBuf::from("/7.couch.1"));
    disk.create(&path)
        .expect("new")
        .write_at(&[bytes], 0)
        .expect("written");
    (disk, path)
}

fn check(bytes: &[u8]) -> (Vec<Finding>, CheckReport) {
    let (disk, path) = stored(bytes);
    let mut found = Vec::new();
    let report = check_file(&disk, &path, &Keyring::new(), &mut found).expect("a readable disk");
    (found, report)
}

fn kinds(found: &[Finding]) -> BTreeSet<FindingKind> {
    found.iter().map(|finding| finding.kind).collect()
}
