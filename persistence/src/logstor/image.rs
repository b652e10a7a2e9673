//! Index images: the index as a file, so that opening reads that and what was appended since, not the disk.
//!
//! What the log holds goes in, up to some append; files `index-00000001` ... come out, and are read when the store opens.
//! An image is made from the one before and from what was appended since, read from the log: nobody who commits or reads
//! is held up. What always holds:
//!
//! - Opening with an image gives what opening by reading everything gives (L20). For an image covers uses of segments,
//!   each up to a byte. It says of every key which of the covered records wins and in which segments the others are; what
//!   is not covered is read. A use that is over is known by its segment's first header: its records are taken off. So an
//!   image is true for ever, whatever was written or freed since; it only becomes useless.
//! - A vBucket that was rolled back since has other records than the image says: those that were hidden count again. Its
//!   section is not used.
//! - An image is there under its name only when it is whole and durable; one that is missing or damaged costs time, never
//!   data (L21). Each block of it, and its directory, have checksums.
//! - A section's rows ascend by fingerprint, and the directory says where each block ends: so the row of a key is found
//!   by reading one block, before the rest is in memory.

mod directory;
mod merge;
mod rows;
mod sections;

use std::path::PathBuf;
use std::sync::Arc;

use crate::contract::EngineError;
use crate::disk::{Access, Disk, DiskErrorKind, DiskFile};

use super::fingerprint::Fingerprint;
use super::shared::Shared;

use self::directory::Block;
pub(super) use self::directory::{
    Contents, Covered, Directory, Piece, Section, StateRow, store_id,
};
pub(super) use self::merge::{Merge, sort};
pub(super) use self::rows::Row;
pub(super) use self::sections::Sections;

const PREFIX: &str = "index-";
const UNFINISHED: &str = ".new";
/// An image that can be read.
#[derive(Debug)]
pub(super) struct Image {
    number: u64,
    pub(super) path: PathBuf,
    file: Arc<dyn DiskFile>,
    pub(super) directory: Directory,
    pub(super) bytes: u64,
}

impl Image {
    fn name(number: u64) -> String {
        format!("{PREFIX}{number:08}")
    }

    /// The image in a file; or why there is none of this store.
    ///
    /// # Errors
    /// [`EngineError::Disk`].
    pub(super) fn open(
        disk: &dyn Disk,
        path: PathBuf,
        hash_key: [u64; 2],
        number: u64,
    ) -> Result<Result<Self, &'static str>, EngineError> {
        let file = disk.open(&path, Access::ReadOnly)?;
        let bytes = file.len()?;
        let read = Directory::read(&*file, directory::store_id(hash_key))?;
        Ok(read.map(|directory| Self {
            number,
            path,
            file,
            directory,
            bytes,
        }))
    }

    pub(super) const fn number(&self) -> u64 {
        self.number
    }

    /// What it is, in words.
    pub(super) fn summary(&self) -> String {
        let (name, number) = (Self::name(self.number), self.directory.number);
        format!("{name} knows everything up to append {number}")
    }

    /// The rows of a block.
    ///
    /// # Errors
    /// [`EngineError::Disk`]; [`EngineError::Corrupt`] if they are not what was written.
    pub(super) fn rows(&self, block: &Block) -> Result<Vec<Row>, EngineError> {
        let mut bytes = vec![0; block.bytes as usize];
        let count = self.file.read_at(&mut bytes, block.offset)?;
        bytes.truncate(count);
        let rows = (crc32c::crc32c(&bytes) == block.crc)
            .then(|| rows::decode(&bytes))
            .flatten();
        let is_its = |rows: &Vec<Row>| {
            rows.last()
                .is_some_and(|last| last.fingerprint == block.last)
        };
        rows.filter(is_its).ok_or_else(|| EngineError::Corrupt {
            path: self.path.clone(),
            offset: block.offset,
            what: "damaged rows of an index image".to_owned(),
        })
    }

    /// A key's row, if the section has one: one read.
    ///
    /// # Errors
    /// As [`Image::rows`].
    pub(super) fn row(
        &self,
        section: &Section,
        of: Fingerprint,
    ) -> Result<Option<Row>, EngineError> {
        let Some(block) = section.block_of(of) else {
            return Ok(None);
        };
        Ok(self
            .rows(block)?
            .into_iter()
            .find(|row| row.fingerprint == of))
    }
}

/// The number of a file that is an image by its name.
pub(super) fn number_of(name: &str) -> Option<u64> {
    name.strip_prefix(PREFIX)?.parse().ok()
}

/// The names of the files of a directory that are images, newest first, and of what was never finished.
fn names(shared: &Shared) -> Result<Vec<(Option<u64>, String)>, EngineError> {
    let names = shared.disk.list(&shared.dir)?;
    let mut images: Vec<_> = names
        .into_iter()
        .filter_map(|name| {
            let finished = name.strip_suffix(UNFINISHED).unwrap_or(&name);
            let number = number_of(finished)?;
            Some(((finished == name).then_some(number), name))
        })
        .collect();
    images.sort_unstable_by(|a, b| b.cmp(a));
    Ok(images)
}

/// The newest sound image of a store; or, where there is none, why.
///
/// # Errors
/// [`EngineError::Disk`].
pub(super) fn newest(shared: &Shared) -> Result<Result<Image, String>, EngineError> {
    let mut why = "there is none".to_owned();
    for (number, name) in names(shared)? {
        let Some(number) = number else { continue };
        match Image::open(
            &*shared.disk,
            shared.dir.join(&name),
            shared.hash_key,
            number,
        )? {
            Ok(image) => return Ok(Ok(image)),
            Err(what) => why = format!("{name}: {what}"),
        }
    }
    Ok(Err(why))
}

/// Removes all images but one, and what was never finished.
///
/// # Errors
/// [`EngineError::Disk`].
pub(super) fn remove_others(shared: &Shared, keep: Option<&Image>) -> Result<(), EngineError> {
    for (number, name) in names(shared)? {
        if number.is_some() && number == keep.map(|image| image.number) {
            continue;
        }
        match shared.disk.remove(&shared.dir.join(name)) {
            Err(error) if error.kind != DiskErrorKind::NotFound => return Err(error.into()),
            _ => {}
        }
    }
    Ok(())
}
