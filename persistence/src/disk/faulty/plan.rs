//! The plan of a faulty disk: it counts calls and decides which of them fails, and how.
//!
//! # Invariants
//!
//! Verdicts depend on the order of calls and on the planned faults only. A planned fault strikes
//! once, except one of every call. Calls made without power are not counted.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};

/// The failure of one call. [`FaultyDisk`](super::FaultyDisk) lists its effect on each kind of
/// call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Nothing is done; the device reports an I/O error.
    Eio,
    /// Nothing is done; the device is full.
    Enospc,
    /// The first bytes of a write land, then the device reports an I/O error.
    Torn {
        /// The number of bytes that land.
        bytes: u64,
    },
    /// All is done, and the device reports an I/O error nevertheless.
    EioPersisted,
}

/// The kind that a call counts as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// `write_at` and `preallocate`.
    Write,
    /// `sync_data` and `sync_dir`.
    Sync,
    /// Any other change.
    Other,
}

/// The fate of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Proceed,
    Fail(Fault),
    /// The power goes off in the middle of it.
    PowerOff,
    /// The power is off.
    Off,
}

/// The number of calls made, and the planned faults by the number of the call they strike.
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
    /// The fault of every call that no other strikes.
    every_io: Option<Fault>,
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

    pub(super) fn fail_every_io(&mut self, fault: Fault) {
        self.every_io = Some(fault);
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
        // Removed even if unused: a plan holds only faults of later calls.
        let by_io = self.io_faults.remove(&self.ios);
        if self.power_offs.remove(&self.ios) {
            self.off = true;
            return Verdict::PowerOff;
        }
        let fault = by_kind.or(by_io).or(self.every_io);
        fault.map_or(Verdict::Proceed, Verdict::Fail)
    }
}

/// Returns the number of the nth call from now. The next call is the first, and "0th" means the
/// same.
fn nth_from(count: u64, nth: u64) -> u64 {
    count.saturating_add(nth.max(1))
}
