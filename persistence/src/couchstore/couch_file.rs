//! Looking at one file, also one that the vendor wrote: a path goes in; header, rows, items, local documents and the
//! trees' shapes come out. Nothing is written, locked or repaired: the newest activated header counts.

use std::path::Path;

use bytes::Bytes;
use checkpoint::{Item, Key, Namespace, Seqno, VBucketState};

use crate::disk::{Access, Disk};
use crate::{EngineError, ScanLimit, ScanSlice, VBucketInfo};

use super::btree_read::{self, NodeShape};
use super::by_id;
use super::doc_info::DocInfo;
use super::find;
use super::headers;
use super::layout::{self, Layout};
use super::node::Entry;
use super::reduce::Tree;
use super::tip::Tip;

/// What the header says that a file was opened at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeaderInfo {
    /// Where in the file it is.
    pub position: u64,
    /// The format's version.
    pub version: u8,
    /// When it was committed, in nanoseconds since the epoch; 0 before version 13.
    pub timestamp: u64,
    /// Where the header before it is, if the version tells and there is one.
    pub previous: Option<u64>,
    /// High seqno, purge seqno, documents and tombstones.
    pub info: VBucketInfo,
    /// What bodies and nodes take that can be reached from here.
    pub live_bytes: u64,
    /// What the by-seqno tree takes.
    pub by_seqno_bytes: u64,
    /// What the by-id tree takes.
    pub by_id_bytes: u64,
    /// What the local tree takes.
    pub local_bytes: u64,
}

/// A file that is only read.
#[derive(Debug)]
pub struct CouchFile {
    tip: Tip,
    previous: Option<u64>,
}

impl CouchFile {
    /// Opens a file at its newest activated header.
    ///
    /// # Errors
    /// [`EngineError::Corrupt`] if that header is damaged or there is none; [`EngineError::Unsupported`] if the file is
    /// encrypted or of another version than 11 to 14; [`EngineError::Disk`].
    pub fn open_read_only(disk: &dyn Disk, path: &Path) -> Result<Self, EngineError> {
        let tip = find::newest(disk.open(path, Access::ReadOnly)?, path)?;
        let previous = find::previous(&tip)?;
        Ok(Self { tip, previous })
    }

    /// The same file at the commit before: the one this was derived from, or before version 14 the header below.
    ///
    /// # Errors
    /// [`EngineError::Corrupt`] if there is one and it is damaged; [`EngineError::Disk`].
    pub fn older(&self) -> Result<Option<Self>, EngineError> {
        let Some(tip) = headers::older(&self.tip)? else { return Ok(None) };
        let previous = find::previous(&tip)?;
        Ok(Some(Self { tip, previous }))
    }

    /// What the file's bytes are, in at most `cells_max` cells. Reads every node and no body; damage is left out.
    ///
    /// # Errors
    /// [`EngineError::Disk`].
    pub fn layout(&self, cells_max: u64) -> Result<Layout, EngineError> {
        layout::layout(&self.tip, cells_max)
    }

    /// The header it was opened at.
    #[must_use]
    pub fn header(&self) -> HeaderInfo {
        let Tip { header, position, .. } = &self.tip;
        let bytes = |tree| header.root(tree).map_or(0, |root| root.subtree_bytes);
        HeaderInfo {
            position: *position,
            version: header.version,
            timestamp: header.timestamp,
            previous: self.previous,
            info: self.tip.info(),
            live_bytes: self.tip.live_bytes(),
            by_seqno_bytes: bytes(Tree::BySeqno),
            by_id_bytes: bytes(Tree::ById),
            local_bytes: bytes(Tree::Local),
        }
    }

    /// The vBucket's state, if one was committed.
    ///
    /// # Errors
    /// [`EngineError::Corrupt`] or [`EngineError::Disk`].
    pub fn state(&self) -> Result<Option<VBucketState>, EngineError> {
        Ok(self.tip.state()?.map(|(state, _)| state))
    }

    /// The newest revision of a key, tombstones included.
    ///
    /// # Errors
    /// [`EngineError::Corrupt`] or [`EngineError::Disk`].
    pub fn get(&self, namespace: Namespace, key: &Key) -> Result<Option<Item>, EngineError> {
        self.tip.get(namespace, key)
    }

    /// Items with a seqno in `from..=to`, ascending.
    ///
    /// # Errors
    /// [`EngineError::Corrupt`] or [`EngineError::Disk`].
    pub fn scan(&self, from: Seqno, to: Seqno, limit: ScanLimit) -> Result<ScanSlice, EngineError> {
        self.tip.scan(from, to, limit)
    }

    /// The row of a key as it is stored, with its prefixes.
    ///
    /// # Errors
    /// [`EngineError::Corrupt`] or [`EngineError::Disk`].
    pub fn doc_info(&self, id: &[u8]) -> Result<Option<DocInfo>, EngineError> {
        self.tip.doc_info(id)
    }

    /// Rows from a seqno on, ascending. Ends after an error.
    ///
    /// # Errors
    /// [`EngineError::Corrupt`] or [`EngineError::Disk`].
    pub fn doc_infos(
        &self,
        from: Seqno,
    ) -> Result<impl Iterator<Item = Result<DocInfo, EngineError>> + '_, EngineError> {
        self.tip.rows(from)
    }

    /// Rows by key as stored, ascending. Ends after an error.
    ///
    /// # Errors
    /// [`EngineError::Corrupt`] or [`EngineError::Disk`].
    pub fn doc_infos_by_key(
        &self,
    ) -> Result<impl Iterator<Item = Result<DocInfo, EngineError>> + '_, EngineError> {
        let walk = btree_read::Walk::from(&self.tip, Tree::ById, b"")?;
        Ok(walk.map(|entry| {
            let Entry { key, value } = entry?;
            let position = self.tip.header.by_id.map_or(self.tip.position, |root| root.position);
            by_id::decode(&key, &value)
                .ok_or_else(|| self.tip.source.corrupt(position, "a row in the by-id tree is too short"))
        }))
    }

    /// The item a row tells of, with its body.
    ///
    /// # Errors
    /// [`EngineError::Corrupt`] or [`EngineError::Disk`].
    pub fn item(&self, info: &DocInfo) -> Result<Item, EngineError> {
        self.tip.item(info)
    }

    /// A row's body, decompressed where the store compressed it; `None` where there is none.
    ///
    /// # Errors
    /// [`EngineError::Corrupt`] or [`EngineError::Disk`].
    pub fn body(&self, info: &DocInfo) -> Result<Option<Bytes>, EngineError> {
        self.tip.body(info)
    }

    /// Names and values of all local documents, by name.
    ///
    /// # Errors
    /// [`EngineError::Corrupt`] or [`EngineError::Disk`].
    pub fn local_docs(&self) -> Result<Vec<(Bytes, Bytes)>, EngineError> {
        self.tip.locals()
    }

    /// The nodes of a tree, each before those below it, left to right.
    ///
    /// # Errors
    /// [`EngineError::Corrupt`] or [`EngineError::Disk`].
    pub fn shape(&self, tree: Tree) -> Result<Vec<NodeShape>, EngineError> {
        btree_read::shape(&self.tip, tree)
    }
}
