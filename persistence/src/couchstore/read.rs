//! Items out of a commit: by key, and by seqno in slices.

use bytes::Bytes;
use checkpoint::{Item, Key, Namespace, Seqno, VBucketState};

use crate::{EngineError, ScanLimit, ScanSlice};

use super::doc_info::DocInfo;
use super::document;
use super::tip::Tip;
use super::vbstate::{self, StoreFigures};

impl Tip {
    /// The newest revision of a key.
    pub(super) fn get(&self, namespace: Namespace, key: &Key) -> Result<Option<Item>, EngineError> {
        let Some(id) = document::stored_key(namespace, key) else { return Ok(None) };
        self.doc_info(&id)?.map(|info| self.item(&info)).transpose()
    }

    /// Items with a seqno in `from..=to`, as many as `limit` allows.
    pub(super) fn scan(&self, from: Seqno, to: Seqno, limit: ScanLimit) -> Result<ScanSlice, EngineError> {
        let mut slice = ScanSlice::default();
        let mut left_bytes = limit.bytes;
        for row in self.rows(from)? {
            let info = row?;
            if info.seqno > to {
                break;
            }
            if !slice.items.is_empty() && (slice.items.len() >= limit.items || left_bytes == 0) {
                slice.next = Some(info.seqno);
                break;
            }
            let item = self.item(&info)?;
            left_bytes = left_bytes.saturating_sub(item.payload_bytes());
            slice.items.push(item);
        }
        Ok(slice)
    }

    /// The item a row tells of, with its body.
    pub(super) fn item(&self, info: &DocInfo) -> Result<Item, EngineError> {
        let body: Option<Bytes> = self.body(info)?;
        document::to_item(info, body).map_err(|what| {
            self.source.corrupt(self.position, format!("row of seqno {}: {what}", info.seqno))
        })
    }

    /// The vBucket's state; `None` if none was committed yet.
    pub(super) fn state(&self) -> Result<Option<(VBucketState, StoreFigures)>, EngineError> {
        let Some(document) = self.local(vbstate::NAME)? else { return Ok(None) };
        let state = vbstate::decode(&document).map(|(mut state, figures)| {
            state.purge_seqno = self.header.purge_seq.into();
            (state, figures)
        });
        state.map(Some).map_err(|what| self.source.corrupt(self.position, format!("_local/vbstate: {what}")))
    }
}
