//! Histories of the vBuckets: all writes that actives accepted, on every branch.
//!
//! A write without an answer is included if its active accepted it, and not otherwise. Both are
//! correct as long as every copy agrees.
//!
//! # Invariants
//!
//! - A branch contains all of its parent up to its start. Of later writes of the parent it contains
//!   only those of the copy that started the branch.
//! - Contents are sums of digests, so any prefix is compared in one step.

use std::collections::BTreeMap;

use lowtide_checkpoint::internal::{Invariant, Violation};
use lowtide_checkpoint::{Key, Seqno, VbUuid, Vbid};

mod branch;

use self::branch::{Branch, Write};
use super::copies::Digests;
pub(in crate::sim) use branch::Sees;

/// Content of the copy that starts a branch.
#[derive(Clone, Copy, Debug)]
pub(in crate::sim) struct Copied<'a> {
    pub(in crate::sim) documents: &'a Digests,
    pub(in crate::sim) high: Seqno,
    /// Seqno up to which tombstones may be missing.
    pub(in crate::sim) purged: Seqno,
}

impl Copied<'_> {
    /// Returns `true` if the write is a deletion that the copy purged.
    fn has_purged(self, write: &Write) -> bool {
        let may_be_gone = write.seqno <= self.purged.min(self.high);
        !write.is_live && may_be_gone && self.documents.get(&write.key).is_none()
    }
}

/// Result of starting a branch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::sim) struct Branched {
    /// Number of writes of the parent that the branch lacks.
    pub(in crate::sim) lost: u64,
    /// Violation at the start of the branch.
    pub(in crate::sim) violation: Option<String>,
}

/// All branches of all vBuckets.
#[derive(Debug, Default)]
pub(in crate::sim) struct History {
    branches: BTreeMap<(Vbid, VbUuid), Branch>,
    newest: BTreeMap<Vbid, VbUuid>,
}

impl History {
    /// Starts the first branch of a vBucket.
    pub(in crate::sim) fn begin(&mut self, vb: Vbid, uuid: VbUuid) {
        self.branches
            .insert((vb, uuid), Branch::new(None, Seqno::ZERO));
        self.newest.insert(vb, uuid);
    }

    /// Returns the branch that is being written.
    pub(in crate::sim) fn newest(&self, vb: Vbid) -> Result<VbUuid, Violation> {
        self.newest
            .get(&vb)
            .copied()
            .invariant("W21", "the history of every vBucket has begun")
    }

    /// Returns `true` if the branch exists.
    pub(in crate::sim) fn knows(&self, vb: Vbid, uuid: VbUuid) -> bool {
        self.branches.contains_key(&(vb, uuid))
    }

    /// Records a write. Returns the violation if its seqno is wrong.
    ///
    /// One that has waited may be on an older branch: its active does not know yet that another copy
    /// leads. It is lost with its branch.
    pub(in crate::sim) fn record(
        &mut self,
        (vb, uuid): (Vbid, VbUuid),
        (seqno, key): (Seqno, Key),
        (revision, is_live): (u64, bool),
        has_waited: bool,
    ) -> Option<String> {
        let may_be = has_waited || self.newest.get(&vb) == Some(&uuid);
        let Some(branch) = self.branches.get_mut(&(vb, uuid)).filter(|_| may_be) else {
            return Some(format!(
                "vBucket {vb}: {seqno} was written on {uuid}, which is not its branch"
            ));
        };
        let high = branch.high();
        branch.push(seqno, key, revision, is_live);
        (seqno != high.next()).then(|| format!("vBucket {vb}: {seqno} was written after {high}"))
    }

    /// Starts a branch at `start`, by a copy that was on `parent`. The copy may have more than the
    /// complete part up to `start`.
    pub(in crate::sim) fn branch(
        &mut self,
        (vb, uuid): (Vbid, VbUuid),
        parent: Option<VbUuid>,
        start: Seqno,
        copy: Copied<'_>,
    ) -> Branched {
        let documents = copy.documents;
        if self.knows(vb, uuid) {
            let violation = Some(format!(
                "vBucket {vb}: branch {uuid} began at {start}, and had begun before"
            ));
            return Branched { lost: 0, violation };
        }
        // A copy without writes may be on a branch that has none, and that nothing else knows.
        let empty = Branch::new(None, Seqno::ZERO);
        let before = parent
            .and_then(|parent| self.branches.get(&(vb, parent)))
            .unwrap_or(&empty);
        let mut branch = Branch::new(parent, start);
        let mut later: BTreeMap<Seqno, u64> = BTreeMap::new();
        for revision in documents.revisions() {
            if revision.seqno > start {
                later.insert(revision.seqno, revision.digest);
            }
        }
        let mut unknown = later.clone();
        for write in &before.writes {
            let carried =
                later.get(&write.seqno) == Some(&write.revision) || copy.has_purged(write);
            if write.seqno <= start || carried {
                unknown.remove(&write.seqno);
                branch.push(
                    write.seqno,
                    write.key.clone(),
                    write.revision,
                    write.is_live,
                );
            }
        }
        branch.inherited = start.max(branch.high());
        let lost = (before.writes.len() - branch.writes.len()) as u64;
        let content = branch
            .writes
            .last()
            .map_or(0, |write| write.content.seen_by(Sees::Everything));
        let violation = if let Some(seqno) = unknown.keys().next() {
            Some(format!(
                "vBucket {vb}: branch {uuid} has {seqno}, which its parent {parent:?} has not"
            ))
        } else if content != documents.content() {
            Some(format!(
                "vBucket {vb}: branch {uuid} begins at {start} with other documents than were written"
            ))
        } else {
            None
        };
        self.branches.insert((vb, uuid), branch);
        self.newest.insert(vb, uuid);
        Branched { lost, violation }
    }

    /// Returns the content that a copy on that branch must have at `seqno`, or `None` beyond the
    /// branch.
    pub(in crate::sim) fn content_at(&self, vb: Vbid, uuid: VbUuid, seqno: Seqno) -> Option<u64> {
        self.content_seen_at(vb, uuid, seqno, Sees::Everything)
    }

    /// Same as [`History::content_at`], for the collections that a client sees.
    pub(in crate::sim) fn content_seen_at(
        &self,
        vb: Vbid,
        uuid: VbUuid,
        seqno: Seqno,
        sees: Sees,
    ) -> Option<u64> {
        if seqno == Seqno::ZERO {
            return Some(0);
        }
        let branch = self
            .branches
            .get(&(vb, uuid))
            .filter(|branch| seqno <= branch.high())?;
        Some(
            branch
                .at(seqno)
                .map_or(0, |write| write.content.seen_by(sees)),
        )
    }

    /// Returns the content at `seqno` on the parent branch, inside a snapshot that the starting
    /// copy had in part; `None` outside of it. The disk of that copy may still have items that the
    /// rest of the snapshot replaced. A client that receives the disk's items has this content.
    pub(in crate::sim) fn content_before_branching(
        &self,
        vb: Vbid,
        uuid: VbUuid,
        seqno: Seqno,
        sees: Sees,
    ) -> Option<u64> {
        let branch = self
            .branches
            .get(&(vb, uuid))
            .filter(|branch| branch.is_inside_its_beginning(seqno))?;
        let parent = branch.parent?;
        self.content_before_branching(vb, parent, seqno, sees)
            .or_else(|| self.content_seen_at(vb, parent, seqno, sees))
    }

    /// Returns the digest of the write with that seqno. The disk of the starting copy may also have
    /// writes of a partial snapshot that its rest replaced.
    pub(in crate::sim) fn revision_at(&self, vb: Vbid, uuid: VbUuid, seqno: Seqno) -> Option<u64> {
        self.write_at(vb, uuid, seqno).map(|write| write.revision)
    }

    fn write_at(&self, vb: Vbid, uuid: VbUuid, seqno: Seqno) -> Option<&Write> {
        let branch = self.branches.get(&(vb, uuid))?;
        if let Some(write) = branch.at(seqno).filter(|write| write.seqno == seqno) {
            return Some(write);
        }
        let is_replaced = |old: &&Write| {
            let later = branch
                .writes
                .iter()
                .skip_while(|write| write.seqno <= seqno);
            later
                .take_while(|write| write.seqno <= branch.inherited)
                .any(|write| write.key == old.key)
        };
        let parent = branch
            .parent
            .filter(|_| branch.is_inside_its_beginning(seqno))?;
        self.write_at(vb, parent, seqno).filter(is_replaced)
    }

    /// Returns the digest of a key's document at `seqno`, or `None` if it does not exist. O(writes
    /// since its last write).
    pub(in crate::sim) fn live_at(
        &self,
        vb: Vbid,
        uuid: VbUuid,
        seqno: Seqno,
        key: &Key,
    ) -> Option<u64> {
        let branch = self.branches.get(&(vb, uuid))?;
        let upto = branch.writes.partition_point(|write| write.seqno <= seqno);
        let last = branch
            .writes
            .iter()
            .take(upto)
            .rfind(|write| write.key == *key)?;
        last.is_live.then_some(last.revision)
    }

    /// Returns some key that was written on a branch.
    pub(in crate::sim) fn some_key(&self, vb: Vbid, uuid: VbUuid, nth: u64) -> Option<Key> {
        let writes = &self.branches.get(&(vb, uuid))?.writes;
        let at = nth.checked_rem(writes.len() as u64)?;
        writes
            .get(usize::try_from(at).ok()?)
            .map(|write| write.key.clone())
    }

    /// Returns the seqno up to which two branches are equal.
    pub(in crate::sim) fn shared(&self, vb: Vbid, one: VbUuid, other: VbUuid) -> Seqno {
        // The common case.
        if one == other {
            return Seqno::MAX;
        }
        let ones: BTreeMap<_, _> = self.line(vb, one).collect();
        let meeting = self
            .line(vb, other)
            .find_map(|(uuid, bound)| Some(bound.min(*ones.get(&uuid)?)));
        // Without a common ancestor they share nothing.
        meeting.unwrap_or(Seqno::ZERO)
    }

    /// Returns a branch and its ancestors, each with the seqno up to which the branch contains its
    /// writes.
    fn line(&self, vb: Vbid, uuid: VbUuid) -> impl Iterator<Item = (VbUuid, Seqno)> {
        std::iter::successors(Some((uuid, Seqno::MAX)), move |&(uuid, bound)| {
            let branch = self.branches.get(&(vb, uuid))?;
            Some((branch.parent?, bound.min(branch.start)))
        })
    }

    /// Returns the live keys of the newest branch, with their digests.
    pub(in crate::sim) fn live(
        &self,
        vb: Vbid,
    ) -> Result<impl Iterator<Item = (&Key, u64)>, Violation> {
        let branch = self
            .branches
            .get(&(vb, self.newest(vb)?))
            .invariant("W21", "the newest branch is in the history")?;
        Ok(branch.live.iter().map(|(key, &digest)| (key, digest)))
    }
}

#[cfg(test)]
mod tests;
