//! Verifying a log store: a directory goes in, findings come out.
//!
//! Looked at: names and lengths of files; every header, checksum, record and state; that appends are whole; epochs,
//! seqnos, copies; index images, block by block. And, if the log is sound: that images say what the records say, and that
//! opening the store makes an index of exactly these records, counts the others of each key, and shows what they hold. The
//! store is opened over what it would write, which stays in memory.
//!
//! *T9.* What is wrong is told and the work goes on. Whichever byte of a store is changed, it is told, or the store opens
//! and shows what it did; and a store that does not open is damaged.

mod overlay;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use lowtide_checkpoint::Vbid;

use crate::contract::{Engine, EngineError, RecoveryReport};
use crate::disk::Disk;

use super::inspect::{
    Contents, LogDirectory, LogFinding, LogFindingKind, LogObserver, LogSeverity, Row,
};
use super::{Logstor, LogstorConfig};

use self::overlay::Overlay;

/// What a check has looked at.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogCheckReport {
    /// vBuckets.
    pub vbuckets: u64,
    /// Segments in use.
    pub segments: u64,
    /// Frames that count.
    pub frames: u64,
    /// Records in them.
    pub records: u64,
    /// Items that are shown.
    pub items: u64,
    /// Bytes of the log files.
    pub file_bytes: u64,
    /// Index images, damaged ones included.
    pub images: u64,
    /// What opening the store would repair, a line each. Nothing is known of a damaged one.
    pub repairs: Vec<String>,
}

/// Passes findings on, and knows whether there was damage that opening does not do without.
struct Watch<'a> {
    observer: &'a mut dyn LogObserver,
    damage: u64,
}

impl LogObserver for Watch<'_> {
    fn found(&mut self, finding: LogFinding) {
        let is_needed = finding.kind != LogFindingKind::Image;
        self.damage += u64::from(is_needed && finding.severity() == LogSeverity::Damage);
        self.observer.found(finding);
    }

    fn progress(&mut self, done: u64, total: u64) {
        self.observer.progress(done, total);
    }
}

/// Verifies a store: O(bytes).
///
/// # Errors
/// As [`LogDirectory::read`].
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
        vbuckets: layout.vbuckets.len() as u64,
        segments: used().count() as u64,
        frames: used().map(|segment| segment.frames).sum(),
        records: used().map(|segment| segment.records).sum(),
        items: layout
            .vbuckets
            .iter()
            .map(|vb| vb.info.items + vb.info.deleted)
            .sum(),
        file_bytes: layout.file_bytes,
        images: layout.images.len() as u64,
        repairs: Vec::new(),
    };
    store.check_images(watch.damage == 0, &mut watch)?;
    if watch.damage == 0 {
        report.repairs = against_engine(&store, layout.live_bytes, &mut watch)?;
    }
    Ok(report)
}

impl LogDirectory {
    /// What opening the store would report, found by opening it over what that would write, which stays in memory.
    ///
    /// # Errors
    /// As [`Logstor::open`].
    pub fn opening(&self) -> Result<RecoveryReport, EngineError> {
        let (engine, report) = self.open_over()?;
        engine.close()?;
        Ok(report)
    }

    pub(super) fn open_over(&self) -> Result<(Logstor, RecoveryReport), EngineError> {
        let overlay = Arc::new(Overlay::new(Arc::clone(self.disk())));
        // Closing would write an image of the index into memory.
        let config = LogstorConfig {
            image_bytes: u64::MAX,
            ..LogstorConfig::DEFAULT
        };
        Logstor::open(overlay, self.dir(), config)
    }
}

/// Opens the store, and compares; what opening repaired.
fn against_engine(
    store: &LogDirectory,
    live_bytes: u64,
    observer: &mut dyn LogObserver,
) -> Result<Vec<String>, EngineError> {
    let dir = store.dir();
    let mut told =
        |what: String| observer.found(LogFinding::of_file(LogFindingKind::Index, dir, 0, what));
    let (engine, report) = match store.open_over() {
        Ok(opened) => opened,
        Err(error @ EngineError::Disk(_)) => return Err(error),
        Err(error) => {
            told(format!("the store does not open: {error}"));
            return Ok(Vec::new());
        }
    };
    let expected: Vec<Vbid> = store.vbuckets().collect();
    if engine.vbuckets() != expected {
        told("opening the store shows other vBuckets".to_owned());
    }
    for (&vb, contents) in store.contents() {
        for what in vbucket(&engine, vb, contents)? {
            observer.found(LogFinding::of_file(LogFindingKind::Index, dir, 0, what).of_vbucket(vb));
        }
    }
    // Now that all is loaded.
    let counted = engine.stats().get("live-bytes").copied();
    if counted != Some(live_bytes) {
        let what = format!(
            "{live_bytes} bytes live, and the opened store counts {}",
            counted.unwrap_or(0)
        );
        observer.found(LogFinding::of_file(LogFindingKind::Index, dir, 0, what));
    }
    engine.close()?;
    Ok(report
        .repairs
        .into_iter()
        .map(|(path, what)| format!("{}: {what}", path.display()))
        .collect())
}

/// What the opened store has otherwise, a line each.
fn vbucket(engine: &Logstor, vb: Vbid, contents: &Contents) -> Result<Vec<String>, EngineError> {
    let Ok(branch) = engine.store.branch(vb) else {
        return Ok(Vec::new());
    };
    let mut wrong = engine.check(vb)?;
    let info = engine.info(vb)?;
    if info != contents.info {
        wrong.push(format!(
            "figures are {:?}, and the opened store has {info:?}",
            contents.info
        ));
    }
    let mut rows: BTreeMap<u64, &Row> = contents.rows.iter().map(|row| (row.seqno, row)).collect();
    for slot in branch.slots() {
        let Some(row) = rows.remove(&slot.seqno) else {
            wrong.push(format!(
                "the index names seqno {}, of which there is no record",
                slot.seqno
            ));
            continue;
        };
        // Copies of one record are equals: either may be named.
        let is_same = (slot.fingerprint, slot.tombstone) == (row.fingerprint, row.tombstone)
            && contents.has_at(row, slot.location);
        // Fewer than there are, and an older one would come back; more cost memory only.
        if !is_same || slot.stale < row.stale {
            wrong.push(format!("the index has {slot:?} in place of {row:?}"));
        }
    }
    wrong.extend(
        rows.keys()
            .map(|seqno| format!("the index lacks seqno {seqno}")),
    );
    let highs = branch.highs();
    if *highs != contents.highs {
        let found = &contents.highs;
        wrong.push(format!(
            "collections' highest seqnos are {found:?}, and the opened store has {highs:?}"
        ));
    }
    let snapshot = engine.snapshot(vb)?;
    if snapshot.state() != contents.state.as_ref() {
        wrong.push("the opened store has another state".to_owned());
    }
    Ok(wrong)
}
