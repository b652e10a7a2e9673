//! Clock of a scenario: it starts at a fixed time and advances only when it is read.

/// 2024-01-01T00:00:00Z.
const START_NANOS: u64 = 1_704_067_200_000_000_000;
/// One step of a hybrid logical clock; its lowest 16 bits are a counter.
const STEP_NANOS: u64 = 1 << 16;

#[derive(Debug)]
pub(in crate::script) struct Clock {
    nanos: u64,
}

impl Default for Clock {
    fn default() -> Self {
        // A multiple of the step, like all later times.
        Self {
            nanos: START_NANOS.next_multiple_of(STEP_NANOS),
        }
    }
}

impl Clock {
    /// Returns a time later than all before, in nanoseconds since the epoch, valid as a CAS.
    pub(in crate::script) fn tick(&mut self) -> u64 {
        self.nanos += STEP_NANOS;
        self.nanos
    }
}
