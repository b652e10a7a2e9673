//! What a client may write: a batch goes in, an error comes out if a key or value is more than every part of the
//! cluster can hold.
//!
//! A source that brings more is at fault, and is told so with the place, before a node has seen any of the batch.

use super::SimError;
use crate::input::ChangeBatch;

/// The files of stores have 12 bits for the length of a key with its prefixes: the default collection's byte, and one for
/// prepares.
pub(super) const KEY_BYTES_MAX: usize = (1 << 12) - 3;
/// Half of what a file or a frame can hold, so that nothing that goes with a value makes it too large. Couchbase itself
/// stops at 20 MiB, but git repositories have larger files.
pub(super) const VALUE_BYTES_MAX: usize = 128 << 20;

pub(super) fn check(batch: &ChangeBatch) -> Result<(), SimError> {
    for change in &batch.changes {
        let value_bytes = change.value.as_ref().map_or(0, |value| value.len());
        for (what, bytes, limit) in
            [("key", change.key.len(), KEY_BYTES_MAX), ("value", value_bytes, VALUE_BYTES_MAX)]
        {
            if bytes > limit {
                let (label, key) = (batch.label.clone(), shown(&change.key));
                return Err(SimError::TooLarge { label, key, what, bytes, limit });
            }
        }
    }
    Ok(())
}

/// A key's first bytes: enough to find it by.
fn shown(key: &[u8]) -> String {
    match key.get(..64) {
        Some(start) => format!("{}...", start.escape_ascii()),
        None => key.escape_ascii().to_string(),
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::input::Change;

    #[test]
    fn what_fits_passes_and_one_byte_more_does_not() {
        let batch = |key_bytes: usize, value_bytes: usize| {
            let value = Some(Bytes::from(vec![b'v'; value_bytes]));
            let change = Change { key: Bytes::from(vec![b'k'; key_bytes]), value };
            ChangeBatch { label: "line 7".into(), changes: vec![change] }
        };
        assert!(check(&batch(KEY_BYTES_MAX, VALUE_BYTES_MAX)).is_ok());
        let error = check(&batch(KEY_BYTES_MAX + 1, 0)).expect_err("too long");
        assert!(error.to_string().starts_with("line 7: the key of kkkk"), "{error}");
        let error = check(&batch(1, VALUE_BYTES_MAX + 1)).expect_err("too long");
        assert_eq!(error.to_string(), "line 7: the value of k has 134217729 bytes; there may be 134217728");
    }
}
