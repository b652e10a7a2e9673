//! Reading items of a commit: one by its key, or slices by seqno.

use bytes::Bytes;
use lowtide_checkpoint::{Item, Key, Namespace, Seqno};

use crate::contract::{EngineError, ScanLimit, ScanSlice};
use crate::couchstore::btree::{self, Walk};
use crate::couchstore::file::{CommitView, chunk};
use crate::couchstore::format::chunk_head::HEAD_BYTES;
use crate::couchstore::format::{DocInfo, Tree, by_id, by_seqno, document};

use super::body_reader::BodyReader;

impl CommitView {
    /// Returns the newest revision of a key.
    pub(crate) fn get(&self, namespace: Namespace, key: &Key) -> Result<Option<Item>, EngineError> {
        let Some(id) = document::stored_key(namespace, key) else {
            return Ok(None);
        };
        let Some(value) = btree::lookup(self, Tree::ById, &id)? else {
            return Ok(None);
        };
        let row = by_id::row(&id, &value).ok_or_else(|| self.corrupt_row(Tree::ById))?;
        BodyReader::exact(self).item(&row).map(Some)
    }

    /// Returns items with a seqno in `from..=to`, as many as `limit` allows.
    pub(crate) fn scan(
        &self,
        from: Seqno,
        to: Seqno,
        limit: ScanLimit,
    ) -> Result<ScanSlice, EngineError> {
        let mut slice = ScanSlice::default();
        let mut left_bytes = limit.bytes;
        let mut bodies = BodyReader::ahead(self, limit);
        let mut walk = Walk::from(self, Tree::BySeqno, &by_seqno::first_key(from))?;
        'slice: while let Some(mut leaf) = walk.next_leaf()? {
            while let Some((key, value)) = leaf.advance() {
                let row =
                    by_seqno::row(key, value).ok_or_else(|| self.corrupt_row(Tree::BySeqno))?;
                if row.seqno > to {
                    break 'slice;
                }
                if !slice.items.is_empty() && (slice.items.len() >= limit.items || left_bytes == 0)
                {
                    slice.next = Some(row.seqno);
                    break 'slice;
                }
                left_bytes = left_bytes.saturating_sub(bodies.push_item(&row, &mut slice.items)?);
            }
        }
        bodies.settle(&mut slice.items);
        Ok(slice)
    }

    /// Returns the item of a row, with its body.
    pub(crate) fn item(&self, info: &DocInfo) -> Result<Item, EngineError> {
        BodyReader::exact(self).item(&info.row())
    }

    /// Returns a body as it is stored, its checksum verified, or `None` if the row has none.
    pub(crate) fn stored_body(&self, info: &DocInfo) -> Result<Option<Bytes>, EngineError> {
        if info.body_position == 0 {
            return Ok(None);
        }
        let hint = info.physical_bytes.saturating_sub(HEAD_BYTES);
        chunk::read(&self.source, info.body_position, hint, self.position).map(Some)
    }

    /// Returns a body, decompressed if the store compressed it, or `None` if the row has none.
    pub(crate) fn body(&self, info: &DocInfo) -> Result<Option<Bytes>, EngineError> {
        BodyReader::exact(self).body(&info.row())
    }
}
