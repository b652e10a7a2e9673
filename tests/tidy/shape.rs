//! The shape of a file: it says what it is for, stays short, and leaves nothing half done.

use super::files;

const LINES_MAX: usize = 400;

/// Guards that a reader of a file learns what it is. A file of tests is explained by the file it
/// tests.
#[test]
fn each_file_begins_with_its_purpose() {
    let rust = files::all().into_iter().filter(|file| file.is_rust());
    let silent: Vec<_> = rust
        .filter(|file| !file.text.starts_with("//! ") && !file.path.ends_with("/tests.rs"))
        .map(|file| file.path)
        .collect();
    assert!(silent.is_empty(), "{silent:#?}");
}

/// Guards files from growing until they are too long to read.
#[test]
fn files_are_short() {
    let long: Vec<_> = files::all()
        .into_iter()
        .filter(|file| file.is_rust() && file.text.lines().count() > LINES_MAX)
        .map(|file| file.path)
        .collect();
    assert!(long.is_empty(), "{long:#?}");
}

/// The one file that may have unsafe code, with its own models and Miri.
const UNSAFE: &str = "checkpoint/src/queue/append_only.rs";

/// Guards that unsafe code stays in the file that is reviewed for it.
#[test]
fn unsafe_code_is_in_one_file() {
    let allowance = concat!("(unsafe", "_code)");
    let lifts = |line: &&str| line.contains(allowance) && !line.contains("forbid");
    let lifted: Vec<_> = files::all()
        .into_iter()
        .filter(|file| file.is_rust() && file.text.lines().any(|line| lifts(&line)))
        .map(|file| file.path)
        .collect();
    assert_eq!(lifted, [UNSAFE]);
}

/// Guards that nothing is left half done, or depends on files outside the repository.
#[test]
fn nothing_is_left_half_done() {
    // Concatenated, so that this file has none of them.
    let anywhere = [
        concat!("/work/", "shared"),
        concat!("../", "shared"),
        concat!("FIX", "ME"),
        concat!("XX", "X"),
    ];
    let in_code = [
        concat!("todo", "!("),
        concat!("unimplemented", "!("),
        concat!("TO", "DO"),
        concat!("dbg", "!("),
    ];
    let mut found = Vec::new();
    for file in files::all() {
        let words = anywhere
            .iter()
            .chain(in_code.iter().filter(|_| file.is_rust()));
        for word in words {
            let lines = file
                .text
                .lines()
                .enumerate()
                .filter(|(_, line)| line.contains(word));
            // The bytes of a fixture are data.
            let is_data = file.path.contains("/fixtures/") || file.path == "Cargo.lock";
            found.extend(
                lines
                    .filter(|_| !is_data)
                    .map(|(line, _)| format!("{}:{}: {word}", file.path, line + 1)),
            );
        }
    }
    assert!(found.is_empty(), "{found:#?}");
}

/// The one file of the command line that writes to the process's streams.
const STREAMS: &str = "dcp-sim/src/cli/output.rs";

/// Guards that a failure to write results is noticed: clippy finds the macros, this test finds the
/// handles.
#[test]
fn standard_output_has_one_writer() {
    let word = concat!("stdout", "()");
    let writes = |file: &files::SourceFile| {
        file.path.starts_with("dcp-sim/src/") && file.text.contains(word)
    };
    assert_eq!(
        files::all()
            .into_iter()
            .filter(writes)
            .map(|file| file.path)
            .collect::<Vec<_>>(),
        [STREAMS]
    );
}

/// Guards against tests that pass or fail by the time they take.
#[test]
fn no_test_sleeps() {
    let word = concat!("thread::", "sleep");
    let sleeping = files::all()
        .into_iter()
        .filter(|file| file.is_rust() && file.text.contains(word));
    assert_eq!(sleeping.map(|file| file.path).collect::<Vec<_>>(), [""; 0]);
}
