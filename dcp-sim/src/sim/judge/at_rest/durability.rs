//! W4: every reopened store has exactly its node's documents and state, and passes its own check.

use lowtide_checkpoint::{Key, Seqno};
use lowtide_persistence::{Engine, EngineError};

use crate::node::{Documents, Node, NodeId, Partition, Stored};
use crate::sim::record::InvariantVerdict;

/// Compares a node with its reopened store.
///
/// # Errors
/// If the store cannot be read.
pub(in crate::sim) fn check(
    verdict: &mut InvariantVerdict,
    number: NodeId,
    node: &Node,
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
        let violation = compare(partition, reopened, with_tombstones)?;
        let vb = partition.vbucket.id();
        verdict.check(violation.map(|what| format!("node {number}, vBucket {vb}: {what}")));
    }
    Ok(())
}

pub(in crate::sim) fn verdict() -> InvariantVerdict {
    InvariantVerdict::new(
        "W4",
        "every store reopened from its disk equals its node's memory",
    )
}

fn compare(
    partition: &Partition,
    reopened: &dyn Engine,
    with_tombstones: bool,
) -> Result<Option<String>, EngineError> {
    let vb = partition.vbucket.id();
    let stored = Stored::read(reopened, vb)?.documents;
    let differing = if with_tombstones {
        partition.documents.first_difference(&stored)
    } else {
        partition.documents.first_live_difference(&stored)
    };
    if let Some(key) = differing {
        return Ok(Some(difference(key, &partition.documents, &stored)));
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

fn difference(key: &Key, memory: &Documents, disk: &Documents) -> String {
    format!(
        "key {key}: memory {:?}, disk {:?}",
        memory.get(key),
        disk.get(key)
    )
}
