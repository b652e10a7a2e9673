//! Reading the bodies of a commit's rows, one after the other.

use std::ops::Range;

use bytes::Bytes;
use lowtide_checkpoint::Item;

use crate::contract::{EngineError, ScanLimit};
use crate::couchstore::file::{ChunkReader, CommitView, ReadAhead};
use crate::couchstore::format::chunk_head::HEAD_BYTES;
use crate::couchstore::format::{Row, document, snappy};

use super::value_slab::ValueSlab;

/// What is read ahead for each body a scan may come to.
const BODY_BYTES_GUESS: usize = 256;

/// Reads bodies of one commit, one after the other.
#[derive(Debug)]
pub(crate) struct BodyReader<'a> {
    view: &'a CommitView,
    reader: ChunkReader<'a>,
    slab: ValueSlab,
}

impl<'a> BodyReader<'a> {
    /// For a single one.
    pub(crate) fn exact(view: &'a CommitView) -> Self {
        Self::new(view, ReadAhead::exact(&view.source))
    }

    /// For as many as the limit allows, which may lie one after the other.
    pub(crate) fn ahead(view: &'a CommitView, limit: ScanLimit) -> Self {
        // Nobody knows how large they are; what is too much for the first read is used by no other.
        let first_bytes = limit
            .bytes
            .min(limit.items.saturating_mul(BODY_BYTES_GUESS));
        Self::new(view, ReadAhead::ahead(&view.source, first_bytes as u64))
    }

    fn new(view: &'a CommitView, window: ReadAhead<'a>) -> Self {
        Self {
            view,
            reader: ChunkReader::new(window),
            slab: ValueSlab::default(),
        }
    }

    /// Appends the item a row tells of, whose value may still be missing until [`BodyReader::settle`]; says what key and
    /// value take.
    pub(crate) fn push_item(
        &mut self,
        row: &Row<'_>,
        items: &mut Vec<Item>,
    ) -> Result<usize, EngineError> {
        let no_item = |what: &str| {
            let what = format!("row of seqno {}: {what}", row.seqno);
            self.view.source.corrupt(self.view.position, what)
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

    /// Brings the items of a list their values.
    pub(crate) fn settle(&mut self, items: &mut [Item]) {
        self.slab.settle(items);
    }

    /// The item a row tells of, with its body.
    pub(crate) fn item(&mut self, row: &Row<'_>) -> Result<Item, EngineError> {
        let body = self.body(row)?;
        let item = match &body {
            // Every live document has a body, be it empty: this row is not what was written.
            None if !row.deleted => Err(document::NO_BODY),
            _ => document::item_of(row, body),
        };
        item.map_err(|what| {
            let what = format!("row of seqno {}: {what}", row.seqno);
            self.view.source.corrupt(self.view.position, what)
        })
    }

    /// A body, decompressed where the store compressed it; `None` where there is none.
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

/// A body out of what is stored.
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
        .corrupt(row.body_position, "body is no snappy block")
}
