//! Every file of `tests/scenarios` gives its recorded outputs; and the runner itself is strict.

use std::fs;
use std::path::{Path, PathBuf};

use dcp_sim::script::{ExitStatus, Outcome, ParseError, run, run_file};

mod engines;
mod runner;

fn scenarios() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios")
}

/// Returns all scenario files below a directory, sorted.
fn files_below(directory: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(directory).expect("a directory of scenarios") {
        let path = entry.expect("a readable entry").path();
        if path.is_dir() {
            files.extend(files_below(&path));
        } else if path.extension().is_some_and(|extension| extension == "scn") {
            files.push(path);
        }
    }
    files.sort();
    files
}

fn outcome(text: &str) -> Outcome {
    run_file(Path::new("test.scn"), text).expect("a scenario")
}

fn refusal(text: &str) -> ParseError {
    run_file(Path::new("test.scn"), text).expect_err("no scenario")
}

#[test]
fn scenarios_give_their_recorded_outputs() {
    let files = files_below(&scenarios());
    assert!(files.len() >= 4, "found {files:?}");
    let mut told = Vec::new();
    let status = run(&files, false, &mut told).expect("a vector takes everything");
    assert_eq!(
        status,
        ExitStatus::Ok,
        "\n{}",
        String::from_utf8_lossy(&told)
    );
}

#[test]
fn scenarios_begin_with_a_comment_and_give_the_same_twice() {
    for file in files_below(&scenarios()) {
        let text = fs::read_to_string(&file).expect("a readable file");
        assert!(
            text.starts_with("# "),
            "{}: begins with a comment",
            file.display()
        );
        let first = run_file(&file, &text).expect("a scenario");
        assert_eq!(
            first,
            run_file(&file, &text).expect("a scenario"),
            "{}",
            file.display()
        );
    }
}
