//! The filter thread: fills the filters of keys, for an engine that reads its files to learn that a
//! key is absent.
//!
//! # Invariants
//!
//! - D6. The snapshot whose keys it passes is pinned after the filter has begun.

use std::ops::ControlFlow;
use std::time::Instant;

use lowtide_checkpoint::{Key, Namespace};

use crate::hosted::FilterScan;
use crate::runtime::error::StoreError;
use crate::runtime::host::micros_since;
use crate::runtime::partition::Partition;
use crate::runtime::report::observer::StoreEvent;
use crate::runtime::shared::Shared;

/// Keys that a filter is for at least: one costs 1.5 KiB.
const KEYS_MIN: usize = 1_024;
/// Keys that are passed under one lock: a writer waits no longer.
const PASSED_TOGETHER: usize = 256;

pub(in crate::runtime) fn run(shared: &Shared) {
    loop {
        shared.filters_due.wait();
        shared.filters_due.lower();
        for partition in shared.partitions.all() {
            if shared.stop.is_raised() {
                return;
            }
            // A vBucket that cannot be read now is filled after one of its next flushes.
            let _unread = fill(shared, &partition);
        }
        if shared.stop.is_raised() {
            return;
        }
    }
}

fn fill(shared: &Shared, partition: &Partition) -> Result<(), StoreError> {
    let vb = partition.id();
    if !partition.documents().needs_filter() {
        return Ok(());
    }
    let begun = Instant::now();
    let (engine, _) = shared.slot.engine()?;
    let info = engine.info(vb)?;
    drop(engine);
    let keys = usize::try_from(info.items + info.deleted).unwrap_or(usize::MAX);
    let scan = partition.documents().begin_filter(keys.max(KEYS_MIN));
    if shared.cache.is_exceeded() {
        // A filter takes room from documents.
        shared.memory_due.raise();
    }
    match pass_keys(shared, partition, &scan) {
        Ok(Some(keys)) => {
            // The documents may be cleared meanwhile. Their next flush asks for another filter.
            if partition.documents().complete_filter(scan).is_ok() {
                let micros = micros_since(begun);
                shared.observe(&StoreEvent::KeysFiltered { vb, keys, micros });
            }
            Ok(())
        }
        Ok(None) => {
            partition.documents().abandon_filter(scan);
            Ok(())
        }
        Err(error) => {
            partition.documents().abandon_filter(scan);
            Err(error)
        }
    }
}

/// Passes all keys on disk to the filter. Returns their number, or `None` if the scan is void or the
/// store stops.
fn pass_keys(
    shared: &Shared,
    partition: &Partition,
    scan: &FilterScan,
) -> Result<Option<usize>, StoreError> {
    let snapshot = shared.slot.snapshot(partition.id())?;
    let mut waiting: Vec<Key> = Vec::with_capacity(PASSED_TOGETHER);
    let mut keys = 0;
    let mut pass = |waiting: &mut Vec<Key>| {
        let mut documents = partition.documents();
        keys += waiting.len();
        let passed = waiting
            .drain(..)
            .all(|key| documents.filter_key(scan, &key).is_ok());
        passed && !shared.stop.is_raised()
    };
    let mut is_valid = true;
    snapshot.visit_keys(Namespace::Committed, &mut |key| {
        waiting.push(key.clone());
        if waiting.len() == PASSED_TOGETHER {
            is_valid = pass(&mut waiting);
        }
        if is_valid {
            ControlFlow::Continue(())
        } else {
            ControlFlow::Break(())
        }
    })?;
    let is_valid = is_valid && pass(&mut waiting);
    Ok(is_valid.then_some(keys))
}
