//! Which call fails, and how: calls are counted in, verdicts come out.
//!
//! Always: verdicts depend on the order of calls and on what was planned, on nothing else. A planned fault strikes
//! once. Calls made without power are not counted.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};

/// What goes wrong with one call. What it means for each kind of call is said at [`FaultyDisk`](super::FaultyDisk).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Nothing is done; the device reports an I/O error.
    Eio,
    /// Nothing is done; the device is full.
    Enospc,
    /// The first bytes of a write land, then comes an I/O error.
    Torn {
        /// How many land.
        bytes: u64,
    },
    /// All is done, and yet an I/O error reported.
    EioPersisted,
}

/// What a call is counted as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// `write_at` and `preallocate`.
    Write,
    /// `sync_data` and `sync_dir`.
    Sync,
    /// Anything else that changes something.
    Other,
}

/// What becomes of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Proceed,
    Fail(Fault),
    /// The power goes off in the middle of it.
    PowerOff,
    /// There is no power.
    Off,
}

/// Calls so far, and faults to come, by the number of the call they strike.
#[derive(Debug, Default)]
pub(super) struct Plan {
    off: bool,
    ios: u64,
    writes: u64,
    syncs: u64,
    power_offs: BTreeSet<u64>,
    io_faults: BTreeMap<u64, Fault>,
    write_faults: BTreeMap<u64, Fault>,
    sync_faults: BTreeMap<u64, Fault>,
    /// Files that can't be opened.
    refused: BTreeMap<PathBuf, io::ErrorKind>,
}

impl Plan {
    pub(super) fn refuse_open(&mut self, path: &Path, kind: Option<io::ErrorKind>) {
        match kind {
            Some(kind) => _ = self.refused.insert(path.to_owned(), kind),
            None => _ = self.refused.remove(path),
        }
    }

    pub(super) fn refused(&self, path: &Path) -> Option<io::ErrorKind> {
        self.refused.get(path).copied()
    }

    pub(super) fn is_off(&self) -> bool {
        self.off
    }

    pub(super) fn power_off(&mut self) {
        self.off = true;
    }

    pub(super) fn power_on(&mut self) {
        self.off = false;
    }

    pub(super) fn ios(&self) -> u64 {
        self.ios
    }

    pub(super) fn clear(&mut self) {
        *self = Self {
            off: self.off,
            ios: self.ios,
            writes: self.writes,
            syncs: self.syncs,
            ..Self::default()
        };
    }

    pub(super) fn fail_io(&mut self, nth: u64, fault: Fault) {
        self.io_faults.insert(nth_from(self.ios, nth), fault);
    }

    pub(super) fn fail_write(&mut self, nth: u64, fault: Fault) {
        self.write_faults.insert(nth_from(self.writes, nth), fault);
    }

    pub(super) fn fail_sync(&mut self, nth: u64) {
        self.sync_faults
            .insert(nth_from(self.syncs, nth), Fault::Eio);
    }

    pub(super) fn power_off_at_io(&mut self, nth: u64) {
        self.power_offs.insert(nth_from(self.ios, nth));
    }

    /// Counts a call and judges it.
    pub(super) fn next(&mut self, kind: Kind) -> Verdict {
        if self.off {
            return Verdict::Off;
        }
        self.ios += 1;
        let by_kind = match kind {
            Kind::Write => {
                self.writes += 1;
                self.write_faults.remove(&self.writes)
            }
            Kind::Sync => {
                self.syncs += 1;
                self.sync_faults.remove(&self.syncs)
            }
            Kind::Other => None,
        };
        // Taken out also where it goes unused, so that a plan holds only what is to come.
        let by_io = self.io_faults.remove(&self.ios);
        if self.power_offs.remove(&self.ios) {
            self.off = true;
            return Verdict::PowerOff;
        }
        by_kind.or(by_io).map_or(Verdict::Proceed, Verdict::Fail)
    }
}

/// The number of the nth call from now; the next is the first, and so is "0th".
fn nth_from(count: u64, nth: u64) -> u64 {
    count.saturating_add(nth.max(1))
}
