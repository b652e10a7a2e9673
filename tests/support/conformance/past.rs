//! The past: snapshots keep it; data that was dropped, rolled back or purged never comes back.

use std::sync::Arc;

use lowtide_checkpoint::{Item, Seqno};
use lowtide_persistence::disk::{FaultyDisk, MemoryDisk, PowerLoss};
use lowtide_persistence::{Engine, EngineError, RetainedHistory, RolledBack};

use super::{
    Contents, Open, VBS, apply, commit, contents, contents_of, delete, fresh, history, keeps, set,
    stages, state,
};

/// Checks promise 3: a snapshot's contents never change.
pub(super) fn snapshot_contents_stay(open: Open<'_>) {
    let (_, engine) = fresh(open);
    let mut pinned = vec![engine.snapshot(VBS[0]).expect("there")];
    for batch in history() {
        commit(&*engine, VBS[0], &batch).expect("committed");
        pinned.push(engine.snapshot(VBS[0]).expect("there"));
    }
    engine.drop_vbucket(VBS[0]).expect("dropped");
    for (snapshot, stage) in pinned.iter().zip(stages()) {
        assert_eq!(contents_of(&**snapshot), stage);
        assert_eq!(snapshot.state().is_none(), stage.is_empty());
    }
}

/// Checks promise 4: a dropped vBucket is gone, also when it is made again, and after power loss.
pub(super) fn dropped_vbucket_stays_away(open: Open<'_>) {
    for keep in [
        PowerLoss::DropUnsynced,
        PowerLoss::KeepUnsynced,
        PowerLoss::Random { seed: 1 },
        PowerLoss::Random { seed: 2 },
    ] {
        for again in [false, true] {
            let (disk, engine) = fresh(open);
            commit(&*engine, VBS[0], &history()[0]).expect("committed");
            assert_eq!(
                engine.create(VBS[0]).expect_err("there").kind(),
                "vbucket-exists"
            );
            engine.drop_vbucket(VBS[0]).expect("dropped");
            assert_eq!(
                engine.info(VBS[0]).expect_err("gone").kind(),
                "unknown-vbucket"
            );
            assert_eq!(
                engine.drop_vbucket(VBS[0]).expect_err("gone").kind(),
                "unknown-vbucket"
            );
            if again {
                engine.create(VBS[0]).expect("created");
            }
            disk.crash(keep);
            drop(engine);
            let engine = open(Arc::new(disk.clone())).expect("opens");
            assert_eq!(engine.vbuckets(), if again { vec![VBS[0]] } else { vec![] });
            if again {
                assert_eq!(contents(&*engine, VBS[0]), Contents::new());
                assert_eq!(engine.info(VBS[0]).expect("there").high, Seqno::ZERO);
            }
        }
    }
}

/// Checks promise 7: a rollback restores the newest commit at or below the given seqno, exactly and
/// durably, and writes continue.
pub(super) fn rollback_restores_exactly(open: Open<'_>) {
    let stages = stages();
    let highs: Vec<u64> = stages
        .iter()
        .map(|stage| stage.keys().next_back().copied().unwrap_or_default())
        .collect();
    for (to, hold) in (0..=48)
        .chain([u64::MAX])
        .flat_map(|to| [(to, false), (to, true)])
    {
        let (disk, engine) = fresh(open);
        let mut held = Vec::new();
        for batch in history() {
            held.extend(hold.then(|| engine.snapshot(VBS[0]).expect("there")));
            commit(&*engine, VBS[0], &batch).expect("committed");
        }
        let pinned = engine.snapshot(VBS[0]).expect("there");
        let newest = highs
            .iter()
            .rposition(|&high| high <= to)
            .expect("the empty one");
        match engine.rollback(VBS[0], Seqno(to)).expect("answered") {
            RolledBack::Done { high } => {
                assert_eq!(high, Seqno(highs[newest]), "to {to}");
                let check = |engine: &dyn Engine| {
                    assert_eq!(contents(engine, VBS[0]), stages[newest], "to {to}");
                    let snapshot = engine.snapshot(VBS[0]).expect("there");
                    let expected = (newest > 0).then(|| state(highs[newest]));
                    assert_eq!(snapshot.state(), expected.as_ref(), "to {to}");
                };
                check(&*engine);
                assert_eq!(contents_of(&*pinned), stages[5]);
                for (snapshot, stage) in held.iter().zip(&stages) {
                    assert_eq!(
                        contents_of(&**snapshot),
                        *stage,
                        "held over a rollback to {to}"
                    );
                }
                disk.crash(PowerLoss::DropUnsynced);
                drop((engine, pinned, held));
                let engine = open(Arc::new(disk.clone())).expect("opens");
                check(&*engine);
                assert_eq!(
                    commit(&*engine, VBS[0], &[set(high.0, "a", b"")])
                        .expect_err("late")
                        .kind(),
                    "out-of-order"
                );
                let next = [set(high.0 + 1, "a", b"other")];
                commit(&*engine, VBS[0], &next).expect("committed");
                assert_eq!(contents(&*engine, VBS[0]), apply(&stages[newest], &next));
            }
            RolledBack::NeedsReset { lowest } => {
                let history = engine.capabilities().history;
                assert!(
                    lowest.0 > to && !hold && history == RetainedHistory::Pinned,
                    "to {to}: {lowest}"
                );
                assert_eq!(contents(&*engine, VBS[0]), stages[5], "nothing has changed");
            }
        }
    }
}

fn without_tombstones(contents: &Contents, upto: u64, high: u64) -> Contents {
    let stays = |seqno: u64, item: &Item| !item.deleted || seqno > upto || seqno == high;
    contents
        .iter()
        .filter(|&(&seqno, item)| stays(seqno, item))
        .map(|(&s, item)| (s, item.clone()))
        .collect()
}

/// Checks promises 4 and 8: purged tombstones are gone, from the present and from what a rollback
/// restores.
pub(super) fn purged_tombstones_of_the_past_stay_away(open: Open<'_>) {
    let stages = stages();
    let high = 46;
    for upto in [0, 5, 41, 43, 44, 45, 46, u64::MAX] {
        let (disk, engine) = fresh(open);
        for batch in history() {
            commit(&*engine, VBS[0], &batch).expect("committed");
        }
        let pinned = engine.snapshot(VBS[0]).expect("there");
        let expected = without_tombstones(&stages[5], upto, high);
        let highest = stages[5]
            .keys()
            .filter(|seqno| !expected.contains_key(seqno))
            .max();
        let purged = Seqno(highest.copied().unwrap_or_default());
        assert_eq!(engine.purge(VBS[0], Seqno(upto)).expect("purged"), purged);
        assert_eq!(
            engine.purge(VBS[0], Seqno(upto)).expect("purged again"),
            purged
        );
        assert_eq!(
            contents_of(&*pinned),
            stages[5],
            "a pinned snapshot keeps its own"
        );
        disk.crash(PowerLoss::DropUnsynced);
        drop((engine, pinned));
        let engine = open(Arc::new(disk.clone())).expect("opens");
        assert_eq!(contents(&*engine, VBS[0]), expected, "up to {upto}");
        let info = engine.info(VBS[0]).expect("there");
        assert_eq!((info.high, info.purge), (Seqno(high), purged));
        for to in [43, 29, 5] {
            let RolledBack::Done { high } = engine.rollback(VBS[0], Seqno(to)).expect("answered")
            else {
                break;
            };
            let stage = stages
                .iter()
                .find(|stage| stage.keys().next_back() == Some(&high.0))
                .expect("a stage");
            let expected = without_tombstones(stage, purged.0, high.0);
            assert_eq!(
                contents(&*engine, VBS[0]),
                expected,
                "up to {upto}, back to {to}"
            );
        }
    }
}

/// One step of a vBucket's life.
enum Step {
    Create,
    Drop,
    Commit(Vec<Item>),
    Rollback(u64),
    Purge(u64),
}

/// Returns the steps, each with the vBucket's contents afterwards; `None` where there is no
/// vBucket. Every rollback is to a commit at which a snapshot could have been held.
fn life() -> Vec<(Step, Option<Contents>)> {
    let (first, second) = (
        vec![set(1, "a", b"1"), delete(2, "b")],
        vec![delete(3, "a"), set(4, "c", b"4")],
    );
    let [one, two] = [
        apply(&Contents::new(), &first),
        apply(&apply(&Contents::new(), &first), &second),
    ];
    let (other, again) = (
        vec![set(3, "other", b"3"), delete(4, "c")],
        vec![delete(1, "a"), set(2, "new", b"2")],
    );
    let branch = apply(&one, &other);
    let anew = apply(&Contents::new(), &again);
    let purged = without_tombstones(&branch, 3, 4);
    let anew_purged = without_tombstones(&anew, 2, 2);
    vec![
        (Step::Create, Some(Contents::new())),
        (Step::Commit(first), Some(one.clone())),
        (Step::Commit(second), Some(two)),
        (Step::Rollback(2), Some(one)),
        (Step::Commit(other), Some(branch)),
        (Step::Purge(3), Some(purged)),
        (Step::Drop, None),
        (Step::Create, Some(Contents::new())),
        (Step::Commit(again), Some(anew)),
        (Step::Purge(2), Some(anew_purged)),
    ]
}

fn live(open: Open<'_>, disk: &FaultyDisk) -> (usize, Result<(), EngineError>) {
    let mut done = 0;
    let mut go = || {
        let engine = open(Arc::new(disk.clone()))?;
        // Engines that roll back only to pinned commits must be able to, too.
        let mut pinned = Vec::new();
        for (step, _) in life() {
            match step {
                Step::Create => engine.create(VBS[0])?,
                Step::Drop => engine.drop_vbucket(VBS[0])?,
                Step::Commit(items) => {
                    commit(&*engine, VBS[0], &items)?;
                    pinned.push(engine.snapshot(VBS[0])?);
                }
                Step::Rollback(to) => {
                    let done = engine.rollback(VBS[0], Seqno(to))?;
                    assert_eq!(done, RolledBack::Done { high: Seqno(to) });
                }
                Step::Purge(upto) => drop(engine.purge(VBS[0], Seqno(upto))?),
            }
            done += 1;
        }
        engine.close()
    };
    let result = go();
    (done, result)
}

/// Checks promises 4 and 6: a rollback, purge or drop is final, whenever the power fails; each step
/// is whole or not at all.
pub(super) fn nothing_comes_back_after_a_power_loss(open: Open<'_>) {
    let counting = FaultyDisk::new(MemoryDisk::new());
    assert!(live(open, &counting).1.is_ok());
    let stages: Vec<Option<Contents>> = std::iter::once(None)
        .chain(life().into_iter().map(|(_, then)| then))
        .collect();
    for (nth, keep) in (1..=counting.io_count()).flat_map(|nth| keeps(nth).map(|keep| (nth, keep)))
    {
        let disk = FaultyDisk::new(MemoryDisk::new());
        disk.power_off_at_io(nth);
        let (done, _) = live(open, &disk);
        disk.crash(keep);
        let shown = || {
            let engine = open(Arc::new(disk.clone())).expect("opens");
            (!engine.vbuckets().is_empty()).then(|| contents(&*engine, VBS[0]))
        };
        let found = shown();
        let allowed = &stages[done..stages.len().min(done + 2)];
        assert!(
            allowed.contains(&found),
            "off at {nth}, {keep:?}: {done} done, found {found:?}"
        );
        disk.crash(PowerLoss::DropUnsynced);
        assert_eq!(shown(), found, "off at {nth}, {keep:?}: shown, then gone");
    }
}
