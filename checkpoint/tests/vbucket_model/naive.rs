//! The naive vBucket: everything it ever took, in one `Vec`, and what is on disk as a function of that.
//!
//! What always holds: `changes` begin behind `base`, which is what the store had when the vBucket was made or rolled back.

use lowtide_checkpoint::{Operation, Seqno, SnapshotMarker, SnapshotType, State};

/// One operation it took.
#[derive(Clone, Copy, Debug)]
pub struct Taken {
    pub seqno: u64,
    pub operation: Operation,
    pub prepare: u64,
    /// `None` if it was written here.
    pub snapshot: Option<SnapshotMarker>,
    /// The vBucket stopped being active with it: it is history, whatever snapshot it came in.
    pub is_history: bool,
    /// As its marker was when it came: another one may have brought the rest.
    pub arrived: Option<SnapshotMarker>,
    /// The vBucket became active inside its snapshot, which ended there: that it is whole is for its history to say.
    pub is_cut: bool,
}

impl Taken {
    fn is_from_disk(&self) -> bool {
        is_from_disk(self.snapshot)
    }

    fn taken_in_by(&mut self, next: &SnapshotMarker, high: u64) {
        let half = self.snapshot.as_mut();
        let half =
            half.filter(|half| Seqno(high) < half.end.min(next.end) && next.start <= half.end);
        if let Some(marker) = half {
            marker.end = next.end;
            if marker.snapshot_type == SnapshotType::Memory
                && next.snapshot_type != SnapshotType::Memory
            {
                marker.snapshot_type = next.snapshot_type;
            }
            marker.purge_seqno = marker.purge_seqno.max(next.purge_seqno);
        }
    }

    /// Whether everything up to here is whole with it.
    fn completes(&self) -> bool {
        self.snapshot
            .is_none_or(|marker| !self.is_cut && marker.end.0 == self.seqno)
    }
}

fn is_from_disk(snapshot: Option<SnapshotMarker>) -> bool {
    snapshot.is_some_and(|marker| marker.snapshot_type != SnapshotType::Memory)
}

/// What is committed with a batch, as far as it follows from what was taken.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct OnDisk {
    pub start: u64,
    pub end: u64,
    pub kind: SnapshotType,
    pub visible: u64,
    pub completed: u64,
    pub prepared_here: u64,
    pub prepared: u64,
    pub purge: u64,
}

#[derive(Debug)]
pub struct Naive {
    pub state: State,
    /// Newest first.
    pub log: Vec<(u64, u64)>,
    pub base: OnDisk,
    pub high: u64,
    /// How far it had come when it last became active.
    pub promoted_at: u64,
    pub changes: Vec<Taken>,
    /// The snapshot being received.
    pub snapshot: Option<SnapshotMarker>,
    /// End of the last one it has all of, and of the one its last item belongs to.
    pub whole: u64,
    pub snapshot_end: u64,
}

impl Naive {
    /// One that has `high` on disk with `base`.
    pub fn on_disk(state: State, log: Vec<(u64, u64)>, base: OnDisk, high: u64) -> Self {
        let is_half = base.start <= high && high < base.end;
        let marker = SnapshotMarker {
            high_completed_seqno: (base.kind != SnapshotType::Memory)
                .then_some(Seqno(base.completed)),
            ..SnapshotMarker::new(base.kind, Seqno(base.start), Seqno(base.end))
        };
        Self {
            state,
            log,
            base,
            high,
            promoted_at: high,
            changes: Vec::new(),
            snapshot: (is_half && state != State::Active).then_some(marker),
            whole: if is_half { base.start } else { high },
            snapshot_end: if is_half { base.end } else { high },
        }
    }

    pub fn follows(&self) -> bool {
        matches!(self.state, State::Replica | State::Pending)
    }

    /// The highest prepare that has ended.
    pub fn completed(&self) -> u64 {
        self.at(self.high, false, true).completed
    }

    /// What is committed with everything up to `upto`; `knows_history` if what was flushed meanwhile says how far this was
    /// active itself, and what a snapshot had completed before its rest came from disk.
    pub fn at(&self, upto: u64, is_active: bool, knows_history: bool) -> OnDisk {
        let taken: Vec<_> = self
            .changes
            .iter()
            .filter(|taken| taken.seqno <= upto)
            .collect();
        let mut disk = self.base;
        let Some(last) = taken.last() else {
            return disk;
        };
        for taken in &taken {
            match taken.operation {
                Operation::Prepare => disk.prepared = taken.seqno,
                Operation::Commit | Operation::Abort
                    if !is_from_disk(if knows_history {
                        taken.arrived
                    } else {
                        taken.snapshot
                    }) =>
                {
                    disk.completed = disk.completed.max(taken.prepare);
                }
                _ => {}
            }
            if !matches!(taken.operation, Operation::Prepare | Operation::Abort) {
                disk.visible = taken.seqno;
            }
            if taken.completes() || (taken.is_history && knows_history) {
                disk.start = disk.start.max(taken.seqno);
                if disk.prepared <= taken.seqno {
                    disk.prepared_here = disk.prepared_here.max(disk.prepared);
                }
                if let Some(marker) = taken.snapshot.filter(|_| taken.completes()) {
                    let said = |seqno: Option<Seqno>| seqno.unwrap_or_default().0;
                    disk.completed = disk.completed.max(said(marker.high_completed_seqno));
                    disk.prepared_here = disk.prepared_here.max(said(marker.high_prepared_seqno));
                }
            }
            let snapshot = if knows_history {
                taken.snapshot
            } else {
                taken.arrived
            };
            let purged = snapshot
                .and_then(|marker| marker.purge_seqno)
                .unwrap_or_default()
                .0;
            disk.purge = disk.purge.max(purged.min(taken.seqno));
        }
        disk.end = last.snapshot.map_or(last.seqno, |marker| marker.end.0);
        disk.kind = last
            .snapshot
            .map_or(SnapshotType::Memory, |marker| marker.snapshot_type);
        // A part that a limit cuts out of a snapshot is not whole because its owner leads by now.
        if is_active && (last.snapshot.is_none() || last.completes()) {
            (disk.start, disk.end) = (last.seqno, last.seqno);
            disk.prepared_here = disk.prepared_here.max(disk.prepared);
        }
        disk
    }

    /// It was active when everything up to there was committed.
    pub fn is_history_up_to(&mut self, seqno: u64) {
        match self.changes.iter_mut().rfind(|taken| taken.seqno <= seqno) {
            Some(taken) => taken.is_history = true,
            None => {
                (self.base.start, self.base.end) = (seqno, seqno);
                self.base.prepared_here = self.base.prepared_here.max(self.base.prepared);
            }
        }
    }

    pub fn may_end(&self, operation: Operation, prepare: u64, seqno: u64) -> bool {
        !matches!(operation, Operation::Commit | Operation::Abort)
            || (prepare > self.completed() && prepare < seqno)
    }

    pub fn write(&mut self, operation: Operation, prepare: u64) -> bool {
        let ok = self.state == State::Active && self.may_end(operation, prepare, self.high + 1);
        if ok {
            self.take(Taken {
                seqno: self.high + 1,
                operation,
                prepare,
                snapshot: None,
                is_history: false,
                is_cut: false,
                arrived: None,
            });
        }
        ok
    }

    pub fn receive(&mut self, seqno: u64, operation: Operation, prepare: u64) -> bool {
        let Some(marker) = self.snapshot.filter(|_| self.follows()) else {
            return false;
        };
        let taken = Taken {
            seqno,
            operation,
            prepare,
            snapshot: Some(marker),
            is_history: false,
            is_cut: false,
            arrived: Some(marker),
        };
        let fits = seqno > self.high && (marker.start.0..=marker.end.0).contains(&seqno);
        let ok = fits && (taken.is_from_disk() || self.may_end(operation, prepare, seqno));
        if ok {
            self.take(taken);
            self.snapshot_end = marker.end.0;
            if taken.completes() {
                self.whole = seqno;
            }
        }
        ok
    }

    pub fn marker(&mut self, marker: SnapshotMarker) -> bool {
        let is_memory = marker.snapshot_type == SnapshotType::Memory;
        let completed = marker.high_completed_seqno.map(|seqno| seqno.0);
        let ok = self.follows()
            && marker.start <= marker.end
            && marker.end.0 >= self.high
            && completed.is_none_or(|completed| completed >= self.completed())
            && (is_memory || completed.is_some())
            && !(is_memory && marker.purge_seqno.is_some());
        if ok {
            for taken in &mut self.changes {
                taken.taken_in_by(&marker, self.high);
            }
            self.snapshot = Some(marker);
        }
        ok
    }

    /// It begins one where it stands, unless it is on that branch.
    fn begin_branch(&mut self, uuid: u64) -> bool {
        let known = self.log.iter().position(|&(known, _)| known == uuid);
        if uuid == 0 || known.is_some_and(|place| place > 0) {
            return false;
        }
        if known.is_none() {
            self.branch(uuid, self.high);
        }
        true
    }

    pub fn branch(&mut self, uuid: u64, at: u64) {
        self.log.retain(|&(_, seqno)| seqno <= at);
        self.log.insert(0, (uuid, at));
        self.log.truncate(25);
    }

    pub fn set_state(&mut self, state: State, uuid: Option<u64>) -> bool {
        if (self.state, state) == (State::Active, State::Pending) {
            return false;
        }
        if state != State::Active && uuid.is_some() {
            return false;
        }
        if state == self.state {
            return uuid.is_none_or(|uuid| self.begin_branch(uuid));
        }
        if state == State::Active {
            match uuid {
                None if self.whole < self.high => return false,
                None => {}
                Some(uuid) if uuid == 0 || self.log.iter().any(|&(known, _)| known == uuid) => {
                    return false;
                }
                Some(uuid) => self.branch(uuid, self.whole),
            }
            self.snapshot = None;
            self.promoted_at = self.high;
            // What is missing of a snapshot will never come: it ends with what is here.
            let high = Seqno(self.high);
            for taken in &mut self.changes {
                let half = taken
                    .snapshot
                    .as_mut()
                    .filter(|marker| marker.start <= high && high < marker.end);
                if let Some(marker) = half {
                    marker.end = high;
                    marker.purge_seqno = marker.purge_seqno.map(|purged| purged.min(high));
                    (marker.high_completed_seqno, marker.high_prepared_seqno) = (None, None);
                    taken.is_cut = true;
                    taken.is_history = Seqno(taken.seqno) == high;
                }
            }
        }
        if self.state == State::Active {
            (self.whole, self.snapshot_end) = (self.high, self.high);
            if let Some(last) = self.changes.last_mut() {
                last.is_history = true;
            }
        }
        self.state = state;
        true
    }

    fn take(&mut self, taken: Taken) {
        self.high = taken.seqno;
        self.changes.push(taken);
    }
}
