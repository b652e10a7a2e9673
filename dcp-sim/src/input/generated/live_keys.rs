//! The keys of a generated workload that are live: written, and not deleted since.
//!
//! # Invariants
//!
//! - Only a live key is deleted.

/// `true` for each live key, by number.
pub(super) struct LiveKeys(Vec<bool>);

impl LiveKeys {
    /// Returns `keys` keys, none of them live.
    pub(super) fn new(keys: u64) -> Self {
        Self((0..keys).map(|_| false).collect())
    }

    /// Returns the number of keys, live or not.
    pub(super) fn len(&self) -> u64 {
        self.0.len() as u64
    }

    /// Takes a write of a key. Returns `true` if the write deletes: it was asked to, and the key is
    /// live.
    pub(super) fn write(&mut self, key: u64, may_delete: bool) -> bool {
        let keys = self.len();
        let live = usize::try_from(key)
            .ok()
            .and_then(|index| self.0.get_mut(index));
        debug_assert!(live.is_some(), "key {key} of {keys}");
        // A key without a mark is set: any key may be.
        live.is_some_and(|live| {
            let deletes = may_delete && *live;
            *live = !deletes;
            deletes
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn key_is_deleted_only_while_it_is_live() {
        let mut keys = LiveKeys::new(2);
        let writes = [(0, true), (0, false), (1, true), (0, true), (0, true)];
        let deletes = writes.map(|(key, may_delete)| keys.write(key, may_delete));
        assert_eq!(deletes, [false, false, false, true, false]);
        assert_eq!(keys.len(), 2);
    }
}
