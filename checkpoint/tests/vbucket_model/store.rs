//! The store of a world: flushes, rollbacks and restarts.

use lowtide_checkpoint::{
    AfterStop, CheckpointConfig, FailoverEntry, FailoverLog, Flush, ReadLimit, Seqno, State,
    VBucket, VBucketState, VbUuid, Vbid,
};
use proptest::prelude::*;

use crate::compare::{Step, log, same};
use crate::naive::{Naive, OnDisk};
use crate::world::World;

impl World {
    pub fn flush(&mut self, limit: ReadLimit, success: bool) -> Step {
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
        // Everything received is on disk: a partial snapshot and its prepares are history now.
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
        // The whole part of a snapshot on an active depends on its earlier flushes, but is never
        // too large.
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

    /// Rolls a follower's store back to a state it had or could have had.
    pub fn rollback(&mut self, below: u64) -> Step {
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

    /// Moves to another branch: a rollback or an unclean stop means that another history follows.
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
            // No operation was accepted between the base and the first change.
            let before = self
                .history
                .iter()
                .rev()
                .map(|&(seqno, _)| seqno)
                .find(|&seqno| seqno < first.seqno);
            before.unwrap_or_default()
        })
    }

    pub fn restart(&mut self) -> Step {
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

pub fn vbucket(persisted: &VBucketState, high: u64, after: AfterStop) -> VBucket {
    let config = CheckpointConfig::persistent();
    let recovered = VBucket::recover(
        Vbid(0),
        persisted,
        Seqno(high),
        persisted.state,
        after,
        config,
    );
    recovered.expect("a new name")
}

pub fn on_disk(state: &VBucketState) -> OnDisk {
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
