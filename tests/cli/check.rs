//! `dcp-sim check`: its result for each of the vendor's files, on a terminal and as JSON.

use std::fs;

use support::cli::argument;
use support::fixtures::{copy_couchstore, couchstore_bytes, couchstore_dir, couchstore_file};
use tempfile::TempDir;

use super::DCP_SIM;

fn check(case: &str) -> support::cli::Ended {
    DCP_SIM.run_in(&couchstore_dir(), &["check", &couchstore_file(case)])
}

/// Guards the exit code of every kind of file: the remains of a crash are no damage.
#[test]
fn check_of_each_kind_of_file_has_its_exit_code() {
    for (case, code) in [
        ("a_created", 0),
        ("b_ten", 0),
        ("g_ten_v11", 0),
        ("h_boundary", 0),
        ("j_v6.6.5_h_boundary", 0),
        ("k_compact_drop_d_rich", 0),
        ("e_torn_in_doc", 0),
        ("e_torn_before_header", 0),
        ("e_torn_header_type0", 0),
        ("e_header_not_activated", 0),
        ("e_zero_tail", 0),
        ("e_torn_in_header", 4),
        ("f_bad_blocktype", 4),
        ("f_bad_doc", 4),
        ("f_bad_header", 4),
        ("f_bad_id_root", 4),
        ("f_bad_len", 4),
        ("f_bad_seq_root", 4),
        ("i_encrypted_v0_wrapped", 2),
        ("i_encrypted_v1_derived", 2),
    ] {
        let ended = check(case).with_code(code);
        assert_eq!(
            ended.stdout.contains(": DAMAGED: "),
            code == 4,
            "{ended:#?}"
        );
        assert_eq!(ended.stdout.contains(": sound: "), code == 0, "{ended:#?}");
    }
    let missing = DCP_SIM.run(&["check", "/nowhere/7.couch.1"]).with_code(3);
    assert!(
        missing.error().contains("/nowhere/7.couch.1"),
        "{missing:#?}"
    );
}

/// Guards the text of findings: file, offset, document and defect.
#[test]
fn findings_on_a_terminal_name_file_offset_and_document() {
    for case in [
        "d_rich",
        "e_header_not_activated",
        "e_torn_in_header",
        "f_bad_doc",
        "f_bad_seq_root",
    ] {
        insta::assert_snapshot!(format!("check_{case}"), check(case).stdout);
    }
}

/// Guards the JSON that scripts read.
#[test]
fn json_has_every_finding() {
    let ended = DCP_SIM.run_in(
        &couchstore_dir(),
        &["check", "--json", &couchstore_file("f_bad_doc")],
    );
    let document = ended.with_code(4).json();
    assert_eq!(
        (&document["command"], &document["sound"]),
        (&"check".into(), &false.into())
    );
    let file = &document["files"][0];
    assert_eq!(
        (&file["rows"], &file["bodies"], &file["headers"]),
        (&10.into(), &9.into(), &3.into())
    );
    let finding = &file["findings"][0];
    assert_eq!(
        (&finding["severity"], &finding["kind"]),
        (&"damage".into(), &"body".into())
    );
    assert_eq!(
        (&finding["offset"], &finding["seqno"]),
        (&5459.into(), &13.into())
    );
    assert_eq!(finding["stored_key"], "\0key02");
}

/// Guards directories: each vBucket's newest file is checked, whatever is wrong with another.
#[test]
fn directory_with_a_damaged_file_is_checked_file_by_file() {
    let home = TempDir::new().expect("a directory");
    let put = |case, name: &str| copy_couchstore(case, &home.path().join(name));
    put("b_ten", "3.couch.1");
    put("f_bad_doc", "7.couch.1");
    put("e_base", "7.couch.2");
    put("i_encrypted_v1_derived", "9.couch.1");
    fs::write(home.path().join("notes.txt"), b"mine").expect("written");
    let ended = DCP_SIM.run(&["check", argument(home.path())]).with_code(2);
    assert!(
        ended
            .error()
            .contains("9.couch.1: encrypted with key test-key-1"),
        "{ended:#?}"
    );
    assert!(
        ended
            .stdout
            .ends_with("3 files, none damaged, 1 NOT CHECKED\n"),
        "{ended:#?}"
    );
    for note in [
        "notes.txt is left out: not a vBucket's file",
        "7.couch.1 is left out: an older revision",
    ] {
        assert!(ended.stderr.contains(note), "{ended:#?}");
    }
    put("f_bad_doc", "8.couch.1");
    let ended = DCP_SIM
        .run(&["check", argument(home.path()), "--json"])
        .with_code(4);
    let document = ended.json();
    let sound: Vec<_> = document["files"]
        .as_array()
        .expect("files")
        .iter()
        .map(|file| &file["sound"])
        .collect();
    assert_eq!(sound, [true, true, false, false]);
}

/// Guards that check ends with one of its own exit codes on any bytes.
#[test]
fn check_of_any_bytes_ends_with_its_own_exit_code() {
    let home = TempDir::new().expect("a directory");
    let path = home.path().join("7.couch.1");
    for (bytes, code) in [
        (vec![], 4),
        (vec![1; 100_000], 4),
        (couchstore_bytes("b_ten")[..4097].to_vec(), 0),
    ] {
        fs::write(&path, bytes).expect("written");
        let _ended = DCP_SIM.run(&["check", argument(&path)]).with_code(code);
    }
}

/// Guards the result for files that could not be opened: their number, and the exit code of I/O
/// errors.
#[test]
fn files_that_cannot_be_opened_are_counted_and_fail_the_check() {
    let home = TempDir::new().expect("a directory");
    copy_couchstore("b_ten", &home.path().join("3.couch.1"));
    std::os::unix::fs::symlink(home.path().join("nowhere"), home.path().join("4.couch.1"))
        .expect("made");
    std::os::unix::fs::symlink(home.path().join("5.couch.1"), home.path().join("5.couch.1"))
        .expect("made");
    let ended = DCP_SIM.run(&["check", argument(home.path())]).with_code(3);
    assert_eq!(
        ended.stdout.lines().last(),
        Some("3 files, none damaged, 2 NOT CHECKED"),
        "{ended:#?}"
    );
    let document = DCP_SIM
        .run(&["check", "--json", argument(home.path())])
        .with_code(3)
        .json();
    assert_eq!(
        (&document["not_looked_at"], &document["sound"]),
        (&2.into(), &false.into())
    );
}
