//! One vBucket of an open store: the vBucket itself, the documents that memory holds, and those that
//! wait for its flusher.

use std::sync::{Arc, Weak};

use lowtide_checkpoint::{Item, Key, Seqno, VBucket, Vbid};

use super::error::StoreError;
use crate::contract::EngineError;
use crate::hosted::waiting::inbox::DirtyMark;
use crate::hosted::waiting::persisted::{Awaited, PersistedSeqno};
use crate::hosted::{Documents, FetchError, Found};
use crate::read_views::ReadViews;
use crate::sync::{AtomicU64, Mutex, MutexGuard, Ordering, RwLock, ranks};

/// A store whose threads may flush in a flusher's place.
pub(super) trait Lead: Send + Sync {
    /// Flushes the changes of a shard, unless a thread is at it or its flusher has more to do.
    fn lead(&self, shard: usize);

    /// Has the flusher flush the changes of a shard without delay.
    fn hurry(&self, shard: usize);
}

/// One vBucket of an open store.
#[derive(Debug)]
pub(super) struct Partition {
    pub(super) vbucket: VBucket,
    /// The number of its flusher.
    pub(super) shard: usize,
    leader: Weak<dyn Lead>,
    pub(super) dirty: DirtyMark,
    pub(super) persisted: PersistedSeqno,
    /// The views of readers while it is a replica.
    pub(super) views: ReadViews,
    /// Taken for a whole write: look-up, order, and entry. So this map changes in the order of
    /// seqnos.
    documents: Mutex<Documents>,
    /// The highest seqno of a tombstone purged from disk.
    purged: AtomicU64,
}

/// The parts of a new [`Partition`].
#[derive(Debug)]
pub(super) struct PartitionParts {
    pub(super) vbucket: VBucket,
    pub(super) shard: usize,
    pub(super) leader: Weak<dyn Lead>,
    pub(super) views: ReadViews,
    pub(super) documents: Documents,
    /// The high seqno on disk.
    pub(super) high: Seqno,
    pub(super) purged: Seqno,
}

impl Partition {
    pub(super) fn new(parts: PartitionParts) -> Self {
        Self {
            vbucket: parts.vbucket,
            shard: parts.shard,
            leader: parts.leader,
            dirty: DirtyMark::default(),
            persisted: PersistedSeqno::new(parts.high),
            views: parts.views,
            documents: Mutex::new(ranks::DOCUMENTS, parts.documents),
            purged: AtomicU64::new(parts.purged.0),
        }
    }

    pub(super) fn id(&self) -> Vbid {
        self.vbucket.id()
    }

    /// Has a write flushed that the thread is about to wait for: by the thread itself if it can.
    pub(super) fn lead(&self, awaited: Awaited) {
        self.ask(awaited, |leader| leader.lead(self.shard));
    }

    /// Same as [`Partition::lead`], but the flusher does it. The caller may not wait for a flush.
    pub(super) fn hurry(&self, awaited: Awaited) {
        self.ask(awaited, |leader| leader.hurry(self.shard));
    }

    fn ask(&self, awaited: Awaited, ask: impl FnOnce(&dyn Lead)) {
        if self.persisted.reached() < awaited.seqno
            && let Some(leader) = self.leader.upgrade()
        {
            ask(&*leader);
        }
    }

    pub(super) fn documents(&self) -> MutexGuard<'_, Documents> {
        self.documents.lock()
    }

    /// Returns the seqno up to which tombstones may be missing in this copy.
    pub(super) fn purge_seqno(&self) -> Seqno {
        let on_disk = Seqno(self.purged.load(Ordering::Relaxed));
        self.vbucket.purge_seqno().max(on_disk)
    }

    /// Records the purge seqno of the disk. It falls only with a rollback.
    pub(super) fn set_purged(&self, purged: Seqno) {
        self.purged.store(purged.0, Ordering::Relaxed);
    }

    /// Returns the newest revision of a key, tombstones included, and the locked documents in which
    /// it still is the newest. `fetch` reads it from the engine if memory does not hold it, without
    /// the lock.
    pub(super) fn newest(
        &self,
        key: &Key,
        fetch: impl Fn(&Key) -> Result<Option<Item>, StoreError>,
    ) -> Result<(MutexGuard<'_, Documents>, Option<Item>), StoreError> {
        let mut documents = self.documents();
        loop {
            let fetching = match documents.find(key) {
                Found::Revision(item) => return Ok((documents, Some(item))),
                Found::Absent => return Ok((documents, None)),
                Found::Unknown(fetching) => fetching,
            };
            drop(documents);
            let fetched = fetch(key);
            documents = self.documents();
            match fetched {
                Ok(item) => match documents.fetched(fetching, item) {
                    Ok(newest) => return Ok((documents, newest)),
                    // It was rolled back meanwhile: the next round looks the key up again.
                    Err(FetchError::Void) => {}
                    Err(error @ FetchError::OtherDocument { .. }) => {
                        let answer = EngineError::InvalidArgument(error.to_string());
                        return Err(StoreError::Engine(answer));
                    }
                },
                Err(error) => {
                    documents.abandon(fetching);
                    return Err(error);
                }
            }
        }
    }
}

/// The vBuckets of an open store, by number.
#[derive(Debug)]
pub(super) struct Partitions(RwLock<Vec<Option<Arc<Partition>>>>);

impl Partitions {
    pub(super) fn new() -> Self {
        Self(RwLock::new(ranks::PARTITIONS, Vec::new()))
    }

    pub(super) fn get(&self, vb: Vbid) -> Option<Arc<Partition>> {
        self.0.read().get(usize::from(vb.0))?.clone()
    }

    /// Returns all vBuckets, ascending.
    pub(super) fn all(&self) -> Vec<Arc<Partition>> {
        self.0.read().iter().flatten().cloned().collect()
    }

    pub(super) fn insert(&self, partition: Arc<Partition>) {
        let mut partitions = self.0.write();
        let index = usize::from(partition.id().0);
        if partitions.len() <= index {
            partitions.resize(index + 1, None);
        }
        if let Some(place) = partitions.get_mut(index) {
            *place = Some(partition);
        }
    }

    pub(super) fn remove(&self, vb: Vbid) -> Option<Arc<Partition>> {
        self.0.write().get_mut(usize::from(vb.0))?.take()
    }
}
