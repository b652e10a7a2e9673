//! Reading the bodies of a commit's rows, one after the other.

use std::ops::Range;

use bytes::Bytes;
use lowtide_checkpoint::Item;

use crate::contract::{EngineError, ScanLimit};
use crate::couchstore::file::{ChunkReader, CommitView, ReadAhead};
use crate::couchstore::format::chunk_head::HEAD_BYTES;
use crate::couchstore::format::{Row, document, snappy};
use crate::numbers::to_u64;

use super::value_slab::ValueSlab;

/// Bytes read ahead for each body that a scan may return.
const BODY_BYTES_GUESS: usize = 256;

/// A reader of the bodies of one commit.
#[derive(Debug)]
pub(crate) struct BodyReader<'a> {
    view: &'a CommitView,
    reader: ChunkReader<'a>,
    slab: ValueSlab,
}

impl<'a> BodyReader<'a> {
    /// Makes a reader of a single body.
    pub(crate) fn exact(view: &'a CommitView) -> Self {
        Self::new(view, ReadAhead::exact(&view.source))
    }

    /// Makes a reader of the bodies of a scan, which often lie one after the other.
    pub(crate) fn ahead(view: &'a CommitView, limit: ScanLimit) -> Self {
        // The sizes are unknown. A first read that is too long wastes its rest.
        let first_bytes = limit
            .bytes
            .min(limit.items.saturating_mul(BODY_BYTES_GUESS));
        Self::new(view, ReadAhead::ahead(&view.source, to_u64(first_bytes)))
    }

    fn new(view: &'a CommitView, window: ReadAhead<'a>) -> Self {
        Self {
            view,
            reader: ChunkReader::new(window),
            slab: ValueSlab::default(),
        }
    }

    /// Appends the item of a row. Its value may be missing until [`BodyReader::settle`]. Returns
    /// the size of key and value.
    pub(crate) fn push_item(
        &mut self,
        row: &Row<'_>,
        items: &mut Vec<Item>,
    ) -> Result<usize, EngineError> {
        let no_item = |what: &str| {
            let what = format!("row of seqno {}: {what}", row.seqno);
            self.view.source.corrupt(self.view.position, what)
        };
        // A prepared deletion distinguishes an empty value from none.
        if row.body_position == 0 || document::is_prepared(row.id) {
            let item = self.item(row)?;
            let bytes = item.payload_bytes();
            items.push(item);
            return Ok(bytes);
        }
        let hint = row.physical_bytes.saturating_sub(HEAD_BYTES);
        let stored = self
            .reader
            .read(row.body_position, hint, self.view.position)?;
        let taken = self
            .slab
            .take(stored, row.is_compressed())
            .map_err(|()| no_snappy(self.view, row))?;
        let own = if taken.is_none() {
            Some(inflated(self.view, row, stored)?)
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

    /// Puts the missing values into the items of a list.
    pub(crate) fn settle(&mut self, items: &mut [Item]) {
        self.slab.settle(items);
    }

    /// Returns the item of a row, with its body.
    pub(crate) fn item(&mut self, row: &Row<'_>) -> Result<Item, EngineError> {
        let body = self.body(row)?;
        let item = match &body {
            // Every live document has a body, which may be empty: this row is damaged.
            None if !row.deleted => Err(document::NO_BODY),
            _ => document::item_of(row, body),
        };
        item.map_err(|what| {
            let what = format!("row of seqno {}: {what}", row.seqno);
            self.view.source.corrupt(self.view.position, what)
        })
    }

    /// Returns a body, decompressed if the store compressed it, or `None` if the row has none.
    pub(crate) fn body(&mut self, row: &Row<'_>) -> Result<Option<Bytes>, EngineError> {
        if row.body_position == 0 {
            return Ok(None);
        }
        let hint = row.physical_bytes.saturating_sub(HEAD_BYTES);
        let stored = self
            .reader
            .read(row.body_position, hint, self.view.position)?;
        inflated(self.view, row, stored).map(Some)
    }
}

/// Returns the body of stored bytes.
fn inflated(view: &CommitView, row: &Row<'_>, stored: &[u8]) -> Result<Bytes, EngineError> {
    if !row.is_compressed() {
        return Ok(Bytes::copy_from_slice(stored));
    }
    snappy::decompress(stored)
        .map(Bytes::from)
        .ok_or_else(|| no_snappy(view, row))
}

fn no_snappy(view: &CommitView, row: &Row<'_>) -> EngineError {
    view.source
        .corrupt(row.body_position, "body is not a snappy block")
}
