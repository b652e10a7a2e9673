//! Limits: a vBucket with an engine's limits accepts what the engine can flush.
//!
//! A larger item is refused when it is written or received, and flushing continues.

use bytes::Bytes;
use lowtide_checkpoint::{
    AfterStop, CheckpointConfig, CheckpointError, FailoverLog, Item, ItemLimits, Key, Operation,
    ReadLimit, Seqno, SnapshotMarker, SnapshotType, State, VBucket, VBucketError, VBucketState,
    VbUuid,
};
use lowtide_persistence::{Engine, Flusher};

use super::{Open, VBS, fresh};

/// Maximum length of a value; more would only take memory and time.
const VALUE_BYTES_MAX: usize = 20 << 20;

fn vbucket(state: State, high: Seqno, limits: ItemLimits) -> (VBucket, Flusher) {
    let persisted = VBucketState {
        snapshot_start: high,
        snapshot_end: high,
        ..new_state(state)
    };
    let config = CheckpointConfig::persistent().with_limits(limits);
    let mut flusher = Flusher::new(ReadLimit::NONE);
    flusher.attach(VBS[0], persisted.clone(), high);
    let vbucket = VBucket::recover(VBS[0], &persisted, high, state, AfterStop::Orderly, config);
    (vbucket.expect("it stopped in order"), flusher)
}

fn new_state(state: State) -> VBucketState {
    VBucketState::new(state, FailoverLog::new(VbUuid(7)))
}

/// Flushes; returns the number of items written, and the seqno up to which.
fn flush(vbucket: &VBucket, flusher: &mut Flusher, engine: &dyn Engine) -> (usize, Seqno) {
    let group = flusher.begin([vbucket]).expect("no flush is under way");
    let done = flusher
        .finish(group.commit(engine, 1))
        .pop()
        .expect("there was something");
    let persisted = done.result.expect("what was accepted is stored");
    (persisted.items, persisted.seqno)
}

fn key(bytes: usize) -> Key {
    Key::new(&vec![b'k'; bytes - 1])
}

/// Returns each operation with a key, and with a value where it has one.
fn of_every_kind(key_bytes: usize, value_bytes: usize) -> Vec<Item> {
    let value = Bytes::from(vec![b'v'; value_bytes]);
    let operations = [
        Operation::Prepare,
        Operation::Commit,
        Operation::Mutation,
        Operation::SystemEvent,
    ];
    operations
        .map(|operation| Item {
            value: Some(value.clone()),
            ..Item::new(operation, key(key_bytes))
        })
        .into()
}

/// Writes an item; a commit ends the prepare that precedes it.
fn write(vbucket: &VBucket, item: Item) -> Result<Seqno, VBucketError> {
    let is_commit = item.operation == Operation::Commit;
    let prepare_seqno = if is_commit {
        vbucket.high_seqno()
    } else {
        Seqno::ZERO
    };
    vbucket
        .write(
            Item {
                prepare_seqno,
                ..item
            },
            1,
        )
        .map(|written| written.queued.seqno)
}

fn is_over(refused: &VBucketError, part: &str) -> bool {
    matches!(refused, VBucketError::Checkpoint { source: CheckpointError::TooLarge { what, .. }, .. } if *what == part)
}

/// Checks F5 for items up to every limit.
pub(super) fn items_within_the_limits_are_flushed(open: Open<'_>) {
    let (_disk, engine) = fresh(open);
    let limits = engine.capabilities().limits;
    assert!(ItemLimits::DEFAULT.are_within(&limits), "{limits:?}");
    let limits = limits.with_value_bytes_max(limits.value_bytes_max.min(VALUE_BYTES_MAX));
    let (active, mut flusher) = vbucket(State::Active, Seqno::ZERO, limits);
    for item in of_every_kind(limits.key_bytes_max, 1) {
        let seqno = write(&active, item).expect("at the limit");
        for long in of_every_kind(limits.key_bytes_max + 1, 1) {
            assert!(is_over(
                &write(&active, long).expect_err("too long"),
                "the key"
            ));
        }
        assert_eq!(flush(&active, &mut flusher, &*engine), (1, seqno));
    }
    for item in of_every_kind(10, limits.value_bytes_max) {
        let seqno = write(&active, item).expect("at the limit");
        assert_eq!(flush(&active, &mut flusher, &*engine), (1, seqno));
    }
    for large in of_every_kind(10, limits.value_bytes_max + 1) {
        assert!(is_over(
            &write(&active, large).expect_err("too large"),
            "the value"
        ));
    }
    let revised = Item {
        rev_seqno: limits.rev_seqno_max,
        ..Item::deletion(key(9))
    };
    let seqno = write(&active, revised.clone()).expect("at the limit");
    assert_eq!(flush(&active, &mut flusher, &*engine), (1, seqno));
    if let Some(rev_seqno) = limits.rev_seqno_max.checked_add(1) {
        let refused = write(
            &active,
            Item {
                rev_seqno,
                ..revised
            },
        )
        .expect_err("over it");
        assert!(is_over(&refused, "the revision"));
    }
    for collection in 0..4 {
        let item = Item::mutation(Key::in_collection(collection, b"k"), Bytes::new());
        // Reserved keys are refused at the write; every other one is stored.
        if let Ok(seqno) = write(&active, item) {
            assert_eq!(
                flush(&active, &mut flusher, &*engine),
                (1, seqno),
                "collection {collection}"
            );
        }
    }
    the_last_seqno_is_flushed(open, limits);
    a_replica_refuses_and_goes_on(open, limits);
    wider_limits_are_told(open, limits);
}

fn the_last_seqno_is_flushed(open: Open<'_>, limits: ItemLimits) {
    let (_disk, engine) = fresh(open);
    let before = Seqno(limits.seqno_max.0 - 1);
    let (active, mut flusher) = vbucket(State::Active, before, limits);
    let seqno = write(&active, Item::deletion(key(9))).expect("the last");
    assert_eq!(seqno, limits.seqno_max);
    let refused = write(&active, Item::deletion(key(8))).expect_err("none is left");
    // The refusing side depends on whether the engine's or the number's own limit is lower.
    let is_used_up = matches!(
        refused,
        VBucketError::Checkpoint {
            source: CheckpointError::SeqnosUsedUp { .. },
            ..
        }
    );
    assert!(is_used_up || is_over(&refused, "the seqno"), "{refused}");
    assert_eq!(flush(&active, &mut flusher, &*engine), (1, seqno));
}

fn a_replica_refuses_and_goes_on(open: Open<'_>, limits: ItemLimits) {
    let (_disk, engine) = fresh(open);
    let (replica, mut flusher) = vbucket(State::Replica, Seqno::ZERO, limits);
    replica
        .receive_marker(SnapshotMarker::new(
            SnapshotType::Memory,
            Seqno(1),
            Seqno(3),
        ))
        .expect("it follows");
    let item = |seqno, bytes| Item {
        seqno: Seqno(seqno),
        ..Item::deletion(key(bytes))
    };
    replica
        .receive(item(1, limits.key_bytes_max))
        .expect("at the limit");
    assert!(is_over(
        &replica
            .receive(item(2, limits.key_bytes_max + 1))
            .expect_err("too long"),
        "the key"
    ));
    replica.receive(item(3, 5)).expect("it goes on");
    assert_eq!(flush(&replica, &mut flusher, &*engine), (2, Seqno(3)));
}

fn wider_limits_are_told(open: Open<'_>, limits: ItemLimits) {
    let (_disk, engine) = fresh(open);
    let wider = limits.with_key_bytes_max(engine.capabilities().limits.key_bytes_max + 1);
    let (active, mut flusher) = vbucket(State::Active, Seqno::ZERO, wider);
    write(&active, Item::deletion(key(5))).expect("small");
    let group = flusher.begin([&active]).expect("no flush is under way");
    let done = flusher
        .finish(group.commit(&*engine, 1))
        .pop()
        .expect("there was something");
    assert_eq!(
        done.result.expect_err("it would stop one day").kind(),
        "invalid-argument"
    );
}
