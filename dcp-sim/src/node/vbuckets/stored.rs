//! What a store has of one vBucket, read whole: for warm-up, and after a rollback.

use lowtide_checkpoint::{Item, Operation, Seqno, VBucketState, Vbid};
use lowtide_persistence::{Engine, EngineError, ScanLimit, whole_seqno};

use super::documents::Documents;
use crate::producer::Collections;

/// A scan's slice.
const SLICE: ScanLimit = ScanLimit {
    items: 4_096,
    bytes: 16 << 20,
};

/// A vBucket as its store has it.
#[derive(Clone, Debug, Default)]
pub struct Stored {
    /// What was committed with the last batch; `None` if there was none.
    pub state: Option<VBucketState>,
    /// The last seqno.
    pub high: Seqno,
    /// The highest tombstone that was purged.
    pub purge: Seqno,
    /// Prepares that have not ended.
    pub prepares: Vec<Item>,
    /// Every key's newest revision.
    pub documents: Documents,
    /// How far each collection has come.
    pub collections: Collections,
}

impl Stored {
    /// Reads a vBucket. O(documents).
    ///
    /// # Errors
    /// As the engine's reads.
    pub fn read(engine: &dyn Engine, vb: Vbid) -> Result<Self, EngineError> {
        let snapshot = engine.snapshot(vb)?;
        let completed = snapshot
            .state()
            .map_or(Seqno::ZERO, |state| state.high_completed_seqno);
        let mut prepares = Vec::new();
        let (mut documents, mut collections) = (Documents::default(), Collections::default());
        let mut from = Some(Seqno::ZERO);
        while let Some(start) = from {
            let slice = snapshot.scan(start, snapshot.high(), SLICE)?;
            for item in slice.items {
                documents.apply(&item);
                collections.take_note(&item);
                if item.operation == Operation::Prepare && item.seqno > completed {
                    prepares.push(item);
                }
            }
            from = slice.next;
        }
        let (state, high) = (snapshot.state().cloned(), snapshot.high());
        Ok(Self {
            state,
            high,
            purge: snapshot.info().purge,
            prepares,
            documents,
            collections,
        })
    }

    /// Up to here it has whole snapshots only.
    #[must_use]
    pub fn whole(&self) -> Seqno {
        self.state
            .as_ref()
            .map_or(Seqno::ZERO, |state| whole_seqno(state, self.high))
    }
}
