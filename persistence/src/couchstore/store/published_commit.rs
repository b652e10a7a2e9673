//! The commit of a vBucket that readers see, with the vBucket's state.

use lowtide_checkpoint::VBucketState;

use crate::couchstore::file::CommitView;

/// An acknowledged commit as readers need it.
#[derive(Debug)]
pub(crate) struct PublishedCommit {
    pub(crate) view: CommitView,
    pub(crate) state: Option<VBucketState>,
}

impl PublishedCommit {
    /// The purge seqno of a state is its commit's: of whatever raised it, a batch, a purge or a compaction.
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
