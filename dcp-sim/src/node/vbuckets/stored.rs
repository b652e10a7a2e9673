//! State, prepares and collections of one vBucket in a store, for warm-up and after a rollback.

use lowtide_checkpoint::{Item, Operation, Seqno, VBucketState, Vbid};
use lowtide_persistence::{Engine, EngineError, ScanLimit, whole_seqno};

use crate::producer::Collections;

/// Limit of one slice of the scan.
const SLICE: ScanLimit = ScanLimit::new(4_096, 16 << 20);

/// State, prepares and collections of a vBucket in its store.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Stored {
    /// State committed with the last batch; `None` without a batch.
    pub state: Option<VBucketState>,
    /// The last seqno.
    pub high: Seqno,
    /// Seqno of the highest purged tombstone.
    pub purge: Seqno,
    /// Prepares without commit or abort.
    pub prepares: Vec<Item>,
    /// Highest seqno of each collection.
    pub collections: Collections,
}

impl Stored {
    /// Reads a vBucket. O(documents).
    ///
    /// # Errors
    /// Same as the engine's reads.
    pub fn read(engine: &dyn Engine, vb: Vbid) -> Result<Self, EngineError> {
        Self::read_with(engine, vb, &mut |_| {})
    }

    /// Reads a vBucket, and shows every item to `seen`, by seqno. O(documents).
    ///
    /// # Errors
    /// Same as the engine's reads.
    pub fn read_with(
        engine: &dyn Engine,
        vb: Vbid,
        seen: &mut dyn FnMut(&Item),
    ) -> Result<Self, EngineError> {
        let snapshot = engine.snapshot(vb)?;
        let completed = snapshot
            .state()
            .map_or(Seqno::ZERO, |state| state.high_completed_seqno);
        let mut prepares = Vec::new();
        let mut collections = Collections::default();
        let mut from = Some(Seqno::ZERO);
        while let Some(start) = from {
            let slice = snapshot.scan(start, snapshot.high(), SLICE)?;
            for item in slice.items {
                seen(&item);
                collections.record(&item);
                if item.operation == Operation::Prepare && item.seqno > completed {
                    prepares.push(item);
                }
            }
            from = slice.next;
        }
        Ok(Self {
            state: snapshot.state().cloned(),
            high: snapshot.high(),
            purge: snapshot.info().purge,
            prepares,
            collections,
        })
    }

    /// Returns the seqno up to which the store has complete snapshots only.
    #[must_use]
    pub fn whole(&self) -> Seqno {
        self.state
            .as_ref()
            .map_or(Seqno::ZERO, |state| whole_seqno(state, self.high))
    }
}
