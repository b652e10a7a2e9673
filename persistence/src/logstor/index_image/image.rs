//! An index image that can be read: its directory in memory, its rows block by block.

use std::path::PathBuf;
use std::sync::Arc;

use super::directory::{ImageDirectory, ImageSection, RowBlock, store_id};
use super::file_names::image_file_name;
use super::row::{ImageRow, decode_rows};
use crate::contract::EngineError;
use crate::disk::{Access, Disk, DiskFile};
use crate::logstor::format::{Fingerprint, to_usize};
use crate::logstor::hash_key::HashKey;

/// An open image.
#[derive(Debug)]
pub(in crate::logstor) struct Image {
    pub(super) number: u64,
    pub(in crate::logstor) path: PathBuf,
    pub(super) file: Arc<dyn DiskFile>,
    pub(in crate::logstor) directory: ImageDirectory,
    pub(in crate::logstor) bytes: u64,
}

impl Image {
    /// Opens an image. The inner error is the reason why it is not an image of this store.
    ///
    /// # Errors
    /// [`EngineError::Disk`].
    pub(in crate::logstor) fn open(
        disk: &dyn Disk,
        path: PathBuf,
        hash_key: HashKey,
        number: u64,
    ) -> Result<Result<Self, &'static str>, EngineError> {
        let file = disk.open(&path, Access::ReadOnly)?;
        let bytes = file.len()?;
        let read = ImageDirectory::read(&*file, store_id(hash_key))?;
        Ok(read.map(|directory| Self {
            number,
            path,
            file,
            directory,
            bytes,
        }))
    }

    pub(in crate::logstor) const fn number(&self) -> u64 {
        self.number
    }

    /// Returns a description, for reports.
    pub(in crate::logstor) fn summary(&self) -> String {
        let name = image_file_name(self.number);
        let last = self.directory.append_seqno;
        format!("{name} knows everything up to append {last}")
    }

    /// Reads the rows of a block.
    ///
    /// # Errors
    /// [`EngineError::Disk`]; [`EngineError::Corrupt`] if they are not what was written.
    pub(in crate::logstor) fn rows(&self, block: &RowBlock) -> Result<Vec<ImageRow>, EngineError> {
        let mut bytes = vec![0; to_usize(block.bytes)];
        let count = self.file.read_at(&mut bytes, block.offset)?;
        bytes.truncate(count);
        let rows = (crc32c::crc32c(&bytes) == block.crc)
            .then(|| decode_rows(&bytes))
            .flatten();
        let is_its = |rows: &Vec<ImageRow>| {
            rows.last()
                .is_some_and(|last| last.fingerprint == block.last)
        };
        rows.filter(is_its).ok_or_else(|| EngineError::Corrupt {
            path: self.path.clone(),
            offset: block.offset,
            what: "damaged rows of an index image".to_owned(),
        })
    }

    /// Reads a key's row, if the section has one: one block.
    ///
    /// # Errors
    /// Same as [`Image::rows`].
    pub(in crate::logstor) fn row(
        &self,
        section: &ImageSection,
        of: Fingerprint,
    ) -> Result<Option<ImageRow>, EngineError> {
        let Some(block) = section.block_of(of) else {
            return Ok(None);
        };
        Ok(self
            .rows(block)?
            .into_iter()
            .find(|row| row.fingerprint == of))
    }
}
