//! The naive vBucket: every accepted operation in one `Vec`, and the disk as a function of it.
//!
//! # Invariants
//! - `changes` begin after `base`, which is the store when the vBucket was created or rolled back.

use lowtide_checkpoint::{Operation, Seqno, SnapshotMarker, SnapshotType, State};

/// One accepted operation.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    pub seqno: u64,
    pub operation: Operation,
    pub prepare: u64,
    /// Marker of the snapshot; `None` for a write.
    pub snapshot: Option<SnapshotMarker>,
    /// Whether the vBucket stopped being active with it. It is history then, whatever its snapshot.
    pub is_history: bool,
    /// Marker at the time it was received. Another one may have brought the rest since.
    pub original: Option<SnapshotMarker>,
    /// Whether the vBucket became active inside the snapshot, which ended there. Only its history
    /// says then whether it is whole.
    pub is_truncated: bool,
}

impl Entry {
    fn is_from_disk(&self) -> bool {
        is_from_disk(self.snapshot)
    }

    fn complete_with(&mut self, next: &SnapshotMarker, high: u64) {
        let part = self.snapshot.as_mut();
        let part =
            part.filter(|part| Seqno(high) < part.end.min(next.end) && next.start <= part.end);
        if let Some(marker) = part {
            marker.end = next.end;
            if marker.snapshot_type == SnapshotType::Memory
                && next.snapshot_type != SnapshotType::Memory
            {
                marker.snapshot_type = next.snapshot_type;
            }
            marker.purge_seqno = marker.purge_seqno.max(next.purge_seqno);
        }
    }

    /// Returns whether everything up to it is whole.
    fn completes(&self) -> bool {
        self.snapshot
            .is_none_or(|marker| !self.is_truncated && marker.end.0 == self.seqno)
    }
}

fn is_from_disk(snapshot: Option<SnapshotMarker>) -> bool {
    snapshot.is_some_and(|marker| marker.snapshot_type != SnapshotType::Memory)
}

/// The state committed with a batch, as far as it follows from the accepted operations.
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
    /// Branches, newest first.
    pub log: Vec<(u64, u64)>,
    pub base: OnDisk,
    pub high: u64,
    /// High seqno when the vBucket last became active.
    pub promoted_at: u64,
    pub changes: Vec<Entry>,
    /// Snapshot being received.
    pub snapshot: Option<SnapshotMarker>,
    /// End of the last complete snapshot.
    pub whole: u64,
    /// End of the snapshot that the last item belongs to.
    pub snapshot_end: u64,
}

impl Naive {
    /// Creates a vBucket that has `high` on disk, committed with `base`.
    pub fn on_disk(state: State, log: Vec<(u64, u64)>, base: OnDisk, high: u64) -> Self {
        let is_partial = base.start <= high && high < base.end;
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
            snapshot: (is_partial && state != State::Active).then_some(marker),
            whole: if is_partial { base.start } else { high },
            snapshot_end: if is_partial { base.end } else { high },
        }
    }

    pub fn follows(&self) -> bool {
        matches!(self.state, State::Replica | State::Pending)
    }

    /// Returns the highest completed prepare.
    pub fn completed(&self) -> u64 {
        self.at(self.high, false, true).completed
    }

    /// Returns the state committed with everything up to `upto`.
    ///
    /// `knows_history` says that earlier flushes have recorded two facts: how far the vBucket was
    /// active itself, and what a snapshot had completed before its rest came from disk.
    pub fn at(&self, upto: u64, is_active: bool, knows_history: bool) -> OnDisk {
        let entries: Vec<_> = self
            .changes
            .iter()
            .filter(|entry| entry.seqno <= upto)
            .collect();
        let mut disk = self.base;
        let Some(last) = entries.last() else {
            return disk;
        };
        for entry in &entries {
            match entry.operation {
                Operation::Prepare => disk.prepared = entry.seqno,
                Operation::Commit | Operation::Abort
                    if !is_from_disk(if knows_history {
                        entry.original
                    } else {
                        entry.snapshot
                    }) =>
                {
                    disk.completed = disk.completed.max(entry.prepare);
                }
                _ => {}
            }
            if !matches!(entry.operation, Operation::Prepare | Operation::Abort) {
                disk.visible = entry.seqno;
            }
            if entry.completes() || (entry.is_history && knows_history) {
                disk.start = disk.start.max(entry.seqno);
                if disk.prepared <= entry.seqno {
                    disk.prepared_here = disk.prepared_here.max(disk.prepared);
                }
                if let Some(marker) = entry.snapshot.filter(|_| entry.completes()) {
                    let said = |seqno: Option<Seqno>| seqno.unwrap_or_default().0;
                    disk.completed = disk.completed.max(said(marker.high_completed_seqno));
                    disk.prepared_here = disk.prepared_here.max(said(marker.high_prepared_seqno));
                }
            }
            let snapshot = if knows_history {
                entry.snapshot
            } else {
                entry.original
            };
            let purged = snapshot
                .and_then(|marker| marker.purge_seqno)
                .unwrap_or_default()
                .0;
            disk.purge = disk.purge.max(purged.min(entry.seqno));
        }
        disk.end = last.snapshot.map_or(last.seqno, |marker| marker.end.0);
        disk.kind = last
            .snapshot
            .map_or(SnapshotType::Memory, |marker| marker.snapshot_type);
        // A part that a limit splits off a snapshot is not whole because its owner is active by
        // now.
        if is_active && (last.snapshot.is_none() || last.completes()) {
            (disk.start, disk.end) = (last.seqno, last.seqno);
            disk.prepared_here = disk.prepared_here.max(disk.prepared);
        }
        disk
    }

    /// Records that the vBucket was active when everything up to `seqno` was committed.
    pub fn is_history_up_to(&mut self, seqno: u64) {
        match self.changes.iter_mut().rfind(|entry| entry.seqno <= seqno) {
            Some(entry) => entry.is_history = true,
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
            self.push(Entry {
                seqno: self.high + 1,
                operation,
                prepare,
                snapshot: None,
                is_history: false,
                is_truncated: false,
                original: None,
            });
        }
        ok
    }

    pub fn receive(&mut self, seqno: u64, operation: Operation, prepare: u64) -> bool {
        let Some(marker) = self.snapshot.filter(|_| self.follows()) else {
            return false;
        };
        let entry = Entry {
            seqno,
            operation,
            prepare,
            snapshot: Some(marker),
            is_history: false,
            is_truncated: false,
            original: Some(marker),
        };
        let fits = seqno > self.high && (marker.start.0..=marker.end.0).contains(&seqno);
        let ok = fits && (entry.is_from_disk() || self.may_end(operation, prepare, seqno));
        if ok {
            self.push(entry);
            self.snapshot_end = marker.end.0;
            if entry.completes() {
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
            for entry in &mut self.changes {
                entry.complete_with(&marker, self.high);
            }
            self.snapshot = Some(marker);
        }
        ok
    }

    /// Begins a branch at the high seqno, unless it is the current one.
    fn begin_branch(&mut self, uuid: u64) -> bool {
        let known = self.log.iter().position(|&(known, _)| known == uuid);
        if uuid == 0 || known.is_some_and(|index| index > 0) {
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
            // The missing part of a snapshot will never come: it ends with the last item here.
            let high = Seqno(self.high);
            for entry in &mut self.changes {
                let part = entry
                    .snapshot
                    .as_mut()
                    .filter(|marker| marker.start <= high && high < marker.end);
                if let Some(marker) = part {
                    marker.end = high;
                    marker.purge_seqno = marker.purge_seqno.map(|purged| purged.min(high));
                    (marker.high_completed_seqno, marker.high_prepared_seqno) = (None, None);
                    entry.is_truncated = true;
                    entry.is_history = Seqno(entry.seqno) == high;
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

    fn push(&mut self, entry: Entry) {
        self.high = entry.seqno;
        self.changes.push(entry);
    }
}
