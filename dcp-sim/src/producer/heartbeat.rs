//! No-operations, by which each side learns that the other is there.
//!
//! What always holds: one is sent whenever the interval has passed since the last, whatever else is sent meanwhile; an
//! answer that does not come is no reason to part, only a long silence is.

use super::control::Options;
use crate::silence::Silence;

/// The first of them; they count up.
const FIRST_OPAQUE: u32 = 10_000_001;

#[derive(Debug)]
pub(super) struct Heartbeat {
    last: Option<u64>,
    next_opaque: u32,
    pub(super) silence: Silence,
}

impl Default for Heartbeat {
    fn default() -> Self {
        Self {
            last: None,
            next_opaque: FIRST_OPAQUE,
            silence: Silence::default(),
        }
    }
}

impl Heartbeat {
    /// The opaque of the no-operation to send at `now`, if it is time.
    pub(super) fn due(&mut self, now: u64, options: &Options) -> Option<u32> {
        if !options.noop {
            self.last = None;
            return None;
        }
        let last = *self.last.get_or_insert(now);
        if now.saturating_sub(last) < options.noop_nanos {
            return None;
        }
        self.last = Some(now);
        let opaque = self.next_opaque;
        self.next_opaque = self.next_opaque.wrapping_add(1);
        Some(opaque)
    }
}
