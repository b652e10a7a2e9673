//! Write of a client: recovers memory if needed, looks up the previous revision, and lets the
//! vBucket order the item.
//!
//! # Invariants
//!
//! - N9. A write counts up from the newest revision of its key. What memory does not know of it, the
//!   engine is read for; meanwhile other writes go on, and a later one of the key counts from them.

use bytes::Bytes;
use lowtide_checkpoint::{Item, Key, State, VBucketError, Vbid};
use lowtide_persistence::{EngineError, FetchError, Found};

use crate::node::error::NodeError;
use crate::node::event::Action;
use crate::node::pending_write::PendingWrite;
use crate::node::state::Node;

impl Node {
    pub(in crate::node) fn write(
        &mut self,
        vb: Vbid,
        key: Key,
        value: Option<Bytes>,
        now: u64,
        actions: &mut Vec<Action>,
    ) -> Result<(), NodeError> {
        self.recover_memory();
        let partition = self.require(vb)?;
        let state = partition.vbucket.state();
        if state != State::Active {
            return Err(VBucketError::WrongState { vb, state }.into());
        }
        match partition.documents.find(&key) {
            Found::Revision(newest) => {
                self.write_after(newest.rev_seqno, (vb, key), value, now, actions)
            }
            Found::Absent => self.write_after(0, (vb, key), value, now, actions),
            Found::Unknown(fetch) => {
                actions.push(Action::Fetch(PendingWrite { vb, fetch, value }));
                Ok(())
            }
        }
    }

    /// Continues a write with what the engine had.
    pub(in crate::node) fn fetched(
        &mut self,
        write: PendingWrite,
        stored: Result<Option<Item>, EngineError>,
        now: u64,
        actions: &mut Vec<Action>,
    ) -> Result<(), NodeError> {
        let PendingWrite { vb, fetch, value } = write;
        self.recover_memory();
        let documents = &mut self.require(vb)?.documents;
        let stored = match stored {
            Ok(stored) => stored,
            Err(error) => {
                documents.abandon(fetch);
                return Err(NodeError::Fetch(error));
            }
        };
        let key = fetch.key().clone();
        match documents.fetched(fetch, stored) {
            Ok(newest) => {
                let rev_seqno = newest.map_or(0, |newest| newest.rev_seqno);
                self.write_after(rev_seqno, (vb, key), value, now, actions)
            }
            // The vBucket was rolled back or created again: the engine had another document.
            Err(FetchError::Void) => self.write(vb, key, value, now, actions),
            Err(error) => Err(NodeError::FetchAnswer(error)),
        }
    }

    /// Writes the revision that follows the previous one.
    fn write_after(
        &mut self,
        previous: u64,
        (vb, key): (Vbid, Key),
        value: Option<Bytes>,
        now: u64,
        actions: &mut Vec<Action>,
    ) -> Result<(), NodeError> {
        let partition = self.require(vb)?;
        let mut item = match value {
            Some(value) => Item::mutation(key, value),
            None => Item {
                expiry: seconds(now),
                ..Item::deletion(key)
            },
        };
        // The vBucket refuses a revision beyond its limits.
        item.rev_seqno = previous.saturating_add(1);
        let written = partition.vbucket.write(item.clone(), now)?;
        item.seqno = written.queued.seqno;
        item.cas = written.cas;
        partition.documents.put(item.clone());
        partition.collections.record(&item);
        actions.push(Action::Written { vb, item });
        self.queued(vb, actions);
        Ok(())
    }
}

/// Returns the seconds of a time in nanoseconds, or the last that the field holds, in 2106.
fn seconds(nanos: u64) -> u32 {
    u32::try_from(nanos / 1_000_000_000).unwrap_or(u32::MAX)
}
