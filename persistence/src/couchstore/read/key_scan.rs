//! Scanning items of a commit by key: slices of a range in one name space.
//!
//! The first byte of a stored key gives its name space (`document`). So each name space is one
//! range of the by-id tree, or two: the committed one lies around the others.

use std::ops::ControlFlow;

use bytes::Bytes;
use lowtide_checkpoint::{Key, Namespace};

use crate::contract::{EngineError, KeyRange, KeySlice, ScanLimit};
use crate::couchstore::btree::Walk;
use crate::couchstore::file::CommitView;
use crate::couchstore::format::document::{self, PREPARED, SYSTEM};
use crate::couchstore::format::{Row, Tree, by_id};

use super::body_reader::BodyReader;

/// First stored key above those of system events and prepares.
const ABOVE_PREPARED: &[u8] = &[PREPARED + 1];

/// Stored keys from the first on, before the second.
type StoredRange = (Bytes, Option<Bytes>);

impl CommitView {
    /// Returns items with a key in the range, as many as `limit` allows.
    pub(crate) fn scan_keys(
        &self,
        range: &KeyRange,
        limit: ScanLimit,
    ) -> Result<KeySlice, EngineError> {
        let mut slice = KeySlice::default();
        let mut left_bytes = limit.bytes;
        let mut bodies = BodyReader::ahead(self, limit);
        self.visit_rows(range, |row| {
            if !slice.items.is_empty() && (slice.items.len() >= limit.items || left_bytes == 0) {
                slice.next = Some(self.key(row)?);
                return Ok(ControlFlow::Break(()));
            }
            let item = bodies.item(row)?;
            left_bytes = left_bytes.saturating_sub(item.payload_bytes());
            slice.items.push(item);
            Ok(ControlFlow::Continue(()))
        })?;
        Ok(slice)
    }

    /// Passes the keys of a name space to `see`, until it breaks off. No body is read.
    pub(crate) fn visit_keys(
        &self,
        namespace: Namespace,
        see: &mut dyn FnMut(&Key) -> ControlFlow<()>,
    ) -> Result<(), EngineError> {
        self.visit_rows(&KeyRange::all(namespace), |row| Ok(see(&self.key(row)?)))
    }

    /// Passes the rows of a range to `see`, by key, until it breaks off.
    fn visit_rows(
        &self,
        range: &KeyRange,
        mut see: impl FnMut(&Row<'_>) -> Result<ControlFlow<()>, EngineError>,
    ) -> Result<(), EngineError> {
        for (from, to) in stored_ranges(range) {
            let mut walk = Walk::from(self, Tree::ById, &from)?;
            'range: while let Some(mut leaf) = walk.next_leaf()? {
                while let Some((id, value)) = leaf.advance() {
                    let row = by_id::row(id, value).ok_or_else(|| self.corrupt_row(Tree::ById))?;
                    if to.as_ref().is_some_and(|to| row.id >= &to[..]) {
                        break 'range;
                    }
                    if see(&row)?.is_break() {
                        return Ok(());
                    }
                }
            }
        }
        Ok(())
    }

    fn key(&self, row: &Row<'_>) -> Result<Key, EngineError> {
        let split = document::split_key(row.id);
        split.map(|(_, key)| key).ok_or_else(|| {
            let what = format!("row of seqno {}: key without a collection", row.seqno);
            self.source.corrupt(self.position, what)
        })
    }
}

fn stored_ranges(range: &KeyRange) -> Vec<StoredRange> {
    let from = range.from.to_bytes();
    let to = range.to.as_ref().map(Key::to_bytes);
    let prefixed = |prefix: u8, key: &[u8]| Bytes::from([&[prefix], key].concat());
    match range.namespace {
        Namespace::Committed => {
            let (low, high) = (
                Bytes::from_static(&[SYSTEM]),
                Bytes::from_static(ABOVE_PREPARED),
            );
            let before = to.clone().map_or(low.clone(), |to| to.min(low));
            vec![(from.clone(), Some(before)), (from.max(high), to)]
        }
        Namespace::System | Namespace::Prepared => {
            let prefix = if range.namespace == Namespace::System {
                SYSTEM
            } else {
                PREPARED
            };
            let end = to.map_or(Bytes::from(vec![prefix + 1]), |to| prefixed(prefix, &to));
            vec![(prefixed(prefix, &from), Some(end))]
        }
    }
}
