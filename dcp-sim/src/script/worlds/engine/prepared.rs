//! A prepared batch of one vBucket: its writes as complete items, with the matching state.
//!
//! # Invariants
//!
//! - Revision numbers continue those of the vBucket, and so do seqnos unless the command chooses one.
//!   CAS rise with the clock.
//! - The state is a plain active's, always on one branch of history.

use std::collections::BTreeMap;

use lowtide_checkpoint::{
    Cas, FailoverLog, Item, Key, Namespace, Seqno, State, VBucketState, VbUuid, Vbid,
};
use lowtide_persistence::Snapshot;

use super::words::kind;
use crate::script::language::Write;
use crate::script::worlds::clock::Clock;

/// The only branch of every vBucket's history.
const UUID: VbUuid = VbUuid(0x5ce4a210);
const NANOS_PER_SECOND: u64 = 1_000_000_000;

#[derive(Debug)]
pub(super) struct Prepared {
    pub(super) vb: Vbid,
    pub(super) items: Vec<Item>,
    pub(super) state: VBucketState,
    pub(super) timestamp: u64,
}

impl Prepared {
    /// Converts the writes to items. The first has `seqno`, or the next one after the snapshot's.
    pub(super) fn new(
        vb: Vbid,
        writes: &[Write],
        seqno: Option<Seqno>,
        now: &dyn Snapshot,
        clock: &mut Clock,
    ) -> Result<Self, &'static str> {
        let mut state = now
            .state()
            .cloned()
            .unwrap_or_else(|| VBucketState::new(State::Active, FailoverLog::new(UUID)));
        let mut next = seqno.unwrap_or_else(|| now.high().next());
        let mut items = Vec::with_capacity(writes.len());
        let mut revisions = BTreeMap::new();
        for write in writes {
            let before = match revisions.get(&write.key) {
                Some(&revision) => revision,
                None => revision(now, &write.key)?,
            };
            let rev_seqno = before + 1;
            revisions.insert(&write.key, rev_seqno);
            let cas = clock.tick();
            let item = item(write, next, cas)?;
            items.push(Item {
                seqno: next,
                cas: Cas(cas),
                rev_seqno,
                ..item
            });
            state.max_cas = Cas(cas);
            if write.value.is_none() {
                state.max_deleted_rev_seqno = state.max_deleted_rev_seqno.max(rev_seqno);
            }
            next = next.next();
        }
        let high = items.last().map_or(now.high(), |item| item.seqno);
        (
            state.snapshot_start,
            state.snapshot_end,
            state.max_visible_seqno,
        ) = (high, high, high);
        Ok(Self {
            vb,
            items,
            state,
            timestamp: clock.tick(),
        })
    }
}

fn item(write: &Write, seqno: Seqno, now_nanos: u64) -> Result<Item, &'static str> {
    let key = write.key.clone();
    match &write.value {
        Some(value) => {
            let value = value.bytes(key.user(), seqno.0)?;
            Ok(Item::mutation(key, value))
        }
        None => {
            // The expiry of a tombstone is the time of its deletion.
            let expiry = u32::try_from(now_nanos / NANOS_PER_SECOND).unwrap_or(u32::MAX);
            Ok(Item {
                expiry,
                ..Item::deletion(key)
            })
        }
    }
}

/// Returns the number of revisions of a document.
fn revision(now: &dyn Snapshot, key: &Key) -> Result<u64, &'static str> {
    let document = now.get(Namespace::Committed, key).map_err(kind)?;
    Ok(document.map_or(0, |document| document.rev_seqno))
}
