//! Verification of a store.
//!
//! Verified are: names and lengths of files; every header, checksum, record and state; that appends
//! are whole; epochs, seqnos, copies; index images, block by block. If the log is sound, images are
//! compared with the records. Then the store is opened over a disk that keeps writes in memory, and
//! its index is compared with the records, too.
//!
//! # Invariants
//!
//! *T9.* Damage is reported, and the rest is still verified. Whichever byte of a store is changed,
//! it is reported, or the store opens and shows the same. A store that does not open is reported as
//! damaged.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use lowtide_checkpoint::Vbid;

use super::inspect::{
    KeyRow, LogDirectory, LogFinding, LogFindingKind, LogObserver, VBucketContents,
};
use crate::contract::{Engine, EngineError, Severity};
use crate::disk::Disk;
use crate::logstor::engine::Logstor;
use crate::logstor::format::to_u64;

/// Extent of a check.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct LogCheckReport {
    /// vBuckets.
    pub vbuckets: u64,
    /// Segments in use.
    pub segments: u64,
    /// Frames that count.
    pub frames: u64,
    /// Records in them.
    pub records: u64,
    /// Items and tombstones that are shown.
    pub items: u64,
    /// Bytes of the log files.
    pub file_bytes: u64,
    /// Index images, damaged ones included.
    pub images: u64,
    /// Repairs that opening the store would make, one line each. Empty for a damaged store.
    pub repairs: Vec<String>,
}

/// Forwards findings, and counts damage that opening can't ignore.
struct Watch<'a> {
    observer: &'a mut dyn LogObserver,
    damage: u64,
}

impl LogObserver for Watch<'_> {
    fn found(&mut self, finding: LogFinding) {
        let is_needed = finding.kind != LogFindingKind::Image;
        self.damage += u64::from(is_needed && finding.severity() == Severity::Damage);
        self.observer.found(finding);
    }

    fn progress(&mut self, done: u64, total: u64) {
        self.observer.progress(done, total);
    }
}

/// Verifies a store: O(bytes).
///
/// # Errors
/// Same as [`LogDirectory::read`].
pub fn check_store(
    disk: Arc<dyn Disk>,
    dir: &Path,
    observer: &mut dyn LogObserver,
) -> Result<LogCheckReport, EngineError> {
    let mut watch = Watch {
        observer,
        damage: 0,
    };
    let store = LogDirectory::read(disk, dir, &mut watch)?;
    let layout = store.layout();
    let used = || {
        layout
            .segments
            .iter()
            .filter(|segment| segment.kind.is_used())
    };
    let mut report = LogCheckReport {
        vbuckets: to_u64(layout.vbuckets.len()),
        segments: to_u64(used().count()),
        frames: used().map(|segment| segment.frames).sum(),
        records: used().map(|segment| segment.records).sum(),
        items: layout
            .vbuckets
            .iter()
            .map(|vb| vb.info.items + vb.info.deleted)
            .sum(),
        file_bytes: layout.file_bytes,
        images: to_u64(layout.images.len()),
        repairs: Vec::new(),
    };
    store.check_images(watch.damage == 0, &mut watch)?;
    if watch.damage == 0 {
        report.repairs = against_engine(&store, layout.live_bytes, &mut watch)?;
    }
    Ok(report)
}

/// Opens the store, and compares it with what was read. Returns the repairs.
fn against_engine(
    store: &LogDirectory,
    live_bytes: u64,
    observer: &mut dyn LogObserver,
) -> Result<Vec<String>, EngineError> {
    let dir = store.dir();
    let mut report_index =
        |what: String| observer.found(LogFinding::of_file(LogFindingKind::Index, dir, 0, what));
    let (engine, report) = match store.open_over() {
        Ok(opened) => opened,
        Err(error @ EngineError::Disk(_)) => return Err(error),
        Err(error) => {
            report_index(format!("the store does not open: {error}"));
            return Ok(Vec::new());
        }
    };
    let expected: Vec<Vbid> = store.vbuckets().collect();
    if engine.vbuckets() != expected {
        report_index("opening the store shows other vBuckets".to_owned());
    }
    for (&vb, contents) in store.contents() {
        let wrong = match vbucket(&engine, vb, contents) {
            Ok(wrong) => wrong,
            // It is reported with the list of vBuckets.
            Err(EngineError::UnknownVBucket { .. }) => continue,
            Err(error @ EngineError::Disk(_)) => return Err(error),
            Err(error) => vec![format!("the opened store can't read it: {error}")],
        };
        for what in wrong {
            observer.found(LogFinding::of_file(LogFindingKind::Index, dir, 0, what).of_vbucket(vb));
        }
    }
    // Everything is loaded now.
    let counted = engine.figures().common.live_bytes;
    if counted != live_bytes {
        let what = format!("{live_bytes} bytes live, and the opened store counts {counted}");
        observer.found(LogFinding::of_file(LogFindingKind::Index, dir, 0, what));
    }
    engine.close()?;
    Ok(report
        .repairs
        .into_iter()
        .map(|(path, what)| format!("{}: {what}", path.display()))
        .collect())
}

/// Returns the differences of the opened store, one line each.
fn vbucket(
    engine: &Logstor,
    vb: Vbid,
    contents: &VBucketContents,
) -> Result<Vec<String>, EngineError> {
    let vbucket = engine.store.registry.loaded(vb)?;
    let mut wrong = engine.check(vb)?;
    let info = engine.info(vb)?;
    if info != contents.info {
        wrong.push(format!(
            "figures are {:?}, and the opened store has {info:?}",
            contents.info
        ));
    }
    let mut rows: BTreeMap<u64, &KeyRow> =
        contents.rows.iter().map(|row| (row.seqno, row)).collect();
    for slot in vbucket.slots() {
        let Some(row) = rows.remove(&slot.seqno) else {
            wrong.push(format!(
                "the index names seqno {}, of which there is no record",
                slot.seqno
            ));
            continue;
        };
        // Copies of one record are equal: the index may reference any.
        let is_same = (slot.fingerprint, slot.tombstone) == (row.fingerprint, row.tombstone)
            && contents.has_at(row, slot.location);
        // If too few were counted, an older record could come back. Too many cost memory only.
        if !is_same || slot.other_copies < row.other_copies {
            wrong.push(format!("the index has {slot:?} in place of {row:?}"));
        }
    }
    wrong.extend(
        rows.keys()
            .map(|seqno| format!("the index lacks seqno {seqno}")),
    );
    let high_seqnos = vbucket.high_seqnos();
    if *high_seqnos != contents.high_seqnos {
        let found = &contents.high_seqnos;
        wrong.push(format!(
            "collections' highest seqnos are {found:?}, and the opened store has {high_seqnos:?}"
        ));
    }
    let snapshot = engine.snapshot(vb)?;
    if snapshot.state() != contents.state.as_ref() {
        wrong.push("the opened store has another state".to_owned());
    }
    Ok(wrong)
}
