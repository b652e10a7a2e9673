use bytes::Bytes;
use lowtide_checkpoint::Item;

use super::*;
use crate::sim::oracle::Revision;

const VB: Vbid = Vbid(3);

fn item(seqno: u64, key: &str, value: Option<&'static str>) -> Item {
    let key = Key::new(key.as_bytes());
    let item = match value {
        Some(value) => Item::mutation(key, Bytes::from_static(value.as_bytes())),
        None => Item::deletion(key),
    };
    Item {
        seqno: Seqno(seqno),
        ..item
    }
}

fn write(history: &mut History, uuid: u64, item: &Item) -> Option<String> {
    record(history, uuid, item, false)
}

fn record(history: &mut History, uuid: u64, item: &Item, has_waited: bool) -> Option<String> {
    let Revision {
        digest, is_live, ..
    } = Revision::of(item);
    let place = (item.seqno, item.key.clone());
    let branch = (VB, VbUuid(uuid));
    history.record(branch, place, (digest, is_live), has_waited)
}

fn copied(documents: &Digests) -> Copied<'_> {
    Copied {
        documents,
        high: Seqno::MAX,
        purged: Seqno::ZERO,
    }
}

fn written() -> (History, Vec<Item>) {
    let items = vec![
        item(1, "a", Some("one")),
        item(2, "b", Some("two")),
        item(3, "a", Some("three")),
        item(4, "b", None),
        item(5, "c", Some("five")),
    ];
    let mut history = History::default();
    history.begin(VB, VbUuid(1));
    for item in &items {
        assert_eq!(write(&mut history, 1, item), None);
    }
    (history, items)
}

#[test]
fn history_content_is_exact_at_every_seqno() {
    let (history, items) = written();
    for upto in 0..=5 {
        let documents: Digests = items[..upto].iter().cloned().collect();
        assert_eq!(
            history.content_at(VB, VbUuid(1), Seqno(upto as u64)),
            Some(documents.content())
        );
    }
    assert_eq!(history.content_at(VB, VbUuid(1), Seqno(6)), None);
    assert_eq!(history.content_at(VB, VbUuid(2), Seqno(1)), None);
}

#[test]
fn repeated_or_skipped_seqno_is_a_violation() {
    let (mut history, items) = written();
    assert!(write(&mut history, 1, &items[4]).is_some());
    assert!(write(&mut history, 1, &item(9, "z", None)).is_some());
    assert!(write(&mut history, 7, &item(10, "z", None)).is_some());
}

#[test]
fn branch_contains_the_writes_of_its_copy() {
    let (mut history, items) = written();
    // The complete snapshot up to 3, and only the last item of the next one.
    let documents: Digests = [&items[1], &items[2], &items[4]]
        .into_iter()
        .cloned()
        .collect();
    let branched = history.branch(
        (VB, VbUuid(2)),
        Some(VbUuid(1)),
        Seqno(3),
        copied(&documents),
    );
    assert_eq!(
        branched,
        Branched {
            lost: 1,
            violation: None
        }
    );
    assert_eq!(
        history.content_at(VB, VbUuid(2), Seqno(5)),
        Some(documents.content())
    );
    assert_eq!(history.shared(VB, VbUuid(1), VbUuid(2)), Seqno(3));
    assert_eq!(history.shared(VB, VbUuid(2), VbUuid(2)), Seqno::MAX);
    assert_eq!(history.shared(VB, VbUuid(2), VbUuid(9)), Seqno::ZERO);
    assert_eq!(write(&mut history, 2, &item(6, "d", None)), None);
    assert!(
        write(&mut history, 1, &item(6, "d", None)).is_some(),
        "the old branch is over"
    );
}

/// Guards against seed 1034 of clusters with frequent compactions: a copy had purged the tombstone,
/// and its branch was expected to keep the document.
#[test]
fn purged_deletion_inside_a_partial_snapshot_is_on_the_branch() {
    let (mut history, items) = written();
    let documents: Digests = [&items[1], &items[2]].into_iter().cloned().collect();
    let copy = |documents, high, purged| Copied {
        documents,
        high: Seqno(high),
        purged: Seqno(purged),
    };
    let mut begin = |uuid, copy| {
        history
            .branch((VB, VbUuid(uuid)), Some(VbUuid(1)), Seqno(3), copy)
            .violation
    };
    // It never had the deletion: that write is lost with the old branch.
    assert_eq!(begin(2, copy(&documents, 4, 4)), None);
    let purged: Digests = [&items[2]].into_iter().cloned().collect();
    assert_eq!(begin(3, copy(&purged, 4, 4)), None);
    assert!(
        begin(4, copy(&purged, 4, 3)).is_some(),
        "not purged, but lost"
    );
    assert!(begin(5, copy(&purged, 3, 4)).is_some(), "it never came");
    assert_eq!(
        history.content_at(VB, VbUuid(3), Seqno(4)),
        Some(purged.content())
    );
}

/// Guards against seed 5156 of clusters with slow flushes: such a copy was promoted again, and its
/// replica received the disk's part before memory's.
#[test]
fn replaced_writes_of_a_partial_snapshot_may_remain_on_the_starting_copys_disk() {
    let (mut history, items) = written();
    // The copy has everything in memory, and on disk the part up to 3 of a snapshot from 1 to 5.
    let documents: Digests = items.iter().cloned().collect();
    history.branch(
        (VB, VbUuid(2)),
        Some(VbUuid(1)),
        Seqno(0),
        copied(&documents),
    );
    let revision = |uuid, seqno| history.revision_at(VB, VbUuid(uuid), Seqno(seqno));
    assert_eq!(revision(2, 1), revision(1, 1), "3 replaced it");
    assert!(revision(2, 1).is_some() && revision(2, 3).is_some());
    let before =
        |seqno| history.content_before_branching(VB, VbUuid(2), Seqno(seqno), Sees::Everything);
    let first = history.content_at(VB, VbUuid(1), Seqno(1));
    assert_eq!(
        (before(1), before(5)),
        (first, None),
        "what was there then, and only inside"
    );
    let mut lost = written().0;
    let short: Digests = [&items[1], &items[2]].into_iter().cloned().collect();
    lost.branch((VB, VbUuid(2)), Some(VbUuid(1)), Seqno(0), copied(&short));
    assert_eq!(
        lost.revision_at(VB, VbUuid(2), Seqno(4)),
        None,
        "nothing that it has replaced it"
    );
    assert_eq!(
        lost.revision_at(VB, VbUuid(2), Seqno(5)),
        None,
        "it never had that"
    );
}

/// Guards against a bug that a fault switch produced: a branch that is its own parent has endless
/// ancestors.
#[test]
fn branch_that_starts_twice_is_a_violation() {
    let (mut history, items) = written();
    let documents: Digests = items.iter().cloned().collect();
    let again = history.branch(
        (VB, VbUuid(1)),
        Some(VbUuid(1)),
        Seqno(5),
        copied(&documents),
    );
    assert!(again.violation.is_some());
    assert_eq!(history.shared(VB, VbUuid(1), VbUuid(2)), Seqno::ZERO);
    let mut begin = |uuid, parent| {
        history
            .branch(
                (VB, VbUuid(uuid)),
                Some(VbUuid(parent)),
                Seqno(5),
                copied(&documents),
            )
            .violation
    };
    assert_eq!(begin(2, 1), None);
    assert!(begin(1, 2).is_some(), "its ancestors would be endless");
}

#[test]
fn branch_with_other_documents_is_a_violation() {
    let (mut history, items) = written();
    let short: Digests = items[..2].iter().cloned().collect();
    assert!(
        history
            .branch((VB, VbUuid(2)), Some(VbUuid(1)), Seqno(3), copied(&short))
            .violation
            .is_some()
    );
    let foreign: Digests = items.iter().cloned().chain([item(6, "x", None)]).collect();
    assert!(
        history
            .branch((VB, VbUuid(3)), Some(VbUuid(1)), Seqno(5), copied(&foreign))
            .violation
            .is_some()
    );
}

/// Guards W10: only a write that has waited may be on a branch that was left.
#[test]
fn write_on_a_branch_that_was_left_has_waited() {
    let (mut history, items) = written();
    let documents: Digests = items.iter().cloned().collect();
    let begun = history.branch(
        (VB, VbUuid(2)),
        Some(VbUuid(1)),
        Seqno(5),
        copied(&documents),
    );
    assert_eq!(begun, Branched::default());
    let late = item(6, "z", Some("late"));
    assert!(record(&mut history, 1, &late, false).is_some());
    assert_eq!(record(&mut history, 1, &late, true), None);
    assert_eq!(history.shared(VB, VbUuid(1), VbUuid(2)), Seqno(5));
    assert_eq!(history.content_at(VB, VbUuid(2), Seqno(6)), None);
}
