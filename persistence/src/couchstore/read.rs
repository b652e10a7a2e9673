//! Items out of a commit: by key, and by seqno in slices.

use std::ops::Range;

use bytes::Bytes;
use lowtide_checkpoint::{Item, Key, Namespace, Seqno, VBucketState};

use crate::contract::{EngineError, ScanLimit, ScanSlice};
use crate::couchstore::format::chunk_head::HEAD_BYTES;
use crate::couchstore::format::{
    DocInfo, Row, StoreFigures, Tree, by_id, by_seqno, document, snappy, vbucket_state,
};

use super::btree_read::{self, Walk};
use super::chunk::ChunkReader;
use super::slab::Slab;
use super::tip::Tip;
use super::window::Window;

impl Tip {
    /// The newest revision of a key.
    pub(super) fn get(&self, namespace: Namespace, key: &Key) -> Result<Option<Item>, EngineError> {
        let Some(id) = document::stored_key(namespace, key) else {
            return Ok(None);
        };
        let Some(value) = btree_read::lookup(self, Tree::ById, &id)? else {
            return Ok(None);
        };
        let row = by_id::row(&id, &value).ok_or_else(|| self.corrupt_row(Tree::ById))?;
        Bodies::exact(self).item(&row).map(Some)
    }

    /// Items with a seqno in `from..=to`, as many as `limit` allows.
    pub(super) fn scan(
        &self,
        from: Seqno,
        to: Seqno,
        limit: ScanLimit,
    ) -> Result<ScanSlice, EngineError> {
        let mut slice = ScanSlice::default();
        let mut left_bytes = limit.bytes;
        let mut bodies = Bodies::ahead(self, limit);
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

    /// The item a row tells of, with its body.
    pub(super) fn item(&self, info: &DocInfo) -> Result<Item, EngineError> {
        Bodies::exact(self).item(&info.row())
    }

    /// The vBucket's state; `None` if none was committed yet.
    pub(super) fn state(&self) -> Result<Option<(VBucketState, StoreFigures)>, EngineError> {
        let Some(document) = self.local(vbucket_state::NAME)? else {
            return Ok(None);
        };
        let state = vbucket_state::decode(&document).map(|(mut state, figures)| {
            state.purge_seqno = self.header.purge_seq.into();
            (state, figures)
        });
        state.map(Some).map_err(|what| {
            self.source
                .corrupt(self.position, format!("_local/vbstate: {what}"))
        })
    }
}

/// What is read ahead for each body a scan may come to.
const BODY_BYTES_GUESS: usize = 256;

/// Reads bodies of one commit, one after the other.
#[derive(Debug)]
pub(super) struct Bodies<'a> {
    tip: &'a Tip,
    reader: ChunkReader<'a>,
    slab: Slab,
}

impl<'a> Bodies<'a> {
    /// For a single one.
    pub(super) fn exact(tip: &'a Tip) -> Self {
        Self::new(tip, Window::exact(&tip.source))
    }

    /// For as many as the limit allows, which may lie one after the other.
    pub(super) fn ahead(tip: &'a Tip, limit: ScanLimit) -> Self {
        // Nobody knows how large they are; what is too much for the first read is used by no other.
        let first_bytes = limit
            .bytes
            .min(limit.items.saturating_mul(BODY_BYTES_GUESS));
        Self::new(tip, Window::ahead(&tip.source, first_bytes as u64))
    }

    fn new(tip: &'a Tip, window: Window<'a>) -> Self {
        Self {
            tip,
            reader: ChunkReader::new(window),
            slab: Slab::default(),
        }
    }

    /// Appends the item a row tells of, whose value may still be missing until [`Bodies::settle`]; says what key and
    /// value take.
    pub(super) fn push_item(
        &mut self,
        row: &Row<'_>,
        items: &mut Vec<Item>,
    ) -> Result<usize, EngineError> {
        let no_item = |what: &str| {
            let what = format!("row of seqno {}: {what}", row.seqno);
            self.tip.source.corrupt(self.tip.position, what)
        };
        // A prepared deletion tells an empty value from none.
        if row.body_position == 0 || document::is_prepared(row.id) {
            let item = self.item(row)?;
            let bytes = item.payload_bytes();
            items.push(item);
            return Ok(bytes);
        }
        let hint = row.physical_bytes.saturating_sub(HEAD_BYTES);
        let stored = self
            .reader
            .read(row.body_position, hint, self.tip.position)?;
        let taken = self
            .slab
            .take(stored, row.is_compressed())
            .map_err(|()| no_snappy(self.tip, row))?;
        let own = if taken.is_none() {
            Some(inflated(self.tip, row, stored)?)
        } else {
            None
        };
        let item = document::item_of(row, own).map_err(no_item)?;
        let bytes = item.payload_bytes() + taken.as_ref().map_or(0, Range::len);
        match taken {
            Some(value) => self.slab.push(items, item, value),
            None => items.push(item),
        }
        Ok(bytes)
    }

    /// Brings the items of a list their values.
    pub(super) fn settle(&mut self, items: &mut [Item]) {
        self.slab.settle(items);
    }

    /// The item a row tells of, with its body.
    pub(super) fn item(&mut self, row: &Row<'_>) -> Result<Item, EngineError> {
        let body = self.body(row)?;
        let item = match &body {
            // Every live document has a body, be it empty: this row is not what was written.
            None if !row.deleted => Err(document::NO_BODY),
            _ => document::item_of(row, body),
        };
        item.map_err(|what| {
            let what = format!("row of seqno {}: {what}", row.seqno);
            self.tip.source.corrupt(self.tip.position, what)
        })
    }

    /// A body, decompressed where the store compressed it; `None` where there is none.
    pub(super) fn body(&mut self, row: &Row<'_>) -> Result<Option<Bytes>, EngineError> {
        if row.body_position == 0 {
            return Ok(None);
        }
        let hint = row.physical_bytes.saturating_sub(HEAD_BYTES);
        let stored = self
            .reader
            .read(row.body_position, hint, self.tip.position)?;
        inflated(self.tip, row, stored).map(Some)
    }
}

/// A body out of what is stored.
fn inflated(tip: &Tip, row: &Row<'_>, stored: &[u8]) -> Result<Bytes, EngineError> {
    if !row.is_compressed() {
        return Ok(Bytes::copy_from_slice(stored));
    }
    snappy::decompress(stored)
        .map(Bytes::from)
        .ok_or_else(|| no_snappy(tip, row))
}

fn no_snappy(tip: &Tip, row: &Row<'_>) -> EngineError {
    tip.source
        .corrupt(row.body_position, "body is no snappy block")
}
