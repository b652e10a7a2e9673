//! State of an inbox under its lock: the mail, the place of the shard, the sleep of the flusher.

use lowtide_checkpoint::Vbid;

/// The contents of an inbox, taken out by its thread.
#[derive(Debug)]
pub struct Mail<C> {
    /// vBuckets with changes.
    pub dirty: Vec<Vbid>,
    /// Commands, in their order.
    pub commands: Vec<C>,
}

impl<C> Mail<C> {
    const fn new() -> Self {
        Self {
            dirty: Vec::new(),
            commands: Vec::new(),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.dirty.is_empty() && self.commands.is_empty()
    }
}

#[derive(Debug)]
pub(super) struct Pending<C, S> {
    pub(super) mail: Mail<C>,
    pub(super) place: Place<S>,
    pub(super) sleep: Sleep,
    /// A thread waits for what was marked.
    pub(super) is_wanted: bool,
    /// A thread has led since the flusher lay down.
    pub(super) was_led: bool,
    pub(super) has_ended: bool,
}

/// The place of the shard.
#[derive(Debug)]
pub(super) enum Place<S> {
    /// The flusher has it.
    WithFlusher,
    /// A leader has it, and gives it back.
    WithLeader,
    /// The flusher dozes or sleeps. A thread may lead.
    Here(S),
    /// A leader has left something undone. Only the flusher takes it.
    ForFlusher(S),
}

/// The sleep of the flusher.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sleep {
    /// It is awake, or was woken.
    Awake,
    /// It wakes by itself after a moment.
    Dozing,
    /// It is woken by anything.
    Sleeping,
}

impl<C, S> Default for Pending<C, S> {
    fn default() -> Self {
        Self {
            mail: Mail::new(),
            place: Place::WithFlusher,
            sleep: Sleep::Awake,
            is_wanted: false,
            was_led: false,
            has_ended: false,
        }
    }
}

impl<C, S> Pending<C, S> {
    pub(super) fn take_mail(&mut self) -> Mail<C> {
        self.is_wanted = false;
        std::mem::replace(&mut self.mail, Mail::new())
    }

    pub(super) fn take_by_flusher(&mut self) -> Mail<C> {
        self.sleep = Sleep::Awake;
        self.take_mail()
    }

    /// Takes out the shard if the flusher has a reason to work on it.
    pub(super) fn take_for_flusher(&mut self) -> Option<S> {
        match std::mem::replace(&mut self.place, Place::WithFlusher) {
            Place::ForFlusher(shard) => Some(shard),
            Place::Here(shard) if !self.mail.is_empty() => Some(shard),
            other => {
                self.place = other;
                None
            }
        }
    }

    /// Returns whether the flusher is to be woken for what is in the inbox.
    pub(super) fn is_due(&self) -> bool {
        match (&self.place, self.sleep) {
            // The leader looks again when it gives the shard back.
            (Place::WithLeader, _) | (_, Sleep::Awake) => false,
            (Place::ForFlusher(_), _) => true,
            (_, Sleep::Dozing) => self.is_wanted || !self.mail.commands.is_empty(),
            (_, Sleep::Sleeping) => !self.mail.is_empty(),
        }
    }
}
