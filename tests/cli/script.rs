//! `script`: its exit codes.

use std::path::{Path, PathBuf};

use support::cli::argument;
use tempfile::TempDir;

use super::DCP_SIM;

const GOOD: &str = "# One write.\nmanager\n----\n\nset a\n----\n1 new\n";

fn file(home: &TempDir, name: &str, text: &str) -> PathBuf {
    let path = home.path().join(name);
    std::fs::write(&path, text).expect("written");
    path
}

fn code(paths: &[&Path]) -> i32 {
    let paths = paths.iter().map(|path| argument(path));
    DCP_SIM
        .run(&["script"].into_iter().chain(paths).collect::<Vec<_>>())
        .code
}

/// Guards the exit codes that calling scripts rely on: 0 equal, 1 different, 2 not understood, 3
/// not readable; the worst wins.
#[test]
fn script_with_each_outcome_has_its_exit_code() {
    let home = TempDir::new().expect("a directory");
    let good = file(&home, "good.scn", GOOD);
    let different = file(&home, "different.scn", &GOOD.replace("1 new", "2 new"));
    let nonsense = file(&home, "nonsense.scn", &GOOD.replace("set", "sat"));
    let missing = home.path().join("missing.scn");
    assert_eq!(code(&[&good]), 0);
    assert_eq!(code(&[&different]), 1);
    assert_eq!(code(&[&nonsense]), 2);
    assert_eq!(code(&[&missing]), 3);
    assert_eq!(code(&[&good, &different, &nonsense]), 2);
    assert_eq!(code(&[&missing, &good, &different]), 3);
}

/// Guards that rewriting makes a file match, and happens on request only.
#[test]
fn rewriting_on_request_makes_a_file_match() {
    let home = TempDir::new().expect("a directory");
    let wrong = GOOD.replace("1 new", "2 new");
    let path = file(&home, "wrong.scn", &wrong);
    assert_eq!(code(&[&path]), 1);
    assert_eq!(std::fs::read_to_string(&path).expect("there"), wrong);
    let _rewritten = DCP_SIM
        .run(&["script", "--rewrite", argument(&path)])
        .with_code(0);
    assert_eq!(std::fs::read_to_string(&path).expect("there"), GOOD);
}
