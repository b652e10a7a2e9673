//! `dcp-sim recover`: a new file with everything readable, and a report of the losses (T5).

use std::fs;

use support::cli::{Ended, argument};
use support::fixtures::{couchstore_dir, couchstore_file};
use tempfile::TempDir;

use super::DCP_SIM;

fn recover(home: &TempDir, case: &str, options: &[&str]) -> Ended {
    let (source, target) = (
        couchstore_dir().join(couchstore_file(case)),
        home.path().join("saved"),
    );
    DCP_SIM.run(
        &[
            &["recover", argument(&source), "--output", argument(&target)],
            options,
        ]
        .concat(),
    )
}

fn dump(path: &str) -> String {
    DCP_SIM.run_in(&couchstore_dir(), &["dump", path]).stdout
}

/// Guards the exit codes, that the new file is sound, and that it holds what the old file's dump
/// shows.
#[test]
fn recovered_file_is_sound_and_complete() {
    for (case, code, rows) in [
        ("d_rich", 0, 15),
        ("e_torn_in_doc", 0, 10),
        ("g_ten_v11", 0, 10),
        ("h_boundary", 0, 36),
        ("f_bad_seq_root", 0, 10),
        ("f_bad_id_root", 0, 10),
        ("f_bad_doc", 1, 9),
        ("f_bad_len", 1, 9),
        ("f_bad_header", 1, 10),
        ("f_bad_blocktype", 1, 10),
        ("e_torn_in_header", 1, 10),
    ] {
        let home = TempDir::new().expect("a directory");
        let ended = recover(&home, case, &[]).with_code(code);
        assert_eq!(
            ended.stdout.contains("nothing was lost"),
            code == 0,
            "{case}: {ended:#?}"
        );
        let saved = home.path().join("saved");
        let checked = DCP_SIM.run(&["check", argument(&saved)]).with_code(0);
        assert_eq!(
            checked.stdout.lines().count(),
            1,
            "{case}: no finding: {checked:#?}"
        );
        let saved = dump(argument(&saved));
        assert_eq!(saved.lines().count(), rows, "{case}");
        let before = dump(&couchstore_file(case));
        // Damage to a header or an index leaves nothing to compare with.
        if !before.is_empty() {
            assert_eq!(saved, before, "{case}");
        }
    }
}

/// Guards the report of losses, as text and as JSON.
#[test]
fn losses_of_a_recovery_are_reported() {
    let home = TempDir::new().expect("a directory");
    let document = recover(&home, "f_bad_doc", &["--json"]).with_code(1).json();
    assert_eq!(
        (&document["rows"], &document["high_seqno"]),
        (&9.into(), &15.into())
    );
    let loss = &document["losses"][0];
    assert_eq!(
        (&loss["first_seqno"], &loss["stored_key"]),
        (&13.into(), &"\0key02".into())
    );
    let home = TempDir::new().expect("a directory");
    let ended = recover(&home, "f_bad_header", &[]).with_code(1);
    let told = "lost: offset 12288: checksum of header does not match; the commit there, if there was one, is lost";
    assert_eq!(ended.stdout.lines().next(), Some(told), "{ended:#?}");
}

/// Guards existing files: no file is overwritten, and none is left if nothing was recovered.
#[test]
fn refusals_leave_nothing_behind() {
    let home = TempDir::new().expect("a directory");
    let names = || fs::read_dir(home.path()).expect("there").count();
    let ended = recover(&home, "i_encrypted_v0_wrapped", &[]).with_code(2);
    assert!(ended.error().contains("encrypted"), "{ended:#?}");
    let hopeless = home.path().join("zeros");
    fs::write(&hopeless, vec![0; 50_000]).expect("written");
    let saved = home.path().join("saved");
    let arguments = ["recover", argument(&hopeless), "--output", argument(&saved)];
    let ended = DCP_SIM.run(&arguments).with_code(4);
    assert!(ended.error().contains("no sound header"), "{ended:#?}");
    let _missing = DCP_SIM
        .run(&[
            "recover",
            "/nowhere/7.couch.1",
            "--output",
            argument(&saved),
        ])
        .with_code(3);
    assert_eq!(names(), 1);
    fs::write(&saved, b"precious").expect("written");
    let ended = recover(&home, "b_ten", &[]).with_code(2);
    assert!(
        ended.hint().contains("nothing is overwritten"),
        "{ended:#?}"
    );
    assert_eq!(fs::read(&saved).expect("there"), b"precious");
    let source = couchstore_dir().join(couchstore_file("b_ten"));
    let itself = DCP_SIM
        .run(&["recover", argument(&source), "--output", argument(&source)])
        .with_code(2);
    assert!(itself.error().contains("b_ten"), "{itself:#?}");
}
