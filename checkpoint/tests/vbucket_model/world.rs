//! The world of one sequence: a vBucket, its naive model, its store, and a subscriber.
//!
//! A step runs on both the vBucket and the model and compares the answers at once.

use bytes::Bytes;
use lowtide_checkpoint::{
    AfterStop, FailoverLog, Item, Key, Operation, ResumePoint, Seqno, SnapshotMarker, SnapshotType,
    State, Subscription, VBucket, VBucketState, VbUuid,
};
use proptest::prelude::*;

use crate::compare::{Step, same};
use crate::naive::{Naive, OnDisk};
use crate::ops::{Change, Op, Uuid};
use crate::store::{on_disk, vbucket};

const FIRST_UUID: u64 = 1;

/// Key and seqno of each operation, in order.
pub type History = Vec<(u64, String)>;

pub struct World {
    pub vbucket: VBucket,
    pub naive: Naive,
    /// State that the last successful flush committed, in both forms, and the seqno on disk.
    pub disk: (VBucketState, OnDisk, u64),
    /// Operations of the current history, without rolled-back ones.
    pub history: History,
    pub subscription: Option<Subscription>,
    /// Operations that the subscriber has.
    pub copy: History,
    /// Seqnos at which the copy was whole.
    pub whole_at: Vec<u64>,
    /// Point at which the subscriber would resume if its subscription ended now.
    pub resume_point: ResumePoint,
    pub last_uuid: u64,
    pub clock: u64,
}

impl World {
    pub fn new(state: State) -> Self {
        let persisted = VBucketState::new(state, FailoverLog::new(VbUuid(FIRST_UUID)));
        let base = on_disk(&persisted);
        Self {
            vbucket: vbucket(&persisted, 0, AfterStop::Orderly),
            naive: Naive::on_disk(state, vec![(FIRST_UUID, 0)], base, 0),
            disk: (persisted, base, 0),
            history: Vec::new(),
            subscription: None,
            copy: Vec::new(),
            whole_at: Vec::new(),
            resume_point: ResumePoint::START,
            last_uuid: FIRST_UUID,
            clock: 0,
        }
    }

    pub fn step(&mut self, op: &Op) -> Step {
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
                self.vbucket.manager().recover_memory(usize::MAX);
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
            self.record(change);
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
            self.record(change);
        }
        Ok(())
    }

    fn record(&mut self, change: &Change) {
        let space = matches!(change.operation, Operation::Prepare | Operation::Abort);
        self.history
            .push((self.naive.high, format!("{space} k{}", change.key)));
    }
}
