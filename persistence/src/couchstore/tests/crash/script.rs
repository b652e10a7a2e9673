//! A small history of commits that the crash tests run, and the states it passes through.

use lowtide_checkpoint::Item;

use crate::contract::{Engine, EngineError};
use crate::couchstore::config::CouchstoreConfig;
use crate::couchstore::engine::Couchstore;
use crate::couchstore::tests::support::{
    Contents, VB, apply, commit, contents, delete, noise, open_with, set,
};
use crate::disk::{FaultyDisk, PowerLoss};

pub(super) fn history() -> Vec<Vec<Item>> {
    vec![
        vec![
            set(1, "a", b"1"),
            set(2, "b", b"2"),
            set(3, "c", &noise(5000)),
        ],
        vec![set(4, "a", b"4"), delete(5, "b")],
        (6..40)
            .map(|seqno| set(seqno, &format!("key-{seqno}"), &noise(seqno as usize * 9)))
            .collect(),
        vec![
            set(40, "b", b"back"),
            delete(41, "key-7"),
            set(43, "a", &noise(30_000)),
        ],
        vec![delete(44, "a")],
        vec![set(45, "z", b""), set(46, "c", b"{}")],
    ]
}

/// The content after each number of batches.
pub(super) fn stages() -> Vec<Contents> {
    let mut stages = vec![Contents::new()];
    for batch in history() {
        stages.push(apply(stages.last().expect("one"), &batch));
    }
    stages
}

/// Runs the history until a failure. Returns the number of acknowledged batches, or `None` without
/// the vBucket.
pub(super) fn run(
    disk: &FaultyDisk,
    config: CouchstoreConfig,
) -> (Option<usize>, Result<(), EngineError>) {
    let mut acknowledged = None;
    let mut go = || {
        let (engine, _) = open_with(disk, config)?;
        engine.create(VB)?;
        acknowledged = Some(0);
        for batch in history() {
            commit(&engine, VB, &batch)?;
            acknowledged = acknowledged.map(|count| count + 1);
        }
        engine.close()
    };
    let result = go();
    (acknowledged, result)
}

pub(super) fn has_vbucket(engine: &Couchstore) -> bool {
    engine.vbuckets() == [VB]
}

/// Checks the store after a failure: acknowledged batches are there, and the batch in flight as a
/// whole or not at all. Returns the number of batches.
pub(super) fn check_after(
    engine: &Couchstore,
    acknowledged: Option<usize>,
    what: &str,
) -> Option<usize> {
    if !has_vbucket(engine) {
        assert_eq!(acknowledged, None, "{what}: the vBucket is gone");
        return None;
    }
    let (found, stages) = (contents(engine, VB), stages());
    let least = acknowledged.unwrap_or(0);
    let stage = (least..stages.len().min(least + 2)).find(|&stage| stages[stage] == found);
    assert!(
        stage.is_some(),
        "{what}: {acknowledged:?} acknowledged, found {:?}",
        found.keys()
    );
    stage
}

pub(super) fn keeps() -> impl Iterator<Item = PowerLoss> {
    [PowerLoss::DropUnsynced, PowerLoss::KeepUnsynced]
        .into_iter()
        .chain((0..10).map(|seed| PowerLoss::Random { seed }))
}
