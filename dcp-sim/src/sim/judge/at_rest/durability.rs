//! W4: every reopened store has exactly the documents that it had before, its node's state and what
//! its node's memory knows, and passes its own check.

use lowtide_checkpoint::Seqno;
use lowtide_persistence::{Engine, EngineError, Known};

use super::stores::Stores;
use crate::node::{Node, NodeId, Partition};
use crate::sim::oracle::{Contents, Document};
use crate::sim::record::InvariantVerdict;

/// Compares a node with its reopened store.
///
/// # Errors
/// If the store cannot be read.
pub(in crate::sim) fn check(
    verdict: &mut InvariantVerdict,
    number: NodeId,
    node: &Node,
    stores: &Stores,
    reopened: &dyn Engine,
    with_tombstones: bool,
) -> Result<(), EngineError> {
    let expected: Vec<_> = node
        .partitions()
        .map(|partition| partition.vbucket.id())
        .collect();
    let found = reopened.vbuckets();
    verdict.check(
        (expected != found)
            .then(|| format!("node {number}: store has {found:?}, not {expected:?}")),
    );
    for partition in node
        .partitions()
        .filter(|partition| found.contains(&partition.vbucket.id()))
    {
        let vb = partition.vbucket.id();
        let Some(closed) = stores.get(number, vb) else {
            verdict.check(Some(format!(
                "node {number}, vBucket {vb}: it had no store"
            )));
            continue;
        };
        let violation = compare(partition, closed, reopened, with_tombstones)?;
        verdict.check(violation.map(|what| format!("node {number}, vBucket {vb}: {what}")));
    }
    Ok(())
}

pub(in crate::sim) fn verdict() -> InvariantVerdict {
    InvariantVerdict::new(
        "W4",
        "every store reopened from its disk is unchanged, and agrees with its node's memory",
    )
}

fn compare(
    partition: &Partition,
    closed: &Contents,
    reopened: &dyn Engine,
    with_tombstones: bool,
) -> Result<Option<String>, EngineError> {
    let vb = partition.vbucket.id();
    let stored = Contents::read(reopened, vb)?;
    let differing = if with_tombstones {
        closed.first_difference(&stored)
    } else {
        closed.first_live_difference(&stored)
    };
    if let Some(key) = differing {
        let (closed, stored) = (closed.get(key), stored.get(key));
        return Ok(Some(format!(
            "key {key}: {closed:?} before, now {stored:?}"
        )));
    }
    for (key, document) in stored.iter() {
        let is_right = match partition.documents.peek(key) {
            Known::Revision(item) => Document::of(item) == *document,
            // A tombstone may be purged.
            Known::Absent => document.value.is_none() && !with_tombstones,
            Known::Unknown => true,
        };
        if !is_right {
            let memory = partition.documents.peek(key);
            return Ok(Some(format!(
                "key {key}: memory {memory:?}, disk {document:?}"
            )));
        }
    }
    let high = partition.vbucket.high_seqno();
    let info = reopened.info(vb)?;
    if info.high != high {
        return Ok(Some(format!(
            "high seqno {high} in memory, {} on disk",
            info.high
        )));
    }
    let snapshot = reopened.snapshot(vb)?;
    let log = partition.vbucket.failover_log();
    let right_state = match snapshot.state() {
        Some(state) => {
            state.failover_log == log
                && state.state == partition.vbucket.state()
                && state.snapshot_end == high
        }
        // It has no write.
        None => high == Seqno::ZERO,
    };
    if !right_state {
        return Ok(Some(format!(
            "state on disk {:?}, in memory {log:?} at {high}",
            snapshot.state()
        )));
    }
    // Data that was read correctly may be damaged elsewhere.
    Ok(reopened.check(vb)?.into_iter().next())
}
