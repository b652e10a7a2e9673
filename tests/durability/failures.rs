//! A disk that fails once, at every I/O and in every way, and the recovery from it.
//!
//! A failed flush is read again with the later changes. A failed sync poisons the store until it is
//! reopened. Nothing is lost in either case.

use lowtide_persistence::EngineError;
use lowtide_persistence::disk::{Fault, PowerLoss};

use super::rig::{EPILOGUE, Rig, SCRIPT, Step};

const FAULTS: [Fault; 5] = [
    Fault::Eio,
    Fault::Enospc,
    Fault::Torn { bytes: 1 },
    Fault::Torn { bytes: 513 },
    Fault::EioPersisted,
];

/// Runs each step until it succeeds, as a host would: a poisoned store is reopened before the next
/// try. Returns the failures.
fn persevere(rig: &mut Rig, steps: &[Step]) -> Vec<&'static str> {
    let mut failures = Vec::new();
    let mut told = |error: EngineError| {
        failures.push(error.kind());
        assert!(
            failures.len() < 10,
            "one fault fails ten times: {failures:?}"
        );
        error.kind()
    };
    for &step in steps {
        let mut is_poisoned = rig.engine.is_none();
        loop {
            if is_poisoned {
                match rig.open() {
                    Ok(()) => is_poisoned = false,
                    Err(error) => {
                        told(error);
                        continue;
                    }
                }
                rig.check("reopened");
            }
            match rig.run(&[step]) {
                Ok(()) => break,
                Err(error) => is_poisoned = told(error) == "poisoned",
            }
        }
    }
    failures
}

/// Runs the script with one fault planned by `plan`; returns the failures.
fn live(when: &str, plan: impl FnOnce(&Rig)) -> Vec<&'static str> {
    let mut rig = Rig::new();
    plan(&rig);
    let failures = persevere(&mut rig, &[&SCRIPT[..], &EPILOGUE].concat());
    rig.check_end(when);
    // The result must not depend on data that is not durable.
    rig.engine = None;
    rig.disk.clear_faults();
    rig.disk.crash(PowerLoss::DropUnsynced);
    rig.open().expect("a sound store");
    rig.check_end(&format!("{when}, power lost"));
    failures
}

fn ios() -> u64 {
    let mut rig = Rig::new();
    rig.open().expect("an empty disk");
    rig.run(&[&SCRIPT[..], &EPILOGUE].concat())
        .expect("nothing fails");
    rig.disk.io_count()
}

/// Guards F2 and E2 at every I/O, for every way it can fail.
#[test]
fn one_failure_at_any_io_loses_nothing() {
    let (ios, mut failed) = (ios(), 0);
    for nth in 1..=ios {
        for fault in FAULTS {
            let when = format!("{fault:?} at I/O {nth}");
            failed += u64::from(!live(&when, |rig| rig.disk.fail_io(nth, fault)).is_empty());
        }
    }
    assert!(
        failed > ios * FAULTS.len() as u64 / 2,
        "{failed} failures of {ios} I/Os were noticed"
    );
}

/// Guards E5: after a failed sync of a commit every write is refused until the store is reopened.
#[test]
fn failed_sync_poisons_the_store_until_it_is_reopened() {
    let mut rig = Rig::new();
    rig.open().expect("an empty disk");
    rig.run(&[Step::Write(3)]).expect("memory only");
    rig.disk.fail_sync(1);
    let first = rig.flush().expect_err("the sync failed");
    assert_eq!(first.kind(), "io", "{first}");
    rig.run(&[Step::Write(7)]).expect("memory only");
    for _ in 0..3 {
        let again = rig.flush().expect_err("poisoned");
        assert_eq!(again.kind(), "poisoned", "{again}");
        assert_eq!(rig.acknowledged.len(), 0, "F1: nothing was acknowledged");
    }
    rig.open().expect("reopened");
    rig.run(&[Step::Flush]).expect("it takes writes again");
    rig.check("reopened");
    assert_eq!(
        rig.acknowledged
            .values()
            .map(|seqno| seqno.0)
            .collect::<Vec<_>>(),
        [7],
        "the newer writes, too"
    );
}

/// Guards F2 after a failure other than a sync: the same store takes the flush again, with the
/// later changes.
#[test]
fn failed_write_is_tried_again_on_the_same_store() {
    let mut rig = Rig::new();
    rig.open().expect("an empty disk");
    rig.run(&[Step::Write(3)]).expect("memory only");
    rig.disk.fail_write(1, Fault::Enospc);
    assert_eq!(rig.flush().expect_err("no space").kind(), "no-space");
    rig.run(&[Step::Write(9), Step::Flush])
        .expect("there is space again");
    rig.check("after no space");
    assert_eq!(
        rig.acknowledged
            .values()
            .map(|seqno| seqno.0)
            .collect::<Vec<_>>(),
        [9]
    );
}
