//! A salvage takes the sound row of two that contradict each other (T5).

use std::collections::BTreeMap;
use std::path::PathBuf;

use lowtide_checkpoint::{Item, Seqno};

use crate::contract::ScanLimit;
use crate::couchstore::file::Keyring;
use crate::couchstore::format::DocInfo;
use crate::couchstore::tests::craft::{Craft, OnRows, both};
use crate::couchstore::tests::support::file;
use crate::couchstore::tools::{CouchFile, Loss, salvage};

use super::{lie_at, lies, row, store_of};

fn saved(rows: OnRows<'_>) -> (Vec<Loss>, BTreeMap<u64, Item>) {
    let disk = store_of(&Craft::of_rows(rows).image());
    let target = PathBuf::from("/saved");
    let mut lost = Vec::new();
    salvage(&disk, &file(), &target, &Keyring::new(), &mut lost).expect("something is readable");
    let items = CouchFile::open_read_only(&disk, &target).expect("opens");
    let items = items
        .scan(Seqno(0), Seqno::MAX, ScanLimit::NONE)
        .expect("sound")
        .items;
    (
        lost,
        items.into_iter().map(|item| (item.seqno.0, item)).collect(),
    )
}

/// The sound row is saved, whichever index has it. If nothing shows which it is, the doubt is
/// reported.
#[test]
fn sound_row_is_saved_whichever_index_has_it() {
    let (lost, whole) = saved(&|_, _| {});
    assert_eq!((lost, whole.len()), (vec![], 6));
    // Both rows can be read, and nothing else distinguishes them.
    let doubtful = [
        "compression",
        "a tombstone",
        "metadata",
        "revision",
        "another key",
    ];
    for (what, lie) in lies() {
        let (lost, items) = saved(&|by_seqno, _| lie_at(by_seqno, &*lie));
        assert_eq!(items, whole, "{what} by seqno: {lost:?}");
        assert_eq!(
            lost.len(),
            usize::from(doubtful.contains(&what)),
            "{what} by seqno: {lost:?}"
        );
        assert!(
            lost.iter().all(|loss| loss.rows == Some(0)),
            "{what}: {lost:?}"
        );
        if what.contains("key") {
            continue;
        }
        let (lost, items) = saved(&|by_seqno, by_id| {
            let other = by_seqno[row(5)].clone();
            lie(
                by_id
                    .iter_mut()
                    .find(|row| row.seqno == Seqno(3))
                    .expect("there"),
                &other,
            );
        });
        if doubtful.contains(&what) {
            assert_eq!((lost.len(), items.len()), (1, 6), "{what} by id: {lost:?}");
        } else {
            assert_eq!((items, lost), (whole.clone(), vec![]), "{what} by id");
        }
    }
    for (what, rows) in [
        (
            "seqno",
            &(|_: &mut Vec<DocInfo>, by_id: &mut Vec<DocInfo>| by_id[3].seqno = Seqno(1))
                as OnRows<'_>,
        ),
        ("seqno 0", &|_, by_id| by_id[3].seqno = Seqno(0)),
        ("a row less by id", &|_, by_id| _ = by_id.remove(2)),
        ("a row less by seqno", &|by_seqno, _| _ = by_seqno.remove(2)),
        ("out of order", &|by_seqno, _| by_seqno[2].seqno = Seqno(2)),
    ] {
        let (lost, items) = saved(rows);
        assert_eq!((items, lost), (whole.clone(), vec![]), "{what}");
    }
}

#[test]
fn row_sound_in_neither_index_is_reported() {
    let (lost, items) = saved(&both(
        |row| (row.body_position, row.physical_bytes) = (0, 0),
        3,
    ));
    assert_eq!(
        (lost.len(), lost[0].seqnos),
        (1, Some((Seqno(3), Seqno(3)))),
        "{lost:?}"
    );
    assert_eq!(items.into_keys().collect::<Vec<_>>(), [1, 2, 4, 5, 6]);
    let swapped = |_: &mut Vec<DocInfo>, by_id: &mut Vec<DocInfo>| {
        let (first, second) = (by_id[0].seqno, by_id[1].seqno);
        (by_id[0].seqno, by_id[1].seqno) = (second, first);
    };
    let (lost, items) = saved(&swapped);
    assert_eq!((lost.len(), items.len()), (2, 6), "{lost:?}");
}
