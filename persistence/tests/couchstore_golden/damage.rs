//! Torn and damaged files: each is read as `ORIGIN.md` says, and no damage is taken for content.

use lowtide_checkpoint::{Key, Namespace, Seqno};
use lowtide_persistence::couchstore::{CouchFile, Keyring};
use lowtide_persistence::disk::OsDisk;
use lowtide_persistence::{EngineError, ScanLimit};

use super::support::{check, check_by_id, check_file, check_locals, dump, open, path};

#[test]
fn interrupted_commits_are_invisible() {
    for case in [
        "e_torn_in_doc",
        "e_torn_before_header",
        "e_torn_header_type0",
        "e_header_not_activated",
        "e_zero_tail",
    ] {
        check(case);
    }
}

#[test]
fn damage_under_the_newest_header_is_always_reported() {
    for case in ["e_torn_in_header", "f_bad_header", "f_bad_blocktype"] {
        assert!(
            matches!(open(case), Err(EngineError::Corrupt { offset: 12288, .. })),
            "{case}"
        );
    }
}

#[test]
fn damaged_body_is_one_error() {
    for case in ["f_bad_doc", "f_bad_len"] {
        let file = open(case).expect("opens");
        let damaged = Key::new(b"key02");
        for n in 0..10 {
            let key = Key::new(format!("key{n:02}").as_bytes());
            let got = file.get(Namespace::Committed, &key);
            if key == damaged {
                assert!(
                    matches!(got, Err(EngineError::Corrupt { offset: 5459, .. })),
                    "{case}: {got:?}"
                );
            } else {
                assert!(got.expect("readable").is_some(), "{case}");
            }
        }
        let scan = file.scan(Seqno(0), Seqno::MAX, ScanLimit::NONE);
        assert!(
            matches!(scan, Err(EngineError::Corrupt { offset: 5459, .. })),
            "{case}"
        );
    }
}

#[test]
fn damaged_root_makes_one_index_unreadable() {
    let (id, seqno) = (
        open("f_bad_id_root").expect("opens"),
        open("f_bad_seq_root").expect("opens"),
    );
    let scan = |file: &CouchFile| {
        file.scan(Seqno(0), Seqno::MAX, ScanLimit::NONE)
            .map(|slice| slice.items.len())
    };
    let get = |file: &CouchFile| file.get(Namespace::Committed, &Key::new(b"key02"));
    assert_eq!(scan(&id).expect("readable"), 10);
    assert!(matches!(
        get(&id),
        Err(EngineError::Corrupt { offset: 7346, .. })
    ));
    assert!(get(&seqno).expect("readable").is_some());
    assert!(matches!(
        scan(&seqno),
        Err(EngineError::Corrupt { offset: 7610, .. })
    ));
}

#[test]
fn damage_in_one_tree_leaves_the_others_readable() {
    for case in ["f_bad_doc", "f_bad_len"] {
        let file = open(case).expect("opens");
        check_by_id(case, &file);
        check_locals(case, &file);
        let rows: Vec<u64> = dump("e_base", "byseq")
            .iter()
            .filter_map(|row| row["seq"].as_u64())
            .collect();
        let infos = file.doc_infos(Seqno(0)).expect("rows");
        assert_eq!(
            infos
                .map(|info| info.expect("readable").seqno.0)
                .collect::<Vec<_>>(),
            rows
        );
    }
    check_locals("f_bad_id_root", &open("f_bad_id_root").expect("opens"));
    let file = open("f_bad_seq_root").expect("opens");
    check_by_id("f_bad_seq_root", &file);
    check_locals("f_bad_seq_root", &file);
}

#[test]
fn rescue_finds_the_newest_sound_header_and_lists_those_it_skipped() {
    let older = |case| CouchFile::open_older(&OsDisk::new(), &path(case), &Keyring::new());
    for case in ["e_torn_in_header", "f_bad_header", "f_bad_blocktype"] {
        let (file, passed) = older(case).expect("opens");
        assert_eq!(
            (file.header().position, file.header().info.high),
            (4096, Seqno(10)),
            "{case}"
        );
        assert!(
            matches!(passed[..], [EngineError::Corrupt { offset: 12288, .. }]),
            "{case}: {passed:?}"
        );
        // The first commit is left, as in the file that was cut within the second.
        check_file("e_torn_in_doc", &file);
    }
    for case in ["e_base", "e_torn_in_doc", "b_ten"] {
        let (file, passed) = older(case).expect("opens");
        assert_eq!(file.header(), open(case).expect("opens").header());
        assert!(passed.is_empty(), "{case}");
    }
}
