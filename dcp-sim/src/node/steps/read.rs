//! What a client may read of a vBucket here: everything on an active, whole snapshots on a replica.
//!
//! A vBucket's number goes in; out comes a reader, which asks the engine where that has what is to be seen. The node does
//! no I/O: the host lends the engine. What always holds:
//!
//! - N5. A reader of a vBucket that follows sees it as some commit left it that ended with a whole snapshot (S22), never what
//!   is in memory; while the vBucket is being made, rolled back or removed, or started with a part of a snapshot that it has
//!   not got whole yet, there is nothing to read, and the client is told to come again.

use std::sync::Arc;

use lowtide_checkpoint::{Key, Namespace, State, VBucketError, Vbid};
use lowtide_persistence::{Engine, EngineError, ReadViews, Snapshot};

use crate::fault::{self, Fault};
use crate::node::error::NodeError;
use crate::node::state::Node;
use crate::node::vbuckets::{Document, Documents};

/// Reads one vBucket as its clients may see it.
#[derive(Debug)]
pub enum Reader<'a> {
    /// An active: all that was written.
    Memory(&'a Documents),
    /// One that follows: what its disk has in whole snapshots.
    Disk(DiskReader),
}

/// Reads a vBucket that follows. It may outlive what it reads: then the engine says that the vBucket is gone.
#[derive(Clone, Debug)]
pub struct DiskReader {
    vb: Vbid,
    views: ReadViews,
}

/// Why nothing can be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// There is nothing whole to be shown now; there will be.
    #[error("vBucket {vb} has nothing to show for now: {why}")]
    Unavailable {
        /// The vBucket.
        vb: Vbid,
        /// What it waits for.
        why: &'static str,
    },
    /// The vBucket is not here, or serves nobody.
    #[error(transparent)]
    Node(#[from] NodeError),
    /// The engine failed.
    #[error(transparent)]
    Engine(#[from] EngineError),
}

impl Node {
    /// How to read a vBucket.
    ///
    /// # Errors
    /// [`ReadError::Node`] for one that is not here or dead; [`ReadError::Unavailable`] while it is between two states.
    pub fn reader(&self, vb: Vbid) -> Result<Reader<'_>, ReadError> {
        let partition = self
            .partitions
            .get(vb)
            .ok_or(NodeError::NotHere { what: "a vBucket" })?;
        if self.calls.is_unsettled(vb) {
            return Err(ReadError::Unavailable {
                vb,
                why: "it is being made or rolled back",
            });
        }
        match partition.vbucket.state() {
            State::Active => Ok(Reader::Memory(&partition.documents)),
            State::Replica | State::Pending if fault::is(Fault::ReplicasShowMemory) => {
                Ok(Reader::Memory(&partition.documents))
            }
            State::Replica | State::Pending => Ok(Reader::Disk(DiskReader {
                vb,
                views: self.flusher.views().clone(),
            })),
            state @ State::Dead => {
                Err(NodeError::VBucket(VBucketError::WrongState { vb, state }).into())
            }
        }
    }
}

impl Reader<'_> {
    /// The newest revision of a key that may be seen; tombstones included.
    ///
    /// # Errors
    /// As [`DiskReader::view`].
    pub fn get(&self, engine: &dyn Engine, key: &Key) -> Result<Option<Document>, ReadError> {
        match self {
            Self::Memory(documents) => Ok(documents.get(key).cloned()),
            Self::Disk(reader) => {
                let found = reader.view(engine)?.get(Namespace::Committed, key)?;
                Ok(found.map(|item| Document::of(&item)))
            }
        }
    }
}

impl DiskReader {
    /// All that may be seen of the vBucket now.
    ///
    /// # Errors
    /// [`ReadError::Unavailable`] after a start with a part of a snapshot on disk, until the rest has come;
    /// [`ReadError::Engine`].
    pub fn view(&self, engine: &dyn Engine) -> Result<Arc<dyn Snapshot>, ReadError> {
        let view = self.views.view(engine, self.vb)?;
        view.ok_or(ReadError::Unavailable {
            vb: self.vb,
            why: "the rest of a snapshot has yet to come",
        })
    }
}
