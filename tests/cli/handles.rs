//! A store of more files than the process may open.

use std::fs;
use std::process::Command;

use support::fixtures::copy_couchstore;
use tempfile::TempDir;

use super::DCP_SIM;

#[test]
fn store_of_many_files_is_compacted_under_a_small_limit_of_handles() {
    let home = TempDir::new().expect("a directory");
    for vb in 0..200 {
        copy_couchstore("e_base", &home.path().join(format!("{vb}.couch.1")));
    }
    let ended = Command::new("sh")
        .args([
            "-c",
            r#"ulimit -n 24 && exec "$0" compact "$1" --in-place"#,
            DCP_SIM.0,
        ])
        .arg(home.path())
        .output()
        .expect("a shell");
    assert!(
        ended.status.success(),
        "{}",
        String::from_utf8_lossy(&ended.stderr)
    );
    assert_eq!(String::from_utf8_lossy(&ended.stdout).lines().count(), 200);
    let newest = |vb: u16| home.path().join(format!("{vb}.couch.2"));
    assert!(
        (0..200)
            .all(|vb| newest(vb).exists() && !home.path().join(format!("{vb}.couch.1")).exists())
    );
    let checked = DCP_SIM
        .run(&["check", home.path().to_str().expect("UTF-8")])
        .with_code(0);
    assert_eq!(
        checked.stdout.lines().last(),
        Some("200 files, none damaged")
    );
    fs::remove_dir_all(home.path()).expect("removed");
}
