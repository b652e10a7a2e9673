//! A store that was read without an engine.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use lowtide_checkpoint::{Item, Key, Namespace, VBucketState, Vbid};

use super::finding::LogObserver;
use super::image_files::{ImageFile, open_images};
use super::layout::LogLayout;
use super::layout_builder::build_layout;
use super::source::StoreSource;
use super::survey::SegmentSurvey;
use super::vbucket_contents::{KeyRow, VBucketContents, contents_of};
use crate::contract::{EngineError, VBucketInfo};
use crate::disk::Disk;
use crate::logstor::config::LogstorConfig;
use crate::logstor::format::decode_item;
use crate::logstor::log::Catalog;

/// A store as it was read.
#[derive(Debug)]
pub struct LogDirectory {
    source: StoreSource,
    survey: SegmentSurvey,
    contents: BTreeMap<Vbid, VBucketContents>,
    images: Vec<ImageFile>,
}

impl LogDirectory {
    /// Reads everything: O(bytes). Damage is reported to the observer.
    ///
    /// # Errors
    /// [`EngineError::Disk`]; [`EngineError::Corrupt`] if the manifest is missing or damaged, so
    /// that the rest can't be read; [`EngineError::InUse`] if the store was written to meanwhile:
    /// then findings mean nothing.
    pub fn read(
        disk: Arc<dyn Disk>,
        dir: &Path,
        observer: &mut dyn LogObserver,
    ) -> Result<Self, EngineError> {
        let source = StoreSource::open(disk, dir, observer)?;
        let survey = SegmentSurvey::of(&source, observer)?;
        let contents = contents_of(&source, &survey, observer);
        let images = open_images(&source, observer)?;
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

    /// Returns whether the store is unchanged since it was read.
    ///
    /// # Errors
    /// [`EngineError::Disk`].
    pub(in crate::logstor) fn is_unchanged(&self) -> Result<bool, EngineError> {
        Ok(self.source.same_manifest()? && self.survey.is_unchanged()?)
    }

    /// Returns settings that give another store the same geometry and hash key.
    pub(in crate::logstor) fn config(&self) -> LogstorConfig {
        let Catalog {
            geometry, hash_key, ..
        } = &self.source.catalog;
        let file_bytes = u64::from(geometry.segment_bytes) * u64::from(geometry.segments_per_file);
        LogstorConfig {
            segment_bytes: geometry.segment_bytes,
            file_bytes,
            ..LogstorConfig::new(hash_key.numbers())
        }
    }

    /// Returns the layout of the store.
    #[must_use]
    pub fn layout(&self) -> LogLayout {
        build_layout(&self.source, &self.survey, &self.contents, &self.images)
    }

    /// Verifies index images. If the records are sound, also compares the images with them. Damage
    /// is reported to the observer.
    ///
    /// # Errors
    /// [`EngineError::Disk`].
    pub(in crate::logstor::tools) fn check_images(
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

    /// Returns the files that are not the store's own.
    #[must_use]
    pub fn others(&self) -> &[PathBuf] {
        &self.source.others
    }

    /// Returns the vBuckets, ascending.
    pub fn vbuckets(&self) -> impl Iterator<Item = Vbid> {
        self.contents.keys().copied()
    }

    /// Returns a vBucket's figures.
    #[must_use]
    pub fn info(&self, vb: Vbid) -> Option<VBucketInfo> {
        self.contents.get(&vb).map(|contents| contents.info)
    }

    /// Returns a vBucket's state, if it has a readable one.
    #[must_use]
    pub fn state(&self, vb: Vbid) -> Option<&VBucketState> {
        self.contents.get(&vb)?.state.as_ref()
    }

    /// Returns the items of a vBucket, ascending by seqno, read one by one.
    pub fn items(&self, vb: Vbid) -> impl Iterator<Item = Result<Item, EngineError>> {
        let rows = self
            .contents
            .get(&vb)
            .into_iter()
            .flat_map(|contents| &contents.rows);
        rows.filter(|row| !row.hidden).map(|row| self.item(row))
    }

    /// Same as [`LogDirectory::items`], ascending by name space and key: reads everything twice,
    /// and holds all keys.
    ///
    /// # Errors
    /// [`EngineError::Disk`].
    pub fn items_by_key(
        &self,
        vb: Vbid,
    ) -> Result<impl Iterator<Item = Result<Item, EngineError>>, EngineError> {
        let mut named: Vec<(Option<(Namespace, Key)>, &KeyRow)> = Vec::new();
        let rows = self
            .contents
            .get(&vb)
            .into_iter()
            .flat_map(|contents| &contents.rows);
        for row in rows.filter(|row| !row.hidden) {
            let name = match self.item(row) {
                Ok(item) => {
                    // A key that shares the value's memory would keep the value in memory.
                    let key = Key::from_encoded(Bytes::copy_from_slice(item.key.encoded()));
                    item.operation.namespace().zip(key)
                }
                // It is reported when it is iterated: first.
                Err(EngineError::Corrupt { .. }) => None,
                Err(error) => return Err(error),
            };
            named.push((name, row));
        }
        named.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
        Ok(named.into_iter().map(|(_, row)| self.item(row)))
    }

    fn item(&self, row: &KeyRow) -> Result<Item, EngineError> {
        let segment = self.survey.segment_of(row.at);
        let segment = segment.ok_or_else(|| EngineError::InUse {
            path: self.source.dir().to_path_buf(),
        })?;
        let record = segment.read_record(row.at)?;
        let item = decode_item(&record).filter(|item| item.seqno.0 == row.seqno);
        item.ok_or_else(|| segment.corrupt(row.at.offset, "not the record that was found there"))
    }

    pub(in crate::logstor) fn contents(&self) -> &BTreeMap<Vbid, VBucketContents> {
        &self.contents
    }

    pub(in crate::logstor) fn dir(&self) -> &Path {
        self.source.dir()
    }

    pub(in crate::logstor) fn disk(&self) -> &Arc<dyn Disk> {
        self.source.disk()
    }
}
