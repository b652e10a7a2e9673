//! The sections of an image that is being made: the last image's rows and what was found since go in, a file comes out,
//! a block at a time.
//!
//! Always: the file has its name only when it is whole and durable (L21); until then it is removed when it is given up.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use crate::contract::{Budget, EngineError};
use crate::disk::{DiskErrorKind, DiskFile};
use crate::logstor::fingerprint::Fingerprint;
use crate::logstor::found::{self, FoundItem, FoundState};
use crate::logstor::highs::CollectionHighs;
use crate::logstor::manifest::{Sketch, VBucketEntry};
use crate::logstor::shared::Shared;

use super::directory::{Block, Directory, Section, StateRow};
use super::merge::{Merge, sort};
use super::rows::Row;
use super::{Image, UNFINISHED};

/// Rows are written when they come to so many bytes: who gets a key before the index is in memory reads that much.
/// Unit tests have few keys, and several blocks of them.
const BLOCK_BYTES: usize = if cfg!(test) { 512 } else { 16 << 10 };
/// So much is synced at once: commits' syncs wait behind it.
const SYNC_BYTES: u64 = 512 << 10;
/// Without rows of a last image so many records are merged in a step.
const RECORDS: usize = 4096;

#[derive(Debug)]
pub(in crate::logstor) struct Sections {
    shared: Arc<Shared>,
    number: u64,
    path: PathBuf,
    /// `None` once it has its name.
    file: Option<Arc<dyn DiskFile>>,
    written_bytes: u64,
    synced_bytes: u64,
    directory: Directory,
    last: Option<Arc<Image>>,
    /// vBuckets to come, last first.
    todo: Vec<Section>,
    current: Option<Current>,
    items: BTreeMap<u16, Vec<FoundItem>>,
    states: BTreeMap<u32, FoundState>,
    vbuckets: u64,
}

/// The section being written.
#[derive(Debug)]
struct Current {
    section: Section,
    /// Blocks of the last image that were not merged, last first.
    blocks: Vec<Block>,
    found: Vec<FoundItem>,
    merged: usize,
    /// Rows that are not written.
    bytes: Vec<u8>,
    /// The last row there is.
    last: Fingerprint,
}

impl Sections {
    /// Begins a file under another name than it will have.
    ///
    /// # Errors
    /// [`EngineError::Disk`].
    pub(in crate::logstor) fn create(
        shared: &Arc<Shared>,
        number: u64,
        directory: Directory,
        last: Option<Arc<Image>>,
        sketch: &Sketch,
        items: BTreeMap<u16, Vec<FoundItem>>,
        states: BTreeMap<u32, FoundState>,
    ) -> Result<Self, EngineError> {
        let path = shared.dir.join(Image::name(number) + UNFINISHED);
        match shared.disk.remove(&path) {
            Err(error) if error.kind != DiskErrorKind::NotFound => return Err(error.into()),
            _ => {}
        }
        let file = shared.disk.create(&path)?;
        let section = |(&vb, entry): (&u16, &VBucketEntry)| Section {
            vb,
            lineage: entry.lineage.clone(),
            state: None,
            highs: CollectionHighs::default(),
            rows: 0,
            blocks: Vec::new(),
        };
        Ok(Self {
            shared: Arc::clone(shared),
            number,
            path,
            file: Some(file),
            written_bytes: 0,
            synced_bytes: 0,
            directory,
            last,
            todo: sketch.vbuckets.iter().rev().map(section).collect(),
            current: None,
            items,
            states,
            vbuckets: sketch.vbuckets.len() as u64,
        })
    }

    pub(in crate::logstor) fn progress(&self) -> (u64, u64) {
        (self.directory.sections.len() as u64, self.vbuckets)
    }

    /// Writes some blocks; whether there are more.
    ///
    /// # Errors
    /// [`EngineError::Disk`]; [`EngineError::Corrupt`] if the last image is damaged.
    pub(in crate::logstor) fn step(&mut self, mut budget: Budget) -> Result<bool, EngineError> {
        loop {
            let current = match self.current.take() {
                Some(current) => current,
                None => match self.todo.pop() {
                    Some(section) => self.begin(section),
                    None => return Ok(false),
                },
            };
            let before = self.written_bytes;
            self.current = self.advance(current)?;
            if !budget.spend(self.written_bytes - before) {
                return Ok(true);
            }
        }
    }

    fn begin(&mut self, mut section: Section) -> Current {
        let last = self
            .last
            .as_ref()
            .and_then(|last| last.directory.section(section.vb));
        let last = last.filter(|last| last.lineage == section.lineage);
        let mut found = self.items.remove(&section.vb).unwrap_or_default();
        sort(&mut found);
        let known = last.and_then(|last| last.state.clone());
        let known = known.filter(|state| self.is_current(state.at.segment));
        let state = self
            .states
            .remove(&section.lineage.epoch())
            .map(StateRow::from);
        section.state = known
            .into_iter()
            .chain(state)
            .max_by_key(|state| (state.revision, state.number));
        section.highs = found::highs(&found);
        last.iter()
            .for_each(|last| section.highs.merge(&last.highs));
        let blocks = last
            .map(|last| last.blocks.iter().rev().copied().collect())
            .unwrap_or_default();
        Current {
            section,
            blocks,
            found,
            merged: 0,
            bytes: Vec::new(),
            last: Fingerprint::MIN,
        }
    }

    /// Merges a block of the last image, or, behind the last of them, some of what was found.
    fn advance(&mut self, mut current: Current) -> Result<Option<Current>, EngineError> {
        let (mut old, mut upto) = (Vec::new(), current.found.len());
        let block = current.blocks.pop();
        if let (Some(block), Some(last)) = (block, &self.last) {
            old = last.rows(&block)?;
            let end = old.last().map(|row| row.fingerprint);
            upto = current
                .found
                .partition_point(|item| Some(item.fingerprint) <= end);
        } else {
            let end = current
                .found
                .get(current.merged + RECORDS)
                .map(|item| item.fingerprint);
            if let Some(end) = end {
                upto = current
                    .found
                    .partition_point(|item| item.fingerprint <= end);
            }
        }
        let here = current.found.get(current.merged..upto).unwrap_or_default();
        let merge = Merge::new(old, here, |segment| self.is_current(segment));
        let rows: Vec<Row> = merge
            .collect::<Result<_, _>>()
            .map_err(|_| untrue(&self.path))?;
        for row in rows {
            row.encode(&mut current.bytes);
            current.last = row.fingerprint;
            current.section.rows += 1;
            if current.bytes.len() >= BLOCK_BYTES {
                self.put(&mut current)?;
            }
        }
        current.merged = upto;
        let is_over = current.blocks.is_empty() && upto == current.found.len();
        if is_over && !current.bytes.is_empty() {
            self.put(&mut current)?;
        }
        if is_over {
            self.directory.sections.push(current.section);
            return Ok(None);
        }
        Ok(Some(current))
    }

    /// Whether a use the last image knows goes on: then this one covers it.
    fn is_current(&self, segment: u32) -> bool {
        let known = self
            .last
            .as_ref()
            .and_then(|last| last.directory.covered(segment));
        let now = self.directory.covered(segment);
        now.is_some() && known.map(|known| known.generation) == now.map(|now| now.generation)
    }

    fn put(&mut self, current: &mut Current) -> Result<(), EngineError> {
        let bytes = std::mem::take(&mut current.bytes);
        let (len, crc) = (bytes.len() as u32, crc32c::crc32c(&bytes));
        let block = Block {
            offset: self.written_bytes,
            bytes: len,
            crc,
            last: current.last,
        };
        self.append(&bytes)?;
        current.section.blocks.push(block);
        Ok(())
    }

    fn append(&mut self, bytes: &[u8]) -> Result<(), EngineError> {
        if let Some(file) = &self.file {
            file.write_at(&[bytes], self.written_bytes)?;
        }
        self.written_bytes += bytes.len() as u64;
        if self.written_bytes - self.synced_bytes >= SYNC_BYTES {
            self.sync()?;
        }
        self.shared.counters.image_bytes.add(bytes.len() as u64);
        Ok(())
    }

    fn sync(&mut self) -> Result<(), EngineError> {
        if let Some(file) = &self.file {
            self.shared.sync(&**file, &self.path)?;
        }
        self.synced_bytes = self.written_bytes;
        Ok(())
    }

    /// Makes the file durable, under its name.
    ///
    /// # Errors
    /// [`EngineError::Disk`].
    pub(in crate::logstor) fn finish(mut self, shared: &Shared) -> Result<Image, EngineError> {
        let end = self.directory.encode(self.written_bytes).ok_or_else(|| {
            EngineError::InvalidArgument(
                "the directory of the index image would be too large".to_owned(),
            )
        })?;
        self.append(&end)?;
        self.sync()?;
        let path = shared.dir.join(Image::name(self.number));
        let Some(file) = &self.file else {
            return Err(untrue(&path));
        };
        shared.disk.rename(&self.path, &path)?;
        shared.sync_dir()?;
        let file = Arc::clone(file);
        self.file = None;
        let directory = std::mem::replace(&mut self.directory, Directory::new([0; 16], 0, 0));
        Ok(Image {
            number: self.number,
            path,
            file,
            directory,
            bytes: self.written_bytes,
        })
    }
}

impl Sections {
    /// Leaves the unfinished file to who opens the store next.
    pub(in crate::logstor) fn leave_file(&mut self) {
        self.file = None;
    }
}

impl Drop for Sections {
    fn drop(&mut self) {
        if self.file.is_some() {
            // What can't be removed now is removed when the store opens.
            let _ = self.shared.disk.remove(&self.path);
        }
    }
}

fn untrue(path: &std::path::Path) -> EngineError {
    EngineError::Corrupt {
        path: path.to_path_buf(),
        offset: 0,
        what: "the last index image and the log don't fit".to_owned(),
    }
}
