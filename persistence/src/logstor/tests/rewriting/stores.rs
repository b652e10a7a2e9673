//! A store with garbage in two vBuckets, and compactions that stop at a point.

use lowtide_checkpoint::Vbid;

use crate::contract::{CompactionRequest, Engine, EnginePoint, Job, JobProgress};
use crate::disk::MemoryDisk;
use crate::logstor::Logstor;
use crate::logstor::tests::support::{A, B, Contents, STEP, apply, commit_all, noise, open, set};

pub(super) fn fresh() -> (MemoryDisk, Logstor) {
    let disk = MemoryDisk::new();
    let (engine, _) = open(&disk).expect("opens");
    engine.create(A).expect("created");
    engine.create(B).expect("created");
    (disk, engine)
}

pub(super) fn compact(engine: &Logstor, vb: Vbid) -> Box<dyn Job> {
    engine
        .compact(vb, CompactionRequest::default())
        .expect("begun")
}

pub(super) fn to_point(job: &mut dyn Job, point: EnginePoint) -> bool {
    loop {
        match job.step(STEP).expect("no failure") {
            JobProgress::Reached(reached) if reached == point => return true,
            JobProgress::Done(_) => return false,
            _ => {}
        }
    }
}

/// Writes the same keys twice in both vBuckets, and leaves half of the records dead.
pub(super) fn overwritten(engine: &Logstor) -> [Contents; 2] {
    let mut expected = [Contents::new(), Contents::new()];
    for round in 0..2_u64 {
        for n in 0..20_u64 {
            let seqno = round * 100 + 3 * n + 1;
            let batch = |salt| {
                (0..3)
                    .map(|k| {
                        set(
                            seqno + k,
                            &format!("key-{n}-{k}"),
                            &noise(seqno + salt, 1400),
                        )
                    })
                    .collect::<Vec<_>>()
            };
            let batches = [(A, batch(0)), (B, batch(9))];
            assert!(commit_all(engine, &batches).iter().all(Result::is_ok));
            for (expected, (_, batch)) in expected.iter_mut().zip(&batches) {
                *expected = apply(expected, batch);
            }
        }
    }
    expected
}

pub(super) const POINTS: [EnginePoint; 4] = [
    EnginePoint::AfterIndexBeforeSeparate,
    EnginePoint::AfterWriteBeforeIndex,
    EnginePoint::CompactAfterCopy,
    EnginePoint::CompactBeforeFree,
];
