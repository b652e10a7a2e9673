//! A store's directory, to be looked at: a path goes in; its manifest, its log files, index images and what else is there come out.
//!
//! Always (T7): nothing is written, and no lock taken. So the store may be in use: every write to it leaves a trace in its
//! manifest, in its files' names, at a segment's start or behind its last frame, and [`Source::same_manifest`] and
//! [`Source::trace`] tell.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use lowtide_checkpoint::Vbid;

use crate::contract::EngineError;
use crate::disk::{Access, Disk, DiskError};
use crate::logstor::frame::HEADER_BYTES;
use crate::logstor::image;
use crate::logstor::manifest::{self, Sketch};
use crate::logstor::segment::{LogFile, Segment};
use crate::logstor::segments::Segments;
use crate::store_owner::StoreOwner;

use super::finding::{LogFinding, LogFindingKind, LogObserver};

/// A log file as it was found.
#[derive(Debug)]
pub(super) struct SourceFile {
    pub(super) file: Arc<LogFile>,
    pub(super) bytes: u64,
    /// Of its segments, the first.
    pub(super) first: u32,
    /// Whole ones.
    pub(super) segments: u32,
}

#[derive(Debug)]
pub(super) struct Source {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    pub(super) sketch: Sketch,
    of_epoch: BTreeMap<u32, u16>,
    torn_bytes: u64,
    names: Vec<String>,
    pub(super) files: Vec<SourceFile>,
    /// Index images: number and path, newest first.
    pub(super) images: Vec<(u64, PathBuf)>,
    /// What is there beside the store's own files.
    pub(super) others: Vec<PathBuf>,
}

const PREFIX: &str = "log-";

/// The number in a log file's name.
fn number_of(name: &str) -> Option<u32> {
    let number = name.strip_prefix(PREFIX)?.parse().ok()?;
    (Segments::file_name(number) == name).then_some(number)
}

/// Whether a directory has a log store's files.
///
/// # Errors
/// Whatever the disk reports, also if there is no such directory.
pub fn is_log_store(disk: &dyn Disk, dir: &Path) -> Result<bool, DiskError> {
    let names = disk.list(dir)?;
    Ok(names
        .iter()
        .any(|name| name == manifest::NAME || number_of(name).is_some()))
}

impl Source {
    pub(super) fn open(
        disk: Arc<dyn Disk>,
        dir: &Path,
        observer: &mut dyn LogObserver,
    ) -> Result<Self, EngineError> {
        StoreOwner::Logstor.require(&*disk, dir)?;
        let names = disk.list(dir)?;
        let Some(found) = manifest::read(&*disk, dir)? else {
            let what = "no manifest: nothing tells how to read the log files".to_owned();
            return Err(EngineError::Corrupt {
                path: dir.join(manifest::NAME),
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
        let entries = found.sketch.vbuckets.iter();
        let of_epoch =
            entries.flat_map(|(&vb, entry)| entry.lineage.epochs().map(move |epoch| (epoch, vb)));
        let mut source = Self {
            disk,
            dir: dir.to_path_buf(),
            of_epoch: of_epoch.collect(),
            sketch: found.sketch,
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
            .filter_map(|name| number_of(name))
            .collect();
        // By name the hundred millionth would come before the second.
        numbers.sort_unstable();
        let images = self.names.iter();
        self.images = images
            .filter_map(|name| Some((image::number_of(name)?, self.dir.join(name))))
            .collect();
        self.images.sort_unstable_by(|one, other| other.cmp(one));
        let is_own = |name: &String| {
            name == manifest::NAME || number_of(name).is_some() || image::number_of(name).is_some()
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
            for missing in expected..number {
                let path = self.dir.join(Segments::file_name(missing));
                observer.found(LogFinding::of_file(
                    LogFindingKind::File,
                    &path,
                    0,
                    "a log file is missing",
                ));
            }
            expected = number.saturating_add(1);
            let path = self.dir.join(Segments::file_name(number));
            let file = self.disk.open(&path, Access::ReadOnly)?;
            let (bytes, geometry) = (file.len()?, self.sketch.geometry);
            let segment_bytes = u64::from(geometry.segment_bytes);
            let whole = (bytes / segment_bytes).min(geometry.segments_per_file.into());
            let is_last = Some(number) == last;
            let is_full = whole == u64::from(geometry.segments_per_file);
            if whole == 0 || bytes != whole * segment_bytes || !(is_full || is_last) {
                let what = format!("{bytes} bytes are no log file's length");
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
                is_given_up: Arc::default(),
            });
            self.files.push(SourceFile {
                file,
                bytes,
                first,
                segments: whole as u32,
            });
        }
        Ok(())
    }

    /// Every segment there is, in order.
    pub(super) fn segments(&self) -> impl Iterator<Item = Segment> {
        let bytes = self.sketch.geometry.segment_bytes;
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

    /// What a write to a segment would have changed: its start, and what is behind its last frame.
    pub(super) fn trace(segment: &Segment, end: u32) -> Result<Vec<u8>, EngineError> {
        let mut trace = segment.read(0, HEADER_BYTES as usize)?;
        if end < segment.bytes {
            trace.extend(segment.read(end, HEADER_BYTES as usize)?);
        }
        Ok(trace)
    }

    /// Whether names and manifest are still what was found.
    pub(super) fn same_manifest(&self) -> Result<bool, EngineError> {
        if self.disk.list(&self.dir)? != self.names {
            return Ok(false);
        }
        let found = manifest::read(&*self.disk, &self.dir)?;
        Ok(found.is_some_and(|now| now.sketch == self.sketch && now.torn_bytes == self.torn_bytes))
    }

    /// The vBucket whose records have an epoch.
    pub(super) fn vbucket_of(&self, epoch: u32) -> Option<Vbid> {
        self.of_epoch.get(&epoch).copied().map(Vbid)
    }

    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    pub(super) fn disk(&self) -> &Arc<dyn Disk> {
        &self.disk
    }
}
