//! The vendor's couchstore files for tests of other crates; their `ORIGIN.md` documents their
//! origin.

use std::path::{Path, PathBuf};

/// Returns the directory of the files.
#[must_use]
pub fn couchstore_dir() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../persistence/tests/fixtures/couchstore")
}

/// Returns the name of a case's file.
#[must_use]
pub fn couchstore_file(case: &str) -> String {
    format!("{case}.couch.1")
}

/// Copies a case's file.
///
/// # Panics
///
/// If it can't be copied.
pub fn copy_couchstore(case: &str, to: &Path) {
    std::fs::write(to, couchstore_bytes(case)).expect("written");
}

/// Returns the bytes of a case's file.
///
/// # Panics
///
/// If it can't be read.
#[must_use]
pub fn couchstore_bytes(case: &str) -> Vec<u8> {
    std::fs::read(couchstore_dir().join(couchstore_file(case))).expect("a fixture")
}
