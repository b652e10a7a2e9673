//! The upkeep thread: runs the jobs that the engine wants done, step by step, concurrently with
//! commits.

use std::time::{Duration, Instant};

use crate::contract::{EngineError, Job, JobProgress};
use crate::hosted::Backoff;
use crate::runtime::engine::slot::Generation;
use crate::runtime::host::micros_since;
use crate::runtime::report::observer::StoreEvent;
use crate::runtime::shared::Shared;

/// The pause of a job that is ahead of the concurrent commits.
const AHEAD: Duration = Duration::from_millis(1);
/// The pause after there was nothing to do. Every flush asks for upkeep: without the pause each would
/// wake the thread, which costs as much as a small flush. The engine is asked 100 times a second.
const REST: Duration = Duration::from_millis(10);

pub(in crate::runtime) fn run(shared: &Shared) {
    let mut backoff = Backoff::new();
    loop {
        shared.upkeep_due.wait();
        shared.upkeep_due.lower();
        loop {
            if shared.stop.is_raised() {
                return;
            }
            // While the engine is replaced there is nothing to do. The new one's first flush asks.
            let Ok((engine, generation)) = shared.slot.engine() else {
                break;
            };
            let Some(job) = engine.maintenance() else {
                break;
            };
            drop(engine);
            let Err(error) = drive(shared, job) else {
                backoff.succeeded();
                continue;
            };
            shared.observe(&StoreEvent::UpkeepFailed { error: &error });
            if pause_after(shared, error, generation, &mut backoff) {
                return;
            }
        }
        // The signal stays raised meanwhile: what was asked for is looked at after the rest.
        if shared.stop.wait_for(REST) {
            return;
        }
    }
}

/// Runs a job to its end. A store that stops aborts it.
fn drive(shared: &Shared, mut job: Box<dyn Job>) -> Result<(), EngineError> {
    let begun = Instant::now();
    while !shared.stop.is_raised() {
        match job.step(shared.upkeep_budget)? {
            JobProgress::Done(report) => {
                shared.observe(&StoreEvent::UpkeepDone {
                    report: &report,
                    micros: micros_since(begun),
                });
                return Ok(());
            }
            JobProgress::Ahead => {
                shared.stop.wait_for(AHEAD);
            }
            JobProgress::Working { .. } | JobProgress::Reached(_) => {}
        }
    }
    Ok(())
}

/// Handles a failed job. Returns whether the store stops.
fn pause_after(
    shared: &Shared,
    error: EngineError,
    generation: Generation,
    backoff: &mut Backoff,
) -> bool {
    if matches!(
        error,
        EngineError::Poisoned { .. } | EngineError::Internal { .. }
    ) {
        return shared.reopen(generation, error).is_err();
    }
    // A job whose vBucket has changed is asked for again if it is still wanted.
    let pause = Duration::from_micros(backoff.failed());
    shared.stop.wait_for(pause)
}
