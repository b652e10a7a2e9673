//! Looking at one file, also one that the vendor wrote: a path goes in; header, rows, items, local documents and the
//! trees' shapes come out. Nothing is written, locked or repaired: the newest activated header counts. Encrypted files
//! need their key.

use std::path::Path;

use bytes::Bytes;
use lowtide_checkpoint::{Item, Key, Namespace, Seqno, VBucketState};

use crate::contract::{EngineError, ScanLimit, ScanSlice, VBucketInfo};
use crate::couchstore::btree::{self, NodeShape};
use crate::couchstore::file::{CommitView, Keyring, header_chain, header_search};
use crate::couchstore::format::{DocInfo, Tree};
use crate::disk::{Access, Disk};

use super::layout::{self, Layout};

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
    /// The id of the key it is encrypted with, if it is.
    pub key_id: Option<String>,
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
    view: CommitView,
    previous: Option<u64>,
}

impl CouchFile {
    /// Opens a file at its newest activated header; one that is encrypted needs [`CouchFile::open_with_keys`].
    ///
    /// # Errors
    /// As [`CouchFile::open_with_keys`].
    pub fn open_read_only(disk: &dyn Disk, path: &Path) -> Result<Self, EngineError> {
        Self::open_with_keys(disk, path, &Keyring::new())
    }

    /// Opens a file at its newest activated header, with its key from `keys` if it is encrypted.
    ///
    /// # Errors
    /// [`EngineError::Corrupt`] if that header is damaged or there is none; [`EngineError::KeyMissing`] or
    /// [`EngineError::KeyWrong`] if the file is encrypted, and not with one of `keys`; [`EngineError::Unsupported`] if
    /// it is of another version than 11 to 14; [`EngineError::Disk`].
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

    /// Opens a damaged file at the newest header that is whole. Says what damage above it was passed over: commits
    /// that were acknowledged may be missing, so this is for rescue only.
    ///
    /// # Errors
    /// As [`CouchFile::open_with_keys`], if no header is whole.
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

    /// The same file at the commit before: the one this was derived from, or before version 14 the header below.
    ///
    /// # Errors
    /// [`EngineError::Corrupt`] if there is one and it is damaged; [`EngineError::Disk`].
    pub fn older(&self) -> Result<Option<Self>, EngineError> {
        header_chain::before(&self.view)?.map(Self::at).transpose()
    }

    /// What the file's bytes are, in at most `cells_max` cells. Reads every node and no body; damage is left out.
    ///
    /// # Errors
    /// [`EngineError::Disk`].
    pub fn layout(&self, cells_max: u64) -> Result<Layout, EngineError> {
        layout::layout(&self.view, cells_max)
    }

    /// The header it was opened at.
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

    /// The vBucket's state, if one was committed.
    ///
    /// # Errors
    /// [`EngineError::Corrupt`] or [`EngineError::Disk`].
    pub fn state(&self) -> Result<Option<VBucketState>, EngineError> {
        Ok(self.view.state()?.map(|(state, _)| state))
    }

    /// The newest revision of a key, tombstones included.
    ///
    /// # Errors
    /// [`EngineError::Corrupt`] or [`EngineError::Disk`].
    pub fn get(&self, namespace: Namespace, key: &Key) -> Result<Option<Item>, EngineError> {
        self.view.get(namespace, key)
    }

    /// Items with a seqno in `from..=to`, ascending.
    ///
    /// # Errors
    /// [`EngineError::Corrupt`] or [`EngineError::Disk`].
    pub fn scan(&self, from: Seqno, to: Seqno, limit: ScanLimit) -> Result<ScanSlice, EngineError> {
        self.view.scan(from, to, limit)
    }

    /// The row of a key as it is stored, with its prefixes.
    ///
    /// # Errors
    /// [`EngineError::Corrupt`] or [`EngineError::Disk`].
    pub fn doc_info(&self, id: &[u8]) -> Result<Option<DocInfo>, EngineError> {
        self.view.doc_info(id)
    }

    /// Rows from a seqno on, ascending. Ends after an error.
    ///
    /// # Errors
    /// [`EngineError::Corrupt`] or [`EngineError::Disk`].
    pub fn doc_infos(
        &self,
        from: Seqno,
    ) -> Result<impl Iterator<Item = Result<DocInfo, EngineError>> + '_, EngineError> {
        self.view.rows(from)
    }

    /// Rows by key as stored, ascending. Ends after an error.
    ///
    /// # Errors
    /// [`EngineError::Corrupt`] or [`EngineError::Disk`].
    pub fn doc_infos_by_key(
        &self,
    ) -> Result<impl Iterator<Item = Result<DocInfo, EngineError>> + '_, EngineError> {
        self.view.rows_by_id(b"")
    }

    /// The item a row tells of, with its body.
    ///
    /// # Errors
    /// [`EngineError::Corrupt`] or [`EngineError::Disk`].
    pub fn item(&self, info: &DocInfo) -> Result<Item, EngineError> {
        self.view.item(info)
    }

    /// A row's body, decompressed where the store compressed it; `None` where there is none.
    ///
    /// # Errors
    /// [`EngineError::Corrupt`] or [`EngineError::Disk`].
    pub fn body(&self, info: &DocInfo) -> Result<Option<Bytes>, EngineError> {
        self.view.body(info)
    }

    /// Names and values of all local documents, by name.
    ///
    /// # Errors
    /// [`EngineError::Corrupt`] or [`EngineError::Disk`].
    pub fn local_docs(&self) -> Result<Vec<(Bytes, Bytes)>, EngineError> {
        self.view.locals()
    }

    /// The nodes of a tree, each before those below it, left to right.
    ///
    /// # Errors
    /// [`EngineError::Corrupt`] or [`EngineError::Disk`].
    pub fn shape(&self, tree: Tree) -> Result<Vec<NodeShape>, EngineError> {
        btree::shape(&self.view, tree)
    }
}
