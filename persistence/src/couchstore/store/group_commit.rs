//! Committing several batches in one call, with one result for each in their order.
//!
//! What always holds (E10): batches of one vBucket are one task, committed in their order up to the
//! first that fails. Tasks share nothing, because each has a file of its own, so their writes and
//! syncs may overlap. With an executor that runs tasks in order, the disk sees the same calls every
//! time.

use std::collections::BTreeMap;

use lowtide_checkpoint::Vbid;

use crate::contract::{CommitBatch, Committed, EngineError, Executor, Task};

type CommitResult = Result<Committed, EngineError>;

/// Commits each batch with `commit`, those of different vBuckets as independent tasks.
pub(crate) fn commit(
    executor: &dyn Executor,
    batches: &[CommitBatch<'_>],
    commit: &(dyn Fn(&CommitBatch<'_>) -> CommitResult + Sync),
) -> Vec<CommitResult> {
    let groups = by_vbucket(batches);
    let mut outcomes: Vec<Vec<CommitResult>> = groups.iter().map(|_| Vec::new()).collect();
    let tasks = groups
        .iter()
        .zip(&mut outcomes)
        .map(|((_, group), outcome)| -> Task<'_> {
            Box::new(move || *outcome = in_turn(group.iter().map(|&(_, batch)| batch), commit))
        });
    executor.run(tasks.collect());

    let mut results: Vec<Option<CommitResult>> = batches.iter().map(|_| None).collect();
    for ((_, group), outcome) in groups.into_iter().zip(outcomes) {
        for ((index, _), result) in group.into_iter().zip(outcome) {
            if let Some(slot) = results.get_mut(index) {
                *slot = Some(result);
            }
        }
    }
    let left_out = || {
        Err(EngineError::InvalidArgument(
            "the executor left out a task".to_owned(),
        ))
    };
    results
        .into_iter()
        .map(|result| result.unwrap_or_else(left_out))
        .collect()
}

/// Groups batches and their indices by vBucket, in the order of each vBucket's first batch.
fn by_vbucket<'a, 'b>(
    batches: &'a [CommitBatch<'b>],
) -> Vec<(Vbid, Vec<(usize, &'a CommitBatch<'b>)>)> {
    let mut places = BTreeMap::new();
    let mut groups: Vec<(Vbid, Vec<_>)> = Vec::new();
    for (index, batch) in batches.iter().enumerate() {
        let place = *places.entry(batch.vb).or_insert(groups.len());
        match groups.get_mut(place) {
            Some((_, group)) => group.push((index, batch)),
            None => groups.push((batch.vb, vec![(index, batch)])),
        }
    }
    groups
}

fn in_turn<'a, 'b: 'a>(
    batches: impl Iterator<Item = &'a CommitBatch<'b>>,
    commit: &dyn Fn(&CommitBatch<'_>) -> CommitResult,
) -> Vec<CommitResult> {
    let mut failed = false;
    let one = |batch: &CommitBatch<'_>| {
        if failed {
            // The batch may build on the one that failed.
            return Err(EngineError::EarlierBatchFailed { vb: batch.vb });
        }
        let result = commit(batch);
        failed = result.is_err();
        result
    };
    batches.map(one).collect()
}
