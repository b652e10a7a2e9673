//! The parent's knowledge of the store and of its followers, line by line of its children.
//!
//! # Invariants
//!
//! - Items are compared with the model once all lines of a child are there: a follower may report an
//!   item before its writer does.

use std::collections::BTreeMap;

use lowtide_checkpoint::Vbid;

use super::lines::{At, Line, Written};
use super::model::{Model, OnDisk};
use super::outcome::{Counts, Violation};
use super::plan::{FOLLOWERS, VBUCKETS, followed};
use super::reader::Reader;

/// The knowledge of how the last child stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stop {
    /// The store was closed.
    Orderly,
    /// It was not.
    Unclean,
    /// Closing failed, or opening did: the mark may be there or not.
    Unknown,
}

#[derive(Debug)]
pub(super) struct Parent {
    pub(super) counts: Counts,
    model: Model,
    readers: BTreeMap<At, Reader>,
    stop: Stop,
    /// Contents of the disk, as the current child has found them.
    found: BTreeMap<Vbid, OnDisk>,
    is_ready: bool,
    /// Whether the current child has reported an orderly stop of the one before.
    was_orderly: bool,
    /// Items of the current child.
    items: Vec<(Vbid, Written)>,
}

impl Parent {
    pub(super) fn new() -> Self {
        let followers = 0..FOLLOWERS;
        let places = followers.flat_map(|follower| {
            let vbs = followed(follower).into_iter();
            vbs.map(move |vb| At { follower, vb })
        });
        Self {
            counts: Counts::default(),
            model: Model::default(),
            readers: places.map(|at| (at, Reader::default())).collect(),
            stop: Stop::Unclean,
            found: BTreeMap::new(),
            is_ready: false,
            was_orderly: false,
            items: Vec::new(),
        }
    }

    /// Prepares for the next child. Returns the places of its followers, as a text. `stays_inside`
    /// says of a reader whether it resumes inside a snapshot.
    pub(super) fn begin(&mut self, mut stays_inside: impl FnMut() -> bool) -> String {
        (self.is_ready, self.was_orderly) = (false, false);
        self.found.clear();
        let mut text = String::new();
        for (&at, reader) in &mut self.readers {
            for line in reader.restart(at, stays_inside()) {
                if matches!(line, Line::Place { .. }) {
                    self.counts.add("resumed-inside-a-snapshot", 1);
                }
                text += &format!("{line}\n");
            }
        }
        text
    }

    pub(super) fn take(&mut self, line: Line) -> Result<(), Violation> {
        match line {
            Line::Opened { was_orderly } => self.opened(was_orderly)?,
            Line::OpenFailed => {
                self.counts.add("failed-openings", 1);
                if self.stop == Stop::Orderly {
                    self.stop = Stop::Unknown;
                }
            }
            Line::High { vb, seqno } => self.found.entry(vb).or_default().high = seqno,
            Line::Stored { vb, written } => {
                self.found.entry(vb).or_default().revisions.push(written);
            }
            Line::Ready => self.ready()?,
            Line::Intent { vb, key, digest } => self.model.intend(vb, key, digest),
            Line::Taken { key, seqno } => {
                self.counts.add("writes", 1);
                self.model.taken(key, seqno)?;
            }
            Line::Refused { key } => self.model.refused(key),
            Line::Acked { vb, seqno } => {
                self.counts.add("acks", 1);
                self.model.acked(vb, seqno);
            }
            Line::Item {
                at,
                from_disk,
                written,
            } => {
                let source = if from_disk { "disk" } else { "memory" };
                self.counts.add(&format!("items-from-{source}"), 1);
                self.items.push((at.vb, written));
                if self.reader(at)?.item(at, from_disk, written)? {
                    self.counts.add(&format!("switches-to-{source}"), 1);
                }
            }
            Line::Place { at, point } => self.reader(at)?.place(point),
            Line::End { at, point } => {
                self.counts.add("snapshot-ends", 1);
                self.reader(at)?.end(point);
            }
            Line::Back { at, to } => {
                self.counts.add("rollbacks", 1);
                self.counts
                    .add("rollbacks-to-the-start", u64::from(to == 0));
                self.reader(at)?.back(at, to)?;
            }
            Line::Count { name, number } => self.counts.add(&name, number),
            Line::Closed { in_order } => {
                let name = if in_order {
                    "closings"
                } else {
                    "failed-closings"
                };
                self.counts.add(name, 1);
                self.stop = if in_order {
                    Stop::Orderly
                } else {
                    Stop::Unknown
                };
            }
            Line::Bad { text } => return Err(Violation::new(text)),
        }
        Ok(())
    }

    fn reader(&mut self, at: At) -> Result<&mut Reader, Violation> {
        let unknown = || Violation::new(format!("unknown follower {at}"));
        self.readers.get_mut(&at).ok_or_else(unknown)
    }

    fn opened(&mut self, was_orderly: bool) -> Result<(), Violation> {
        self.counts.add("openings", 1);
        let expected = match self.stop {
            Stop::Orderly => Some(true),
            Stop::Unclean => Some(false),
            Stop::Unknown => None,
        };
        if expected.is_some_and(|expected| expected != was_orderly) {
            let text = format!("the stop was {:?}, found orderly: {was_orderly}", self.stop);
            return Err(Violation::new(text));
        }
        self.was_orderly = was_orderly;
        // The mark is gone now.
        self.stop = Stop::Unclean;
        Ok(())
    }

    /// Compares what is on disk with the model.
    fn ready(&mut self) -> Result<(), Violation> {
        self.is_ready = true;
        let documents: usize = self.found.values().map(|found| found.revisions.len()).sum();
        self.counts.add("documents-compared", documents as u64);
        let restarted = self.model.restarted(&self.found)?;
        if self.was_orderly && restarted.lost > 0 {
            let text = format!("{} writes are lost after an orderly stop", restarted.lost);
            return Err(Violation::new(text));
        }
        self.counts
            .add("writes-lost-unacknowledged", restarted.lost);
        self.counts.add("writes-in-flight-found", restarted.found);
        for vb in (0..VBUCKETS).map(Vbid) {
            let lowest = self.readers.iter().filter(|(at, _)| at.vb == vb);
            let lowest = lowest.map(|(_, reader)| reader.lowest()).min();
            self.model.prune(vb, lowest.unwrap_or_default());
        }
        Ok(())
    }

    /// Compares what followers have delivered with the model, after the last line of a child.
    pub(super) fn end(&mut self) -> Result<(), Violation> {
        if !self.is_ready {
            return Ok(());
        }
        for (vb, written) in std::mem::take(&mut self.items) {
            self.model.delivered(vb, &written)?;
            self.counts.add("items-compared", 1);
        }
        for (at, reader) in self.readers.iter().filter(|(_, reader)| reader.is_fresh) {
            let (seqno, documents) = reader.whole();
            self.counts.add("snapshots-compared", 1);
            let expected = self.model.documents_at(at.vb, seqno);
            compare(at, seqno, &documents, &expected, |key| {
                self.model.revisions(at.vb, key)
            })?;
        }
        Ok(())
    }

    /// Compares every follower's documents with what the last child found on disk.
    pub(super) fn compare_at_rest(&self) -> Result<(), Violation> {
        for (at, reader) in &self.readers {
            let (seqno, documents) = reader.whole();
            let on_disk = self.found.get(&at.vb);
            let high = on_disk.map(|found| found.high);
            if high != Some(seqno) {
                let text = format!("follower {at} is at {seqno} in the end, the disk at {high:?}");
                return Err(Violation::new(text));
            }
            let revisions = on_disk.into_iter().flat_map(|found| &found.revisions);
            let live = revisions.filter(|written| written.digest != 0);
            let live = live.map(|written| (written.key, written.digest)).collect();
            compare(at, seqno, &documents, &live, |key| {
                self.model.revisions(at.vb, key)
            })?;
        }
        Ok(())
    }
}

fn compare(
    at: &At,
    seqno: u64,
    documents: &BTreeMap<u64, u64>,
    expected: &BTreeMap<u64, u64>,
    revisions: impl Fn(u64) -> String,
) -> Result<(), Violation> {
    if documents == expected {
        return Ok(());
    }
    let keys = documents.keys().chain(expected.keys());
    let mut wrong = keys.filter(|key| documents.get(key) != expected.get(key));
    let Some(key) = wrong.next() else {
        return Ok(());
    };
    let (found, wanted) = (documents.get(key), expected.get(key));
    let At { follower, vb } = at;
    Err(Violation::new(format!(
        "follower {follower}, vBucket {vb}, seqno {seqno}: key {key} is {found:?}, expected \
         {wanted:?}, revisions {}",
        revisions(*key)
    )))
}
