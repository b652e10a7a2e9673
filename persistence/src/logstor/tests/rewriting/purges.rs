//! Purged tombstones and rewriting: a purged key does not come back.

use lowtide_checkpoint::Seqno;

use super::stores::{POINTS, compact, fresh, overwritten, to_point};
use crate::contract::{Engine, JobProgress};
use crate::disk::PowerLoss;
use crate::logstor::Logstor;
use crate::logstor::tests::support::{
    A, B, STEP, audit, commit, contents, delete, noise, open, run, set,
};

/// Guards against the hazard of every log: the tombstone is gone, and an older record of its key
/// comes back.
#[test]
fn purged_key_stays_away_after_rewriting_and_power_loss() {
    for order in 0..6 {
        let (disk, engine) = fresh();
        let filler = |engine: &Logstor, from: u64| {
            let high = engine.info(B).expect("there").high.0;
            commit(
                engine,
                B,
                &[set(
                    high + 1,
                    &format!("filler-{from}"),
                    &noise(from, 50_000),
                )],
            )
            .expect("committed");
        };
        commit(&engine, A, &[set(1, "gone", b"old"), set(2, "stays", b"s")]).expect("committed");
        filler(&engine, 1);
        if order % 2 == 0 {
            // Makes a second record of the old revision.
            run(engine.separate().expect("begun")).expect("done");
        }
        commit(&engine, A, &[delete(3, "gone"), set(4, "end", b"")]).expect("committed");
        filler(&engine, 2);
        let mut job = compact(&engine, A);
        if order >= 2 {
            assert!(to_point(&mut *job, POINTS[order % 4]));
        }
        assert_eq!(engine.purge(A, Seqno(3)).expect("purged"), Seqno(3));
        if order >= 4 {
            while !matches!(job.step(STEP).expect("no failure"), JobProgress::Done(_)) {}
        }
        drop(job);
        let shown = |engine: &Logstor| contents(engine, A).into_keys().collect::<Vec<_>>();
        audit(&engine, true);
        assert_eq!(shown(&engine), [2, 4], "order {order}");
        disk.crash(PowerLoss::DropUnsynced);
        drop(engine);
        let (engine, _) = open(&disk).expect("opens");
        assert_eq!(
            shown(&engine),
            [2, 4],
            "order {order}, after a loss of power"
        );
        filler(&engine, 3);
        run(compact(&engine, A)).expect("done");
        run(compact(&engine, B)).expect("done");
        engine.close().expect("closed");
        drop(engine);
        let (engine, _) = open(&disk).expect("opens");
        run(compact(&engine, A)).expect("done");
        audit(&engine, true);
        assert_eq!(shown(&engine), [2, 4], "order {order}");
    }
}

#[test]
fn purged_tombstone_is_reclaimed_once_its_key_has_no_other_record() {
    let (_, engine) = fresh();
    overwritten(&engine);
    let deletions: Vec<_> = (0..20_u64)
        .flat_map(|n| (0..3).map(move |k| delete(300 + 3 * n + k, &format!("key-{n}-{k}"))))
        .collect();
    commit(&engine, A, &deletions).expect("committed");
    commit(&engine, A, &[set(500, "end", b"")]).expect("committed");
    assert_eq!(engine.purge(A, Seqno(499)).expect("purged"), Seqno(359));
    let vbucket = engine.store.registry.loaded(A).expect("there");
    assert_eq!(
        vbucket.slots().len(),
        61,
        "each hides what is still on the disk"
    );
    run(compact(&engine, A)).expect("done");
    assert_eq!(vbucket.slots().len(), 1);
    audit(&engine, true);
}
