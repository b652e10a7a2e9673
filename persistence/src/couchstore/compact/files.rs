//! The files of a compaction: created by name while the store is open, and removed unless one is
//! kept.
//!
//! After the store is closed, another process may open it, remove leftovers and use the same names.
//! So names are created and removed only under the lock of a store that is still open.

use std::sync::Weak;

use lowtide_checkpoint::Vbid;

use crate::contract::EngineError;
use crate::couchstore::file::Source;
use crate::couchstore::format::Checksum;
use crate::couchstore::store::{Directory, OpenStore};
use crate::sync::Mutex;

/// A store that may be closed meanwhile.
pub(super) type WeakStore = Weak<Mutex<Option<OpenStore>>>;

/// A callback that creates an empty file of that name next to the target.
pub(super) type Create<'a> = &'a mut dyn FnMut(&str) -> Result<Source, EngineError>;

/// Calls `with` on the store's directory.
///
/// # Errors
/// [`EngineError::Aborted`] if the store was closed.
pub(super) fn with_directory<T>(
    store: &WeakStore,
    vb: Vbid,
    with: impl FnOnce(&mut Directory) -> Result<T, EngineError>,
) -> Result<T, EngineError> {
    let closed = EngineError::Aborted {
        vb,
        why: "the store was closed while it was compacted",
    };
    let Some(store) = store.upgrade() else {
        return Err(closed);
    };
    match store.lock().as_mut() {
        Some(open) => with(&mut open.directory),
        None => Err(closed),
    }
}

/// The names that a compaction has created. They are removed when this is dropped.
#[derive(Debug)]
pub(super) struct Files {
    store: WeakStore,
    vb: Vbid,
    names: Vec<String>,
}

impl Files {
    pub(super) const fn new(store: WeakStore, vb: Vbid) -> Self {
        Self {
            store,
            vb,
            names: Vec::new(),
        }
    }

    /// Creates an empty file, with the checksum of all versions that new files can have. A leftover
    /// of that name is removed.
    pub(super) fn create(&mut self, name: &str) -> Result<Source, EngineError> {
        let source = with_directory(&self.store, self.vb, |directory| {
            let (file, path) = directory.recreate(name)?;
            Ok(Source::new(file, &path, Checksum::Crc32c))
        });
        // Noted after a failure too, because the call may have succeeded on the disk.
        self.names.push(name.to_owned());
        source
    }

    /// Removes all files except the first. Opening the store removes what is left.
    pub(super) fn remove_later_ones(&mut self) {
        let later = self.names.split_off(self.names.len().min(1));
        self.remove(&later);
    }

    /// Leaves the first file alone: it has another name by now.
    pub(super) fn keep_first(&mut self) {
        self.names.drain(..self.names.len().min(1));
    }

    fn remove(&self, names: &[String]) {
        if names.is_empty() {
            return;
        }
        // Best effort: the next attempt removes them as well, and so does opening the store.
        let _ = with_directory(&self.store, self.vb, |directory| {
            names.iter().for_each(|name| directory.discard(name));
            Ok(())
        });
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        self.remove(&self.names);
    }
}
