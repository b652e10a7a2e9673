//! Ours, through the trait that the flusher uses, on the real disk, with one vBucket.
//!
//! Every chunk's checksum is verified whenever it is read. Decoded nodes have a cache as for everyone who asks. Making our items out
//! of the benchmark's is counted. A scan takes slices of 1 MiB.

use std::path::Path;
use std::sync::Arc;

use checkpoint::{FailoverLog, Item, Key as ItemKey, Namespace, Seqno, State, VBucketState, VbUuid, Vbid};
use persistence::couchstore::{CommitMode, Couchstore, CouchstoreConfig};
use persistence::disk::OsDisk;
use persistence::{Batch, Engine, ScanLimit};

use super::{CACHE_BYTES, Key, See, Store, Write};

const VB: Vbid = Vbid(0);
const SLICE: ScanLimit = ScanLimit { items: usize::MAX, bytes: 1 << 20 };

pub fn one_sync(dir: &Path, then: &mut dyn FnMut(&mut dyn Store)) {
    with(dir, CommitMode::OneSync, then);
}

pub fn two_phase(dir: &Path, then: &mut dyn FnMut(&mut dyn Store)) {
    with(dir, CommitMode::TwoPhase, then);
}

fn with(dir: &Path, commit: CommitMode, then: &mut dyn FnMut(&mut dyn Store)) {
    let config = CouchstoreConfig { commit, cache_bytes: CACHE_BYTES, ..CouchstoreConfig::default() };
    let (engine, _) = Couchstore::open(Arc::new(OsDisk::new()), dir, config).expect("opens");
    if engine.vbuckets().is_empty() {
        engine.create(VB).expect("new");
    }
    let state = VBucketState::new(State::Active, FailoverLog::new(VbUuid(1)));
    let mut ours = Ours { engine, state };
    then(&mut ours);
    ours.engine.close().expect("closes");
}

struct Ours {
    engine: Couchstore,
    state: VBucketState,
}

impl Store for Ours {
    fn commit(&mut self, writes: &[Write]) {
        let item = |write: &Write| Item {
            seqno: Seqno(write.seqno),
            ..Item::mutation(ItemKey::new(&write.key), write.value.clone())
        };
        let items: Vec<Item> = writes.iter().map(item).collect();
        let items: Vec<&Item> = items.iter().collect();
        self.state.snapshot_end = items.last().expect("not empty").seqno;
        let batch = Batch { vb: VB, items: &items, state: &self.state, timestamp: 1 };
        for result in self.engine.commit(&[batch]) {
            result.expect("commits");
        }
    }

    fn scan(&self, see: See<'_>) {
        let snapshot = self.engine.snapshot(VB).expect("known");
        let mut from = Some(Seqno::ZERO);
        while let Some(start) = from {
            let slice = snapshot.scan(start, snapshot.high(), SLICE).expect("sound");
            for item in &slice.items {
                see(item.seqno.0, item.key.user(), item.value.as_deref().unwrap_or_default());
            }
            from = slice.next;
        }
    }

    fn gets(&self, keys: &[Key], see: &mut dyn FnMut(&[u8])) {
        let snapshot = self.engine.snapshot(VB).expect("known");
        for key in keys {
            let item = snapshot.get(Namespace::Committed, &ItemKey::new(key)).expect("sound");
            see(item.expect("written").value.as_deref().unwrap_or_default());
        }
    }

    fn high(&self) -> u64 {
        self.engine.info(VB).expect("known").high.0
    }
}
