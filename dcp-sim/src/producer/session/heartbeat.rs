//! No-operations, by which each side detects that the other is alive.
//!
//! # Invariants
//!
//! - A no-operation is sent whenever the interval has passed since the last one, whatever else is
//!   sent.
//! - A missing answer does not close the connection; only the idle timeout does.

use super::control::Options;
use crate::idle_timeout::IdleTimer;

/// Opaque of the first no-operation. Later ones count up.
const FIRST_OPAQUE: u32 = 10_000_001;

#[derive(Debug)]
pub(in crate::producer) struct Heartbeat {
    last: Option<u64>,
    next_opaque: u32,
    pub(in crate::producer) idle: IdleTimer,
}

impl Default for Heartbeat {
    fn default() -> Self {
        Self {
            last: None,
            next_opaque: FIRST_OPAQUE,
            idle: IdleTimer::default(),
        }
    }
}

impl Heartbeat {
    /// Returns the opaque of the no-operation to send at `now`, if one is due.
    pub(in crate::producer) fn due(&mut self, now: u64, options: &Options) -> Option<u32> {
        if !options.noop {
            self.last = None;
            return None;
        }
        let last = *self.last.get_or_insert(now);
        // A clock that was set back only delays the next one.
        if now.saturating_sub(last) < options.noop_nanos {
            return None;
        }
        self.last = Some(now);
        let opaque = self.next_opaque;
        // The number distinguishes no answers, so it may start over.
        self.next_opaque = self.next_opaque.wrapping_add(1);
        Some(opaque)
    }
}
