//! The comparison of documents, and the count of violations.

use bytes::Bytes;
use dcp_sim::sim::{Contents, Document, InvariantVerdict};
use lowtide_checkpoint::{Cas, Item, Key, Seqno};

/// Guards the comparison of W3 and W4: every field of a document counts, on both sides.
#[test]
fn documents_that_differ_in_any_field_are_different() {
    let item = |key: &[u8], seqno| Item {
        seqno: Seqno(seqno),
        ..Item::mutation(Key::new(key), Bytes::from_static(b"v"))
    };
    let tombstone = Item {
        seqno: Seqno(3),
        ..Item::deletion(Key::new(b"gone"))
    };
    let items = [item(b"a", 1), item(b"b", 2), tombstone.clone()];
    let documents: Contents = items.iter().cloned().collect();
    type Change = (&'static [u8], fn(&mut Item));
    let changes: [Change; 6] = [
        (b"b", |item| item.seqno = Seqno(9)),
        (b"b", |item| item.cas = Cas(9)),
        (b"b", |item| item.rev_seqno = 9),
        (b"b", |item| item.value = Some(Bytes::from_static(b"w"))),
        (b"b", |item| item.value = Some(Bytes::new())),
        (b"gone", |item| {
            *item = Item {
                seqno: item.seqno,
                ..Item::mutation(item.key.clone(), Bytes::new())
            }
        }),
    ];
    for (key, change) in changes {
        let mut items = items.clone();
        change(
            items
                .iter_mut()
                .find(|item| item.key.user() == key)
                .expect("there"),
        );
        let changed: Contents = items.into_iter().collect();
        assert_eq!(documents.first_difference(&changed), Some(&Key::new(key)));
        assert_eq!(changed.first_difference(&documents), Some(&Key::new(key)));
    }
    let without_tombstone: Contents = items[..2].iter().cloned().collect();
    assert_eq!(
        documents.first_difference(&without_tombstone),
        Some(&Key::new(b"gone"))
    );
    assert_eq!(
        without_tombstone.first_difference(&documents),
        Some(&Key::new(b"gone"))
    );
    assert_eq!(documents.first_difference(&documents.clone()), None);
    assert_eq!(Document::of(&tombstone).value, None);
}

/// Guards the count of a verdict: all violations count, the first are reported.
#[test]
fn verdict_counts_every_violation_and_reports_five() {
    let mut verdict = InvariantVerdict::new("W0", "nothing is odd");
    for number in 0..20 {
        verdict.check((number % 2 == 1).then(|| format!("{number}")));
    }
    assert_eq!(
        (verdict.checked, verdict.violations, verdict.holds()),
        (20, 10, false)
    );
    assert_eq!(verdict.told, ["1", "3", "5", "7", "9"]);
}
