//! The memory of one follower in one vBucket, which its parent keeps: documents, and the places that
//! it can go back to.
//!
//! # Invariants
//!
//! - S35. Items come in the order of their seqnos.
//! - The documents at each kept place can be had again: the items since the oldest are kept.

use std::collections::BTreeMap;

use lowtide_checkpoint::ResumePoint;

use super::lines::{At, Line, Written};
use super::outcome::Violation;

/// Number of places that are kept over a restart.
const PLACES_MAX: usize = 40;

#[derive(Debug, Default)]
pub(super) struct Reader {
    /// Documents at the seqno of the oldest place that is kept.
    base: BTreeMap<u64, u64>,
    base_seqno: u64,
    items: Vec<Written>,
    whole: Vec<ResumePoint>,
    inside: Option<ResumePoint>,
    /// Whether it has had the end of a snapshot from this child.
    pub(super) is_fresh: bool,
    last_from_disk: Option<bool>,
}

impl Reader {
    fn last_seqno(&self) -> u64 {
        let whole = self.whole.last().map_or(0, |point| point.seqno.0);
        let item = self.items.last().map_or(0, |item| item.seqno);
        whole.max(item)
    }

    /// Takes an item. Returns `true` if it comes from another source than the item before it.
    pub(super) fn item(
        &mut self,
        at: At,
        from_disk: bool,
        written: Written,
    ) -> Result<bool, Violation> {
        let last = self.last_seqno();
        if written.seqno <= last {
            let At { follower, vb } = at;
            return Err(Violation::new(format!(
                "follower {follower}, vBucket {vb}: seqno {} after {last}",
                written.seqno
            )));
        }
        self.items.push(written);
        let before = self.last_from_disk.replace(from_disk);
        Ok(before.is_some_and(|before| before != from_disk))
    }

    pub(super) fn place(&mut self, point: ResumePoint) {
        self.inside = Some(point);
    }

    pub(super) fn end(&mut self, point: ResumePoint) {
        self.inside = None;
        self.is_fresh = true;
        self.whole.push(point);
    }

    /// Goes back to a place, or to the start.
    pub(super) fn back(&mut self, at: At, to: u64) -> Result<(), Violation> {
        self.inside = None;
        if to == 0 {
            *self = Self::default();
            return Ok(());
        }
        self.whole.retain(|point| point.seqno.0 <= to);
        self.items.retain(|item| item.seqno <= to);
        let is_known = self.whole.last().is_some_and(|point| point.seqno.0 == to);
        if is_known {
            return Ok(());
        }
        let At { follower, vb } = at;
        Err(Violation::new(format!(
            "follower {follower}, vBucket {vb}: went back to {to}, where it never was whole"
        )))
    }

    /// Returns the last whole place and the documents there.
    pub(super) fn whole(&self) -> (u64, BTreeMap<u64, u64>) {
        let seqno = self.whole.last().map_or(0, |point| point.seqno.0);
        let mut documents = self.base.clone();
        self.apply_until(seqno, &mut documents);
        (seqno, documents)
    }

    fn apply_until(&self, seqno: u64, documents: &mut BTreeMap<u64, u64>) {
        let items = self.items.iter().filter(|item| item.seqno <= seqno);
        for item in items {
            if item.digest == 0 {
                documents.remove(&item.key);
            } else {
                documents.insert(item.key, item.digest);
            }
        }
    }

    /// Returns the lowest seqno that it may go back to, except the start.
    pub(super) fn lowest(&self) -> u64 {
        self.base_seqno
    }

    /// Prepares for the next child, as a reader that has crashed: inside a snapshot, or where it was
    /// last whole. Returns the lines with its places.
    pub(super) fn restart(&mut self, at: At, stays_inside: bool) -> Vec<Line> {
        self.is_fresh = false;
        self.last_from_disk = None;
        self.inside = self.inside.filter(|_| stays_inside);
        let whole = self.whole.last().map_or(0, |point| point.seqno.0);
        let last = self.inside.map_or(whole, |point| point.seqno.0);
        self.items.retain(|item| item.seqno <= last);
        self.forget();
        let ends = self.whole.iter().map(|&point| Line::End { at, point });
        let inside = self.inside.map(|point| Line::Place { at, point });
        ends.chain(inside).collect()
    }

    /// Forgets old places.
    fn forget(&mut self) {
        let old = self.whole.len().saturating_sub(PLACES_MAX);
        self.whole.drain(..old);
        if let (true, Some(oldest)) = (old > 0, self.whole.first()) {
            let seqno = oldest.seqno.0;
            let mut base = std::mem::take(&mut self.base);
            self.apply_until(seqno, &mut base);
            self.base = base;
            self.base_seqno = seqno;
            self.items.retain(|item| item.seqno > seqno);
        }
    }
}
