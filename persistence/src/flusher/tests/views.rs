//! S21 and S22: the ends of a replica's commits, and its readers' view between them.

use lowtide_checkpoint::{AfterStop, SnapshotMarker, SnapshotType};

use super::*;
use crate::contract::{Budget, CompactionRequest, JobProgress, Snapshot};

fn replica() -> Rig {
    let rig = rig();
    rig.vbucket
        .set_state(State::Replica, None)
        .expect("a replica");
    rig
}

impl Rig {
    fn marker(&self, start: u64, end: u64) {
        let marker = SnapshotMarker::new(SnapshotType::Memory, Seqno(start), Seqno(end));
        self.vbucket
            .receive_marker(marker)
            .expect("it follows the one before");
    }

    fn receive(&self, seqno: u64, key: &str, value: &'static str) {
        let item = Item::mutation(
            Key::new(key.as_bytes()),
            Bytes::from_static(value.as_bytes()),
        );
        self.vbucket
            .receive(Item {
                seqno: Seqno(seqno),
                ..item
            })
            .expect("inside");
    }

    fn view(&self) -> Option<Arc<dyn Snapshot>> {
        self.flusher
            .views()
            .view(&self.engine, VB)
            .expect("readable")
    }

    /// Returns the values of the keys a and b as a reader sees them, and the view's high seqno.
    fn seen(&self) -> Option<(u64, [Option<Bytes>; 2])> {
        let view = self.view()?;
        let value = |key: &str| {
            let found = view
                .get(Namespace::Committed, &Key::new(key.as_bytes()))
                .expect("readable");
            found.and_then(|item| item.value)
        };
        Some((view.high().0, [value("a"), value("b")]))
    }

    fn on_disk(&self) -> u64 {
        self.engine.info(VB).expect("there").high.0
    }
}

const fn value(text: &'static str) -> Option<Bytes> {
    Some(Bytes::from_static(text.as_bytes()))
}

/// Returns a replica with the whole snapshot 1-2 and, of the snapshot 3-6, the item 4, all on disk.
fn inside_a_snapshot() -> Rig {
    let mut rig = replica();
    rig.marker(1, 2);
    rig.receive(1, "a", "one");
    rig.receive(2, "b", "one");
    rig.flush();
    rig.marker(3, 6);
    rig.receive(4, "b", "two");
    rig.flush();
    rig
}

#[test]
fn commit_that_takes_a_replica_to_a_snapshots_end_ends_with_one() {
    let mut rig = replica();
    for (start, end) in [(1, 2), (3, 4)] {
        rig.marker(start, end);
        rig.receive(start, "a", "old");
        rig.receive(end, "b", "old");
    }
    rig.marker(5, 9);
    rig.receive(6, "a", "new");
    let flushed = rig.flush();
    let persisted = persisted(&flushed).expect("committed");
    assert_eq!(
        (persisted.seqno, persisted.more),
        (Seqno(4), true),
        "two snapshots, and nothing of the third"
    );
    rig.flush();
    assert_eq!(rig.on_disk(), 6, "what has come is written all the same");
    assert_eq!(rig.seen(), Some((4, [value("old"), value("old")])));
}

#[test]
fn commit_inside_a_snapshot_is_hidden_until_its_end() {
    let mut rig = inside_a_snapshot();
    assert_eq!(
        (rig.on_disk(), rig.seen()),
        (4, Some((2, [value("one"), value("one")])))
    );
    rig.receive(5, "a", "two");
    rig.flush();
    assert_eq!(
        (rig.on_disk(), rig.seen()),
        (5, Some((2, [value("one"), value("one")])))
    );
    assert_eq!(rig.flusher.views().pins(), 1);
    rig.receive(6, "c", "two");
    rig.flush();
    assert_eq!(rig.seen(), Some((6, [value("two"), value("two")])));
    assert_eq!(
        rig.flusher.views().pins(),
        0,
        "the disk itself can be shown"
    );
}

/// Covers the time between the engine's commit and its report: no reader may see the part of a
/// snapshot in between.
#[test]
fn part_of_a_snapshot_is_hidden_once_it_is_on_disk() {
    let mut rig = replica();
    rig.marker(1, 3);
    rig.receive(1, "a", "one");
    let group = rig.flusher.begin([&rig.vbucket]).expect("no other flush");
    let committed = group.commit(&rig.engine, 1);
    assert_eq!((rig.on_disk(), rig.seen()), (1, Some((0, [None, None]))));
    rig.flusher.finish(committed);
    assert_eq!(rig.seen(), Some((0, [None, None])));
}

#[test]
fn view_outlives_a_compaction_and_ends_with_its_snapshot() {
    let mut rig = inside_a_snapshot();
    let mut job = rig
        .engine
        .compact(VB, CompactionRequest::default())
        .expect("nothing runs");
    while !matches!(job.step(Budget::NONE).expect("sound"), JobProgress::Done(_)) {}
    drop(job);
    assert_eq!(rig.seen(), Some((2, [value("one"), value("one")])));
    rig.receive(6, "a", "two");
    rig.flush();
    assert_eq!(
        (rig.seen(), rig.flusher.views().pins()),
        (Some((6, [value("two"), value("two")])), 0)
    );
}

#[test]
fn failed_commit_hides_nothing() {
    let mut rig = replica();
    rig.marker(1, 2);
    rig.receive(1, "a", "one");
    rig.receive(2, "b", "one");
    rig.flush();
    rig.marker(3, 6);
    rig.receive(4, "b", "two");
    rig.disk.fail_write(1, Fault::Eio);
    assert!(persisted(&rig.flush()).is_none());
    assert_eq!(rig.seen(), Some((2, [value("one"), value("one")])));
    rig.flush();
    assert_eq!(
        (rig.on_disk(), rig.seen()),
        (4, Some((2, [value("one"), value("one")])))
    );
}

#[test]
fn store_opened_inside_a_snapshot_has_no_view_before_its_end() {
    let Rig {
        disk,
        engine,
        vbucket,
        ..
    } = inside_a_snapshot();
    drop((engine, vbucket));
    let engine = open(&disk);
    let state = engine
        .snapshot(VB)
        .expect("there")
        .state()
        .cloned()
        .expect("committed");
    let config = CheckpointConfig::persistent();
    let recovered = VBucket::recover(
        VB,
        &state,
        Seqno(4),
        State::Replica,
        AfterStop::Orderly,
        config,
    );
    let vbucket = recovered.expect("it stays a replica");
    let mut flusher = Flusher::new(ReadLimit::NONE);
    flusher.attach(VB, state, Seqno(4));
    let mut rig = Rig {
        disk,
        engine,
        vbucket,
        flusher,
    };
    assert_eq!(rig.seen(), None);
    rig.receive(5, "a", "two");
    rig.flush();
    assert_eq!(
        (rig.on_disk(), rig.seen()),
        (5, None),
        "a commit inside it pins nothing"
    );
    rig.receive(6, "c", "two");
    rig.flush();
    assert_eq!(rig.seen(), Some((6, [value("two"), value("two")])));
}

#[test]
fn promoted_replica_shows_its_part_of_a_snapshot() {
    let mut rig = inside_a_snapshot();
    rig.vbucket
        .set_state(State::Active, Some(VbUuid(7)))
        .expect("a branch");
    rig.flush();
    assert_eq!(
        rig.seen(),
        Some((4, [value("one"), value("two")])),
        "it is its own history now"
    );
    assert_eq!(rig.flusher.views().pins(), 0);
}

#[test]
fn pin_ends_with_its_vbucket_or_its_store() {
    let mut rig = inside_a_snapshot();
    rig.flusher.detach(VB);
    assert_eq!(rig.flusher.views().pins(), 0);

    let mut rig = inside_a_snapshot();
    rig.receive(5, "a", "two");
    let group = rig.flusher.begin([&rig.vbucket]).expect("no other flush");
    rig.flusher.detach(VB);
    let committed = group.commit(&rig.engine, 1);
    rig.flusher.finish(committed);
    assert_eq!(
        rig.flusher.views().pins(),
        0,
        "a commit of a detached vBucket leaves no pin"
    );

    let rig = inside_a_snapshot();
    rig.flusher.views().forget_all();
    assert_eq!(rig.seen(), None, "a reopened store has no pins");
}
