//! One file opened for reading, ours or the vendor's: its header, rows, items, local documents and
//! the shapes of its trees.
//!
//! Nothing is written, locked or repaired. The newest activated header counts. Encrypted files need
//! their key.

use std::path::Path;

use bytes::Bytes;
use lowtide_checkpoint::{Item, Key, Namespace, Seqno, VBucketState};

use crate::contract::{EngineError, ScanLimit, ScanSlice, VBucketInfo};
use crate::couchstore::btree::{self, NodeShape};
use crate::couchstore::file::{CommitView, Keyring, header_chain, header_search};
use crate::couchstore::format::{DocInfo, Tree};
use crate::disk::{Access, Disk};

use super::layout::{self, Layout};

/// The content of the header that a file was opened at.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct HeaderInfo {
    /// Position of the header in the file.
    pub position: u64,
    /// Format version.
    pub version: u8,
    /// Time of the commit, in nanoseconds since the epoch; 0 before version 13.
    pub timestamp: u64,
    /// Position of the header before it, if the header names it and it exists.
    pub previous: Option<u64>,
    /// Id of the key that the file is encrypted with, if it is.
    pub key_id: Option<String>,
    /// High seqno, purge seqno, documents and tombstones.
    pub info: VBucketInfo,
    /// Size of the bodies and nodes that the header reaches.
    pub live_bytes: u64,
    /// Size of the by-seqno tree.
    pub by_seqno_bytes: u64,
    /// Size of the by-id tree.
    pub by_id_bytes: u64,
    /// Size of the local tree.
    pub local_bytes: u64,
}

/// A file that is only read.
#[derive(Debug)]
pub struct CouchFile {
    view: CommitView,
    previous: Option<u64>,
}

impl CouchFile {
    /// Opens a file at its newest activated header. An encrypted file needs
    /// [`CouchFile::open_with_keys`].
    ///
    /// # Errors
    /// Same as [`CouchFile::open_with_keys`].
    pub fn open_read_only(disk: &dyn Disk, path: &Path) -> Result<Self, EngineError> {
        Self::open_with_keys(disk, path, &Keyring::new())
    }

    /// Opens a file at its newest activated header, with its key from `keys` if it is encrypted.
    ///
    /// # Errors
    /// [`EngineError::Corrupt`] if that header is damaged or missing; [`EngineError::KeyMissing`]
    /// or [`EngineError::KeyWrong`] if the file is encrypted, and not with one of `keys`;
    /// [`EngineError::Unsupported`] if it is of another version than 11 to 14;
    /// [`EngineError::Disk`].
    pub fn open_with_keys(
        disk: &dyn Disk,
        path: &Path,
        keys: &Keyring,
    ) -> Result<Self, EngineError> {
        Self::at(header_search::newest_readable(
            disk.open(path, Access::ReadOnly)?,
            path,
            keys,
        )?)
    }

    /// Opens a damaged file at its newest sound header, and returns the damage above it.
    /// Acknowledged commits may be missing, so this is for rescue only.
    ///
    /// # Errors
    /// Same as [`CouchFile::open_with_keys`], if no header is sound.
    pub fn open_older(
        disk: &dyn Disk,
        path: &Path,
        keys: &Keyring,
    ) -> Result<(Self, Vec<EngineError>), EngineError> {
        let (view, mut passed) =
            header_search::newest_whole(disk.open(path, Access::ReadOnly)?, path, keys)?;
        match (view, passed.pop()) {
            (Some(view), last) => {
                passed.extend(last);
                Ok((Self::at(view)?, passed))
            }
            (None, Some(last)) => Err(last),
            (None, None) => Err(EngineError::Corrupt {
                path: path.into(),
                offset: 0,
                what: "no header".into(),
            }),
        }
    }

    fn at(view: CommitView) -> Result<Self, EngineError> {
        let previous = header_chain::previous(&view)?;
        Ok(Self { view, previous })
    }

    /// Returns the same file at the commit before: the one this was derived from, or before version
    /// 14 the header below.
    ///
    /// # Errors
    /// [`EngineError::Corrupt`] if that commit exists and is damaged; [`EngineError::Disk`].
    pub fn older(&self) -> Result<Option<Self>, EngineError> {
        header_chain::before(&self.view)?.map(Self::at).transpose()
    }

    /// Returns the use of the file's bytes, in at most `cells_max` cells; 0 counts as 1. Reads every
    /// node and no body, and skips damage.
    ///
    /// # Errors
    /// [`EngineError::Disk`].
    pub fn layout(&self, cells_max: u64) -> Result<Layout, EngineError> {
        layout::layout(&self.view, cells_max)
    }

    /// Returns the header it was opened at.
    #[must_use]
    pub fn header(&self) -> HeaderInfo {
        let CommitView {
            header, position, ..
        } = &self.view;
        let bytes = |tree| header.root(tree).map_or(0, |root| root.subtree_bytes);
        HeaderInfo {
            position: *position,
            version: header.version,
            timestamp: header.timestamp,
            previous: self.previous,
            key_id: self
                .view
                .source
                .cipher
                .as_ref()
                .map(|cipher| cipher.key_id.clone()),
            info: self.view.info(),
            live_bytes: self.view.live_bytes(),
            by_seqno_bytes: bytes(Tree::BySeqno),
            by_id_bytes: bytes(Tree::ById),
            local_bytes: bytes(Tree::Local),
        }
    }

    /// Returns the vBucket's state, if one was committed.
    ///
    /// # Errors
    /// [`EngineError::Corrupt`] or [`EngineError::Disk`].
    pub fn state(&self) -> Result<Option<VBucketState>, EngineError> {
        Ok(self.view.state()?.map(|(state, _)| state))
    }

    /// Returns the newest revision of a key, tombstones included.
    ///
    /// # Errors
    /// [`EngineError::Corrupt`] or [`EngineError::Disk`].
    pub fn get(&self, namespace: Namespace, key: &Key) -> Result<Option<Item>, EngineError> {
        self.view.get(namespace, key)
    }

    /// Returns items with a seqno in `from..=to`, ascending.
    ///
    /// # Errors
    /// [`EngineError::Corrupt`] or [`EngineError::Disk`].
    pub fn scan(&self, from: Seqno, to: Seqno, limit: ScanLimit) -> Result<ScanSlice, EngineError> {
        self.view.scan(from, to, limit)
    }

    /// Returns the row of a key as it is stored, with its prefixes.
    ///
    /// # Errors
    /// [`EngineError::Corrupt`] or [`EngineError::Disk`].
    pub fn doc_info(&self, id: &[u8]) -> Result<Option<DocInfo>, EngineError> {
        self.view.doc_info(id)
    }

    /// Returns the rows from a seqno on, ascending. The iterator ends after an error.
    ///
    /// # Errors
    /// [`EngineError::Corrupt`] or [`EngineError::Disk`].
    pub fn doc_infos(
        &self,
        from: Seqno,
    ) -> Result<impl Iterator<Item = Result<DocInfo, EngineError>> + '_, EngineError> {
        self.view.rows(from)
    }

    /// Returns the rows by stored key, ascending. The iterator ends after an error.
    ///
    /// # Errors
    /// [`EngineError::Corrupt`] or [`EngineError::Disk`].
    pub fn doc_infos_by_key(
        &self,
    ) -> Result<impl Iterator<Item = Result<DocInfo, EngineError>> + '_, EngineError> {
        self.view.rows_by_id(b"")
    }

    /// Returns the item of a row, with its body.
    ///
    /// # Errors
    /// [`EngineError::Corrupt`] or [`EngineError::Disk`].
    pub fn item(&self, info: &DocInfo) -> Result<Item, EngineError> {
        self.view.item(info)
    }

    /// Returns a row's body, decompressed if the store compressed it, or `None` if it has none.
    ///
    /// # Errors
    /// [`EngineError::Corrupt`] or [`EngineError::Disk`].
    pub fn body(&self, info: &DocInfo) -> Result<Option<Bytes>, EngineError> {
        self.view.body(info)
    }

    /// Returns names and values of all local documents, by name.
    ///
    /// # Errors
    /// [`EngineError::Corrupt`] or [`EngineError::Disk`].
    pub fn local_docs(&self) -> Result<Vec<(Bytes, Bytes)>, EngineError> {
        self.view.locals()
    }

    /// Returns the nodes of a tree, each before those below it, left to right.
    ///
    /// # Errors
    /// [`EngineError::Corrupt`] or [`EngineError::Disk`].
    pub fn shape(&self, tree: Tree) -> Result<Vec<NodeShape>, EngineError> {
        btree::shape(&self.view, tree)
    }
}
