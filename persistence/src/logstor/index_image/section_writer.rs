//! The writer of an image: section by section, the last image's rows are merged with what was
//! scanned since.
//!
//! # Invariants
//!
//! The file has its name only when it is whole and durable (L21). Until then it is removed when the
//! writer is dropped.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::vec;

use lowtide_checkpoint::internal::{Invariant, checked_invariant};

use super::directory::{ImageDirectory, ImageSection, RowBlock, StateRow};
use super::file_names::{UNFINISHED, image_file_name};
use super::image::Image;
use super::merge::KeyFold;
use super::record_sort::SortedRecords;
use super::row::{ImageRow, decode_rows};
use crate::contract::{Budget, EngineError};
use crate::disk::DiskFile;
use crate::logstor::format::{CollectionHighSeqnos, Fingerprint, to_u32, to_u64};
use crate::logstor::log::{Catalog, CatalogEntry, ScannedState, StoreContext};

/// Bytes of a block of rows, at least. A get before the index is in memory reads one block. Unit
/// tests have few keys, and several blocks of them.
const BLOCK_BYTES: usize = if cfg!(test) { 512 } else { 16 << 10 };
/// Bytes that are synced at once: syncs of commits wait for them.
const SYNC_BYTES: u64 = 512 << 10;
/// Keys that are merged between two looks at a step's budget.
const KEYS: usize = 512;

#[derive(Debug)]
pub(in crate::logstor) struct SectionWriter {
    context: Arc<StoreContext>,
    number: u64,
    path: PathBuf,
    /// `None` once it has its name.
    file: Option<Arc<dyn DiskFile>>,
    written_bytes: u64,
    synced_bytes: u64,
    directory: ImageDirectory,
    last: Option<Arc<Image>>,
    /// Sections to be written, last first.
    todo: Vec<ImageSection>,
    current: Option<Current>,
    records: SortedRecords,
    states: BTreeMap<u32, ScannedState>,
    vbuckets: u64,
}

/// The section being written.
#[derive(Debug)]
struct Current {
    section: ImageSection,
    /// Blocks of the last image that are not read, last first.
    blocks: Vec<RowBlock>,
    /// Rows of the last image that are read and not merged.
    old: vec::IntoIter<ImageRow>,
    /// Bytes of rows that are not written.
    bytes: Vec<u8>,
    /// Fingerprint of the last row.
    last: Fingerprint,
}

impl SectionWriter {
    /// Creates the file, under an unfinished name.
    ///
    /// # Errors
    /// [`EngineError::Disk`].
    pub(in crate::logstor) fn create(
        context: &Arc<StoreContext>,
        number: u64,
        directory: ImageDirectory,
        last: Option<Arc<Image>>,
        catalog: &Catalog,
        records: SortedRecords,
        states: BTreeMap<u32, ScannedState>,
    ) -> Result<Self, EngineError> {
        let path = context.dir.join(image_file_name(number) + UNFINISHED);
        context.remove_if_there(&path)?;
        let file = context.disk.create(&path)?;
        let section = |(&vb, entry): (&u16, &CatalogEntry)| ImageSection {
            vb,
            lineage: entry.lineage.clone(),
            state: None,
            high_seqnos: CollectionHighSeqnos::default(),
            rows: 0,
            blocks: Vec::new(),
        };
        Ok(Self {
            context: Arc::clone(context),
            number,
            path,
            file: Some(file),
            written_bytes: 0,
            synced_bytes: 0,
            directory,
            last,
            todo: catalog.vbuckets.iter().rev().map(section).collect(),
            current: None,
            records,
            states,
            vbuckets: to_u64(catalog.vbuckets.len()),
        })
    }

    pub(in crate::logstor) fn progress(&self) -> (u64, u64) {
        (to_u64(self.directory.sections.len()), self.vbuckets)
    }

    /// Writes some blocks. Returns whether there are more.
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

    fn begin(&mut self, mut section: ImageSection) -> Current {
        let last = self
            .last
            .as_ref()
            .and_then(|last| last.directory.section(section.vb));
        let last = last.filter(|last| last.lineage == section.lineage);
        let known = last.and_then(|last| last.state.clone());
        let known = known.filter(|state| self.is_current(state.at.segment));
        let state = self
            .states
            .remove(&section.lineage.epoch())
            .map(StateRow::from);
        section.state = known
            .into_iter()
            .chain(state)
            .max_by_key(|state| (state.revision, state.append_seqno));
        section.high_seqnos = self.records.high_seqnos(section.vb);
        last.iter()
            .for_each(|last| section.high_seqnos.merge(&last.high_seqnos));
        let blocks = last
            .map(|last| last.blocks.iter().rev().copied().collect())
            .unwrap_or_default();
        Current {
            section,
            blocks,
            old: Vec::new().into_iter(),
            bytes: Vec::new(),
            last: Fingerprint::MIN,
        }
    }

    /// Merges some keys. Returns nothing once the section is whole.
    fn advance(&mut self, mut current: Current) -> Result<Option<Current>, EngineError> {
        for _ in 0..KEYS {
            let Some(row) = self.next_row(&mut current)? else {
                if !current.bytes.is_empty() {
                    self.put(&mut current)?;
                }
                self.directory.sections.push(current.section);
                return Ok(None);
            };
            let Some(row) = row else { continue };
            row.encode(&mut current.bytes);
            current.last = row.fingerprint;
            current.section.rows += 1;
            if current.bytes.len() >= BLOCK_BYTES {
                self.put(&mut current)?;
            }
        }
        Ok(Some(current))
    }

    /// Merges a key's row of the last image with the key's scanned records. The row is `None` if all its
    /// records are gone. Returns nothing if there is no key left.
    fn next_row(&mut self, current: &mut Current) -> Result<Option<Option<ImageRow>>, EngineError> {
        if current.old.as_slice().is_empty()
            && let Some(block) = current.blocks.pop()
        {
            current.old = self.last_image()?.rows(&block)?.into_iter();
        }
        let vb = current.section.vb;
        let old = current.old.as_slice().first().map(|row| row.fingerprint);
        let Some(of) = old.into_iter().chain(self.records.next_of(vb)).min() else {
            return Ok(None);
        };
        let old = if old == Some(of) {
            current.old.next()
        } else {
            None
        };
        let mut fold = KeyFold::of(old, |segment| self.is_current(segment));
        while let Some(record) = self.records.take(vb, of)? {
            fold.add(&record).map_err(|_| self.mismatch())?;
        }
        fold.finish().map(Some).map_err(|_| self.mismatch())
    }

    /// Returns whether a use that the last image covers goes on: then this image covers it, too.
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
        checked_invariant!(
            decode_rows(&bytes).is_some_and(|rows| {
                rows.last().map(|last| last.fingerprint) == Some(current.last)
            }),
            "L20",
            "rows are read as they are written, in their order"
        );
        let block = RowBlock {
            offset: self.written_bytes,
            bytes: to_u32(bytes.len()),
            crc: crc32c::crc32c(&bytes),
            last: current.last,
        };
        self.append(&bytes)?;
        current.section.blocks.push(block);
        Ok(())
    }

    fn last_image(&self) -> Result<&Image, EngineError> {
        self.last
            .as_deref()
            .invariant("L20", "a block that is merged is the last image's")
            .map_err(|violation| self.context.internal(violation))
    }

    /// Returns the error of a last image that contradicts the log.
    fn mismatch(&self) -> EngineError {
        let path = self.last.as_ref().map_or(&self.path, |last| &last.path);
        EngineError::Corrupt {
            path: path.clone(),
            offset: 0,
            what: "the last index image and the log don't fit".to_owned(),
        }
    }

    fn file(&self) -> Result<&Arc<dyn DiskFile>, EngineError> {
        self.file
            .as_ref()
            .invariant("L21", "an image that is being made has its file")
            .map_err(|violation| self.context.internal(violation))
    }

    fn append(&mut self, bytes: &[u8]) -> Result<(), EngineError> {
        self.file()?.write_at(&[bytes], self.written_bytes)?;
        self.written_bytes += to_u64(bytes.len());
        if self.written_bytes - self.synced_bytes >= SYNC_BYTES {
            self.sync()?;
        }
        self.context.counters.image_bytes.add(to_u64(bytes.len()));
        Ok(())
    }

    fn sync(&mut self) -> Result<(), EngineError> {
        self.context.sync(&**self.file()?, &self.path)?;
        self.synced_bytes = self.written_bytes;
        Ok(())
    }

    /// Makes the file durable under its name.
    ///
    /// # Errors
    /// [`EngineError::Disk`]; [`EngineError::InvalidArgument`] if the directory would be too large.
    pub(in crate::logstor) fn finish(mut self) -> Result<Image, EngineError> {
        let end = self.directory.encode(self.written_bytes).ok_or_else(|| {
            EngineError::InvalidArgument(
                "the directory of the index image would be too large".to_owned(),
            )
        })?;
        self.append(&end)?;
        self.sync()?;
        let path = self.context.dir.join(image_file_name(self.number));
        let file = Arc::clone(self.file()?);
        self.context.disk.rename(&self.path, &path)?;
        self.context.sync_dir()?;
        self.file = None;
        let directory = std::mem::replace(&mut self.directory, ImageDirectory::new([0; 16], 0, 0));
        Ok(Image {
            number: self.number,
            path,
            file,
            directory,
            bytes: self.written_bytes,
        })
    }

    /// Leaves the unfinished files to the next opening of the store.
    pub(in crate::logstor) fn leave_file(&mut self) {
        self.file = None;
        self.records.leave_file();
    }
}

impl Drop for SectionWriter {
    fn drop(&mut self) {
        if self.file.is_some() {
            // A file that can't be removed now is removed when the store is opened.
            let _ = self.context.disk.remove(&self.path);
        }
    }
}
