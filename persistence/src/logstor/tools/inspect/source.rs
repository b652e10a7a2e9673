//! The source of an inspection: the manifest, log files and index images of a directory.
//!
//! # Invariants
//!
//! Nothing is written, and no lock is taken (T7). So the store may be in use. Every write to it
//! changes its manifest, a file name, a segment's start, or the bytes behind its last frame.
//! [`StoreSource::same_manifest`] and [`StoreSource::trace`] detect that.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use lowtide_checkpoint::Vbid;

use super::finding::{LogFinding, LogFindingKind, LogObserver};
use crate::contract::EngineError;
use crate::disk::{Access, Disk, DiskError};
use crate::logstor::format::{HEADER_BYTES, to_usize};
use crate::logstor::index_image::image_number;
use crate::logstor::log::{Catalog, LogFile, MANIFEST_NAME, Segment, SegmentTable, read_manifest};
use crate::shared::StoreOwner;

/// A log file.
#[derive(Debug)]
pub(super) struct SourceFile {
    pub(super) file: Arc<LogFile>,
    pub(super) bytes: u64,
    /// Its first segment.
    pub(super) first: u32,
    /// Its whole segments.
    pub(super) segments: u32,
}

/// The files of a store.
#[derive(Debug)]
pub(super) struct StoreSource {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    pub(super) catalog: Catalog,
    vb_of_epoch: BTreeMap<u32, u16>,
    torn_bytes: u64,
    names: Vec<String>,
    pub(super) files: Vec<SourceFile>,
    /// Number and path of each index image, newest first.
    pub(super) images: Vec<(u64, PathBuf)>,
    /// Files that are not the store's own.
    pub(super) others: Vec<PathBuf>,
}

/// Returns whether a directory has a log store's files.
///
/// # Errors
/// Errors of the disk, also if there is no such directory.
pub fn is_log_store(disk: &dyn Disk, dir: &Path) -> Result<bool, DiskError> {
    let names = disk.list(dir)?;
    Ok(names
        .iter()
        .any(|name| name == MANIFEST_NAME || SegmentTable::file_number(name).is_some()))
}

impl StoreSource {
    pub(super) fn open(
        disk: Arc<dyn Disk>,
        dir: &Path,
        observer: &mut dyn LogObserver,
    ) -> Result<Self, EngineError> {
        StoreOwner::Logstor.require(&*disk, dir)?;
        let names = disk.list(dir)?;
        let Some(found) = read_manifest(&*disk, dir)? else {
            let what = "no manifest: nothing tells how to read the log files".to_owned();
            return Err(EngineError::Corrupt {
                path: dir.join(MANIFEST_NAME),
                offset: 0,
                what,
            });
        };
        if found.torn_bytes > 0 {
            let what = format!(
                "the last {} bytes are no whole edit: opening the store cuts them off",
                found.torn_bytes
            );
            observer.found(LogFinding::of_file(
                LogFindingKind::Tail,
                &found.path,
                found.torn_at,
                what,
            ));
        }
        let entries = found.catalog.vbuckets.iter();
        let vb_of_epoch =
            entries.flat_map(|(&vb, entry)| entry.lineage.epochs().map(move |epoch| (epoch, vb)));
        let mut source = Self {
            disk,
            dir: dir.to_path_buf(),
            vb_of_epoch: vb_of_epoch.collect(),
            catalog: found.catalog,
            torn_bytes: found.torn_bytes,
            names,
            files: Vec::new(),
            images: Vec::new(),
            others: Vec::new(),
        };
        source.open_files(observer)?;
        Ok(source)
    }

    fn open_files(&mut self, observer: &mut dyn LogObserver) -> Result<(), EngineError> {
        let mut numbers: Vec<u32> = self
            .names
            .iter()
            .filter_map(|name| SegmentTable::file_number(name))
            .collect();
        // Sorted by name, file 100,000,000 would precede file 2.
        numbers.sort_unstable();
        let images = self.names.iter();
        self.images = images
            .filter_map(|name| Some((image_number(name)?, self.dir.join(name))))
            .collect();
        self.images.sort_unstable_by(|one, other| other.cmp(one));
        let is_own = |name: &String| {
            name == MANIFEST_NAME
                || SegmentTable::file_number(name).is_some()
                || image_number(name).is_some()
        };
        self.others = self
            .names
            .iter()
            .filter(|name| !is_own(name))
            .map(|name| self.dir.join(name))
            .collect();
        let last = numbers.last().copied();
        let mut expected = 0;
        for number in numbers {
            // One finding: a file with a great number would otherwise give billions.
            if number > expected {
                let path = self.dir.join(SegmentTable::file_name(expected));
                let what = match number - expected {
                    1 => "a log file is missing".to_owned(),
                    missing => format!("{missing} log files from this one on are missing"),
                };
                observer.found(LogFinding::of_file(LogFindingKind::File, &path, 0, what));
            }
            expected = number.saturating_add(1);
            let path = self.dir.join(SegmentTable::file_name(number));
            let file = self.disk.open(&path, Access::ReadOnly)?;
            let bytes = file.len()?;
            let geometry = self.catalog.geometry;
            let segment_bytes = u64::from(geometry.segment_bytes);
            let segments = u32::try_from(bytes / segment_bytes)
                .unwrap_or(u32::MAX)
                .min(geometry.segments_per_file);
            let whole = u64::from(segments);
            let is_last = Some(number) == last;
            let is_full = segments == geometry.segments_per_file;
            if whole == 0 || bytes != whole * segment_bytes || !(is_full || is_last) {
                let what = format!(
                    "log file length {bytes} is not that of 1 to {} segments of {segment_bytes} bytes",
                    geometry.segments_per_file
                );
                observer.found(LogFinding::of_file(
                    LogFindingKind::File,
                    &path,
                    bytes,
                    what,
                ));
            }
            let first = number.saturating_mul(geometry.segments_per_file);
            let file = Arc::new(LogFile {
                file,
                path,
                is_released: Arc::default(),
            });
            self.files.push(SourceFile {
                file,
                bytes,
                first,
                segments,
            });
        }
        Ok(())
    }

    /// Returns all segments, in order.
    pub(super) fn segments(&self) -> impl Iterator<Item = Segment> {
        let bytes = self.catalog.geometry.segment_bytes;
        self.files.iter().flat_map(move |file| {
            (0..file.segments).map(move |slot| {
                let base = u64::from(slot) * u64::from(bytes);
                Segment::new(
                    file.first.saturating_add(slot),
                    0,
                    Arc::clone(&file.file),
                    base,
                    bytes,
                )
            })
        })
    }

    /// Reads the bytes that a write to a segment would change: its start, and those behind its last
    /// frame.
    pub(super) fn trace(segment: &Segment, end: u32) -> Result<Vec<u8>, EngineError> {
        let mut trace = segment.read(0, to_usize(HEADER_BYTES))?;
        if end < segment.bytes {
            trace.extend(segment.read(end, to_usize(HEADER_BYTES))?);
        }
        Ok(trace)
    }

    /// Returns whether names and manifest are unchanged.
    pub(super) fn same_manifest(&self) -> Result<bool, EngineError> {
        if self.disk.list(&self.dir)? != self.names {
            return Ok(false);
        }
        let found = read_manifest(&*self.disk, &self.dir)?;
        Ok(found
            .is_some_and(|now| now.catalog == self.catalog && now.torn_bytes == self.torn_bytes))
    }

    /// Returns the vBucket whose records have an epoch.
    pub(super) fn vbucket_of(&self, epoch: u32) -> Option<Vbid> {
        self.vb_of_epoch.get(&epoch).copied().map(Vbid)
    }

    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    pub(super) fn disk(&self) -> &Arc<dyn Disk> {
        &self.disk
    }
}
