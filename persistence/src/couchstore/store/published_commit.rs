//! The commit of a vBucket that readers see, with the vBucket's state.

use lowtide_checkpoint::VBucketState;

use crate::couchstore::file::CommitView;

/// An acknowledged commit with its state.
#[derive(Debug)]
pub(crate) struct PublishedCommit {
    pub(crate) view: CommitView,
    pub(crate) state: Option<VBucketState>,
}

impl PublishedCommit {
    /// Makes a published commit. The purge seqno of its state is that of the commit, whether a
    /// batch, a purge or a compaction raised it.
    pub(crate) fn new(view: CommitView, state: Option<VBucketState>) -> Self {
        let purge_seqno = view.header.purge_seq.into();
        Self {
            view,
            state: state.map(|state| VBucketState {
                purge_seqno,
                ..state
            }),
        }
    }
}
