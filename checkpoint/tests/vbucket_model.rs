//! Random operations on a vBucket and on a naive model of it, side by side: what is taken and what refused, what is
//! committed with each batch, where a stream would resume, the branches of its history (C21 to C23).
//!
//! A subscriber follows it all the while and does what it is told; whenever there is nothing more for it, it must have
//! exactly what the vBucket has (C24), also when it comes back to another history than it left (C28, C29). `PROPTEST_CASES` sets how many sequences.

use std::collections::BTreeMap;

use bytes::Bytes;
use lowtide_checkpoint::{
    AfterStop, CheckpointConfig, FailoverEntry, FailoverLog, Flush, Item, Key, Operation,
    ReadLimit, ResumePoint, Seqno, SnapshotMarker, SnapshotType, State, Subscription, VBucket,
    VBucketState, VbUuid, Vbid,
};
use proptest::prelude::*;

#[path = "vbucket_model/naive.rs"]
mod naive;
#[path = "vbucket_model/ops.rs"]
mod ops;
#[path = "vbucket_model/subscriber.rs"]
mod subscriber;

use naive::{Naive, OnDisk};
use ops::{Change, Op, Uuid};

const CASES_DEFAULT: u32 = 600;
const FIRST_UUID: u64 = 1;

type Step = Result<(), TestCaseError>;
/// Key and seqno of each operation, in order.
type History = Vec<(u64, String)>;

struct World {
    vbucket: VBucket,
    naive: Naive,
    /// What the last flush that went well committed, and up to where.
    disk: (VBucketState, OnDisk, u64),
    /// Of the history that counts; what was rolled back is not in it.
    history: History,
    subscription: Option<Subscription>,
    /// What the subscriber has, and where it was whole.
    copy: History,
    places: Vec<u64>,
    /// Where it would come back to, were its subscription lost.
    stands: ResumePoint,
    last_uuid: u64,
    clock: u64,
}

impl World {
    fn new(state: State) -> Self {
        let persisted = VBucketState::new(state, FailoverLog::new(VbUuid(FIRST_UUID)));
        let base = on_disk(&persisted);
        Self {
            vbucket: vbucket(&persisted, 0, AfterStop::Orderly),
            naive: Naive::on_disk(state, vec![(FIRST_UUID, 0)], base, 0),
            disk: (persisted, base, 0),
            history: Vec::new(),
            subscription: None,
            copy: Vec::new(),
            places: Vec::new(),
            stands: ResumePoint::START,
            last_uuid: FIRST_UUID,
            clock: 0,
        }
    }

    fn step(&mut self, op: &Op) -> Step {
        match op {
            Op::Write(change) => self.write(change),
            Op::Receive(change, above) => self.receive(change, *above),
            Op::Marker {
                kind,
                skip,
                length,
                completed,
                prepared,
                purge,
            } => {
                let start = self.naive.high.saturating_add_signed(*skip);
                let end = start.saturating_add_signed(*length);
                let is_disk = *kind != SnapshotType::Memory;
                let completed = self.naive.completed().saturating_add_signed(*completed);
                let marker = SnapshotMarker {
                    high_completed_seqno: is_disk.then_some(Seqno(completed)),
                    high_prepared_seqno: prepared
                        .map(|offset| Seqno(end.saturating_add_signed(offset))),
                    purge_seqno: (is_disk && *purge).then_some(Seqno(start)),
                    ..SnapshotMarker::new(*kind, Seqno(start), Seqno(end))
                };
                same(
                    self.vbucket.receive_marker(marker).is_ok(),
                    self.naive.marker(marker),
                )
            }
            Op::SetState(state, uuid) => {
                let uuid = match uuid {
                    Uuid::None => None,
                    Uuid::Zero => Some(0),
                    Uuid::Known => self.naive.log.last().map(|&(uuid, _)| uuid),
                    Uuid::New => {
                        self.last_uuid += 1;
                        Some(self.last_uuid)
                    }
                };
                let changed = self.vbucket.set_state(*state, uuid.map(VbUuid));
                same(changed.is_ok(), self.naive.set_state(*state, uuid))
            }
            Op::Rollback(below) => self.rollback(*below),
            Op::Flush(limit, success) => self.flush(*limit, *success),
            Op::Restart => self.restart(),
            Op::Poll => self.poll(),
            Op::Close => {
                self.vbucket.manager().close();
                Ok(())
            }
            Op::Expel => {
                self.vbucket.manager().expel();
                Ok(())
            }
            Op::Recover => {
                self.vbucket.manager().recover(usize::MAX);
                Ok(())
            }
        }
    }

    fn item(&self, change: &Change, seqno: u64) -> Item {
        let key = Key::new(format!("k{}", change.key).as_bytes());
        let item = Item {
            seqno: Seqno(seqno),
            value: Some(Bytes::new()),
            ..Item::new(change.operation, key)
        };
        Item {
            prepare_seqno: Seqno(self.prepare(change)),
            ..item
        }
    }

    fn prepare(&self, change: &Change) -> u64 {
        self.naive.completed().saturating_add_signed(change.prepare)
    }

    fn write(&mut self, change: &Change) -> Step {
        self.clock += 1;
        let cas_before = self.clock << 16;
        let written = self.vbucket.write(self.item(change, 0), self.clock << 16);
        let prepare = self.prepare(change);
        same(written.is_ok(), self.naive.write(change.operation, prepare))?;
        if let Ok(written) = written {
            prop_assert!(written.cas.0 >= cas_before, "{written:?}");
            same(written.queued.seqno.0, self.naive.high)?;
            self.took(change);
        }
        Ok(())
    }

    fn receive(&mut self, change: &Change, above: i64) -> Step {
        let seqno = self.naive.high.saturating_add_signed(above).max(1);
        let received = self.vbucket.receive(self.item(change, seqno));
        let prepare = self.prepare(change);
        same(
            received.is_ok(),
            self.naive.receive(seqno, change.operation, prepare),
        )?;
        if received.is_ok() {
            self.took(change);
        }
        Ok(())
    }

    fn took(&mut self, change: &Change) {
        let space = matches!(change.operation, Operation::Prepare | Operation::Abort);
        self.history
            .push((self.naive.high, format!("{space} k{}", change.key)));
    }

    fn flush(&mut self, limit: ReadLimit, success: bool) -> Step {
        let flush = self.vbucket.manager().begin_flush(limit);
        let flush = flush.map_err(|error| TestCaseError::fail(error.to_string()))?;
        let state = self
            .vbucket
            .state_with(flush.batch(), &self.disk.0, Seqno(self.disk.2));
        let items = flush
            .batch()
            .items()
            .filter(|item| item.operation.namespace().is_some());
        let high = items.last().map(|item| item.seqno.0);
        let is_active = self.naive.state == State::Active;
        let before = self.disk.1;
        let mut with_state = before;
        // All it had received is there: half a snapshot and what it prepared are its history now.
        let on_disk_now = self.disk.2;
        let is_promoted = high.is_none() && is_active && on_disk_now >= self.naive.promoted_at;
        if is_promoted {
            with_state.prepared_here = before.prepared_here.max(before.prepared);
            (with_state.start, with_state.end) = (on_disk_now, on_disk_now);
        }
        let expected = |knows_history| {
            high.map_or(with_state, |high| {
                self.naive.at(high, is_active, knows_history)
            })
        };
        let (least, most, got) = (expected(false), expected(true), on_disk(&state));
        // How far a snapshot counts as whole for having been active depends on what was flushed then: never too far.
        prop_assert!(
            (least.start..=most.start).contains(&got.start),
            "{least:?} {got:?} {most:?}"
        );
        let prepared_here = least.prepared_here..=most.prepared_here;
        prop_assert!(
            prepared_here.contains(&got.prepared_here),
            "{least:?} {got:?} {most:?}"
        );
        prop_assert!(
            (least.completed..=most.completed).contains(&got.completed),
            "{least:?} {got:?} {most:?}"
        );
        prop_assert!(
            (least.purge..=most.purge).contains(&got.purge),
            "{least:?} {got:?} {most:?}"
        );
        let OnDisk {
            start,
            prepared_here,
            completed,
            purge,
            ..
        } = got;
        let expected = OnDisk {
            start,
            prepared_here,
            completed,
            purge,
            ..least
        };
        same(got, expected)?;
        same(
            (state.state, log(&state.failover_log)),
            (self.naive.state, self.naive.log.clone()),
        )?;
        if success {
            flush.commit();
            let flushed = high.unwrap_or(self.disk.2);
            if is_promoted || is_active && Some(expected.start) == high {
                self.naive.is_history_up_to(flushed);
            }
            self.disk = (state, expected, flushed);
        } else {
            Flush::fail(flush);
        }
        Ok(())
    }

    /// The store goes back to some state it had, or could have had, of a follower.
    fn rollback(&mut self, below: u64) -> Step {
        let lowest =
            self.naive.high - self.naive.changes.len().min(self.naive.high as usize) as u64;
        let lowest = self
            .naive
            .changes
            .first()
            .map_or(lowest, |_| self.base_high());
        let to = self
            .disk
            .2
            .saturating_sub(below)
            .max(lowest)
            .min(self.disk.2);
        let base = self.naive.at(to, false, false);
        let persisted = self.state_of(&base);
        let done = self.vbucket.rollback(Seqno(to), &persisted);
        same(done.is_ok(), self.naive.follows())?;
        if done.is_ok() {
            let mut branches = self.naive.log.clone();
            branches.retain(|&(_, seqno)| seqno <= to);
            self.naive = Naive::on_disk(self.naive.state, branches, base, to);
            self.history.retain(|&(seqno, _)| seqno <= to);
            self.disk = (persisted, base, to);
            self.follow_another_branch();
        }
        let ahead = self
            .vbucket
            .rollback(Seqno(self.naive.high + 1), &self.disk.0);
        prop_assert!(ahead.is_err(), "there is nothing to go back to");
        Ok(())
    }

    /// What it is sent from here on is another history: that is why it went back, or what it lost when it stopped.
    fn follow_another_branch(&mut self) {
        self.last_uuid += 1;
        self.naive.branch(self.last_uuid, self.naive.whole);
        let entries = self.naive.log.iter();
        let entries = entries.map(|&(uuid, seqno)| FailoverEntry {
            uuid: VbUuid(uuid),
            seqno: Seqno(seqno),
        });
        self.vbucket
            .set_failover_log(FailoverLog::from_entries(entries.collect()).expect("valid"));
    }

    fn base_high(&self) -> u64 {
        self.naive.changes.first().map_or(self.naive.high, |first| {
            // Nothing was taken between the base and the first change.
            let before = self
                .history
                .iter()
                .rev()
                .map(|&(seqno, _)| seqno)
                .find(|&seqno| seqno < first.seqno);
            before.unwrap_or_default()
        })
    }

    fn restart(&mut self) -> Step {
        let (persisted, base, high) = self.disk.clone();
        self.subscription = None;
        self.last_uuid += 1;
        let after = AfterStop::Unclean {
            uuid: VbUuid(self.last_uuid),
        };
        self.vbucket = vbucket(&persisted, high, after);
        self.naive = Naive::on_disk(persisted.state, log(&persisted.failover_log), base, high);
        self.history.retain(|&(seqno, _)| seqno <= high);
        if persisted.state == State::Active {
            self.naive.branch(self.last_uuid, self.naive.whole);
        } else {
            self.follow_another_branch();
        }
        Ok(())
    }

    fn compare(&self) -> Step {
        let violations = self.vbucket.manager().check();
        same(violations, Vec::<String>::new())?;
        same(self.vbucket.state(), self.naive.state)?;
        same(self.vbucket.high_seqno().0, self.naive.high)?;
        same(
            self.vbucket.high_completed_seqno().0,
            self.naive.completed(),
        )?;
        let all = self.naive.at(self.naive.high, false, false);
        same(self.vbucket.purge_seqno().0, all.purge)?;
        same(log(&self.vbucket.failover_log()), self.naive.log.clone())?;
        let Naive {
            high,
            whole,
            snapshot_end,
            ..
        } = self.naive;
        let is_whole = self.naive.state == State::Active || whole == high;
        let expected = if is_whole {
            (high, high, high)
        } else {
            (high, whole, snapshot_end)
        };
        let resume = self.vbucket.resume_point();
        same(
            (
                resume.seqno.0,
                resume.snapshot_start.0,
                resume.snapshot_end.0,
            ),
            expected,
        )
    }

    fn state_of(&self, disk: &OnDisk) -> VBucketState {
        VBucketState {
            snapshot_start: Seqno(disk.start),
            snapshot_end: Seqno(disk.end),
            snapshot_type: disk.kind,
            max_visible_seqno: Seqno(disk.visible),
            high_completed_seqno: Seqno(disk.completed),
            high_prepared_seqno: Seqno(disk.prepared_here),
            prepared_seqno: Seqno(disk.prepared),
            purge_seqno: Seqno(disk.purge),
            ..VBucketState::new(self.naive.state, self.vbucket.failover_log())
        }
    }
}

fn vbucket(persisted: &VBucketState, high: u64, after: AfterStop) -> VBucket {
    let config = CheckpointConfig {
        persistence: true,
        ..CheckpointConfig::default()
    };
    let recovered = VBucket::recover(
        Vbid(0),
        persisted,
        Seqno(high),
        persisted.state,
        after,
        config,
    );
    recovered.expect("a name that nobody had")
}

fn on_disk(state: &VBucketState) -> OnDisk {
    OnDisk {
        start: state.snapshot_start.0,
        end: state.snapshot_end.0,
        kind: state.snapshot_type,
        visible: state.max_visible_seqno.0,
        completed: state.high_completed_seqno.0,
        prepared_here: state.high_prepared_seqno.0,
        prepared: state.prepared_seqno.0,
        purge: state.purge_seqno.0,
    }
}

fn log(log: &FailoverLog) -> Vec<(u64, u64)> {
    log.entries()
        .iter()
        .map(|entry| (entry.uuid.0, entry.seqno.0))
        .collect()
}

/// The newest operation of each key.
fn newest(history: &History) -> BTreeMap<&str, u64> {
    history
        .iter()
        .map(|(seqno, key)| (key.as_str(), *seqno))
        .collect()
}

fn fail(error: &dyn std::error::Error) -> TestCaseError {
    TestCaseError::fail(error.to_string())
}

fn same<T: PartialEq + std::fmt::Debug>(got: T, expected: T) -> Step {
    prop_assert!(
        got == expected,
        "the vBucket gave\n{got:#?}\ninstead of\n{expected:#?}"
    );
    Ok(())
}

#[test]
#[cfg_attr(miri, ignore = "too many steps")]
fn the_vbucket_answers_as_the_naive_model_does() {
    let cases = std::env::var("PROPTEST_CASES")
        .ok()
        .and_then(|text| text.parse().ok());
    let config = ProptestConfig {
        cases: cases.unwrap_or(CASES_DEFAULT),
        failure_persistence: None,
        max_shrink_iters: 20_000,
        ..ProptestConfig::default()
    };
    proptest!(config, |(state in ops::state(), ops in ops::ops())| {
        let mut world = World::new(state);
        world.compare()?;
        for op in &ops {
            world.step(op)?;
            world.compare()?;
        }
        world.poll()?;
    });
}
