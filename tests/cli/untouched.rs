//! T3: the tools that only read change nothing in a store: no byte, no time, no name.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::SystemTime;

use support::cli::argument;
use support::fixtures::copy_couchstore;
use tempfile::TempDir;

use super::DCP_SIM;

type Seen = BTreeMap<String, (Vec<u8>, SystemTime, u32)>;

/// Returns everything in a directory, and the directory's own time.
fn look(dir: &Path) -> (Seen, SystemTime) {
    use std::os::unix::fs::PermissionsExt;
    let seen = fs::read_dir(dir).expect("there").map(|entry| {
        let path = entry.expect("an entry").path();
        let metadata = fs::metadata(&path).expect("there");
        let modified = metadata.modified().expect("known");
        let mode = metadata.permissions().mode();
        (
            argument(&path).to_owned(),
            (fs::read(&path).expect("readable"), modified, mode),
        )
    });
    (
        seen.collect(),
        fs::metadata(dir).expect("there").modified().expect("known"),
    )
}

#[test]
fn reading_tools_leave_a_store_unchanged() {
    let (home, elsewhere) = (
        TempDir::new().expect("a directory"),
        TempDir::new().expect("a directory"),
    );
    let cases = [
        ("e_base", "0.couch.1"),
        // Opening for writing would finish, cut off or remove these.
        ("e_header_not_activated", "1.couch.1"),
        ("e_torn_in_doc", "2.couch.1"),
        ("e_zero_tail", "3.couch.1"),
        ("b_ten", "3.couch.2.compact"),
        ("b_ten", "4.couch.boot"),
        ("f_bad_header", "5.couch.1"),
        ("f_bad_doc", "6.couch.1"),
        ("b_ten", "6.couch.0"),
    ];
    for (case, name) in cases {
        let path = home.path().join(name);
        copy_couchstore(case, &path);
        // The time is old, so that any write shows.
        let file = fs::File::options().write(true).open(&path).expect("there");
        file.set_modified(SystemTime::UNIX_EPOCH).expect("set");
    }
    let before = look(home.path());
    for (number, (_, name)) in cases.into_iter().enumerate() {
        let path = home.path().join(name);
        for command in ["inspect", "dump", "check"] {
            let _ended = DCP_SIM.run(&[command, argument(&path)]);
        }
        let saved = elsewhere.path().join(number.to_string());
        let ended = DCP_SIM.run(&["recover", argument(&path), "--output", argument(&saved)]);
        assert!(ended.code <= 1 && saved.exists(), "{name}: {ended:#?}");
        let small = elsewhere.path().join(format!("small-{number}"));
        let ended = DCP_SIM.run(&["compact", argument(&path), "--output", argument(&small)]);
        assert_eq!(small.exists(), ended.code == 0, "{name}: {ended:#?}");
    }
    for command in [
        &["inspect"][..],
        &["dump"],
        &["dump", "--local"],
        &["dump", "--by", "key"],
        &["check"],
    ] {
        let _ended = DCP_SIM.run(&[command, &[argument(home.path())]].concat());
    }
    assert!(look(home.path()) == before, "something has changed");
}

/// Guards log stores: an existing lock file stays as it was, and none is made.
#[test]
fn reading_tools_leave_a_log_store_unchanged() {
    let home = TempDir::new().expect("a directory");
    super::log_store::make(home.path());
    for with_lock in [true, false] {
        if !with_lock {
            fs::remove_file(home.path().join("LOCK")).expect("removed");
        }
        for entry in fs::read_dir(home.path()).expect("there") {
            let file = fs::File::options()
                .write(true)
                .open(entry.expect("an entry").path())
                .expect("there");
            file.set_modified(SystemTime::UNIX_EPOCH).expect("set");
        }
        let before = look(home.path());
        for command in [
            &["inspect"][..],
            &["dump"],
            &["dump", "--by", "key"],
            &["check"],
        ] {
            let _ended = DCP_SIM
                .run(&[command, &[argument(home.path())]].concat())
                .with_code(0);
        }
        let elsewhere = TempDir::new().expect("a directory");
        let new = elsewhere.path().join("new");
        let _copied = DCP_SIM
            .run(&["compact", argument(home.path()), "--output", argument(&new)])
            .with_code(0);
        assert!(look(home.path()) == before, "something has changed");
    }
}
