//! The contract in its plainest form: a vBucket is the list of all its commits, each a map of rows.

use std::collections::{BTreeMap, BTreeSet};

use lowtide_checkpoint::{Item, Operation, Seqno, VBucketState};

use crate::contract::{Engine, RolledBack, ScanLimit, Snapshot, VBucketInfo};

use super::support::{VB, check};

/// A vBucket at one commit.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Commit {
    pub(crate) high: u64,
    pub(crate) purge: u64,
    pub(crate) rows: BTreeMap<u64, Item>,
    pub(crate) state: Option<VBucketState>,
}

impl Commit {
    fn purge(&mut self, upto: u64) -> bool {
        let high = self.high;
        let last = last_of_collections(self.rows.values());
        let gone = |seqno: u64, item: &Item| {
            is_tombstone(item) && seqno <= upto && seqno != high && !last.contains(&seqno)
        };
        let highest = self
            .rows
            .iter()
            .filter(|&(&seqno, item)| gone(seqno, item))
            .map(|(&seqno, _)| seqno)
            .max();
        self.rows.retain(|&seqno, item| !gone(seqno, item));
        self.purge = self.purge.max(highest.unwrap_or(0));
        highest.is_some()
    }

    pub(crate) fn info(&self) -> VBucketInfo {
        let deleted = self.rows.values().filter(|item| is_tombstone(item)).count() as u64;
        VBucketInfo {
            high: Seqno(self.high),
            purge: Seqno(self.purge),
            items: self.rows.len() as u64 - deleted,
            deleted,
        }
    }
}

/// Returns the highest seqno of each collection (E27). System events are in no collection.
pub(crate) fn last_of_collections<'a>(items: impl Iterator<Item = &'a Item>) -> BTreeSet<u64> {
    let mut last: BTreeMap<u32, u64> = BTreeMap::new();
    for item in items.filter(|item| item.operation != Operation::SystemEvent) {
        let seqno = last.entry(item.key.collection()).or_default();
        *seqno = item.seqno.0.max(*seqno);
    }
    last.into_values().collect()
}

/// Returns whether the index has it as deleted, as it does an abort.
pub(crate) fn is_tombstone(item: &Item) -> bool {
    match item.operation {
        Operation::Prepare => false,
        operation => item.deleted || operation == Operation::Abort,
    }
}

/// A vBucket with all its commits, without those that a rollback removed.
#[derive(Clone, Debug)]
pub(crate) struct Naive(Vec<Commit>);

impl Naive {
    pub(crate) fn new() -> Self {
        Self(vec![Commit::default()])
    }

    pub(crate) fn now(&self) -> &Commit {
        self.0.last().expect("never empty")
    }

    pub(crate) fn commit(&mut self, items: &[Item], state: VBucketState) {
        let mut next = Commit {
            state: Some(state),
            ..self.now().clone()
        };
        for item in items {
            let namespace = item.operation.namespace();
            next.rows
                .retain(|_, old| old.key != item.key || old.operation.namespace() != namespace);
            next.rows.insert(item.seqno.0, item.clone());
            next.high = item.seqno.0;
        }
        self.0.push(next);
    }

    pub(crate) fn purge(&mut self, upto: u64) -> u64 {
        let mut next = self.now().clone();
        if next.purge(upto) {
            self.0.push(next);
        }
        self.now().purge
    }

    pub(crate) fn rollback(&mut self, to: u64) -> u64 {
        let purged = self.now().purge;
        let found = self
            .0
            .iter()
            .rposition(|commit| commit.high <= to)
            .expect("the empty one at least");
        if found + 1 < self.0.len() {
            self.0.truncate(found + 1);
            let mut restored = self.now().clone();
            // A tombstone that the last purge before it spared, and only that one, was not purged
            // since.
            if purged > restored.purge {
                restored.purge(purged);
            }
            self.0.push(restored);
        }
        self.now().high
    }
}

/// Reads a snapshot's rows in all possible ways, which must agree, with its figures and state.
pub(crate) fn of(snapshot: &dyn Snapshot) -> Commit {
    let slice = snapshot
        .scan(Seqno(0), Seqno::MAX, ScanLimit::NONE)
        .expect("readable");
    assert_eq!(slice.next, None);
    for item in &slice.items {
        let namespace = item.operation.namespace().expect("stored");
        assert_eq!(
            snapshot
                .get(namespace, &item.key)
                .expect("readable")
                .as_ref(),
            Some(item)
        );
    }
    let info = snapshot.info();
    let commit = Commit {
        high: snapshot.high().0,
        purge: info.purge.0,
        rows: slice
            .items
            .into_iter()
            .map(|item| (item.seqno.0, item))
            .collect(),
        // The model keeps it in `purge`.
        state: snapshot.state().map(|state| {
            assert_eq!(state.purge_seqno, info.purge);
            VBucketState {
                purge_seqno: Seqno::ZERO,
                ..state.clone()
            }
        }),
    };
    assert_eq!(commit.info(), info);
    assert_eq!(
        snapshot.count(Seqno(0), Seqno::MAX).expect("readable"),
        commit.rows.len() as u64
    );
    commit
}

/// Reads the newest commit, which must pass the engine's own check.
pub(crate) fn now(engine: &dyn Engine) -> Commit {
    check(engine, VB);
    of(&*engine.snapshot(VB).expect("there"))
}

pub(crate) fn rollback(engine: &dyn Engine, to: u64) -> u64 {
    match engine.rollback(VB, Seqno(to)).expect("rolled back") {
        RolledBack::Done { high } => high.0,
        reset => panic!("{reset:?}"),
    }
}
