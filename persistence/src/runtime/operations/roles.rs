//! Creating and dropping vBuckets, changing their states, and taking replicas back.

use crossbeam_channel::Receiver;
use lowtide_checkpoint::{FailoverLog, Seqno, State, VBucketError, Vbid};

use crate::runtime::command::Command;
use crate::runtime::command::OrElse;
use crate::runtime::error::StoreError;
use crate::runtime::partition::Partition;
use crate::runtime::store::Store;

impl Store {
    /// Returns the vBuckets with their states, ascending.
    #[must_use]
    pub fn vbuckets(&self) -> Vec<(Vbid, State)> {
        let partitions = self.shared.partitions.all();
        let states = partitions
            .iter()
            .map(|partition| (partition.id(), partition.vbucket.state()));
        states.collect()
    }

    /// Returns the branches of a vBucket's history.
    ///
    /// # Errors
    /// [`StoreError::UnknownVBucket`].
    pub fn failover_log(&self, vb: Vbid) -> Result<FailoverLog, StoreError> {
        Ok(self.shared.partition(vb)?.vbucket.failover_log())
    }

    /// Creates an empty vBucket, durably: an active to write to, or a replica to fill.
    ///
    /// # Errors
    /// [`StoreError::VBucketExists`]; [`StoreError::Engine`] or [`StoreError::Reopening`];
    /// [`StoreError::Closed`].
    pub fn create_vbucket(&self, vb: Vbid, state: State) -> Result<(), StoreError> {
        self.ask(vb, |done| Command::Create { vb, state, done })?
    }

    /// Drops a vBucket with everything in it, durably. Its followers end.
    ///
    /// # Errors
    /// [`StoreError::Engine`] or [`StoreError::Reopening`]: it may have stopped serving, and can be
    /// dropped again; [`StoreError::Closed`].
    pub fn drop_vbucket(&self, vb: Vbid) -> Result<(), StoreError> {
        if let Some(partition) = self.shared.partitions.get(vb) {
            partition.vbucket.set_state(State::Dead, None)?;
        }
        self.ask(vb, |done| Command::Drop { vb, done })?
    }

    /// Changes the state of a vBucket. One that becomes active begins a branch: it may not have what
    /// the active before it had. The change is persisted in the background; [`Store::flush`] does
    /// not wait for it.
    ///
    /// # Errors
    /// [`StoreError::VBucket`] for a change that does not exist; [`StoreError::UnknownVBucket`],
    /// [`StoreError::Closed`].
    pub fn set_state(&self, vb: Vbid, state: State) -> Result<(), StoreError> {
        let uuid = (state == State::Active).then(|| self.shared.draw_uuid());
        self.change_state(vb, |partition| {
            let is_new = partition.vbucket.state() != state;
            partition.vbucket.set_state(state, uuid.filter(|_| is_new))
        })
    }

    /// Makes a replica active that has everything its active had. It continues the active's branch,
    /// so that followers need not go back.
    ///
    /// # Errors
    /// [`StoreError::VBucket`] if it has half a snapshot, or was active before an unclean stop;
    /// [`StoreError::UnknownVBucket`], [`StoreError::Closed`].
    pub fn take_over(&self, vb: Vbid) -> Result<(), StoreError> {
        self.change_state(vb, |partition| {
            partition.vbucket.set_state(State::Active, None)
        })
    }

    fn change_state(
        &self,
        vb: Vbid,
        change: impl FnOnce(&Partition) -> Result<(), VBucketError>,
    ) -> Result<(), StoreError> {
        let partition = self.shared.partition(vb)?;
        // No write and no received item comes in between.
        let documents = partition.documents();
        self.shared.require_open()?;
        change(&partition)?;
        self.shared.changed(&partition);
        drop(documents);
        Ok(())
    }

    /// Takes a replica back to the newest state at or below a seqno that its disk still has. Returns
    /// its seqno. Followers report it, and waiting for later writes ends.
    ///
    /// # Errors
    /// [`StoreError::NeedsReset`] if the disk has no state that old; [`StoreError::VBucket`] on an
    /// active or dead vBucket; [`StoreError::Engine`] or [`StoreError::Reopening`];
    /// [`StoreError::UnknownVBucket`], [`StoreError::Closed`].
    pub fn roll_back(&self, vb: Vbid, to: Seqno) -> Result<Seqno, StoreError> {
        self.roll_back_or(vb, to, OrElse::Refuse)
    }

    /// Takes a replica back, or with [`OrElse::Reset`] to nothing if its disk has no state that old.
    pub(in crate::runtime) fn roll_back_or(
        &self,
        vb: Vbid,
        to: Seqno,
        or_else: OrElse,
    ) -> Result<Seqno, StoreError> {
        let partition = self.shared.partition(vb)?;
        self.ask(vb, |done| Command::Rollback {
            partition,
            to,
            or_else,
            done,
        })?
    }

    /// Sends a command to a vBucket's flusher, and waits for the answer.
    fn ask<T>(
        &self,
        vb: Vbid,
        command: impl FnOnce(crossbeam_channel::Sender<T>) -> Command,
    ) -> Result<T, StoreError> {
        self.shared.require_open()?;
        let (done, answer): (_, Receiver<T>) = crossbeam_channel::bounded(1);
        let inbox = self.shared.inboxes.get(self.shared.shard_of(vb));
        inbox.ok_or(StoreError::Closed)?.send(command(done));
        answer.recv().map_err(|_| StoreError::Closed)
    }
}
