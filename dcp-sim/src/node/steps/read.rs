//! Reads of clients: everything on an active, complete snapshots on a replica.
//!
//! The node does no I/O. [`Node::reader`] returns a reader, and the host lends it the engine.
//!
//! # Invariants
//!
//! - N5. A reader of a replica sees the result of a commit that ended with a complete snapshot
//!   (S22), never what is in memory. There is nothing to read in two cases, and the client must
//!   retry: while the vBucket is created, rolled back or dropped, and after a start with an
//!   incomplete snapshot.

use std::sync::Arc;

use lowtide_checkpoint::{Item, Key, Namespace, State, VBucketError, Vbid};
use lowtide_persistence::{Documents, Engine, EngineError, Known, ReadViews, Snapshot};

use crate::fault::{self, Fault};
use crate::node::error::NodeError;
use crate::node::state::Node;

/// Reader of one vBucket.
#[derive(Debug)]
#[non_exhaustive]
pub enum Reader<'a> {
    /// An active: all writes.
    Memory(MemoryReader<'a>),
    /// A replica: complete snapshots on its disk.
    Disk(DiskReader),
}

/// Reader of an active: what memory does not know, the engine has.
#[derive(Clone, Copy, Debug)]
pub struct MemoryReader<'a> {
    vb: Vbid,
    documents: &'a Documents,
}

/// Reader of a replica. It may outlive its vBucket; the engine then reports that the vBucket is
/// unknown.
#[derive(Clone, Debug)]
pub struct DiskReader {
    vb: Vbid,
    views: ReadViews,
}

/// Error of a read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// No complete snapshot can be read now.
    #[error("vBucket {vb} is temporarily unreadable: {why}")]
    Unavailable {
        /// The vBucket.
        vb: Vbid,
        /// The cause.
        why: &'static str,
    },
    /// The vBucket does not exist or is dead.
    #[error(transparent)]
    Node(#[from] NodeError),
    /// The engine failed.
    #[error(transparent)]
    Engine(#[from] EngineError),
}

impl Node {
    /// Returns the reader of a vBucket.
    ///
    /// # Errors
    /// [`ReadError::Node`] for a missing or dead vBucket; [`ReadError::Unavailable`] while an
    /// engine call for it is pending.
    pub fn reader(&self, vb: Vbid) -> Result<Reader<'_>, ReadError> {
        let partition = self
            .partitions
            .get(vb)
            .ok_or(NodeError::NotHere { what: "vBucket" })?;
        if self.calls.is_unsettled(vb) {
            return Err(ReadError::Unavailable {
                vb,
                why: "it is being created, rolled back or dropped",
            });
        }
        match partition.vbucket.state() {
            State::Active => Ok(Reader::Memory(MemoryReader {
                vb,
                documents: &partition.documents,
            })),
            State::Replica | State::Pending if fault::is(Fault::ReplicasShowMemory) => {
                Ok(Reader::Memory(MemoryReader {
                    vb,
                    documents: &partition.documents,
                }))
            }
            State::Replica | State::Pending => Ok(Reader::Disk(DiskReader {
                vb,
                views: self.shards.of(vb).views().clone(),
            })),
            state @ State::Dead => {
                Err(NodeError::VBucket(VBucketError::WrongState { vb, state }).into())
            }
        }
    }
}

impl Reader<'_> {
    /// Returns the newest visible revision of a key, including tombstones.
    ///
    /// # Errors
    /// Same as [`DiskReader::view`].
    pub fn get(&self, engine: &dyn Engine, key: &Key) -> Result<Option<Item>, ReadError> {
        match self {
            Self::Memory(MemoryReader { vb, documents }) => match documents.peek(key) {
                Known::Revision(item) => Ok(Some(item.clone())),
                Known::Absent => Ok(None),
                Known::Unknown => Ok(engine.get(*vb, Namespace::Committed, key)?),
            },
            Self::Disk(reader) => Ok(reader.view(engine)?.get(Namespace::Committed, key)?),
        }
    }
}

impl DiskReader {
    /// Returns a view of everything that is visible.
    ///
    /// # Errors
    /// [`ReadError::Unavailable`] after a start with an incomplete snapshot on disk, until the rest
    /// was flushed; [`ReadError::Engine`].
    pub fn view(&self, engine: &dyn Engine) -> Result<Arc<dyn Snapshot>, ReadError> {
        let view = self.views.view(engine, self.vb)?;
        view.ok_or(ReadError::Unavailable {
            vb: self.vb,
            why: "the rest of a snapshot is missing",
        })
    }
}
