//! A file that another program cuts while it is opened: it is damaged, whatever was read before.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::contract::EngineError;
use crate::couchstore::tests::support::{file, store_with};
use crate::couchstore::write::tail_recovery;
use crate::disk::{Access, Disk, DiskFile, DiskResult};

/// Length of the longest of the files.
const LONGEST: u64 = 12_393;

/// A file that is cut right before one of its calls.
#[derive(Debug)]
struct Shrinking {
    file: Arc<dyn DiskFile>,
    calls: AtomicU64,
    /// Number of the call, from 0.
    before_call: u64,
    len: u64,
}

impl Shrinking {
    fn file(&self) -> DiskResult<&dyn DiskFile> {
        if self.calls.fetch_add(1, Ordering::Relaxed) == self.before_call {
            self.file.set_len(self.len.min(self.file.len()?))?;
        }
        Ok(&*self.file)
    }
}

impl DiskFile for Shrinking {
    fn len(&self) -> DiskResult<u64> {
        self.file()?.len()
    }

    fn set_len(&self, len: u64) -> DiskResult<()> {
        self.file()?.set_len(len)
    }

    fn preallocate(&self, offset: u64, len: u64) -> DiskResult<()> {
        self.file()?.preallocate(offset, len)
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> DiskResult<usize> {
        self.file()?.read_at(buffer, offset)
    }

    fn write_at(&self, parts: &[&[u8]], offset: u64) -> DiskResult<()> {
        self.file()?.write_at(parts, offset)
    }

    fn sync_data(&self) -> DiskResult<()> {
        self.file()?.sync_data()
    }
}

/// Opens one of the vendor's files that is cut before a call. Returns `None` if there are fewer
/// calls.
fn opened(case: &str, before_call: u64, len: u64) -> Option<Result<(), EngineError>> {
    let disk = store_with(case);
    let shrinking = Arc::new(Shrinking {
        file: disk.open(&file(), Access::ReadWrite).expect("there"),
        calls: AtomicU64::new(0),
        before_call,
        len,
    });
    let opened = tail_recovery::open(Arc::clone(&shrinking) as _, &file());
    (shrinking.calls.load(Ordering::Relaxed) > before_call).then(|| opened.map(drop))
}

/// A cut is damage, if it is noticed. It violates no invariant, which would panic here.
#[test]
fn file_that_shrinks_before_any_call_of_opening_is_read_or_reported_with_its_place() {
    let mut findings = BTreeSet::new();
    for case in ["e_base", "e_header_not_activated", "e_torn_in_doc"] {
        for len in [0, 1, 4096, 8193, 12288, 12289] {
            for before_call in 0.. {
                let Some(opened) = opened(case, before_call, len) else {
                    break;
                };
                match opened {
                    Ok(()) => {}
                    Err(EngineError::Corrupt { path, offset, what }) => {
                        assert_eq!(path, file());
                        assert!(offset <= LONGEST, "{offset}: {what}");
                        findings.insert(what);
                    }
                    Err(error) => panic!("{case}, {len} bytes at call {before_call}: {error}"),
                }
            }
        }
    }
    let shorter = findings
        .iter()
        .filter(|what| what.contains("became shorter"));
    assert!(shorter.count() >= 2, "{findings:?}");
}
