//! Rate of a follower that reads everything from disk. Run by hand:
//! `cargo test -p lowtide-persistence --test follower --release -- --ignored --nocapture`.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use lowtide_checkpoint::{
    AfterStop, CheckpointConfig, FailoverLog, Item, Key, ResumePoint, Seqno, State, VBucket,
    VBucketState, VbUuid,
};
use lowtide_persistence::disk::MemoryDisk;
use lowtide_persistence::logstor::{Logstor, LogstorConfig};
use lowtide_persistence::{
    CommitBatch, Engine, FollowerEvent, FollowerMachine, FollowerTurn, ScanLimit,
};

use crate::engines::VB;

const ITEMS: u64 = 1_000_000;
const BATCH: u64 = 10_000;

fn filled(state: &VBucketState) -> Logstor {
    let config = LogstorConfig::new([1, 2]);
    let disk = Arc::new(MemoryDisk::new());
    let engine = Logstor::open(disk, Path::new("/store"), config)
        .expect("a sound store")
        .0;
    engine.create(VB).expect("an empty store");
    let value = Bytes::from(vec![7; 256]);
    for start in (0..ITEMS).step_by(usize::try_from(BATCH).expect("small")) {
        let items: Vec<_> = (start + 1..=start + BATCH)
            .map(|seqno| Item {
                seqno: Seqno(seqno),
                ..Item::mutation(
                    Key::new(format!("key-{seqno:012}").as_bytes()),
                    value.clone(),
                )
            })
            .collect();
        let items: Vec<_> = items.iter().collect();
        let committed = engine.commit(&[CommitBatch::new(VB, &items, state)]);
        assert!(committed.iter().all(Result::is_ok));
    }
    engine
}

#[test]
#[ignore = "a measurement"]
fn follower_reads_a_log_store() {
    let state = VBucketState::new(State::Active, FailoverLog::new(VbUuid(1)));
    let engine = filled(&state);
    let config = CheckpointConfig::persistent();
    let stop = AfterStop::Orderly;
    let vbucket =
        VBucket::recover(VB, &state, Seqno(ITEMS), State::Active, stop, config).expect("an active");
    for slice in [
        ScanLimit::new(1_000, 1 << 20),
        ScanLimit::new(4_000, 4 << 20),
    ] {
        let mut machine = FollowerMachine::new(VB, "reader", ResumePoint::START);
        let (begin, mut count, mut bytes) = (Instant::now(), 0, 0);
        loop {
            match machine.next(&vbucket, Seqno::ZERO, slice).expect("sound") {
                FollowerTurn::Backfill(step) => machine.backfilled(step.run(&engine)),
                FollowerTurn::Event(FollowerEvent::Items(items)) => {
                    for item in items.iter() {
                        (count, bytes) = (count + 1, bytes + item.payload_bytes());
                    }
                }
                FollowerTurn::Event(_) => {}
                FollowerTurn::Idle => break,
            }
        }
        let seconds = begin.elapsed().as_secs_f64();
        assert_eq!(count, ITEMS);
        println!(
            "{slice:?}: {:.2} M items/s, {bytes} bytes",
            count as f64 / seconds / 1e6
        );
    }
}
