//! `dcp-sim compact`: the same content in less space, with nothing else touched (T6).

use std::fs;
use std::path::Path;
use std::time::SystemTime;

use support::cli::{Ended, argument};
use support::fixtures::{copy_couchstore, couchstore_bytes, couchstore_dir, couchstore_file};
use tempfile::TempDir;

use super::DCP_SIM;

fn names(dir: &Path) -> Vec<String> {
    let names = fs::read_dir(dir)
        .expect("there")
        .map(|entry| entry.expect("an entry").file_name());
    let mut names: Vec<_> = names
        .map(|name| name.into_string().expect("UTF-8"))
        .collect();
    names.sort();
    names
}

fn dump(path: &Path) -> [String; 3] {
    [&[][..], &["--by", "key"], &["--local"]].map(|options| {
        DCP_SIM
            .run(&[&["dump", argument(path)], options].concat())
            .with_code(0)
            .stdout
    })
}

fn check(path: &Path) {
    let checked = DCP_SIM.run(&["check", argument(path)]).with_code(0);
    assert_eq!(
        checked.stdout.lines().count(),
        1,
        "no finding: {checked:#?}"
    );
}

/// Copies a case into `home` with an old modification time, so that any write shows.
fn old_copy(home: &TempDir, case: &str, name: &str) -> std::path::PathBuf {
    let path = home.path().join(name);
    copy_couchstore(case, &path);
    let file = fs::File::options().write(true).open(&path).expect("there");
    file.set_modified(SystemTime::UNIX_EPOCH).expect("set");
    path
}

fn to_output(source: &Path, output: &Path, options: &[&str]) -> Ended {
    DCP_SIM.run(
        &[
            &["compact", argument(source), "--output", argument(output)],
            options,
        ]
        .concat(),
    )
}

fn version(path: &Path) -> u64 {
    let document = DCP_SIM
        .run(&["inspect", argument(path), "--json"])
        .with_code(0)
        .json();
    document["files"][0]["headers"][0]["version"]
        .as_u64()
        .expect("a number")
}

/// Guards content, soundness, version, and that the source is only read.
#[test]
fn compacted_file_has_the_same_content() {
    for (case, versions) in [
        ("b_ten", (14, 14)),
        ("h_boundary", (14, 14)),
        ("e_base", (14, 14)),
        ("e_zero_tail", (14, 14)),
        ("g_ten_v11", (11, 12)),
        ("g_ten_v12", (12, 12)),
        ("g_ten_v13", (13, 13)),
        ("a_created", (14, 14)),
    ] {
        let (home, elsewhere) = (
            TempDir::new().expect("a directory"),
            TempDir::new().expect("a directory"),
        );
        let source = old_copy(&home, case, "7.couch.1");
        let small = elsewhere.path().join("7.couch.2");
        let document = to_output(&source, &small, &["--json"]).with_code(0).json();
        assert_eq!(names(home.path()), ["7.couch.1"], "{case}");
        assert!(
            fs::read(&source).expect("there") == couchstore_bytes(case),
            "{case}"
        );
        let modified = fs::metadata(&source)
            .and_then(|metadata| metadata.modified())
            .expect("known");
        assert_eq!(modified, SystemTime::UNIX_EPOCH, "{case}");
        assert_eq!(
            names(elsewhere.path()),
            ["7.couch.2"],
            "{case}: nothing beside it"
        );
        check(&small);
        assert_eq!(dump(&small), dump(&source), "{case}");
        assert_eq!((version(&source), version(&small)), versions, "{case}");

        let file = &document["files"][0];
        let bytes = |path: &Path| fs::metadata(path).expect("there").len();
        assert_eq!(
            (&document["command"], &document["in_place"]),
            (&"compact".into(), &false.into())
        );
        assert_eq!(file["output"], argument(&small));
        assert_eq!(file["bytes_before"], bytes(&source), "{case}");
        assert_eq!(file["bytes_after"], bytes(&small), "{case}");
        assert_eq!(
            file["items"],
            dump(&small)[0].lines().count() as u64,
            "{case}"
        );
        assert_eq!(file["tombstones_purged"], 0, "{case}");
    }
}

/// Guards that the index by key is rebuilt, so that damage to the old one costs nothing.
#[test]
fn damaged_index_by_key_is_rebuilt() {
    let home = TempDir::new().expect("a directory");
    let (source, small) = (
        couchstore_dir().join(couchstore_file("f_bad_id_root")),
        home.path().join("small"),
    );
    let _ended = to_output(&source, &small, &[]).with_code(0);
    check(&small);
    let before = DCP_SIM
        .run(&["dump", argument(&source)])
        .with_code(0)
        .stdout;
    assert_eq!((&dump(&small)[0], before.lines().count()), (&before, 10));
}

/// Guards that a commit that may have been acknowledged is kept: opening the store would restore
/// it.
#[test]
fn whole_commit_that_was_not_activated_is_kept() {
    let home = TempDir::new().expect("a directory");
    let source = old_copy(&home, "e_header_not_activated", "7.couch.1");
    let small = home.path().join("small");
    let _ended = to_output(&source, &small, &[]).with_code(0);
    check(&small);
    let opened = TempDir::new().expect("a directory");
    copy_couchstore("e_header_not_activated", &opened.path().join("7.couch.1"));
    let _ended = DCP_SIM
        .run(&["compact", argument(opened.path()), "--in-place"])
        .with_code(0);
    assert_eq!(dump(&small)[0], dump(&opened.path().join("7.couch.2"))[0]);
    assert!(dump(&small)[0].lines().count() > 0);
}

/// Guards which tombstones are purged, and the report about them.
#[test]
fn tombstones_are_purged_as_asked() {
    let source = couchstore_dir().join(couchstore_file("d_rich"));
    let is_deleted = |line: &&str| line.contains(r#""deleted":true"#);
    let before = dump(&source)[0].clone();
    let tombstones = before.lines().filter(is_deleted).count();
    assert!(tombstones > 1, "{before}");
    for (options, purges) in [
        (&[][..], false),
        (&["--purge-upto", "0"], false),
        (&["--purge-before", "1"], false),
        (&["--purge-upto", "1000000", "--purge-before", "1"], false),
        (&["--purge-upto", "1000000"], true),
    ] {
        let home = TempDir::new().expect("a directory");
        let small = home.path().join("small");
        let document = to_output(&source, &small, &[options, &["--json"]].concat())
            .with_code(0)
            .json();
        check(&small);
        let left = dump(&small)[0].lines().filter(is_deleted).count();
        assert_eq!(left < tombstones, purges, "{options:?}");
        assert_eq!(
            document["files"][0]["tombstones_purged"],
            (tombstones - left) as u64,
            "{options:?}"
        );
    }
    let home = TempDir::new().expect("a directory");
    let said = to_output(
        &source,
        &home.path().join("small"),
        &["--purge-upto", "1000000"],
    )
    .with_code(0);
    assert!(said.stdout.contains("purged"), "{said:#?}");
}

/// Guards a store's directory: every vBucket is compacted, other files stay, and one bad file harms
/// no other.
#[test]
fn directory_compacted_in_place_keeps_other_files() {
    let home = TempDir::new().expect("a directory");
    for (case, name) in [
        ("b_ten", "3.couch.1"),
        ("g_ten_v12", "12.couch.9"),
        ("b_ten", "3.couch.0"),
    ] {
        copy_couchstore(case, &home.path().join(name));
    }
    fs::write(home.path().join("notes"), b"mine").expect("written");
    let content = |name: &str| dump(&home.path().join(name));
    let before = [content("3.couch.1"), content("12.couch.9")];
    let ended = DCP_SIM
        .run(&["compact", argument(home.path()), "--in-place", "--json"])
        .with_code(0);
    assert!(
        ended
            .stderr
            .contains("3.couch.0: superseded by a newer revision: removed"),
        "{ended:#?}"
    );
    assert_eq!(
        names(home.path()),
        ["12.couch.10", "3.couch.2", "LOCK", "notes"]
    );
    assert_eq!([content("3.couch.2"), content("12.couch.10")], before);
    assert_eq!(version(&home.path().join("12.couch.10")), 12);
    let document = ended.json();
    let outputs: Vec<_> = (0..2)
        .map(|at| document["files"][at]["output"].clone())
        .collect();
    assert_eq!(
        outputs,
        ["3.couch.2", "12.couch.10"].map(|name| argument(&home.path().join(name)).to_owned())
    );
    for name in ["3.couch.2", "12.couch.10"] {
        check(&home.path().join(name));
    }

    copy_couchstore("f_bad_doc", &home.path().join("4.couch.1"));
    copy_couchstore("i_encrypted_v0_wrapped", &home.path().join("5.couch.1"));
    let ended = DCP_SIM
        .run(&["compact", argument(home.path()), "--in-place"])
        .with_code(4);
    let now = [
        "12.couch.11",
        "3.couch.3",
        "4.couch.1",
        "5.couch.1",
        "LOCK",
        "notes",
    ];
    assert_eq!(names(home.path()), now);
    assert!(ended.error().contains("4.couch.1 at offset"), "{ended:#?}");
    assert!(
        ended.stderr.contains("5.couch.1: ") && ended.stdout.lines().count() == 2,
        "{ended:#?}"
    );
    assert!(
        fs::read(home.path().join("4.couch.1")).expect("there") == couchstore_bytes("f_bad_doc")
    );
    fs::remove_file(home.path().join("4.couch.1")).expect("removed");
    let _encrypted = DCP_SIM
        .run(&["compact", argument(home.path()), "--in-place"])
        .with_code(2);
}

/// Guards existing files: each refusal leaves them as they were, and makes no new file.
#[test]
fn refusals_leave_nothing_behind() {
    let home = TempDir::new().expect("a directory");
    let output = home.path().join("small");
    for (case, code, said) in [
        ("f_bad_doc", 4, "checksum"),
        ("f_bad_seq_root", 4, "checksum"),
        ("f_bad_header", 4, "offset 12288"),
        ("i_encrypted_v0_wrapped", 2, "encrypted"),
    ] {
        let source = couchstore_dir().join(couchstore_file(case));
        let ended = to_output(&source, &output, &[]).with_code(code);
        assert!(ended.error().contains(said), "{case}: {ended:#?}");
        assert_eq!(names(home.path()), [""; 0], "{case}");
    }
    let source = couchstore_dir().join(couchstore_file("b_ten"));
    let _missing = to_output(Path::new("/nowhere/7.couch.1"), &output, &[]).with_code(3);
    let _nowhere = to_output(&source, Path::new("/nowhere/small"), &[]).with_code(3);
    let itself = to_output(&source, &source, &[]).with_code(2);
    assert!(
        itself.hint().contains("nothing is overwritten"),
        "{itself:#?}"
    );
    fs::write(&output, b"precious").expect("written");
    let taken = to_output(&source, &output, &[]).with_code(2);
    assert!(
        taken.hint().contains("nothing is overwritten"),
        "{taken:#?}"
    );
    assert_eq!(fs::read(&output).expect("there"), b"precious");

    // No store is made where there is none, and a file is not replaced.
    let in_place = |path: &Path| DCP_SIM.run(&["compact", argument(path), "--in-place"]);
    let empty = in_place(home.path()).with_code(2);
    assert!(empty.error().contains("no vBucket's file"), "{empty:#?}");
    assert!(in_place(&source).with_code(2).hint().contains("--output"));
    let _missing = in_place(Path::new("/nowhere")).with_code(3);
    assert!(
        to_output(home.path(), &home.path().join("new"), &[])
            .with_code(2)
            .stdout
            .is_empty()
    );
    copy_couchstore("b_ten", &home.path().join("3.couch.1"));
    let directory = to_output(home.path(), &home.path().join("new"), &[]).with_code(2);
    assert!(directory.hint().contains("--in-place"), "{directory:#?}");
    assert_eq!(names(home.path()), ["3.couch.1", "small"]);
    let source = argument(&source);
    for arguments in [
        &["compact", source][..],
        &["compact", source, "--in-place", "--output", "new"],
        &["compact", source, "--output", "new", "--purge-before", "-1"],
        &["compact", source, "--output", "new", "--purge-upto", "x"],
    ] {
        let _nonsense = DCP_SIM.run_in(home.path(), arguments).with_code(2);
    }
}

/// Guards that a store that is in use is not touched.
#[test]
fn store_that_is_open_elsewhere_is_not_touched() {
    let home = TempDir::new().expect("a directory");
    copy_couchstore("b_ten", &home.path().join("3.couch.1"));
    let disk = lowtide_persistence::disk::OsDisk::new();
    let _lock = lowtide_persistence::disk::Disk::lock(&disk, home.path()).expect("free");
    let ended = DCP_SIM
        .run(&["compact", argument(home.path()), "--in-place"])
        .with_code(3);
    assert!(ended.hint().contains("open elsewhere"), "{ended:#?}");
    assert_eq!(names(home.path()), ["3.couch.1", "LOCK"]);
}
