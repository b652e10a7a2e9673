//! Directories and files of another engine: each tool names the owner, and writes nothing.

use std::fs;
use std::path::Path;

use support::cli::argument;
use support::fixtures::copy_couchstore;
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

/// Guards a directory with two engines' files, as a mistaken engine would leave it.
#[test]
fn directory_of_two_engines_files_is_refused_by_every_tool() {
    let home = TempDir::new().expect("a directory");
    let (dir, new) = (home.path().join("store"), home.path().join("new"));
    fs::create_dir(&dir).expect("made");
    copy_couchstore("b_ten", &dir.join("3.couch.1"));
    fs::write(dir.join("MANIFEST"), b"").expect("written");
    for command in [
        &["check", argument(&dir)][..],
        &["inspect", argument(&dir)],
        &["dump", argument(&dir)],
        &["compact", argument(&dir), "--in-place"],
        &["compact", argument(&dir), "--output", argument(&new)],
    ] {
        let ended = DCP_SIM.run(command).with_code(2);
        assert!(
            ended
                .error()
                .ends_with("this is a couchstore store: 3.couch.1 is in it"),
            "{ended:#?}"
        );
        assert_eq!(names(&dir), ["3.couch.1", "MANIFEST"], "{command:?}");
        assert!(!new.exists(), "{command:?}");
    }
}

#[test]
fn single_file_of_a_log_store_is_recognized() {
    let home = TempDir::new().expect("a directory");
    let (file, new) = (home.path().join("log-00000000"), home.path().join("new"));
    fs::write(&file, b"").expect("written");
    for command in [
        &["check", argument(&file)][..],
        &["inspect", argument(&file)],
        &["dump", argument(&file)],
        &["compact", argument(&file), "--output", argument(&new)],
        &["recover", argument(&file), "--output", argument(&new)],
    ] {
        let ended = DCP_SIM.run(command).with_code(2);
        assert!(
            ended
                .error()
                .ends_with("log-00000000 is a file of a log store"),
            "{ended:#?}"
        );
        assert_eq!(
            ended.hint(),
            "a log store is read as a whole: name its directory"
        );
    }
    let ended = DCP_SIM
        .run(&["recover", argument(home.path()), "--output", argument(&new)])
        .with_code(2);
    assert!(ended.error().ends_with("is a log store"), "{ended:#?}");
    assert_eq!(names(home.path()), ["log-00000000"]);
}
