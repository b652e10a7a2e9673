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
mod job;
mod merge;
mod rows;
mod sections;

use std::path::PathBuf;
use std::sync::Arc;

use crate::contract::EngineError;
use crate::disk::{Access, Disk, DiskErrorKind, DiskFile};
use crate::sync::Mutex;

use super::fingerprint::Fingerprint;
use super::shared::Shared;
use super::store::{BorrowedStore, Store};

use self::directory::Block;
pub(super) use self::directory::{Contents, Covered, Directory, Piece, Section, StateRow};
pub(super) use self::job::ImageJob;
pub(super) use self::merge::{Merge, sort};
pub(super) use self::rows::Row;

const PREFIX: &str = "index-";
const UNFINISHED: &str = ".new";
/// A store that is written to now and then is not idle between two commits, however often its host looks: images made then
/// would be most of what it writes.
const IDLE_LOOKS: u32 = 64;

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

/// A store's newest image, and what was written since.
#[derive(Debug)]
pub(super) struct Images {
    inner: Mutex<Standing>,
}

#[derive(Debug)]
struct Standing {
    newest: Option<Arc<Image>>,
    /// Of the next file; `None` if there is no number left.
    next_number: Option<u64>,
    /// Bytes that were appended before the store was opened and that no image covers.
    carried_bytes: u64,
    /// Bytes this store had appended when the newest one was begun, or the last that came to nothing.
    begun_at_bytes: u64,
    is_being_made: bool,
    /// Bytes this store had appended when somebody looked at what is due last, and how many looks before that found as
    /// many. A look that finds something due begins anew.
    looked_at_bytes: u64,
    idle_looks: u32,
}

impl Images {
    pub(super) fn new(newest: Option<Arc<Image>>, carried_bytes: u64) -> Self {
        let next_number = newest
            .as_ref()
            .map_or(Some(1), |newest| newest.number.checked_add(1));
        let inner = Standing {
            newest,
            next_number,
            carried_bytes,
            begun_at_bytes: 0,
            is_being_made: false,
            looked_at_bytes: 0,
            idle_looks: 0,
        };
        Self {
            inner: Mutex::new(inner),
        }
    }

    /// Whether nothing was appended in many looks at what is due, and nothing was due.
    pub(super) fn is_idle(&self, shared: &Shared) -> bool {
        let inner = self.inner.lock();
        inner.looked_at_bytes == shared.counters.written_bytes.get()
            && inner.idle_looks >= IDLE_LOOKS
    }

    /// Somebody looked at what is due.
    pub(super) fn looked(&self, shared: &Shared, is_due: bool) {
        let mut inner = self.inner.lock();
        let written_bytes = shared.counters.written_bytes.get();
        let is_same = std::mem::replace(&mut inner.looked_at_bytes, written_bytes) == written_bytes;
        inner.idle_looks = if is_same && !is_due {
            inner.idle_looks.saturating_add(1)
        } else {
            0
        };
    }

    /// Whether so much was appended since the newest image that another one is worth its bytes; at a `share`th of that
    /// already.
    pub(super) fn is_due(&self, shared: &Shared, share: u64) -> bool {
        let inner = self.inner.lock();
        let config = &shared.config;
        let since = shared
            .counters
            .written_bytes
            .get()
            .saturating_sub(inner.begun_at_bytes);
        let since = since.saturating_add(inner.carried_bytes);
        let last_bytes = inner.newest.as_ref().map_or(0, |image| image.bytes);
        let by_size = last_bytes.saturating_mul(100) / u64::from(config.image_percent.max(1));
        !inner.is_being_made && since.saturating_mul(share) > config.image_bytes.max(by_size)
    }
}

/// An image is being made, and no other one meanwhile.
#[derive(Debug)]
pub(super) struct Claim {
    store: BorrowedStore,
    /// What was since the last image; `None` once it does not matter any more.
    before: Option<(u64, u64)>,
}

impl Claim {
    /// `None` if one is being made.
    pub(super) fn take(store: &Arc<Store>) -> Option<Self> {
        let mut inner = store.images.inner.lock();
        if std::mem::replace(&mut inner.is_being_made, true) {
            return None;
        }
        let before = Some((inner.carried_bytes, inner.begun_at_bytes));
        inner.carried_bytes = 0;
        inner.begun_at_bytes = store.shared.counters.written_bytes.get();
        Some(Self {
            store: BorrowedStore::of(store),
            before,
        })
    }

    fn newest(store: &Store) -> Option<Arc<Image>> {
        store.images.inner.lock().newest.clone()
    }

    /// The number of the next file.
    ///
    /// # Errors
    /// [`EngineError::NumbersUsedUp`].
    fn number(store: &Store) -> Result<u64, EngineError> {
        let number = store.images.inner.lock().next_number;
        let path = || store.shared.dir.clone();
        number.ok_or_else(|| EngineError::NumbersUsedUp {
            path: path(),
            what: "numbers of index images",
        })
    }

    /// It came to nothing: the next one is tried when it would be due after this one. If something is damaged that may be
    /// the last image: the next one does without.
    fn failed(&mut self, store: &Store, error: &EngineError) {
        self.before = None;
        if matches!(error, EngineError::Corrupt { .. }) {
            store.images.inner.lock().newest = None;
        }
    }

    /// It is there: others are of no use any more, and removed.
    ///
    /// # Errors
    /// [`EngineError::Disk`]: they were not removed; that is done when the store opens.
    fn install(&mut self, store: &Store, image: Image) -> Result<(), EngineError> {
        self.before = None;
        let image = Arc::new(image);
        {
            let mut inner = store.images.inner.lock();
            inner.next_number = image.number.checked_add(1);
            inner.newest = Some(Arc::clone(&image));
        }
        remove_others(&store.shared, Some(&image))
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        let Some(store) = self.store.in_memory() else {
            return;
        };
        let mut inner = store.images.inner.lock();
        inner.is_being_made = false;
        if let Some((carried_bytes, begun_at_bytes)) = self.before {
            inner.carried_bytes = carried_bytes;
            inner.begun_at_bytes = begun_at_bytes;
        }
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
