//! The local documents of a commit, and the vBucket's state, which is one of them.

use bytes::Bytes;
use lowtide_checkpoint::VBucketState;

use crate::contract::EngineError;
use crate::couchstore::btree::{self, Walk};
use crate::couchstore::file::CommitView;
use crate::couchstore::format::{StoreFigures, Tree, vbucket_state};

impl CommitView {
    /// Returns the value of a local document.
    pub(crate) fn local(&self, name: &[u8]) -> Result<Option<Bytes>, EngineError> {
        btree::lookup(self, Tree::Local, name)
    }

    /// Returns names and values of all local documents, by name.
    pub(crate) fn locals(&self) -> Result<Vec<(Bytes, Bytes)>, EngineError> {
        let walk = Walk::from(self, Tree::Local, b"")?;
        walk.map(|entry| entry.map(|entry| (entry.key, entry.value)))
            .collect()
    }

    /// Returns the vBucket's state, or `None` before the first was committed.
    pub(crate) fn state(&self) -> Result<Option<(VBucketState, StoreFigures)>, EngineError> {
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
