//! Limits of a client's writes: a batch is refused if a key or value exceeds the limit of any part
//! of the cluster.
//!
//! The check precedes the first write of the batch, and the error names the place in the source.

use lowtide_checkpoint::ItemLimits;

use super::error::SimError;
use crate::input::ChangeBatch;

/// Bytes before a key's user part: the id of the default collection.
const PREFIX_BYTES: usize = 1;
/// Half the capacity of a file or frame, so a value and its metadata always fit. Couchbase's limit
/// is 20 MiB, but git repositories contain larger files.
const VALUE_BYTES_MAX: usize = 128 << 20;

/// Checks a batch against the limits of the cluster's stores.
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
                let label = batch.label.clone();
                let key = shown(&change.key);
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

/// Returns the first bytes of a key, enough to identify it.
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
    fn write_at_the_limit_is_accepted_and_one_byte_more_is_refused() {
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
        let wide = ItemLimits::DEFAULT.with_value_bytes_max(200 << 20);
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
            "line 7: the value of k has 134217729 bytes; the limit is 134217728"
        );
        let narrow = super::check(&batch(1, (20 << 20) + 1), &ItemLimits::DEFAULT)
            .expect_err("too long for a log store");
        assert_eq!(
            narrow.to_string(),
            "line 7: the value of k has 20971521 bytes; the limit is 20971520"
        );
    }
}
