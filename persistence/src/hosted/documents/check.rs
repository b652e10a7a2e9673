//! The audit of documents in memory.

use lowtide_checkpoint::Namespace;

use super::documents::Documents;
use super::entry::{Content, Entry};

impl Documents {
    /// Walks everything that memory holds. Returns what is wrong, one line for each finding. O(n).
    #[must_use]
    pub fn check(&self) -> Vec<String> {
        let mut wrong = self.prepares.check();
        let mut bytes = 0;
        let mut fetches = 0;
        for (slot, entry) in self.table.iter().enumerate() {
            let key = entry.content.key();
            bytes += entry.content.memory_bytes();
            fetches += entry.usage.fetches as usize;
            if self.table.find(key) != Some(slot) {
                wrong.push(format!("{key:?} at slot {slot} is not found there"));
            }
            if !self.is_in_filters(entry) {
                wrong.push(format!("{key:?} is not in a filter of keys"));
            }
            match &entry.content {
                Content::Unknown(_) if entry.usage.fetches == 0 => {
                    wrong.push(format!("{key:?} is unknown, and no fetch is in progress"));
                }
                Content::Revision(item)
                    if item.operation.namespace() != Some(Namespace::Committed) =>
                {
                    wrong.push(format!("{key:?} has a {}", item.operation.name()));
                }
                _ => {}
            }
        }
        let mut compare = |what: &str, counted: usize, found: usize| {
            if counted != found {
                wrong.push(format!("{what}: {counted} counted, {found} found"));
            }
        };
        compare("entries", self.table.len(), self.table.iter().count());
        compare("indexed entries", self.table.indexed(), self.table.len());
        compare("bytes of entries", self.table.bytes(), bytes);
        compare("fetches", self.fetches, fetches);
        let held = bytes + self.prepares.bytes() + self.filters.bytes();
        compare("charged bytes", self.charged, held);
        wrong
    }

    /// Returns whether each filter has the entry's key that must have it. The one that is being
    /// filled may lack what is persisted.
    fn is_in_filters(&self, entry: &Entry) -> bool {
        let Content::Revision(item) = &entry.content else {
            return true;
        };
        let hash = self.table.hash(&item.key);
        let is_persisted = item.seqno <= self.persisted;
        self.filters.may_contain(hash) && (is_persisted || self.filters.filling_has(hash))
    }
}
