//! Group commit: whoever comes first writes what all who wait have brought. Encoded batches go in, one append, one sync
//! for each file it touches, and results come out.
//!
//! What always holds:
//!
//! - A group is checked as a whole before a byte of it is written; what is out of order is left out of it (L13).
//! - Its records are in the index, in order, before the next group begins; and a segment is closed only after that: so
//!   what a closed segment has and no index names is dead (L14, L31).
//! - A group that failed changed nothing: its segments are closed where it began.
//! - Where there is no room for more, there is for a batch that makes some, a deletion above all (L47).

mod layout;
mod results;

use std::sync::Arc;
use std::sync::atomic::Ordering;

use lowtide_checkpoint::{Seqno, Vbid};

use crate::contract::{Committed, EngineError};
use crate::fault::{self, Fault};
use crate::sync::{Mutex, TryMutex};

use super::branch::{Branch, Change};
use super::encode::Encoded;
use super::index::Slot;
use super::log::Log;
use super::segments::Purpose;

use self::layout::{Active, Layout, Places};
pub(super) use self::results::CommitResult;
use self::results::{Results, repeat};

/// What the leader of a group asks of the store it commits to.
pub(super) trait CommitHost {
    /// The branch that is a vBucket's now.
    fn current(&self, vb: Vbid) -> Option<Arc<Branch>>;

    /// Makes segments free. Whether it did.
    fn reclaim(&self) -> bool;

    /// Does its part so that segments stay free, after so many bytes were written.
    fn relieve(&self, written: u64);

    /// A named point of a commit has been reached.
    fn reached(&self, point: &'static str);
}

/// One call's batches.
#[derive(Debug)]
pub(super) struct Request {
    batches: Mutex<Vec<Result<Encoded, EngineError>>>,
    /// `None` until it is done.
    outcome: Mutex<Option<Outcome>>,
}

#[derive(Debug)]
pub(super) enum Outcome {
    Done(Vec<CommitResult>),
    /// A vBucket was rolled back or made anew meanwhile: to be encoded again.
    Stale,
}

impl Request {
    pub(super) fn new(batches: Vec<Result<Encoded, EngineError>>) -> Self {
        Self {
            batches: Mutex::new(batches),
            outcome: Mutex::new(None),
        }
    }
}

/// Commits waiting, and who writes.
#[derive(Debug, Default)]
pub(super) struct Writer {
    queue: Mutex<Vec<Arc<Request>>>,
    /// Who holds it leads.
    active: TryMutex<Option<Active>>,
}

impl Writer {
    /// Commits a call's batches, with those of others.
    pub(super) fn commit(
        &self,
        log: &Log,
        host: &dyn CommitHost,
        request: Arc<Request>,
    ) -> Outcome {
        self.queue.lock().push(Arc::clone(&request));
        let mut active = self.active.lock();
        if let Some(outcome) = request.outcome.lock().take() {
            return outcome;
        }
        let queued = std::mem::take(&mut *self.queue.lock());
        lead(&mut active, log, host, &queued);
        drop(active);
        // The leader's own is among them.
        let outcome = request.outcome.lock().take();
        outcome.unwrap_or(Outcome::Stale)
    }

    /// Runs something while nobody commits.
    pub(super) fn alone<T>(&self, work: impl FnOnce() -> T) -> T {
        let _active = self.active.lock();
        work()
    }

    /// How old the segment is that is being written, if several vBuckets have records in it; `None` also while somebody
    /// commits.
    pub(super) fn mixed_age(&self, now: u64) -> Option<u64> {
        let Some(active) = self.active.try_lock() else {
            return fault::is(Fault::BusyTakenForOld).then_some(u64::MAX);
        };
        Some(active.as_ref()?.mixed()?.age(now))
    }

    /// Runs something while nobody commits; it is told which segment is being written, and up to where.
    pub(super) fn at_rest<T>(&self, work: impl FnOnce(Option<(u32, u32)>) -> T) -> T {
        let active = self.active.lock();
        work(active.as_ref().map(Active::end))
    }

    /// Closes the segment that is being written, so that it can be rewritten.
    pub(super) fn close_active(&self, log: &Log) {
        if let Some(active) = self.active.lock().take() {
            active.close(log);
        }
    }
}

fn lead(active: &mut Option<Active>, log: &Log, host: &dyn CommitHost, requests: &[Arc<Request>]) {
    let mut group = Vec::new();
    for request in requests {
        let batches = std::mem::take(&mut *request.batches.lock());
        let is_current = |encoded: &Encoded| {
            host.current(encoded.branch.vb)
                .is_some_and(|branch| Arc::ptr_eq(&branch, &encoded.branch))
        };
        if batches.iter().flatten().all(is_current) {
            group.push((request, batches));
        } else {
            *request.outcome.lock() = Some(Outcome::Stale);
        }
    }
    log.shared.counters.groups.add(1);
    let mut results = Results::default();
    let mut batches = Vec::new();
    for (number, (_, encoded)) in group.iter_mut().enumerate() {
        for (place, batch) in std::mem::take(encoded).into_iter().enumerate() {
            if let Some(batch) = results.admit(number, place, batch) {
                batches.push(batch);
            }
        }
    }
    write(active, log, host, batches, &mut results);
    for ((request, _), results) in group.iter().zip(results.into_lists(group.len())) {
        *request.outcome.lock() = Some(Outcome::Done(results));
    }
}

/// Writes admitted batches: together, or, where there is no room for all of them, one by one.
fn write(
    active: &mut Option<Active>,
    log: &Log,
    host: &dyn CommitHost,
    batches: Vec<results::Admitted>,
    results: &mut Results,
) {
    if batches.is_empty() {
        return;
    }
    let (keys, encoded): (Vec<_>, Vec<_>) = batches.into_iter().unzip();
    match write_group(active, log, host, encoded) {
        Ok(committed) => keys
            .into_iter()
            .zip(committed)
            .for_each(|(key, done)| results.done(key, done)),
        Err(Failed {
            encoded,
            had_no_room: true,
            ..
        }) if encoded.len() > 1 => {
            for (key, one) in keys.into_iter().zip(encoded) {
                let vb = one.branch.vb;
                let result = match results.hopeless(key, vb) {
                    Some(error) => Err(error),
                    None => {
                        write_group(active, log, host, vec![one]).map_err(|failed| failed.error)
                    }
                };
                match result.map(|done| done.first().copied()) {
                    Ok(Some(done)) => results.done(key, done),
                    Ok(None) => {}
                    Err(error) => results.fail(key, vb, error),
                }
            }
        }
        Err(Failed { error, encoded, .. }) => {
            for (key, one) in keys.into_iter().zip(&encoded) {
                let vb = one.branch.vb;
                let error = results.hopeless(key, vb).unwrap_or_else(|| repeat(&error));
                results.fail(key, vb, error);
            }
        }
    }
}

/// A group that was not written.
struct Failed {
    error: EngineError,
    encoded: Vec<Encoded>,
    /// Nothing was tried: there is no room for all of it.
    had_no_room: bool,
}

/// Whether a batch makes more room than it takes, or takes a tombstone's: it may be the one that people who want room send.
/// Several are tried one by one.
fn makes_room(encoded: &[Encoded]) -> bool {
    let [one] = encoded else { return false };
    let replaced = || {
        let rows = one.rows.iter();
        rows.map(|row| u64::from(one.branch.newest_bytes(row.fingerprint)))
            .sum::<u64>()
    };
    one.deletes_only || replaced() >= one.bytes.len() as u64
}

/// One append.
fn write_group(
    active: &mut Option<Active>,
    log: &Log,
    host: &dyn CommitHost,
    encoded: Vec<Encoded>,
) -> Result<Vec<Committed>, Failed> {
    let mut purpose = Purpose::Commit;
    let (mut layout, places) = loop {
        let mut layout = Layout::new(log, active.as_ref(), purpose);
        match layout.place_all(&encoded) {
            Ok(places) => break (layout, places),
            Err(error) => {
                layout.give_up();
                let had_no_room = error.kind() == "no-space";
                if had_no_room && host.reclaim() {
                    continue;
                }
                if !had_no_room || purpose == Purpose::MakingRoom || !makes_room(&encoded) {
                    return Err(Failed {
                        error,
                        encoded,
                        had_no_room,
                    });
                }
                purpose = Purpose::MakingRoom;
            }
        }
    };
    if let Err(error) = log.append(&mut layout.frames) {
        layout.close_failed();
        *active = None;
        return Err(Failed {
            error,
            encoded,
            had_no_room: false,
        });
    }
    host.reached("after-write-before-index");
    let written = layout
        .frames
        .iter()
        .map(|frame| frame.bytes.len() as u64)
        .sum();
    let counters = &log.shared.counters;
    counters.commits.add(encoded.len() as u64);
    let latest = encoded
        .iter()
        .map(|encoded| encoded.timestamp)
        .max()
        .unwrap_or(0);
    log.shared.latest.fetch_max(latest, Ordering::Relaxed);
    layout.name_large();
    let enter_all = || {
        let committed = encoded
            .into_iter()
            .zip(places)
            .map(|(encoded, places)| enter(encoded, &places));
        committed.collect()
    };
    let committed = if fault::is(Fault::ClosedBeforeItIsIndexed) {
        *active = layout.finish();
        enter_all()
    } else {
        let committed = enter_all();
        *active = layout.finish();
        committed
    };
    host.reached("after-index-before-separate");
    host.relieve(written);
    Ok(committed)
}

/// Brings a batch into its vBucket's index.
fn enter(encoded: Encoded, places: &Places) -> Committed {
    let slots = encoded.rows.iter().zip(&places.rows);
    let slots = slots.map(|(row, at)| Slot::new(row.fingerprint, row.seqno, *at, row.tombstone));
    let high = encoded
        .last
        .map_or_else(|| encoded.branch.high(), |last| last.0);
    let items = encoded.rows.len();
    encoded.branch.apply(Change {
        high,
        state: encoded.state,
        state_at: places.state,
        revision: places.revision,
        slots: slots.collect(),
        highs: encoded.highs,
    });
    Committed {
        high: Seqno(high),
        items,
    }
}
