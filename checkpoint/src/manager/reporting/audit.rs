//! The manager's audit: every invariant that can be checked on its state alone.
//!
//! Models, property tests and the simulator call it after every step. It recomputes everything from
//! the items, so that no count is checked against itself.

use std::collections::BTreeSet;

use crate::manager::checkpoint::Checkpoint;
use crate::manager::locked_state::LockedState;
use crate::model::{Operation, Seqno};
use crate::queue::Totals;

impl LockedState {
    pub(crate) fn check(&mut self) -> Vec<String> {
        self.sync_all_progress();
        let mut violations = Vec::new();
        self.check_checkpoints(&mut violations);
        self.check_order(&mut violations);
        self.check_cursors(&mut violations);
        self.check_index(&mut violations);
        violations
    }

    /// Checks C1 (ids without gaps, only the last checkpoint open) and C2 (exact totals).
    fn check_checkpoints(&self, violations: &mut Vec<String>) {
        let mut id_before: Option<u64> = None;
        for (checkpoint, end) in self.checkpoints_and_ends() {
            let id = checkpoint.id;
            if let Some(before) = id_before.filter(|before| before + 1 != id) {
                violations.push(format!("C1: checkpoint {id} follows checkpoint {before}"));
            }
            id_before = Some(id);
            if checkpoint.open != (id == self.open.id) {
                violations.push(format!(
                    "C1: checkpoint {id} must be open if and only if it is the last"
                ));
            }
            let mut held = Totals::default();
            for (_, item) in self
                .queue
                .live_items(self.queue.base().max(checkpoint.first), end)
            {
                held.add(item.payload_bytes());
            }
            if held != checkpoint.live {
                violations.push(format!(
                    "C2: checkpoint {id} holds {held:?} and counts {:?}",
                    checkpoint.live
                ));
            }
        }
        let counted: usize = self
            .checkpoints()
            .map(|checkpoint| checkpoint.live.items)
            .sum();
        if self.queue.live_from(self.queue.base()) != counted {
            let found = self.queue.live_from(self.queue.base());
            violations.push(format!(
                "C2: the queue counts {found} live items, its checkpoints {counted}"
            ));
        }
        if self.oldest().first > self.queue.base() {
            violations.push("C2: the oldest checkpoint begins after the base".to_owned());
        }
    }

    /// Checks C3: seqnos rise with the position and lie inside their checkpoint's range.
    fn check_order(&self, violations: &mut Vec<String>) {
        let mut before = Seqno::ZERO;
        for (position, item) in self.queue.live_items(self.queue.base(), self.queue.end()) {
            let is_state = matches!(item.operation, Operation::SetVBucketState(_));
            let last = if is_state {
                item.seqno.prev()
            } else {
                item.seqno
            };
            if last < before || (!is_state && last == before) || last > self.high {
                violations.push(format!(
                    "C3: seqno {} at position {position} follows {before}",
                    item.seqno
                ));
            }
            before = last;
            let holder = self
                .checkpoints()
                .rev()
                .find(|checkpoint| checkpoint.first <= position);
            let range = holder.map(Checkpoint::snapshot_range);
            if !is_state
                && range.is_none_or(|range| item.seqno < range.start || item.seqno > range.end)
            {
                violations.push(format!(
                    "C3: seqno {} is outside its snapshot {range:?}",
                    item.seqno
                ));
            }
        }
    }

    /// Checks C4 (every cursor and the flush in progress stand in the queue) and C5 (no closed
    /// checkpoint is kept without a cursor).
    fn check_cursors(&mut self, violations: &mut Vec<String>) {
        if !self.cursors.is_consistent() {
            violations.push("C4: the cursor tables disagree".to_owned());
        }
        let places = self.cursors.iter().map(|cursor| cursor.position);
        for place in places.chain(self.flush.map(|flush| flush.backup_position)) {
            if place < self.queue.base() || place > self.queue.end() {
                violations.push(format!("C4: a cursor stands at {place}, outside the queue"));
            }
        }
        let lowest = self.lowest().map_or(u64::MAX, |(position, _)| position);
        if !self.closed.is_empty() && self.oldest_end() <= lowest {
            violations.push(format!(
                "C5: checkpoint {} is closed and oldest, but no cursor stands in it",
                self.oldest().id
            ));
        }
    }

    /// Checks C6: the open memory checkpoint has at most one resident revision per key and name
    /// space, and the index finds it.
    fn check_index(&self, violations: &mut Vec<String>) {
        if self.open.snapshot_type().is_disk() {
            return;
        }
        let mut seen = BTreeSet::new();
        let from = self.queue.base().max(self.open.first);
        for (position, item) in self.queue.live_items(from, self.queue.end()) {
            let Some(namespace) = item.operation.namespace() else {
                continue;
            };
            if !seen.insert((namespace, item.key.clone())) {
                violations.push(format!(
                    "C6: {:?} is resident twice in the open checkpoint",
                    item.key
                ));
            }
            let found = self.index.find(&self.queue, namespace, &item.key);
            if found.resident.map(|found| found.position) != Some(position) {
                violations.push(format!(
                    "C6: the index does not find {:?} at {position}",
                    item.key
                ));
            }
        }
        let stray = self
            .index
            .positions()
            .find(|&position| position >= self.queue.end());
        if let Some(position) = stray {
            violations.push(format!(
                "C6: the index has position {position}, beyond the end of the queue"
            ));
        }
    }
}
