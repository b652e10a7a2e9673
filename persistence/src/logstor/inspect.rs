//! A log store looked at without an engine: a directory goes in; what is in it, segment by segment and vBucket by vBucket,
//! comes out, with everything that is wrong.
//!
//! *T7.* Looking writes nothing, takes no lock and leaves none behind. What is damaged is told, and what can be read beside
//! it is read. A store that was written to meanwhile is told as such, and nothing else is said of it. Memory is an
//! entry for each record, a segment, and one record.

mod contents;
mod finding;
mod frames;
mod images;
mod layout;
mod source;
mod survey;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use lowtide_checkpoint::{Item, Key, Namespace, VBucketState, Vbid};

use crate::contract::{EngineError, VBucketInfo};
use crate::disk::Disk;

use super::config::LogstorConfig;
use super::entry;
use super::manifest::Sketch;

use self::images::ImageFile;
use self::source::Source;
use self::survey::Survey;

pub(super) use self::contents::{Contents, Row};
pub use self::finding::{LogFinding, LogFindingKind, LogObserver, LogSeverity};
pub use self::layout::{ImageLayout, LogLayout, SegmentKind, SegmentLayout, VBucketLayout};
pub use self::source::is_log_store;

/// A store as it was found.
#[derive(Debug)]
pub struct LogDirectory {
    source: Source,
    survey: Survey,
    contents: BTreeMap<Vbid, Contents>,
    images: Vec<ImageFile>,
}

impl LogDirectory {
    /// Reads everything: O(bytes). The observer is told what is wrong.
    ///
    /// # Errors
    /// [`EngineError::Disk`]; [`EngineError::Corrupt`] if the manifest is missing or damaged, so that nothing can be told
    /// of the rest; [`EngineError::InUse`] if the store was written to meanwhile: what the observer was told means
    /// nothing then.
    pub fn read(
        disk: Arc<dyn Disk>,
        dir: &Path,
        observer: &mut dyn LogObserver,
    ) -> Result<Self, EngineError> {
        let source = Source::open(disk, dir, observer)?;
        let survey = Survey::of(&source, observer)?;
        let contents = contents::of(&source, &survey, observer);
        let images = images::open(&source, observer)?;
        let directory = Self {
            source,
            survey,
            contents,
            images,
        };
        if !directory.is_unchanged()? {
            return Err(EngineError::InUse {
                path: dir.to_path_buf(),
            });
        }
        Ok(directory)
    }

    /// Whether nobody has written to it since.
    ///
    /// # Errors
    /// [`EngineError::Disk`].
    pub(super) fn is_unchanged(&self) -> Result<bool, EngineError> {
        Ok(self.source.same_manifest()? && self.survey.is_unchanged()?)
    }

    /// Settings with which another store comes to be as this one is.
    pub(super) fn config(&self) -> LogstorConfig {
        let Sketch {
            geometry, hash_key, ..
        } = &self.source.sketch;
        let file_bytes = u64::from(geometry.segment_bytes) * u64::from(geometry.segments_per_file);
        LogstorConfig {
            segment_bytes: geometry.segment_bytes,
            file_bytes,
            hash_key: *hash_key,
            ..LogstorConfig::DEFAULT
        }
    }

    /// What there is, for people and programs.
    #[must_use]
    pub fn layout(&self) -> LogLayout {
        layout::of(&self.source, &self.survey, &self.contents, &self.images)
    }

    /// Reads what index images say; and, if the records are sound, whether it is so. The observer is told what is wrong.
    ///
    /// # Errors
    /// [`EngineError::Disk`].
    pub(super) fn check_images(
        &self,
        against_records: bool,
        observer: &mut dyn LogObserver,
    ) -> Result<(), EngineError> {
        for image in &self.images {
            image.check(
                &self.source,
                against_records.then_some(&self.survey),
                observer,
            )?;
        }
        Ok(())
    }

    /// Files beside the store's own.
    #[must_use]
    pub fn others(&self) -> &[PathBuf] {
        &self.source.others
    }

    /// The vBuckets, ascending.
    pub fn vbuckets(&self) -> impl Iterator<Item = Vbid> {
        self.contents.keys().copied()
    }

    /// A vBucket's figures.
    #[must_use]
    pub fn info(&self, vb: Vbid) -> Option<VBucketInfo> {
        self.contents.get(&vb).map(|contents| contents.info)
    }

    /// A vBucket's state, if it has one that can be read.
    #[must_use]
    pub fn state(&self, vb: Vbid) -> Option<&VBucketState> {
        self.contents.get(&vb)?.state.as_ref()
    }

    /// What a vBucket shows, ascending by seqno, read item by item.
    pub fn items(&self, vb: Vbid) -> impl Iterator<Item = Result<Item, EngineError>> {
        let rows = self
            .contents
            .get(&vb)
            .into_iter()
            .flat_map(|contents| &contents.rows);
        rows.filter(|row| !row.hidden).map(|row| self.item(row))
    }

    /// The same, ascending by name space and key: reads everything twice, and holds all keys.
    ///
    /// # Errors
    /// [`EngineError::Disk`].
    pub fn items_by_key(
        &self,
        vb: Vbid,
    ) -> Result<impl Iterator<Item = Result<Item, EngineError>>, EngineError> {
        let mut named: Vec<(Option<(Namespace, Key)>, &Row)> = Vec::new();
        let rows = self
            .contents
            .get(&vb)
            .into_iter()
            .flat_map(|contents| &contents.rows);
        for row in rows.filter(|row| !row.hidden) {
            let name = match self.item(row) {
                Ok(item) => {
                    // A key that shares the value's memory would keep all of it.
                    let key = Key::from_encoded(Bytes::copy_from_slice(item.key.encoded()));
                    item.operation.namespace().zip(key)
                }
                // It is told when it is its turn: first.
                Err(EngineError::Corrupt { .. }) => None,
                Err(error) => return Err(error),
            };
            named.push((name, row));
        }
        named.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
        Ok(named.into_iter().map(|(_, row)| self.item(row)))
    }

    fn item(&self, row: &Row) -> Result<Item, EngineError> {
        let segment = contents::segment_of(&self.survey, row.at);
        let segment = segment.ok_or_else(|| EngineError::InUse {
            path: self.source.dir().to_path_buf(),
        })?;
        let record = segment.read_record(row.at)?;
        let item = entry::item(&record).filter(|item| item.seqno.0 == row.seqno);
        item.ok_or_else(|| segment.corrupt(row.at.offset, "not the record that was found there"))
    }

    pub(super) fn contents(&self) -> &BTreeMap<Vbid, Contents> {
        &self.contents
    }

    pub(super) fn dir(&self) -> &Path {
        self.source.dir()
    }

    pub(super) fn disk(&self) -> &Arc<dyn Disk> {
        self.source.disk()
    }
}
