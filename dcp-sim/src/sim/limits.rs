//! What a client may write: a batch goes in, an error comes out if a key or value is more than every part of the
//! cluster can hold.
//!
//! A source that brings more is at fault, and is told so with the place, before a node has seen any of the batch.

use lowtide_checkpoint::ItemLimits;

use super::error::SimError;
use crate::input::ChangeBatch;

/// What a key has before a client's bytes: the default collection's id.
const PREFIX_BYTES: usize = 1;
/// Half of what a file or a frame can hold, so that nothing that goes with a value makes it too large. Couchbase itself
/// stops at 20 MiB, but git repositories have larger files.
const VALUE_BYTES_MAX: usize = 128 << 20;

/// `limits` are those of the cluster's stores.
pub(super) fn check(batch: &ChangeBatch, limits: &ItemLimits) -> Result<(), SimError> {
    let key_bytes_max = limits.key_bytes_max.saturating_sub(PREFIX_BYTES);
    let value_bytes_max = limits.value_bytes_max.min(VALUE_BYTES_MAX);
    for change in &batch.changes {
        let value_bytes = change.value.as_ref().map_or(0, |value| value.len());
        for (what, bytes, limit) in [
            ("key", change.key.len(), key_bytes_max),
            ("value", value_bytes, value_bytes_max),
        ] {
            if bytes > limit {
                let (label, key) = (batch.label.clone(), shown(&change.key));
                return Err(SimError::TooLarge {
                    label,
                    key,
                    what,
                    bytes,
                    limit,
                });
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
            let change = Change {
                key: Bytes::from(vec![b'k'; key_bytes]),
                value,
            };
            ChangeBatch {
                label: "line 7".into(),
                changes: vec![change],
            }
        };
        let wide = ItemLimits {
            value_bytes_max: 200 << 20,
            ..ItemLimits::DEFAULT
        };
        let check = |batch: &ChangeBatch| check(batch, &wide);
        assert!(check(&batch(4092, VALUE_BYTES_MAX)).is_ok());
        let error = check(&batch(4093, 0)).expect_err("too long");
        assert!(
            error.to_string().starts_with("line 7: the key of kkkk"),
            "{error}"
        );
        let error = check(&batch(1, VALUE_BYTES_MAX + 1)).expect_err("too long");
        assert_eq!(
            error.to_string(),
            "line 7: the value of k has 134217729 bytes; there may be 134217728"
        );
        let narrow = super::check(&batch(1, (20 << 20) + 1), &ItemLimits::DEFAULT)
            .expect_err("too long for a log store");
        assert_eq!(
            narrow.to_string(),
            "line 7: the value of k has 20971521 bytes; there may be 20971520"
        );
    }
}
