//! A reader that does what a follower says and trusts nothing, and a replica that takes its markers
//! and items.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::PathBuf;

use lowtide_checkpoint::{
    AfterStop, CheckpointConfig, CheckpointError, FailoverLog, Item, Key, Namespace, ResumePoint,
    Seqno, SnapshotMarker, State, VBucket, VBucketError, VBucketState, VbUuid,
};

use crate::engines::VB;
use crate::history::{Contents, contents};
use crate::world::World;
use lowtide_persistence::{
    BackfillOutcome, BackfillStep, EngineError, FollowerError, FollowerEvent, FollowerMachine,
    FollowerTurn, ScanLimit,
};

const SLICE: ScanLimit = ScanLimit::new(2, usize::MAX);

/// Newest revisions, prepares and aborts included.
type Items = BTreeMap<(Namespace, Key), Item>;

/// Everything that a reader stores at the end of a snapshot.
#[derive(Clone, Debug)]
struct Saved {
    point: ResumePoint,
    items: Items,
    completed: Seqno,
}

pub(crate) struct Reader {
    machine: FollowerMachine,
    steps: VecDeque<BackfillStep>,
    outcomes: VecDeque<BackfillOutcome>,
    items: Items,
    /// All prepares up to this one are completed.
    completed: Seqno,
    /// Completed seqno of the markers since it was last whole.
    announced_completed: Seqno,
    seqno: Seqno,
    /// `None` before the first marker since it came to its place.
    marker: Option<SnapshotMarker>,
    /// Keys of the current marker's snapshot.
    keys: BTreeSet<(Namespace, Key)>,
    /// States at the ends of snapshots, oldest first.
    saved: Vec<Saved>,
    copy: VBucket,
    /// Events as short text, for tests of exact sequences.
    pub(crate) events: Vec<String>,
}

fn machine(point: ResumePoint) -> FollowerMachine {
    FollowerMachine::new(VB, "reader", point)
}

/// Returns a replica that has everything up to `saved`.
fn copy_at(saved: Option<&Saved>) -> VBucket {
    let mut state = VBucketState::new(State::Replica, FailoverLog::new(VbUuid(1)));
    let seqno = saved.map_or(Seqno::ZERO, |saved| saved.point.seqno);
    (state.snapshot_start, state.snapshot_end) = (seqno, seqno);
    state.high_completed_seqno = saved.map_or(Seqno::ZERO, |saved| saved.completed);
    let config = CheckpointConfig::in_memory();
    VBucket::recover(
        VB,
        &state,
        seqno,
        State::Replica,
        AfterStop::Orderly,
        config,
    )
    .expect("a replica")
}

impl Reader {
    pub(crate) fn new() -> Self {
        Self {
            machine: machine(ResumePoint::START),
            steps: VecDeque::new(),
            outcomes: VecDeque::new(),
            items: Items::new(),
            completed: Seqno::ZERO,
            announced_completed: Seqno::ZERO,
            seqno: Seqno::ZERO,
            marker: None,
            keys: BTreeSet::new(),
            saved: Vec::new(),
            copy: copy_at(None),
            events: Vec::new(),
        }
    }

    /// Takes the next turn. Returns whether there was one.
    pub(crate) fn turn(&mut self, world: &World) -> bool {
        match self
            .machine
            .next(&world.vbucket, world.purge_seqno(), SLICE)
        {
            Ok(FollowerTurn::Idle) => return false,
            Ok(FollowerTurn::Backfill(step)) => self.steps.push_back(step),
            Ok(FollowerTurn::Event(event)) => self.take(event, world),
            // A test made a step fail.
            Err(FollowerError::Engine {
                source: EngineError::Closed { .. },
                ..
            }) => {}
            // The reader is ahead of a copy that lags behind: it asks again later.
            Err(FollowerError::VBucket(VBucketError::Checkpoint {
                source: CheckpointError::NotQueuedYet { .. },
                ..
            })) => return false,
            Err(error) => panic!("{error}"),
        }
        true
    }

    pub(crate) fn run_step(&mut self, world: &World) {
        if let Some(step) = self.steps.pop_front() {
            self.outcomes.push_back(step.run(world.engine.as_ref()));
        }
    }

    pub(crate) fn fail_step(&mut self) {
        if let Some(step) = self.steps.pop_front() {
            let path = PathBuf::from("/store");
            self.outcomes
                .push_back(step.failed(EngineError::Closed { path }));
        }
    }

    pub(crate) fn take_outcome(&mut self) {
        if let Some(outcome) = self.outcomes.pop_front() {
            self.machine.backfilled(outcome);
        }
    }

    pub(crate) fn release_disk(&mut self) {
        self.machine.release_disk();
    }

    /// Runs until there is nothing left to do.
    pub(crate) fn settle(&mut self, world: &World) {
        loop {
            let has_turn = self.turn(world);
            if !has_turn && self.steps.is_empty() && self.outcomes.is_empty() {
                return;
            }
            self.run_step(world);
            self.take_outcome();
        }
    }

    /// Follows again from its place, which may be inside a snapshot, or from the end of the last one.
    pub(crate) fn restart(&mut self, from_saved: bool) {
        if from_saved {
            let saved = self.saved.last().cloned();
            self.restore(saved.as_ref());
            self.machine = machine(saved.map_or(ResumePoint::START, |saved| saved.point));
        } else {
            let point = self.machine.resume_point();
            if point.seqno == point.snapshot_end && point.seqno > self.whole() {
                // The event was on its way.
                self.completed = self.completed.max(self.announced_completed);
                self.save(point);
            }
            self.machine = machine(point);
        }
        (self.marker, self.keys) = (None, BTreeSet::new());
        (self.steps, self.outcomes) = (VecDeque::new(), VecDeque::new());
    }

    fn restore(&mut self, saved: Option<&Saved>) {
        self.items = saved.map_or_else(Items::new, |saved| saved.items.clone());
        self.completed = saved.map_or(Seqno::ZERO, |saved| saved.completed);
        self.announced_completed = Seqno::ZERO;
        self.seqno = saved.map_or(Seqno::ZERO, |saved| saved.point.seqno);
        (self.marker, self.keys) = (None, BTreeSet::new());
        self.copy = copy_at(saved);
    }

    fn take(&mut self, event: FollowerEvent, world: &World) {
        match event {
            FollowerEvent::Branches(_) => {}
            FollowerEvent::Snapshot(marker) => self.begin(marker),
            FollowerEvent::Items(items) => {
                assert!(items.iter().next().is_some(), "there are items");
                let last = items.last_seqno();
                for item in items.iter() {
                    assert!(world.has_written(item), "{item:?}");
                    self.take_item(item);
                }
                assert_eq!(self.seqno, last);
                let source = if items.are_from_disk() {
                    "disk"
                } else {
                    "memory"
                };
                self.events.push(format!("{source} to {last}"));
            }
            FollowerEvent::SnapshotEnd(point) => self.complete(point, world),
            FollowerEvent::RolledBack { to } => self.go_back(to),
            FollowerEvent::StateChanged(state) => self.events.push(format!("now {state}")),
            FollowerEvent::Ended(state) => {
                self.events.push(format!("ended: {state}"));
                self.restart(false);
            }
            event => panic!("unexpected {event:?}"),
        }
        let point = self.machine.resume_point();
        assert!(
            point.is_sound() && point.seqno == self.seqno,
            "{point:?} at {}",
            self.seqno
        );
    }

    fn whole(&self) -> Seqno {
        self.saved
            .last()
            .map_or(Seqno::ZERO, |saved| saved.point.seqno)
    }

    fn begin(&mut self, marker: SnapshotMarker) {
        self.events
            .push(format!("{} to {}", marker.start, marker.end));
        let whole = self.whole();
        assert!(marker.start <= whole.next(), "{marker:?} at {whole}");
        assert!(marker.end > self.seqno, "{marker:?} at {}", self.seqno);
        // A marker of which nothing has arrived announced nothing: a branch may have begun since.
        let is_cut = |before: &SnapshotMarker| before.end > self.seqno && !self.keys.is_empty();
        if let Some(before) = self.marker.filter(is_cut) {
            assert!(marker.end >= before.end, "{marker:?} after {before:?}");
            assert!(marker.may_repeat_keys);
        }
        self.copy.receive_marker(marker).expect("a sound marker");
        let completed = marker.high_completed_seqno.unwrap_or_default();
        if self.keys.is_empty() {
            // A marker that continues a cut one has its figure, too.
            self.announced_completed = Seqno::ZERO;
        }
        self.announced_completed = self.announced_completed.max(completed);
        self.marker = Some(marker);
        self.keys.clear();
    }

    fn take_item(&mut self, item: &Item) {
        let marker = self.marker.expect("a marker comes first");
        assert!(item.seqno > self.seqno, "{item:?} after {}", self.seqno);
        assert!((marker.start..=marker.end).contains(&item.seqno));
        let key = (
            item.operation.namespace().expect("an operation"),
            item.key.clone(),
        );
        let is_new = self.keys.insert(key.clone());
        assert!(
            is_new || marker.may_repeat_keys || item.operation.is_sync_write(),
            "{item:?} repeats its key"
        );
        self.copy.receive(item.clone()).expect("a sound item");
        self.items.insert(key, item.clone());
        self.completed = self.completed.max(item.prepare_seqno);
        self.seqno = item.seqno;
    }

    /// Checks that the reader and the replica are whole.
    fn complete(&mut self, point: ResumePoint, world: &World) {
        self.events.push(format!("whole at {}", point.seqno));
        assert_eq!(point, ResumePoint::whole(point.uuid, self.seqno));
        assert_eq!(self.marker.map(|marker| marker.end), Some(point.seqno));
        // A snapshot from disk need not have every commit and abort. Its markers count them.
        self.completed = self
            .completed
            .max(std::mem::take(&mut self.announced_completed));
        let (expected, completed) = world.contents_at(point.uuid, point.seqno);
        let purge = world.purge_seqno();
        let without_purged = |mut contents: Contents| {
            contents.retain(|_, (seqno, value)| value.is_some() || *seqno > purge);
            contents
        };
        let found = without_purged(self.contents());
        assert_eq!(found, without_purged(expected), "{point:?}");
        let copy = self.copy.resume_point();
        assert_eq!((copy.seqno, copy.snapshot_end), (point.seqno, point.seqno));
        assert!(self.copy.high_completed_seqno() <= completed);
        self.save(point);
    }

    fn save(&mut self, point: ResumePoint) {
        self.saved.push(Saved {
            point,
            items: self.items.clone(),
            completed: self.completed,
        });
    }

    fn contents(&self) -> Contents {
        let mut items: Vec<_> = self.items.values().collect();
        items.sort_by_key(|item| item.seqno);
        let (mut contents, _) = contents(items.into_iter());
        contents.retain(|(namespace, _), (seqno, _)| {
            *namespace != Namespace::Prepared || *seqno > self.completed
        });
        contents
    }

    fn go_back(&mut self, to: Seqno) {
        self.events.push(format!("back to {to}"));
        assert!(to < self.seqno, "{to} from {}", self.seqno);
        self.saved.retain(|saved| saved.point.seqno <= to);
        let saved = self.saved.last().cloned();
        self.restore(saved.as_ref());
        if self.seqno < to {
            let point = saved.map_or(ResumePoint::START, |saved| saved.point);
            self.machine.resume_from(point);
        }
    }

    /// Checks that it has every item.
    pub(crate) fn check_items(&self, world: &World) {
        assert_eq!(self.seqno, world.high());
    }

    /// Checks that it has everything, as a whole.
    pub(crate) fn check_end(&self, world: &World) {
        assert_eq!((self.seqno, self.whole()), (world.high(), world.high()));
    }
}
