//! The parts of a store that exist only while it is open: its directory and the lock on it.

use crate::disk::DiskLock;

use super::directory::Directory;

/// An open store's directory. Jobs hold a weak reference, which is dead once the store is closed.
#[derive(Debug)]
pub(crate) struct OpenStore {
    pub(crate) directory: Directory,
    /// Held until the store is closed, and not used.
    pub(crate) _lock: Box<dyn DiskLock>,
}
