//! Eviction from the naive manager: expelling, removing, memory recovery, rollback.

use lowtide_checkpoint::Seqno;

use super::{Naive, Progress, Record, is_state};

impl Naive {
    pub fn clear(&mut self, high: Seqno) {
        let cursors = std::mem::take(&mut self.cursors);
        let mut old = Self::new(self.role, high, self.max_bytes, self.overhead_bytes);
        std::mem::swap(self, &mut old);
        (self.deduplicated, self.expelled, self.removed) =
            (old.deduplicated, old.expelled, old.removed);
        (self.expelled_bytes, self.removed_bytes) = (old.expelled_bytes, old.removed_bytes);
        self.cleared =
            old.cleared + old.log.iter().filter(|record| record.is_live()).count() as u64;
        (self.enqueued, self.checkpoints_created) = (old.enqueued, old.checkpoints_created + 1);
        self.cursors = cursors
            .into_iter()
            .map(|(name, at)| {
                (
                    name,
                    Progress {
                        passed: 0,
                        seqno: high,
                        ..at
                    },
                )
            })
            .collect();
    }

    /// Removes the oldest checkpoints while they are closed and no cursor stands in them.
    pub fn remove(&mut self) {
        while self.checkpoints.len() > 1 {
            let end = self.end_of(self.checkpoints[0].id);
            if self.all_progress().any(|progress| progress.passed < end) {
                return;
            }
            let before = self.live_bytes();
            self.removed += self.evict(end) as u64;
            self.removed_bytes += before - self.live_bytes();
            let removed = self.checkpoints.remove(0);
            self.removed_checkpoints.push(removed);
        }
    }

    pub fn expel(&mut self) -> usize {
        let end = self.end_of(self.checkpoints[0].id);
        let lowest = self
            .all_progress()
            .map(|progress| (progress.passed, progress.seqno))
            .min();
        let to = lowest.map_or(end, |(passed, _)| passed);
        let last = to
            .checked_sub(1)
            .map(|last| self.log[last].processed_seqno());
        let seqno = lowest.map(|(_, seqno)| seqno).or(last);
        let dummy = &mut self.checkpoints[0].dummy;
        *dummy = (*dummy).max(seqno.unwrap_or_default());
        let before = self.live_bytes();
        let count = self.evict(to);
        self.expelled += count as u64;
        self.expelled_bytes += before - self.live_bytes();
        count
    }

    /// Returns the numbers of checkpoints created and items expelled, the cursors dropped, and the
    /// bytes freed.
    pub fn recover(&mut self, bytes: usize) -> (usize, usize, Vec<String>, usize) {
        let (mut created, mut expelled, mut dropped, before) =
            (0, 0, Vec::new(), self.live_bytes());
        let open = self.open().id;
        if bytes > 0
            && self
                .log
                .iter()
                .any(|record| record.checkpoint == open && record.is_live())
        {
            self.open_next();
            created = 1;
        }
        while before - self.live_bytes() < bytes {
            expelled += self.expel();
            if before - self.live_bytes() >= bytes || !self.drop_lowest(&mut dropped) {
                break;
            }
        }
        (created, expelled, dropped, before - self.live_bytes())
    }

    fn live_bytes(&self) -> usize {
        self.log
            .iter()
            .filter(|record| record.is_live())
            .map(|record| self.cost(&record.item))
            .sum()
    }

    /// Drops all cursors that wait for the first awaited item, unless one of them must stay.
    fn drop_lowest(&mut self, dropped: &mut Vec<String>) -> bool {
        let Some(lowest) = self.all_progress().map(|progress| progress.passed).min() else {
            return false;
        };
        let live = self.log.iter().skip(lowest).position(Record::is_live);
        let Some(first) = live.map(|offset| lowest + offset) else {
            return false;
        };
        let waits = |progress: &Progress| progress.passed <= first;
        if self.flush.iter().any(waits)
            || self
                .cursors
                .values()
                .any(|progress| waits(progress) && !progress.droppable)
        {
            return false;
        }
        dropped.extend(
            self.cursors
                .iter()
                .filter(|(_, progress)| waits(progress))
                .map(|(name, _)| name.clone()),
        );
        self.cursors.retain(|_, progress| !waits(progress));
        self.remove();
        true
    }

    fn evict(&mut self, to: usize) -> usize {
        let mut count = 0;
        for record in self.log.iter_mut().take(to) {
            if record.is_live() {
                count += 1;
                if !is_state(&record.item) {
                    self.highest_evicted = self.highest_evicted.max(record.item.seqno);
                }
            }
            record.evicted = true;
        }
        count
    }

    /// Returns the number of evicted records.
    pub fn base(&self) -> usize {
        self.log.iter().filter(|record| record.evicted).count()
    }

    fn end_of(&self, checkpoint: u64) -> usize {
        self.log
            .iter()
            .filter(|record| record.checkpoint <= checkpoint)
            .count()
    }

    fn all_progress(&self) -> impl Iterator<Item = Progress> {
        self.cursors.values().copied().chain(self.flush)
    }
}
