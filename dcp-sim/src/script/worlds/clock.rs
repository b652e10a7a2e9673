//! The scenarios' clock: it starts at one fixed time and moves only when read.

/// 2024-01-01T00:00:00Z.
const START_NANOS: u64 = 1_704_067_200_000_000_000;
/// One step of a hybrid logical clock: its lowest 16 bits are a counter.
const STEP_NANOS: u64 = 1 << 16;

#[derive(Debug)]
pub(in crate::script) struct Clock {
    nanos: u64,
}

impl Default for Clock {
    fn default() -> Self {
        // On a whole step, as every time that follows.
        Self {
            nanos: START_NANOS.next_multiple_of(STEP_NANOS),
        }
    }
}

impl Clock {
    /// A time later than all before, in nanoseconds since the epoch, good as a CAS.
    pub(in crate::script) fn tick(&mut self) -> u64 {
        self.nanos += STEP_NANOS;
        self.nanos
    }
}
