//! For a program that drives the parts itself: a vBucket, a flusher and an engine, without a `Store`.
//!
//! One thread writes and flushes, another does the upkeep that the engine asks for. Neither part owns
//! a thread or reads a clock.
//!
//! `cargo run -p lowtide-persistence --example background_jobs`

use std::error::Error;
use std::sync::{Arc, mpsc};
use std::thread;

use bytes::Bytes;
use lowtide_checkpoint::{
    CheckpointConfig, FailoverLog, Item, Key, ReadLimit, Seqno, State, VBucket, VBucketState,
    VbUuid, Vbid,
};
use lowtide_persistence::couchstore::{CompactionConfig, Couchstore, CouchstoreConfig};
use lowtide_persistence::disk::OsDisk;
use lowtide_persistence::{Budget, CommitBatch, Engine, EngineError, Flusher, JobProgress};

const VB: Vbid = Vbid(0);

/// Runs the example.
pub fn main() -> Result<(), Box<dyn Error>> {
    let dir = tempfile::tempdir()?;
    // Small files, so that there is something to do soon.
    let compaction = CompactionConfig::default().with_file_bytes_min(256 << 10);
    let config = CouchstoreConfig::default().with_compaction(compaction);
    let (engine, _report) = Couchstore::open(Arc::new(OsDisk), dir.path(), config)?;
    engine.create(VB)?;
    // A real program draws the branch's name at random.
    let state = VBucketState::new(State::Active, FailoverLog::new(VbUuid(0x5eed)));
    engine
        .commit(&[CommitBatch::new(VB, &[], &state)])
        .remove(0)?;
    let limits = engine.capabilities().limits;
    let vbucket = VBucket::new(
        VB,
        &state,
        CheckpointConfig::persistent().with_limits(limits),
    );
    let mut flusher = Flusher::new(ReadLimit::NONE.with_items(1_000));
    flusher.attach(VB, state, Seqno::ZERO);

    let (flushed, flushes) = mpsc::channel();
    let jobs = thread::scope(|scope| {
        let upkeep = scope.spawn(|| do_upkeep(&engine, flushes));
        for round in 1..=50_u64 {
            for number in 0..200 {
                let key = Key::new(format!("key-{number}").as_bytes());
                let value = Bytes::from(vec![b'x'; 1_000]);
                vbucket.write(Item::mutation(key, value), round)?;
            }
            flush(&vbucket, &mut flusher, &engine, round)?;
            flushed.send(())?;
        }
        drop(flushed);
        let jobs = upkeep.join().map_err(|_| "the upkeep panicked")??;
        Ok::<_, Box<dyn Error>>(jobs)
    })?;
    println!(
        "{jobs} jobs, {} bytes on disk",
        engine.stats().common.file_bytes
    );
    assert!(jobs > 0);
    Ok(engine.close()?)
}

/// Makes durable what was written. Memory is freed once it is.
fn flush(
    vbucket: &VBucket,
    flusher: &mut Flusher,
    engine: &Couchstore,
    now: u64,
) -> Result<(), Box<dyn Error>> {
    let group = flusher.begin([vbucket])?;
    for flushed in flusher.finish(group.commit(engine, now)) {
        // After an error the next flush has the same items again. Here the program ends.
        flushed.result?;
    }
    vbucket.manager().expel();
    Ok(())
}

/// Drives the jobs that the engine asks for, after each flush.
fn do_upkeep(engine: &Couchstore, flushes: mpsc::Receiver<()>) -> Result<u64, EngineError> {
    let mut jobs = 0;
    for () in flushes {
        while let Some(mut job) = engine.maintenance() {
            // Each step is short, so that a program can stop between two of them.
            while !matches!(job.step(Budget::new(1_000, 1 << 20))?, JobProgress::Done(_)) {}
            jobs += 1;
        }
    }
    Ok(jobs)
}
