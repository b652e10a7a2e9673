use lowtide_checkpoint::{Key, Namespace, VBucketState};

use super::*;
use crate::contract::VBucketInfo;

/// A snapshot of items 1 to 9 that serves at most two a slice.
#[derive(Debug, Default)]
struct Pairs {
    /// The scan from here on fails.
    broken_from: Option<u64>,
}

impl Pairs {
    fn item(seqno: u64) -> Item {
        Item {
            seqno: Seqno(seqno),
            ..Item::deletion(Key::new(format!("k{seqno}").as_bytes()))
        }
    }

    fn read(&self, from: u64) -> Result<(), EngineError> {
        match self.broken_from {
            Some(broken) if broken <= from => Err(EngineError::InvalidArgument("broken".into())),
            _ => Ok(()),
        }
    }
}

impl Snapshot for Pairs {
    fn high(&self) -> Seqno {
        Seqno(9)
    }

    fn state(&self) -> Option<&VBucketState> {
        None
    }

    fn info(&self) -> VBucketInfo {
        VBucketInfo::default()
    }

    fn get(&self, _: Namespace, _: &Key) -> Result<Option<Item>, EngineError> {
        Ok(None)
    }

    fn scan(&self, from: Seqno, to: Seqno, limit: ScanLimit) -> Result<ScanSlice, EngineError> {
        assert_eq!(limit, READ_TOGETHER);
        assert!(from <= to, "an empty range is not read");
        self.read(from.0)?;
        let mut seqnos = (from.0.max(1)..=to.0.min(9)).map(Self::item);
        Ok(ScanSlice {
            items: seqnos.by_ref().take(2).collect(),
            next: seqnos.next().map(|item| item.seqno),
        })
    }

    fn scan_keys(&self, range: &KeyRange, _: ScanLimit) -> Result<KeySlice, EngineError> {
        let all = (1..=9).map(Self::item);
        let mut items = all.filter(|item| {
            item.key >= range.from && range.to.as_ref().is_none_or(|to| item.key < *to)
        });
        let slice: Vec<Item> = items.by_ref().take(2).collect();
        if let Some(first) = slice.first() {
            self.read(first.seqno.0)?;
        }
        Ok(KeySlice {
            items: slice,
            next: items.next().map(|item| item.key),
        })
    }

    fn count(&self, _: Seqno, _: Seqno) -> Result<u64, EngineError> {
        Ok(9)
    }
}

fn seqnos(items: impl Iterator<Item = Result<Item, EngineError>>) -> Vec<u64> {
    items.map(|item| item.expect("readable").seqno.0).collect()
}

#[test]
fn items_of_any_range_continue_across_slices() {
    let snapshot: &dyn Snapshot = &Pairs::default();
    assert_eq!(seqnos(snapshot.items(..)), [1, 2, 3, 4, 5, 6, 7, 8, 9]);
    assert_eq!(seqnos(snapshot.items(Seqno(4)..=Seqno(8))), [4, 5, 6, 7, 8]);
    assert_eq!(seqnos(snapshot.items(Seqno(4)..Seqno(8))), [4, 5, 6, 7]);
    let above = (Bound::Excluded(Seqno(7)), Bound::Unbounded);
    assert_eq!(seqnos(snapshot.items(above)), [8, 9]);
}

#[test]
fn items_of_an_empty_range_read_nothing() {
    let snapshot: &dyn Snapshot = &Pairs {
        broken_from: Some(0),
    };
    assert!(snapshot.items(..Seqno::ZERO).next().is_none());
    assert!(snapshot.items(Seqno(8)..=Seqno(7)).next().is_none());
    let beyond = (Bound::Excluded(Seqno::MAX), Bound::Unbounded);
    assert!(snapshot.items(beyond).next().is_none());
}

#[test]
fn items_by_key_continue_across_slices() {
    let snapshot: &dyn Snapshot = &Pairs::default();
    let all = KeyRange::all(Namespace::Committed);
    assert_eq!(
        seqnos(snapshot.items_by_key(all.clone())),
        [1, 2, 3, 4, 5, 6, 7, 8, 9]
    );
    let some = all.with_from(Key::new(b"k3")).with_to(Key::new(b"k8"));
    assert_eq!(seqnos(snapshot.items_by_key(some)), [3, 4, 5, 6, 7]);
}

#[test]
fn error_of_a_slice_is_the_last_item() {
    let snapshot: &dyn Snapshot = &Pairs {
        broken_from: Some(3),
    };
    let mut items = snapshot.items(..);
    assert_eq!(seqnos(items.by_ref().take(2)), [1, 2]);
    assert!(items.next().is_some_and(|item| item.is_err()));
    assert!(items.next().is_none());
    let mut items = snapshot.items_by_key(KeyRange::all(Namespace::Committed));
    assert_eq!(seqnos(items.by_ref().take(2)), [1, 2]);
    assert!(items.next().is_some_and(|item| item.is_err()));
    assert!(items.next().is_none());
}
