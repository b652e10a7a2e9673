//! Virtual time: events in the order of their due times.
//!
//! # Invariants
//!
//! - Time never decreases. Of two events due at the same time the one scheduled first comes first.
//!   So the same schedule gives the same order on every machine.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use slab::Slab;

/// Start of a simulation in nanoseconds since the epoch: 2023-11-14 22:13:20 UTC.
const START_NANOS: u64 = 1_700_000_000_000_000_000;

/// Queue of events in virtual time.
#[derive(Debug)]
pub struct Clock<E> {
    now_micros: u64,
    scheduled: u64,
    /// Due time, ordinal of the scheduling, and index into `events`.
    due: BinaryHeap<Reverse<(u64, u64, usize)>>,
    events: Slab<E>,
}

impl<E> Default for Clock<E> {
    fn default() -> Self {
        Self {
            now_micros: 0,
            scheduled: 0,
            due: BinaryHeap::new(),
            events: Slab::new(),
        }
    }
}

impl<E> Clock<E> {
    /// Returns the microseconds since the start of the simulation.
    #[must_use]
    pub fn now_micros(&self) -> u64 {
        self.now_micros
    }

    /// Returns the nanoseconds since the epoch, as the simulated nodes see them.
    #[must_use]
    pub fn now_nanos(&self) -> u64 {
        START_NANOS + self.now_micros * 1_000
    }

    /// Returns `true` if no event is scheduled.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.due.is_empty()
    }

    /// Schedules `event` for `delay_micros` from now.
    pub fn schedule(&mut self, delay_micros: u64, event: E) {
        self.scheduled += 1;
        let place = self.events.insert(event);
        self.due.push(Reverse((
            self.now_micros + delay_micros,
            self.scheduled,
            place,
        )));
    }

    /// Advances to the next event and returns it.
    ///
    /// # Panics
    /// If the event is lost: a run must not end as if nothing were left to do.
    pub fn advance(&mut self) -> Option<E> {
        let Reverse((at, _, place)) = self.due.pop()?;
        self.now_micros = at;
        Some(self.events.remove(place))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_ordered_by_time_then_by_schedule() {
        let mut clock = Clock::default();
        clock.schedule(5, "late");
        clock.schedule(1, "first");
        clock.schedule(1, "second");
        assert_eq!(clock.advance(), Some("first"));
        clock.schedule(0, "now");
        let rest: Vec<_> =
            std::iter::from_fn(|| clock.advance().map(|event| (clock.now_micros(), event)))
                .collect();
        assert_eq!(rest, [(1, "second"), (1, "now"), (5, "late")]);
    }
}
