//! The files a compaction makes: made by name while the store is open, and removed again unless one is kept.
//!
//! A store that was closed may have been opened by someone else, who removes what was left over and may use the same
//! names. So names are made and removed only under the lock of a store that is still open.

use std::sync::Weak;

use lowtide_checkpoint::Vbid;
use parking_lot::Mutex;

use crate::contract::EngineError;
use crate::couchstore::file::Source;
use crate::couchstore::format::Checksum;
use crate::couchstore::store::{Directory, OpenStore};

/// A store, as long as it is open.
pub(super) type Store = Weak<Mutex<Option<OpenStore>>>;

/// Makes an empty file of that name beside the target.
pub(super) type Create<'a> = &'a mut dyn FnMut(&str) -> Result<Source, EngineError>;

/// Calls `with` on the store's directory.
///
/// # Errors
/// [`EngineError::Aborted`] if the store was closed.
pub(super) fn with_directory<T>(
    store: &Store,
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

/// The names a compaction has made. Dropped, they are removed.
#[derive(Debug)]
pub(super) struct Files {
    store: Store,
    vb: Vbid,
    names: Vec<String>,
}

impl Files {
    pub(super) const fn new(store: Store, vb: Vbid) -> Self {
        Self {
            store,
            vb,
            names: Vec::new(),
        }
    }

    /// Makes an empty file, with the checksum of all versions that new files can have; one of that name was left over,
    /// and goes.
    pub(super) fn create(&mut self, name: &str) -> Result<Source, EngineError> {
        let source = with_directory(&self.store, self.vb, |directory| {
            let (file, path) = directory.create_anew(name)?;
            Ok(Source::new(file, &path, Checksum::Crc32c))
        });
        // Also after a failure: the call may have been done all the same.
        self.names.push(name.to_owned());
        source
    }

    /// Removes all but the first; what can't be removed goes when the store is opened next.
    pub(super) fn remove_later_ones(&mut self) {
        let later = self.names.split_off(self.names.len().min(1));
        self.remove(&later);
    }

    /// Leaves the first one where it is: it has another name by now.
    pub(super) fn keep_first(&mut self) {
        self.names.drain(..self.names.len().min(1));
    }

    fn remove(&self, names: &[String]) {
        if names.is_empty() {
            return;
        }
        // Best effort: opening the store, and the next attempt, remove them as well.
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
