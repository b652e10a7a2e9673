use bytes::Bytes;
use checkpoint::Item;

use super::*;
use crate::node::Document;

const VB: Vbid = Vbid(3);

fn item(seqno: u64, key: &str, value: Option<&'static str>) -> Item {
    let key = Key::new(key.as_bytes());
    let item = match value {
        Some(value) => Item::mutation(key, Bytes::from_static(value.as_bytes())),
        None => Item::deletion(key),
    };
    Item { seqno: Seqno(seqno), ..item }
}

fn write(history: &mut History, uuid: u64, item: &Item) -> Option<String> {
    let document = Document::of(item);
    let revision = document.digest(&item.key);
    let is_live = document.value.is_some();
    history.record((VB, VbUuid(uuid)), item.seqno, item.key.clone(), revision, is_live)
}

fn copied(documents: &Documents) -> Copied<'_> {
    Copied { documents, high: Seqno::MAX, purged: Seqno::ZERO }
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
fn contents_are_those_of_any_prefix() {
    let (history, items) = written();
    for upto in 0..=5 {
        let documents: Documents = items[..upto].iter().cloned().collect();
        assert_eq!(history.content_at(VB, VbUuid(1), Seqno(upto as u64)), Some(documents.content()));
    }
    assert_eq!(history.content_at(VB, VbUuid(1), Seqno(6)), None);
    assert_eq!(history.content_at(VB, VbUuid(2), Seqno(1)), None);
}

#[test]
fn a_seqno_that_stays_or_jumps_is_told() {
    let (mut history, items) = written();
    assert!(write(&mut history, 1, &items[4]).is_some());
    assert!(write(&mut history, 1, &item(9, "z", None)).is_some());
    assert!(write(&mut history, 7, &item(10, "z", None)).is_some());
}

#[test]
fn a_branch_has_what_its_copy_had() {
    let (mut history, items) = written();
    // All of the snapshot up to 3, and of the next one the last item only.
    let documents: Documents = [&items[1], &items[2], &items[4]].into_iter().cloned().collect();
    let branched = history.branch((VB, VbUuid(2)), Some(VbUuid(1)), Seqno(3), copied(&documents));
    assert_eq!(branched, Branched { lost: 1, violation: None });
    assert_eq!(history.content_at(VB, VbUuid(2), Seqno(5)), Some(documents.content()));
    assert_eq!(history.shared(VB, VbUuid(1), VbUuid(2)), Seqno(3));
    assert_eq!(history.shared(VB, VbUuid(2), VbUuid(2)), Seqno::MAX);
    assert_eq!(history.shared(VB, VbUuid(2), VbUuid(9)), Seqno::ZERO);
    assert_eq!(write(&mut history, 2, &item(6, "d", None)), None);
    assert!(write(&mut history, 1, &item(6, "d", None)).is_some(), "the old branch is over");
}

/// Found by seed 1034 of clusters that compact often: the copy had purged the tombstone, and its branch was to have the document still.
#[test]
fn a_deletion_inside_half_a_snapshot_is_on_the_branch_though_its_tombstone_was_purged() {
    let (mut history, items) = written();
    let documents: Documents = [&items[1], &items[2]].into_iter().cloned().collect();
    let copy = |documents, high, purged| Copied { documents, high: Seqno(high), purged: Seqno(purged) };
    let mut begin =
        |uuid, copy| history.branch((VB, VbUuid(uuid)), Some(VbUuid(1)), Seqno(3), copy).violation;
    // It never had the deletion: that write is lost with the old branch.
    assert_eq!(begin(2, copy(&documents, 4, 4)), None);
    let purged: Documents = [&items[2]].into_iter().cloned().collect();
    assert_eq!(begin(3, copy(&purged, 4, 4)), None);
    assert!(begin(4, copy(&purged, 4, 3)).is_some(), "not purged, but lost");
    assert!(begin(5, copy(&purged, 3, 4)).is_some(), "it never came");
    assert_eq!(history.content_at(VB, VbUuid(3), Seqno(4)), Some(purged.content()));
}

/// Found by seed 5156 of clusters that flush slowly: such a copy was promoted again, and the disk's part went to its replica
/// before memory's.
#[test]
fn what_the_rest_of_a_snapshot_replaced_may_still_be_on_the_disk_of_the_copy_that_began_the_branch() {
    let (mut history, items) = written();
    // In memory the copy has all; on its disk half a snapshot from 1 to 5, up to 3.
    let documents: Documents = items.iter().cloned().collect();
    history.branch((VB, VbUuid(2)), Some(VbUuid(1)), Seqno(0), copied(&documents));
    let revision = |uuid, seqno| history.revision_at(VB, VbUuid(uuid), Seqno(seqno));
    assert_eq!(revision(2, 1), revision(1, 1), "3 replaced it");
    assert!(revision(2, 1).is_some() && revision(2, 3).is_some());
    let before = |seqno| history.content_before_branching(VB, VbUuid(2), Seqno(seqno), Sees::Everything);
    let first = history.content_at(VB, VbUuid(1), Seqno(1));
    assert_eq!((before(1), before(5)), (first, None), "what was there then, and only inside");
    let mut lost = written().0;
    let short: Documents = [&items[1], &items[2]].into_iter().cloned().collect();
    lost.branch((VB, VbUuid(2)), Some(VbUuid(1)), Seqno(0), copied(&short));
    assert_eq!(lost.revision_at(VB, VbUuid(2), Seqno(4)), None, "nothing that it has replaced it");
    assert_eq!(lost.revision_at(VB, VbUuid(2), Seqno(5)), None, "it never had that");
}

/// Found by a bug switched on: a branch that is its own parent has no end of those before it.
#[test]
fn a_branch_that_begins_twice_is_told() {
    let (mut history, items) = written();
    let documents: Documents = items.iter().cloned().collect();
    let again = history.branch((VB, VbUuid(1)), Some(VbUuid(1)), Seqno(5), copied(&documents));
    assert!(again.violation.is_some());
    assert_eq!(history.shared(VB, VbUuid(1), VbUuid(2)), Seqno::ZERO);
}

#[test]
fn a_branch_with_something_else_is_told() {
    let (mut history, items) = written();
    let short: Documents = items[..2].iter().cloned().collect();
    assert!(history.branch((VB, VbUuid(2)), Some(VbUuid(1)), Seqno(3), copied(&short)).violation.is_some());
    let foreign: Documents = items.iter().cloned().chain([item(6, "x", None)]).collect();
    assert!(history.branch((VB, VbUuid(3)), Some(VbUuid(1)), Seqno(5), copied(&foreign)).violation.is_some());
}
