//! The writes, as the parent knows them: every revision of each key, and each writer's write in
//! flight.
//!
//! # Invariants
//!
//! - Revisions of a key ascend by seqno. Those that no reader goes back to are removed.
//! - A writer has at most one write in flight: announced, and neither taken nor refused.

use std::collections::BTreeMap;

use lowtide_checkpoint::Vbid;

use super::lines::Written;
use super::outcome::Violation;
use super::plan::{VBUCKETS, writer_of};

#[derive(Debug, Default)]
pub(super) struct Model {
    histories: BTreeMap<Vbid, History>,
    /// By writer.
    in_flight: BTreeMap<u64, InFlight>,
}

#[derive(Debug, Default)]
struct History {
    /// Seqno and digest, by key.
    revisions: BTreeMap<u64, Vec<(u64, u64)>>,
    acked: u64,
}

#[derive(Clone, Copy, Debug)]
struct InFlight {
    vb: Vbid,
    key: u64,
    digest: u64,
}

/// A vBucket as a child found it on disk.
#[derive(Debug, Default)]
pub(super) struct OnDisk {
    pub(super) high: u64,
    pub(super) revisions: Vec<Written>,
}

/// Result of a restart: what the death of the child has changed.
#[derive(Debug, Default)]
pub(super) struct Restarted {
    /// Writes that were taken and not acknowledged, and are gone.
    pub(super) lost: u64,
    /// Writes in flight that are there.
    pub(super) found: u64,
}

impl Model {
    pub(super) fn intend(&mut self, vb: Vbid, key: u64, digest: u64) {
        let in_flight = InFlight { vb, key, digest };
        self.in_flight.insert(writer_of(key), in_flight);
    }

    pub(super) fn taken(&mut self, key: u64, seqno: u64) -> Result<(), Violation> {
        let InFlight { vb, digest, .. } = self
            .in_flight
            .remove(&writer_of(key))
            .filter(|in_flight| in_flight.key == key)
            .ok_or_else(|| Violation::new(format!("key {key} was taken without an intent")))?;
        let history = self.histories.entry(vb).or_default();
        let revisions = history.revisions.entry(key).or_default();
        let last = revisions.last().map_or(0, |&(last, _)| last);
        if seqno <= last {
            let text = format!("vBucket {vb}: key {key} was taken at {seqno} after {last}");
            return Err(Violation::new(text));
        }
        revisions.push((seqno, digest));
        Ok(())
    }

    pub(super) fn refused(&mut self, key: u64) {
        self.in_flight.remove(&writer_of(key));
    }

    pub(super) fn acked(&mut self, vb: Vbid, seqno: u64) {
        let history = self.histories.entry(vb).or_default();
        history.acked = history.acked.max(seqno);
    }

    /// Checks that a revision was written, or is the write in flight.
    pub(super) fn check(&self, vb: Vbid, written: &Written) -> Result<(), Violation> {
        let Written { seqno, key, digest } = *written;
        let known = self
            .histories
            .get(&vb)
            .and_then(|history| history.revisions.get(&key));
        let known = known.map_or([].as_slice(), Vec::as_slice);
        let is_known = known.binary_search(&(seqno, digest)).is_ok();
        let last = known.last().map_or(0, |&(last, _)| last);
        if is_known || (seqno > last && self.is_in_flight(vb, key, digest)) {
            return Ok(());
        }
        Err(Violation::new(format!(
            "vBucket {vb}: key {key} at seqno {seqno} with digest {digest} was never written; last \
             written was {last}"
        )))
    }

    /// Checks a revision that a follower has delivered. The write in flight was taken then.
    pub(super) fn delivered(&mut self, vb: Vbid, written: &Written) -> Result<(), Violation> {
        self.check(vb, written)?;
        let Written { seqno, key, digest } = *written;
        if self.is_in_flight(vb, key, digest) {
            let history = self.histories.entry(vb).or_default();
            let revisions = history.revisions.entry(key).or_default();
            if revisions.last() < Some(&(seqno, digest)) {
                revisions.push((seqno, digest));
                self.in_flight.remove(&writer_of(key));
            }
        }
        Ok(())
    }

    /// Returns the revisions of a key, for a message.
    pub(super) fn revisions(&self, vb: Vbid, key: u64) -> String {
        let history = self.histories.get(&vb);
        let revisions = history.and_then(|history| history.revisions.get(&key));
        format!("{revisions:?}")
    }

    fn is_in_flight(&self, vb: Vbid, key: u64, digest: u64) -> bool {
        self.in_flight
            .get(&writer_of(key))
            .is_some_and(|flying| (flying.vb, flying.key, flying.digest) == (vb, key, digest))
    }

    /// Returns the documents of a vBucket at a seqno.
    pub(super) fn documents_at(&self, vb: Vbid, seqno: u64) -> BTreeMap<u64, u64> {
        let keys = self.histories.get(&vb).into_iter();
        let keys = keys.flat_map(|history| &history.revisions);
        let newest = keys.filter_map(|(&key, revisions)| {
            let newest = revisions.iter().rfind(|&&(at, _)| at <= seqno);
            newest.map(|&(_, digest)| (key, digest))
        });
        newest.filter(|&(_, digest)| digest != 0).collect()
    }

    /// Compares what a child found on disk, and takes it as the truth from now on.
    pub(super) fn restarted(
        &mut self,
        found: &BTreeMap<Vbid, OnDisk>,
    ) -> Result<Restarted, Violation> {
        let mut restarted = Restarted::default();
        if found.len() != usize::from(VBUCKETS) {
            return Err(Violation::new(format!("{} vBuckets", found.len())));
        }
        for (&vb, on_disk) in found {
            self.compare(vb, on_disk, &mut restarted)?;
        }
        self.in_flight.clear();
        Ok(restarted)
    }

    fn compare(
        &mut self,
        vb: Vbid,
        on_disk: &OnDisk,
        restarted: &mut Restarted,
    ) -> Result<(), Violation> {
        let high = on_disk.high;
        let acked = self.histories.get(&vb).map_or(0, |history| history.acked);
        if acked > high {
            let text = format!("vBucket {vb}: seqno {acked} was acknowledged, the disk has {high}");
            return Err(Violation::new(text));
        }
        let mut newest = BTreeMap::new();
        for written in &on_disk.revisions {
            self.check(vb, written)?;
            newest.insert(written.key, (written.seqno, written.digest));
        }
        let history = self.histories.entry(vb).or_default();
        for (key, revisions) in &mut history.revisions {
            let kept = revisions.partition_point(|&(seqno, _)| seqno <= high);
            restarted.lost += (revisions.len() - kept) as u64;
            revisions.truncate(kept);
            let (expected, found) = (revisions.last(), newest.get(key));
            if found < expected {
                return Err(Violation::new(format!(
                    "vBucket {vb}: key {key} has revision {found:?} on disk, written was {expected:?}"
                )));
            }
        }
        for (key, revision) in newest {
            let revisions = history.revisions.entry(key).or_default();
            if revisions.last() < Some(&revision) {
                restarted.found += 1;
                revisions.push(revision);
            }
        }
        Ok(())
    }

    /// Removes revisions that were replaced at or below a seqno.
    pub(super) fn prune(&mut self, vb: Vbid, below: u64) {
        let history = self.histories.entry(vb).or_default();
        for revisions in history.revisions.values_mut() {
            let old = revisions.partition_point(|&(seqno, _)| seqno <= below);
            revisions.drain(..old.saturating_sub(1));
        }
    }
}
