//! A store's life in steps, with everything that writes: each step, and the contents of the
//! vBuckets after it.

use std::collections::BTreeMap;

use lowtide_checkpoint::{Item, Seqno, Vbid};

use super::support::{
    A, B, Contents, apply, commit_all, contents, delete, due, in_collection, make_image, noise,
    run, set,
};
use crate::contract::{CompactionRequest, Engine, EngineError, RolledBack, Snapshot};
use crate::logstor::Logstor;

pub(in crate::logstor) enum Step {
    Create(Vbid),
    Drop(Vbid),
    Commit(Vec<(Vbid, Vec<Item>)>),
    Pin(Vbid),
    /// Rolls back to the seqno that was pinned last.
    RollBack(Vbid, u64),
    Purge(Vbid, u64),
    Separate,
    Compact(Vbid),
    Upkeep,
    Image,
}

pub(in crate::logstor) type Shown = BTreeMap<u16, Contents>;

/// Snapshots that are held until the life ends.
#[derive(Default)]
pub(in crate::logstor) struct Pins(Vec<Box<dyn Snapshot>>);

/// Takes a step. Returns whether it was done: a rollback is not, where its pin is gone after a
/// restart.
pub(in crate::logstor) fn take(
    engine: &Logstor,
    pins: &mut Pins,
    step: &Step,
) -> Result<bool, EngineError> {
    match step {
        Step::Create(vb) => engine.create(*vb)?,
        Step::Drop(vb) => engine.drop_vbucket(*vb)?,
        Step::Commit(batches) => {
            for result in commit_all(engine, batches) {
                result?;
            }
        }
        Step::Pin(vb) => pins.0.push(engine.snapshot(*vb)?),
        Step::RollBack(vb, to) => {
            return Ok(matches!(
                engine.rollback(*vb, Seqno(*to))?,
                RolledBack::Done { .. }
            ));
        }
        Step::Purge(vb, upto) => drop(engine.purge(*vb, Seqno(*upto))?),
        Step::Separate => drop(run(engine.separate()?)?),
        Step::Compact(vb) => drop(run(engine.compact(*vb, CompactionRequest::default())?)?),
        Step::Image => make_image(engine)?,
        Step::Upkeep => {
            while let Some(job) = engine.maintenance() {
                run(job)?;
            }
        }
    }
    Ok(true)
}

/// Returns each step, with the contents of the vBuckets after it.
pub(in crate::logstor) fn life() -> Vec<(Step, Shown)> {
    let value = |seed: u64, len| noise(seed, len);
    let many = |first: u64, key: &str, len: usize| -> Vec<Item> {
        (0..30)
            .map(|n| set(first + n, &format!("{key}-{n}"), &value(first + n, len)))
            .collect()
    };
    // The first seqno of collection 8 is a tombstone: one purge spares it, the next takes it.
    let in_8 = |item: Item| in_collection(8, item);
    let steps = vec![
        Step::Create(A),
        Step::Create(B),
        Step::Commit(vec![
            (
                A,
                vec![
                    set(1, "a", b"1"),
                    delete(2, "b"),
                    set(3, "c", &value(3, 3000)),
                    in_8(delete(4, "d")),
                    delete(5, "e"),
                ],
            ),
            (B, vec![set(1, "a", b"one")]),
        ]),
        // The batch crosses the end of a segment.
        Step::Commit(vec![(A, many(10, "key", 1500)), (B, many(10, "key", 1500))]),
        Step::Commit(vec![
            (A, many(50, "key", 1700)),
            (B, vec![delete(50, "a"), set(51, "x", b"x")]),
        ]),
        Step::Image,
        Step::Separate,
        Step::Pin(A),
        // The value is larger than a segment.
        Step::Commit(vec![(
            A,
            vec![delete(80, "key-3"), set(81, "large", &value(81, 150_000))],
        )]),
        Step::Commit(vec![
            (A, many(90, "key", 900)),
            (B, many(90, "other", 1200)),
        ]),
        Step::Image,
        Step::RollBack(A, 79),
        Step::Commit(vec![(A, vec![set(80, "branch", b"2"), delete(81, "c")])]),
        Step::Purge(A, 80),
        Step::Image,
        Step::Compact(A),
        Step::Commit(vec![
            (B, many(130, "other", 100)),
            (A, vec![set(85, "large", &value(85, 70_000))]),
        ]),
        Step::Commit(vec![(
            A,
            vec![delete(86, "large"), in_8(set(87, "end", b"e"))],
        )]),
        Step::Purge(A, 86),
        Step::Upkeep,
        Step::Compact(B),
        Step::Image,
        Step::Drop(B),
        Step::Create(B),
        Step::Commit(vec![
            (B, vec![set(1, "new", b"n")]),
            (A, many(90, "key", 1800)),
        ]),
        Step::Compact(B),
    ];
    let mut shown = Shown::new();
    let (mut pinned, mut all) = (Contents::new(), Vec::new());
    for step in steps {
        match &step {
            Step::Create(vb) => drop(shown.insert(vb.0, Contents::new())),
            Step::Drop(vb) => drop(shown.remove(&vb.0)),
            Step::Commit(batches) => {
                for (vb, items) in batches {
                    let next = apply(&shown[&vb.0], items);
                    shown.insert(vb.0, next);
                }
            }
            Step::Pin(vb) => pinned = shown[&vb.0].clone(),
            Step::RollBack(vb, _) => drop(shown.insert(vb.0, pinned.clone())),
            Step::Purge(vb, upto) => {
                let contents = shown.get_mut(&vb.0).expect("there");
                let high = *contents.keys().next_back().expect("some");
                due(contents, *upto, high)
                    .iter()
                    .for_each(|seqno| drop(contents.remove(seqno)));
            }
            Step::Separate | Step::Compact(_) | Step::Upkeep | Step::Image => {}
        }
        all.push((step, shown.clone()));
    }
    all
}

pub(in crate::logstor) fn shown(engine: &Logstor) -> Shown {
    engine
        .vbuckets()
        .into_iter()
        .map(|vb| (vb.0, contents(engine, vb)))
        .collect()
}
