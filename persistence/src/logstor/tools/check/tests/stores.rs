//! Stores to check, and the results of the check and of the inspection.

use std::path::Path;
use std::sync::Arc;

use crate::contract::{Engine, Severity};
use crate::disk::{Access, Disk, MemoryDisk};
use crate::logstor::tests::life::Shown;
use crate::logstor::tests::support::{A, B, commit, delete, dir, noise, open, set};
use crate::logstor::tools::check::check_store;
use crate::logstor::tools::inspect::{LogDirectory, LogFinding, LogFindingKind};

pub(super) fn check(disk: &(impl Disk + Clone + 'static)) -> (Vec<LogFinding>, Vec<String>) {
    let mut findings = Vec::new();
    match check_store(Arc::new(disk.clone()), &dir(), &mut findings) {
        Ok(report) => (findings, report.repairs),
        Err(error) => {
            assert_eq!(error.kind(), "corrupt", "{error}");
            findings.push(LogFinding::of_file(
                LogFindingKind::File,
                Path::new(""),
                0,
                error.to_string(),
            ));
            (findings, Vec::new())
        }
    }
}

pub(super) fn is_damage(finding: &LogFinding) -> bool {
    finding.severity() == Severity::Damage
}

/// Returns the contents that the tools show of a store, or nothing if they cannot.
pub(super) fn seen(disk: &(impl Disk + Clone + 'static)) -> Option<Shown> {
    contents_of(&LogDirectory::read(Arc::new(disk.clone()), &dir(), &mut Vec::new()).ok()?)
}

pub(super) fn contents_of(store: &LogDirectory) -> Option<Shown> {
    let contents = |vb| {
        let items = store
            .items(vb)
            .map(|item| item.map(|item| (item.seqno.0, item)));
        items
            .collect::<Result<_, _>>()
            .ok()
            .map(|items| (vb.0, items))
    };
    store.vbuckets().map(contents).collect()
}

pub(super) fn flip(disk: &MemoryDisk, path: &Path, offset: u64, bits: u8) {
    let file = disk.open(path, Access::ReadWrite).expect("there");
    let mut byte = [0];
    file.read_at(&mut byte, offset).expect("read");
    file.write_at(&[&[byte[0] ^ bits]], offset)
        .expect("written");
}

/// Makes a store whose first segment has several frames of one vBucket, and a large record after
/// it.
pub(super) fn store() -> MemoryDisk {
    let disk = MemoryDisk::new();
    let (engine, _) = open(&disk).expect("opens");
    engine.create(A).expect("created");
    engine.create(B).expect("created");
    for n in 1..=4 {
        commit(&engine, A, &[set(n, &format!("key-{n}"), &noise(n, 700))]).expect("committed");
    }
    commit(
        &engine,
        B,
        &[set(1, "large", &noise(1, 100_000)), set(2, "small", b"")],
    )
    .expect("committed");
    commit(&engine, B, &[delete(3, "small")]).expect("committed");
    disk
}

pub(super) fn kinds(disk: &MemoryDisk) -> Vec<LogFindingKind> {
    check(disk)
        .0
        .into_iter()
        .map(|finding| finding.kind)
        .collect()
}
