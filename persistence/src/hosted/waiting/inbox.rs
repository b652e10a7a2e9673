//! The inbox of a flusher thread: vBuckets with changes, commands, and the shard while no thread works
//! on it.
//!
//! A writer marks its vBucket, and the mark puts it into the inbox once. The thread takes
//! everything at once. While it sleeps its shard is in the inbox, so that a thread that waits for a
//! write may *lead*: it takes the shard and flushes at once, without two wake-ups.
//!
//! After work the flusher *dozes* for a moment before it sleeps. What no thread waits for does not
//! wake it then: in a stream of writes a wake-up costs the writer more than its write.
//!
//! # Invariants
//!
//! - R1. A change that is queued before its vBucket is marked is read by a flush that begins after
//!   the mark was taken out. So no change waits for the next one.
//! - R2. The thread is woken once for each change from "nothing" to "something". While it dozes, it is
//!   woken for commands and for what a thread waits for. It looks by itself when the doze ends.
//! - R13. One thread at a time has the shard. The flusher is woken for whatever a thread waits for
//!   when a leader gives the shard back, and for what the leader left undone.

mod dirty_mark;
mod pending;

use lowtide_checkpoint::Vbid;
use lowtide_checkpoint::internal::sync::Signal;

pub use self::dirty_mark::DirtyMark;
pub use self::pending::Mail;
use self::pending::{Pending, Place, Sleep};
use crate::fault::{self, Fault};
use crate::sync::{Mutex, MutexGuard, ranks};

/// The inbox of one thread, with commands `C` and the shard `S`.
#[derive(Debug)]
pub struct Inbox<C, S = ()> {
    pending: Mutex<Pending<C, S>>,
    signal: Signal,
}

impl<C, S> Default for Inbox<C, S> {
    fn default() -> Self {
        Self {
            pending: Mutex::new(ranks::INBOX, Pending::default()),
            signal: Signal::new(),
        }
    }
}

impl<C, S> Inbox<C, S> {
    /// Puts a vBucket into the inbox, unless it is there.
    #[inline]
    pub fn mark(&self, vb: Vbid, mark: &DirtyMark) {
        if mark.set() {
            self.put(|mail| mail.dirty.push(vb));
        }
    }

    /// Puts a command into the inbox. It is dropped if the thread has ended.
    pub fn send(&self, command: C) {
        self.put(|mail| mail.commands.push(command));
    }

    fn put(&self, put: impl FnOnce(&mut Mail<C>)) {
        let mut pending = self.pending.lock();
        if !pending.has_ended {
            put(&mut pending.mail);
            self.wake_if_due(pending);
        }
    }

    /// Ends the inbox: its contents, and everything that is put into it later, are dropped. A thread
    /// that waits for the answer to a command learns that there will be none.
    pub fn end(&self) {
        let mut pending = self.pending.lock();
        pending.has_ended = true;
        let mail = pending.take_mail();
        let place = std::mem::replace(&mut pending.place, Place::WithFlusher);
        drop(pending);
        // The flusher may wait for a shard that a leader has lost.
        self.signal.raise();
        drop((mail, place));
    }

    /// Takes everything out. Never waits.
    pub fn take(&self) -> Mail<C> {
        self.pending.lock().take_by_flusher()
    }

    /// Takes everything out. While there is nothing, `sleep` waits for the signal. It returns whether
    /// to go on waiting.
    pub fn take_or_wait(&self, sleep: impl Fn(&Signal) -> bool) -> Mail<C> {
        loop {
            let mut pending = self.pending.lock();
            if !pending.mail.is_empty() {
                return pending.take_by_flusher();
            }
            self.lower(pending, Sleep::Sleeping);
            if !sleep(&self.signal) {
                return self.take();
            }
        }
    }

    /// Leaves the shard in the inbox until there is something to do. Returns it with everything in
    /// the inbox, or `None` if the inbox has ended. `doze` waits for the signal for a moment, `sleep`
    /// until it is raised.
    pub fn leave(
        &self,
        shard: S,
        doze: impl Fn(&Signal),
        sleep: impl Fn(&Signal),
    ) -> Option<(S, Mail<C>)> {
        let mut pending = self.pending.lock();
        pending.place = Place::Here(shard);
        let mut next = Sleep::Dozing;
        loop {
            if pending.has_ended {
                return None;
            }
            if let Some(shard) = pending.take_for_flusher() {
                return Some((shard, pending.take_by_flusher()));
            }
            self.lower(pending, next);
            match next {
                Sleep::Dozing => doze(&self.signal),
                _ => sleep(&self.signal),
            }
            pending = self.pending.lock();
            let is_led = matches!(pending.place, Place::WithLeader);
            next = if std::mem::take(&mut pending.was_led) || is_led {
                Sleep::Dozing
            } else {
                Sleep::Sleeping
            };
        }
    }

    /// Takes the shard and the vBuckets with changes, if no thread has it and there is no command.
    /// The caller flushes them and calls [`Inbox::give_back`], or [`Inbox::end`] if it cannot.
    /// Otherwise the flusher is awake, or is woken: the caller waits for what was marked.
    pub fn lead(&self) -> Option<(S, Vec<Vbid>)> {
        let mut pending = self.pending.lock();
        if pending.mail.dirty.is_empty() {
            return None;
        }
        if pending.mail.commands.is_empty() {
            match std::mem::replace(&mut pending.place, Place::WithLeader) {
                Place::Here(shard) => {
                    pending.was_led = true;
                    return Some((shard, pending.take_mail().dirty));
                }
                other => pending.place = other,
            }
        }
        self.want(pending);
        None
    }

    /// Has what was marked flushed without delay, because a thread or task waits for it.
    pub fn hurry(&self) {
        let pending = self.pending.lock();
        if !pending.mail.dirty.is_empty() {
            self.want(pending);
        }
    }

    /// Gives the shard back after [`Inbox::lead`]. `is_done` says that nothing is left to do.
    pub fn give_back(&self, shard: S, is_done: bool) {
        let mut pending = self.pending.lock();
        if pending.has_ended {
            return;
        }
        pending.place = if is_done {
            Place::Here(shard)
        } else {
            Place::ForFlusher(shard)
        };
        if !fault::is(Fault::LeaderLeavesMail) {
            self.wake_if_due(pending);
        }
    }

    fn want(&self, mut pending: MutexGuard<'_, Pending<C, S>>) {
        pending.is_wanted = true;
        self.wake_if_due(pending);
    }

    fn wake_if_due(&self, mut pending: MutexGuard<'_, Pending<C, S>>) {
        let is_due = pending.is_due();
        if is_due {
            pending.sleep = Sleep::Awake;
        }
        drop(pending);
        if is_due {
            self.signal.raise();
        }
    }

    /// Has the signal raised by what is put into the inbox next.
    fn lower(&self, mut pending: MutexGuard<'_, Pending<C, S>>, sleep: Sleep) {
        pending.sleep = sleep;
        // Lowered under the lock: a later mark or command raises it again.
        if !fault::is(Fault::InboxLowersLate) {
            self.signal.lower();
        }
        drop(pending);
        if fault::is(Fault::InboxLowersLate) {
            self.signal.lower();
        }
    }
}
