//! The inbox of a flusher thread: vBuckets with changes, and commands.
//!
//! A writer marks its vBucket, and the mark puts it into the inbox once. The thread takes
//! everything at once.
//!
//! # Invariants
//!
//! - R1. A change that is queued before its vBucket is marked is read by a flush that begins after
//!   the mark was taken out. So no change waits for the next one.
//! - R2. The thread is woken once for each change from "nothing" to "something".

use lowtide_checkpoint::Vbid;
use lowtide_checkpoint::internal::sync::Signal;

use crate::fault::{self, Fault};
use crate::sync::{AtomicUsize, Mutex, Ordering, ranks};

const CLEAN: usize = 0;
const MARKED: usize = 1;

/// The mark of a vBucket that is in its flusher's inbox.
#[derive(Debug)]
pub struct DirtyMark(AtomicUsize);

impl Default for DirtyMark {
    fn default() -> Self {
        Self(AtomicUsize::new(CLEAN))
    }
}

impl DirtyMark {
    /// Sets the mark. Returns whether it was not set.
    fn set(&self) -> bool {
        // Always a write, never only a load: a flusher that clears the mark afterwards thereby sees
        // what was queued before.
        self.0.swap(MARKED, Ordering::AcqRel) == CLEAN
    }

    /// Clears the mark, before the changes are read.
    pub fn clear(&self) {
        if fault::is(Fault::MarkClearedBlindly) {
            self.0.store(CLEAN, Ordering::Relaxed);
            return;
        }
        self.0.swap(CLEAN, Ordering::AcqRel);
    }
}

/// The contents of an inbox, taken out by its thread.
#[derive(Debug)]
pub struct Mail<C> {
    /// vBuckets with changes.
    pub dirty: Vec<Vbid>,
    /// Commands, in their order.
    pub commands: Vec<C>,
}

/// The inbox of one thread.
#[derive(Debug)]
pub struct Inbox<C> {
    pending: Mutex<Pending<C>>,
    signal: Signal,
}

#[derive(Debug)]
struct Pending<C> {
    mail: Mail<C>,
    is_waited_for: bool,
    has_ended: bool,
}

impl<C> Mail<C> {
    const fn new() -> Self {
        Self {
            dirty: Vec::new(),
            commands: Vec::new(),
        }
    }

    fn is_empty(&self) -> bool {
        self.dirty.is_empty() && self.commands.is_empty()
    }
}

impl<C> Default for Inbox<C> {
    fn default() -> Self {
        let pending = Pending {
            mail: Mail::new(),
            is_waited_for: false,
            has_ended: false,
        };
        Self {
            pending: Mutex::new(ranks::INBOX, pending),
            signal: Signal::new(),
        }
    }
}

impl<C> Inbox<C> {
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
        if pending.has_ended {
            return;
        }
        put(&mut pending.mail);
        let is_waited_for = std::mem::take(&mut pending.is_waited_for);
        drop(pending);
        if is_waited_for {
            self.signal.raise();
        }
    }

    /// Ends the inbox: its contents, and everything that is put into it later, are dropped. A thread
    /// that waits for the answer to a command learns that there will be none.
    pub fn end(&self) {
        let mut pending = self.pending.lock();
        pending.has_ended = true;
        let mail = std::mem::replace(&mut pending.mail, Mail::new());
        drop(pending);
        drop(mail);
    }

    /// Takes everything out. Never waits.
    pub fn take(&self) -> Mail<C> {
        std::mem::replace(&mut self.pending.lock().mail, Mail::new())
    }

    /// Takes everything out. While there is nothing, `sleep` waits for the signal. It returns whether
    /// to go on waiting.
    pub fn take_or_wait(&self, sleep: impl Fn(&Signal) -> bool) -> Mail<C> {
        loop {
            let mut pending = self.pending.lock();
            if !pending.mail.is_empty() {
                return std::mem::replace(&mut pending.mail, Mail::new());
            }
            pending.is_waited_for = true;
            // Lowered under the lock: a later mark or command raises it again.
            if !fault::is(Fault::InboxLowersLate) {
                self.signal.lower();
            }
            drop(pending);
            if fault::is(Fault::InboxLowersLate) {
                self.signal.lower();
            }
            if !sleep(&self.signal) {
                return self.take();
            }
        }
    }
}
