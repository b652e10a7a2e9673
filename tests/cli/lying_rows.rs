//! A by-seqno row that names no body, with valid checksums, while the by-id row is whole: every
//! tool reports it.

use std::fs;
use std::path::{Path, PathBuf};

use support::cli::argument;
use support::fixtures::couchstore_dir;
use tempfile::TempDir;

use super::DCP_SIM;

/// Copies the crafted file: of its six documents that of seqno 3 has such a row.
fn lying_row(home: &TempDir) -> PathBuf {
    let path = home.path().join("7.couch.1");
    let crafted = couchstore_dir()
        .with_file_name("crafted")
        .join("lying_row.couch.1");
    fs::copy(crafted, &path).expect("there");
    path
}

fn dump(path: &Path, by: &str, code: i32) -> (Vec<String>, String) {
    let ended = DCP_SIM
        .run(&["dump", argument(path), "--by", by])
        .with_code(code);
    (
        ended.stdout.lines().map(str::to_owned).collect(),
        ended.stderr,
    )
}

#[test]
fn dump_by_seqno_leaves_the_document_out_and_reports_it() {
    let home = TempDir::new().expect("a directory");
    let file = lying_row(&home);
    let (lines, told) = dump(&file, "seqno", 4);
    assert_eq!(lines.len(), 5, "{lines:#?}");
    assert!(
        !lines
            .iter()
            .any(|line| line.contains("null") || line.contains(r#""seqno":3,"#)),
        "{lines:#?}"
    );
    assert!(told.contains("error: seqno 3 is left out"), "{told}");
    // By key every document is found.
    assert_eq!(dump(&file, "key", 0).0.len(), 6);
}

#[test]
fn compaction_refuses_the_file_and_keeps_it() {
    let home = TempDir::new().expect("a directory");
    let file = lying_row(&home);
    let before = fs::read(&file).expect("there");
    let new = home.path().join("new");
    let ended = DCP_SIM
        .run(&["compact", argument(&file), "--output", argument(&new)])
        .with_code(4);
    assert!(
        ended
            .error()
            .contains("seqno 3, key key1: a document without a body"),
        "{ended:#?}"
    );
    let ended = DCP_SIM
        .run(&["compact", argument(home.path()), "--in-place"])
        .with_code(4);
    assert!(
        ended
            .error()
            .contains("seqno 3, key key1: a document without a body"),
        "{ended:#?}"
    );
    assert!(!new.exists() && fs::read(&file).expect("there") == before);
}

#[test]
fn recovery_uses_the_sound_row() {
    let home = TempDir::new().expect("a directory");
    let (file, new) = (lying_row(&home), home.path().join("8.couch.1"));
    let ended = DCP_SIM
        .run(&["recover", argument(&file), "--output", argument(&new)])
        .with_code(0);
    assert!(ended.stdout.contains("nothing was lost"), "{ended:#?}");
    assert_eq!(dump(&new, "key", 0).0, dump(&file, "key", 0).0);
    assert_eq!(dump(&new, "seqno", 0).0.len(), 6);
}
