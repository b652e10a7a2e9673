//! The fuzz targets: which there are, and how each is run.
//!
//! cargo-fuzz needs a nightly compiler, which the rest of the workspace does not. So it is looked for first, and a missing
//! tool is named with the command that installs it.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::step::{Failure, Step};

const TARGETS: &str = "fuzz/fuzz_targets";
const CORPORA: &str = "fuzz/corpus";
/// Files of the vendor's, which read as couchstore files at once.
const VECTORS: &str = "persistence/tests/fixtures/couchstore";

/// Arguments of libFuzzer for every target: no reader may take more memory than this.
const LIMITS: &str = "-max_len=16384 -malloc_limit_mb=64";
/// Targets whose input is a whole life. libFuzzer otherwise keeps their input short, and finds little.
const LONG_LIVES: [(&str, &str); 3] = [
    ("log_store", "-len_control=0 -max_len=300"),
    ("producer", "-len_control=0 -max_len=1024"),
    ("consumer", "-len_control=0 -max_len=1024"),
];

/// Checks that cargo-fuzz runs on a nightly compiler.
///
/// # Errors
/// If it does not.
pub(crate) fn require_tools() -> Result<(), Failure> {
    let found = Command::new("cargo")
        .args(["+nightly", "fuzz", "--version"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    if found.is_ok_and(|status| status.success()) {
        return Ok(());
    }
    let hint = "rustup toolchain install nightly && cargo install cargo-fuzz";
    Err(Failure::new("fuzzing needs a nightly compiler and cargo-fuzz").with_hint(hint))
}

/// Names of the targets, sorted.
///
/// # Errors
/// If their directory cannot be read, or holds none.
pub(crate) fn targets(root: &Path) -> Result<Vec<String>, Failure> {
    let unreadable = |error| Failure::new(&format!("{TARGETS}: {error}"));
    let mut names = Vec::new();
    for entry in fs::read_dir(root.join(TARGETS)).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        let name = path.file_stem().and_then(|stem| stem.to_str());
        if let (Some(name), true) = (name, path.extension().is_some_and(|end| end == "rs")) {
            names.push(name.to_owned());
        }
    }
    names.sort();
    if names.is_empty() {
        return Err(Failure::new(&format!("{TARGETS}: no fuzz target")));
    }
    Ok(names)
}

/// Makes each target's corpus directory: libFuzzer refuses one that is missing.
///
/// # Errors
/// If a directory cannot be made.
pub(crate) fn make_corpora(root: &Path) -> Result<(), Failure> {
    for name in targets(root)? {
        let corpus = format!("{CORPORA}/{name}");
        fs::create_dir_all(root.join(&corpus))
            .map_err(|error| Failure::new(&format!("{corpus}: {error}")))?;
    }
    Ok(())
}

/// One step for each target.
pub(crate) fn steps(targets: &[String], seconds: u32) -> Vec<Step> {
    let step = |name: &String| {
        let limits = LONG_LIVES
            .iter()
            .find(|(long, _)| long == name)
            .map_or(LIMITS, |(_, limits)| limits);
        let seeds = if name.starts_with("couch_file") {
            VECTORS
        } else {
            ""
        };
        Step::cargo(&format!(
            "+nightly fuzz run {name} {CORPORA}/{name} {seeds} -- {limits} -max_total_time={seconds}"
        ))
    };
    targets.iter().map(step).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names() -> Vec<String> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent();
        targets(root.expect("a workspace")).expect("readable")
    }

    #[test]
    fn every_target_gets_a_step() {
        let steps = steps(&names(), 5);
        let lines: Vec<_> = steps.iter().map(Step::line).collect();
        assert_eq!(
            lines
                .iter()
                .find(|line| line.contains(" wire "))
                .map(String::as_str),
            Some(
                "cargo +nightly fuzz run wire fuzz/corpus/wire -- -max_len=16384 -malloc_limit_mb=64 -max_total_time=5"
            )
        );
        assert!(lines.iter().any(|line| line.contains(VECTORS)));
    }

    #[test]
    fn targets_with_own_limits_exist() {
        let names = names();
        for (name, _) in LONG_LIVES {
            assert!(names.iter().any(|target| target == name), "{name}");
        }
    }
}
