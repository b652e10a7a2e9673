//! The documents of one vBucket: looking up, putting, fetching and clearing.
//!
//! # Invariants
//! - A place that a fetch has made is not removed before the fetch ends, and what is put meanwhile
//!   is newer than what the fetch returns (D1).

use lowtide_checkpoint::internal::Invariant;
use lowtide_checkpoint::{Item, Key, Namespace, Operation, Seqno};

use super::budget::CacheBudget;
use super::entry::{Content, Entry, Usage};
use super::fetch::{Fetch, FetchError, Found, Known};
use super::filters::Filters;
use super::prepares::Prepares;
use super::stats::DocumentsStats;
use super::table::Table;
use crate::fault::{self, Fault};

/// The documents of one vBucket that memory holds. The host locks it, with the vBucket.
///
/// Each operation is amortised O(1), except [`Documents::clear`], and durable writes, which are
/// O(log n) of the open prepares. None does I/O.
#[derive(Debug)]
pub struct Documents {
    pub(super) table: Table,
    pub(super) prepares: Prepares,
    pub(super) filters: Filters,
    /// Revisions at or below it are in the engine.
    pub(super) persisted: Seqno,
    /// Number that fetches carry. Each clearing draws another one.
    generation: u64,
    /// Slot that is examined next when room is needed.
    pub(super) hand: usize,
    /// Bytes charged to the budget.
    pub(super) charged: usize,
    pub(super) budget: CacheBudget,
    /// Number of fetches in progress that are not void.
    pub(super) fetches: usize,
    hits: u64,
    misses: u64,
    filtered: u64,
    pub(super) evictions: u64,
}

impl Documents {
    /// Creates the documents of a vBucket whose engine has everything up to `persisted`, with
    /// nothing in memory.
    ///
    /// The host puts the open prepares that a warm-up finds.
    #[must_use]
    pub fn new(budget: CacheBudget, persisted: Seqno) -> Self {
        Self {
            table: Table::new(budget.seed()),
            prepares: Prepares::default(),
            filters: Filters::default(),
            persisted,
            generation: budget.next_generation(),
            hand: 0,
            charged: 0,
            budget,
            fetches: 0,
            hits: 0,
            misses: 0,
            filtered: 0,
            evictions: 0,
        }
    }

    /// Looks up the newest committed revision of a key.
    ///
    /// A key that memory does not know gets a place, and a fetch begins. Several fetches of a key
    /// may be in progress.
    pub fn find(&mut self, key: &Key) -> Found {
        let slot = self.table.find(key);
        if let Some(found) = slot.and_then(|slot| self.known(slot)) {
            self.hits += 1;
            return found;
        }
        if slot.is_none() && !self.filters.may_contain(self.table.hash(key)) {
            self.filtered += 1;
            return Found::Absent;
        }
        self.misses += 1;
        self.begin_fetch(key, slot);
        self.settle();
        self.make_room();
        Found::Unknown(Fetch {
            key: key.clone(),
            generation: self.generation,
        })
    }

    /// Returns what memory knows of a key, and changes nothing.
    ///
    /// A host that reads the engine while nothing else happens needs no fetch.
    #[must_use]
    pub fn peek(&self, key: &Key) -> Known<'_> {
        let entry = self.table.find(key).and_then(|slot| self.table.get(slot));
        match entry.map(|entry| &entry.content) {
            Some(Content::Revision(item)) => Known::Revision(item),
            Some(Content::Absent(_)) => Known::Absent,
            Some(Content::Unknown(_)) | None => Known::Unknown,
        }
    }

    /// Ends a fetch with what the engine had: its newest committed revision of the key, or `None`.
    /// Returns the newest revision, which is another one if the key was written meanwhile.
    ///
    /// # Errors
    /// - [`FetchError::Void`] if the documents were cleared since the fetch began.
    /// - [`FetchError::OtherDocument`] for an item of another key or name space. The fetch has
    ///   ended.
    pub fn fetched(
        &mut self,
        fetch: Fetch,
        stored: Option<Item>,
    ) -> Result<Option<Item>, FetchError> {
        if let Some(found) = stored.as_ref().filter(|item| !is_of(item, fetch.key())) {
            let error = FetchError::OtherDocument {
                expected: fetch.key().clone(),
                found: found.key.clone(),
            };
            self.abandon(fetch);
            return Err(error);
        }
        if fetch.generation != self.generation {
            return Err(FetchError::Void);
        }
        let content = match stored {
            Some(item) => Content::Revision(item),
            None => Content::Absent(fetch.key.clone()),
        };
        let Some(slot) = self.end_fetch(&fetch.key) else {
            return Err(FetchError::Void);
        };
        let known = self.table.get(slot).and_then(|entry| entry.content.age());
        // What was put meanwhile is newer.
        if known < content.age() || fault::is(Fault::LateFetchWins) {
            self.table.replace(slot, content);
            self.settle();
        }
        let newest = match self.table.get(slot).map(|entry| &entry.content) {
            Some(Content::Revision(item)) => Some(item.clone()),
            _ => None,
        };
        self.admit(&fetch.key);
        Ok(newest)
    }

    /// Ends a fetch whose read failed.
    pub fn abandon(&mut self, fetch: Fetch) {
        if fetch.generation != self.generation {
            return;
        }
        if let Some(slot) = self.end_fetch(&fetch.key)
            && let Some(entry) = self.table.get(slot)
            && entry.usage.fetches == 0
            && matches!(entry.content, Content::Unknown(_))
        {
            self.table.remove(slot);
            self.settle();
        }
    }

    /// Takes an item that was just written or received, with its seqno, or a prepare that a warm-up
    /// found open.
    ///
    /// A prepare opens a durable write, a commit or an abort ends it. Items that change no document
    /// are ignored: system events, a revision older than the key's newest one, and one that is
    /// persisted already if the key has no place in memory. A newer one may be in the engine.
    pub fn put(&mut self, item: Item) {
        match (item.operation.namespace(), item.operation) {
            (Some(Namespace::Committed), operation) => {
                if operation == Operation::Commit {
                    self.prepares.end_up_to(item.prepare_seqno);
                }
                self.prepares.end_of(&item.key, item.seqno);
                self.put_revision(item);
            }
            (Some(Namespace::Prepared), Operation::Prepare) => self.prepares.begin(item),
            (Some(Namespace::Prepared), _) => {
                self.prepares.end_up_to(item.prepare_seqno);
                self.prepares.end_of(&item.key, item.seqno);
            }
            (Some(Namespace::System) | None, _) => return,
        }
        self.settle();
        self.make_room();
    }

    /// Returns the open prepare of a key. It stays in memory until the durable write ends.
    #[must_use]
    pub fn prepare_of(&self, key: &Key) -> Option<&Item> {
        self.prepares.get(key)
    }

    /// Returns the oldest open prepare: the durable write that must end next.
    #[must_use]
    pub fn oldest_prepare(&self) -> Option<&Item> {
        self.prepares.oldest()
    }

    /// Ends all prepares at or below `seqno`: those durable writes have completed. In a snapshot
    /// from disk some of the completions are missing.
    pub fn completed(&mut self, seqno: Seqno) {
        self.prepares.end_up_to(seqno);
        self.settle();
    }

    /// Records that the engine has everything up to `seqno`. O(1).
    pub fn persisted(&mut self, seqno: Seqno) {
        self.persisted = self.persisted.max(seqno);
    }

    /// Forgets everything, because the vBucket was rolled back or emptied, and its engine has
    /// exactly what is up to `persisted`. Fetches in progress become void.
    ///
    /// It is called once the engine has rolled back, and before anything is put or looked up. The
    /// host puts the prepares again that are still open. O(n).
    pub fn clear(&mut self, persisted: Seqno) {
        self.table.clear();
        self.prepares.clear();
        self.filters.clear();
        self.persisted = persisted;
        self.generation = self.budget.next_generation();
        self.hand = 0;
        self.fetches = 0;
        self.settle();
    }

    /// Returns the figures. O(1).
    #[must_use]
    pub fn stats(&self) -> DocumentsStats {
        DocumentsStats {
            entries: self.table.len(),
            prepares: self.prepares.len(),
            fetches: self.fetches,
            memory_bytes: self.charged,
            hits: self.hits,
            misses: self.misses,
            filtered: self.filtered,
            evictions: self.evictions,
        }
    }

    /// Charges what is held now.
    pub(super) fn settle(&mut self) {
        let held = self.table.bytes() + self.prepares.bytes() + self.filters.bytes();
        self.budget.recharge(self.charged, held);
        self.charged = held;
    }

    /// Returns the answer of an entry, unless it is unknown.
    fn known(&mut self, slot: usize) -> Option<Found> {
        let found = match &self.table.get(slot)?.content {
            Content::Unknown(_) => return None,
            Content::Absent(_) => Found::Absent,
            Content::Revision(item) => Found::Revision(item.clone()),
        };
        self.table.usage_mut(slot)?.is_used = true;
        Some(found)
    }

    /// Counts a fetch of the key, at its slot or a new one.
    fn begin_fetch(&mut self, key: &Key, slot: Option<usize>) {
        self.fetches += 1;
        if let Some(usage) = slot.and_then(|slot| self.table.usage_mut(slot)) {
            usage.fetches = usage.fetches.saturating_add(1);
            return;
        }
        self.table.insert(Entry {
            content: Content::Unknown(key.clone()),
            usage: Usage {
                fetches: 1,
                is_used: false,
            },
        });
    }

    /// Counts a fetch of this generation as ended. Returns the key's slot.
    fn end_fetch(&mut self, key: &Key) -> Option<usize> {
        let slot = self
            .table
            .find(key)
            .expected("D2", "a key with a fetch in progress has a place")?;
        let usage = self.table.usage_mut(slot)?;
        usage.fetches = usage.fetches.saturating_sub(1);
        self.fetches = self.fetches.saturating_sub(1);
        Some(slot)
    }

    fn put_revision(&mut self, item: Item) {
        self.filters.add(self.table.hash(&item.key));
        match self.table.find(&item.key) {
            Some(slot) => {
                let known = self.table.get(slot).and_then(|entry| entry.content.age());
                if known <= Some(item.seqno) {
                    self.table.replace(slot, Content::Revision(item));
                }
            }
            // It may have been superseded and evicted (D1).
            None if item.seqno <= self.persisted => {}
            None => self.table.insert(Entry {
                content: Content::Revision(item),
                usage: Usage::default(),
            }),
        }
    }
}

impl Drop for Documents {
    fn drop(&mut self) {
        self.budget.recharge(self.charged, 0);
    }
}

/// Returns whether the item is a committed revision of the key.
fn is_of(item: &Item, key: &Key) -> bool {
    item.key == *key && item.operation.namespace() == Some(Namespace::Committed)
}
