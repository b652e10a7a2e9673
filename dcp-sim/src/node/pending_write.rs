//! [`PendingWrite`]: a write between its look-up in memory and the answer of the engine.

use bytes::Bytes;
use lowtide_checkpoint::{Item, Namespace, Vbid};
use lowtide_persistence::{Engine, EngineError, Fetch};

/// A client's write that waits for a read of the engine.
///
/// The host answers it while the node lives. Writes of one key are accepted in the order of their
/// answers.
#[derive(Debug)]
pub struct PendingWrite {
    pub(super) vb: Vbid,
    pub(super) fetch: Fetch,
    pub(super) value: Option<Bytes>,
}

impl PendingWrite {
    /// Returns the vBucket of the write.
    #[must_use]
    pub fn vbucket(&self) -> Vbid {
        self.vb
    }

    /// Returns the bytes of key and value.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.fetch.key().user().len() + self.value.as_ref().map_or(0, Bytes::len)
    }

    /// Reads what the engine has of the key.
    ///
    /// # Errors
    /// Same as [`Engine::get`].
    pub fn read(&self, engine: &dyn Engine) -> Result<Option<Item>, EngineError> {
        engine.get(self.vb, Namespace::Committed, self.fetch.key())
    }
}
