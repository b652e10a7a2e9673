//! Format of outputs: items, batches, values and digests.
//!
//! # Invariants
//!
//! - Each line has one element, and no line is empty, so an output ends at the first empty line.

use std::fmt::Write;

use lowtide_checkpoint::{CursorBatch, Item, Operation};
use sha2::{Digest, Sha256};

/// Size above which a value prints as its hash.
const VALUE_BYTES_MAX: usize = 64;

/// Output of a command, or the kind of its refusal.
pub(in crate::script) type Output = Result<Vec<String>, &'static str>;

/// Formats an item as `KIND KEY @SEQNO`; a vBucket state has its state instead of the key.
pub(in crate::script) fn item(item: &Item) -> String {
    let Item {
        operation,
        key,
        seqno,
        ..
    } = item;
    match operation {
        Operation::SetVBucketState(state) => format!("{} {state} @{seqno}", operation.name()),
        _ => format!("{} {key} @{seqno}", operation.name()),
    }
}

/// Formats a batch: its items, their snapshot ranges, and whether more items follow.
pub(in crate::script) fn batch(batch: &CursorBatch) -> Vec<String> {
    let items = batch.items().map(item);
    let ranges = batch.ranges().iter().map(|range| {
        let name = range.snapshot_type.name();
        format!(
            "snapshot {}-{} visible={} type={name}",
            range.start, range.end, range.visible
        )
    });
    items
        .chain(ranges)
        .chain([format!("more={}", yes_or_no(batch.more()))])
        .collect()
}

pub(in crate::script) fn yes_or_no(yes: bool) -> &'static str {
    if yes { "yes" } else { "no" }
}

/// Formats the document of a point read.
pub(in crate::script) fn document(document: Option<&Item>) -> String {
    match document {
        None => "none".to_owned(),
        Some(item) if item.deleted => format!("deleted @{}", item.seqno),
        Some(item) => format!("{} @{}", value(item), item.seqno),
    }
}

/// Formats the document of a scan.
pub(in crate::script) fn row(item: &Item) -> String {
    let what = if item.deleted {
        "deleted".to_owned()
    } else {
        value(item)
    };
    format!("{} @{} {what}", item.key, item.seqno)
        .trim_end()
        .to_owned()
}

fn value(item: &Item) -> String {
    let bytes = item.value.as_deref().unwrap_or(&[]);
    if bytes.len() > VALUE_BYTES_MAX {
        return format!("sha256:{}", hex(&Sha256::digest(bytes)));
    }
    std::str::from_utf8(bytes).map_or_else(|_| bytes.escape_ascii().to_string(), str::to_owned)
}

/// Digest of a scan.
#[derive(Default)]
pub(in crate::script) struct ScanDigest {
    items: u64,
    live: u64,
    hasher: Sha256,
}

impl ScanDigest {
    pub(in crate::script) fn add(&mut self, item: &Item) {
        let (letter, value) = if item.deleted {
            ('D', &[][..])
        } else {
            ('V', item.value.as_deref().unwrap_or(&[]))
        };
        self.items += 1;
        self.live += u64::from(!item.deleted);
        let row = format!(
            "{} {} {letter} {}\n",
            item.seqno,
            item.key,
            hex(&Sha256::digest(value))
        );
        self.hasher.update(row.as_bytes());
    }

    pub(in crate::script) fn line(self) -> String {
        format!(
            "items={} live={} sha256={}",
            self.items,
            self.live,
            hex(&self.hasher.finalize())
        )
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
            // Writing to a string never fails.
            let _ = write!(text, "{byte:02x}");
            text
        })
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use lowtide_checkpoint::{Key, Seqno};

    use super::*;

    fn mutation(value: &str) -> Item {
        let key = Key::new(b"k");
        Item {
            seqno: Seqno(7),
            ..Item::mutation(key, Bytes::copy_from_slice(value.as_bytes()))
        }
    }

    #[test]
    fn long_values_print_as_their_hash() {
        assert_eq!(
            document(Some(&mutation(&"x".repeat(64)))),
            format!("{} @7", "x".repeat(64))
        );
        let long = row(&mutation(&"a".repeat(65)));
        assert_eq!(
            long,
            "k @7 sha256:635361c48bb9eab14198e76ea8ab7f1a41685d6ad62aa9146d301d4f17eb0ae0"
        );
        assert_eq!(row(&mutation("")), "k @7");
    }

    #[test]
    fn scan_digest_is_over_seqno_key_letter_and_hash() {
        // printf '7 k V %s\n8 k D %s\n' $(printf v | sha256sum) $(printf '' | sha256sum) |
        // sha256sum
        let mut digest = ScanDigest::default();
        digest.add(&mutation("v"));
        digest.add(&Item {
            seqno: Seqno(8),
            ..Item::deletion(Key::new(b"k"))
        });
        let expected = "d8452d830ea7be031cf6500a0b20134ae814c241d5207e225a6c67756e0197ef";
        assert_eq!(digest.line(), format!("items=2 live=1 sha256={expected}"));
    }
}
