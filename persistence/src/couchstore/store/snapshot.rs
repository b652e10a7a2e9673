//! A pinned commit of one vBucket. Later commits do not change it, and neither does the vBucket's
//! end.

use std::ops::ControlFlow;
use std::sync::Arc;

use lowtide_checkpoint::{Item, Key, Namespace, Seqno, VBucketState};

use crate::contract::{
    EngineError, KeyRange, KeySlice, ScanLimit, ScanSlice, Snapshot, VBucketInfo,
};

use super::published_commit::PublishedCommit;

#[derive(Debug)]
pub(crate) struct CouchSnapshot(pub(crate) Arc<PublishedCommit>);

impl Snapshot for CouchSnapshot {
    fn high(&self) -> Seqno {
        Seqno(self.0.view.header.update_seq)
    }

    fn state(&self) -> Option<&VBucketState> {
        self.0.state.as_ref()
    }

    fn info(&self) -> VBucketInfo {
        self.0.view.info()
    }

    fn get(&self, namespace: Namespace, key: &Key) -> Result<Option<Item>, EngineError> {
        self.0.view.get(namespace, key)
    }

    fn scan(&self, from: Seqno, to: Seqno, limit: ScanLimit) -> Result<ScanSlice, EngineError> {
        self.0.view.scan(from, to, limit)
    }

    fn scan_keys(&self, range: &KeyRange, limit: ScanLimit) -> Result<KeySlice, EngineError> {
        self.0.view.scan_keys(range, limit)
    }

    fn visit_keys(
        &self,
        namespace: Namespace,
        see: &mut dyn FnMut(&Key) -> ControlFlow<()>,
    ) -> Result<(), EngineError> {
        self.0.view.visit_keys(namespace, see)
    }

    fn count(&self, from: Seqno, to: Seqno) -> Result<u64, EngineError> {
        self.0.view.count(from, to)
    }
}
