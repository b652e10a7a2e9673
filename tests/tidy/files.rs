//! The workspace's files, as they are in the working tree.

use std::path::{Path, PathBuf};

/// Text file of the workspace: its path from the root, with `/`, and its text.
#[derive(Debug)]
pub(crate) struct SourceFile {
    pub(crate) path: String,
    pub(crate) text: String,
}

impl SourceFile {
    pub(crate) fn is_rust(&self) -> bool {
        self.path.ends_with(".rs")
    }

    /// Returns `true` for code that exists for tests alone: such a file, or one below such a
    /// directory.
    pub(crate) fn is_test(&self) -> bool {
        self.path
            .split('/')
            .any(|part| ["tests", "tests.rs", "loom-tests", "contract.rs"].contains(&part))
    }
}

pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("a workspace")
}

/// Returns every text file, sorted, without build outputs and git's own files.
pub(crate) fn all() -> Vec<SourceFile> {
    let mut found = Vec::new();
    walk(root(), &mut found);
    found.sort();
    let read = |path: PathBuf| {
        let text = String::from_utf8(std::fs::read(&path).ok()?).ok()?;
        let path = path
            .strip_prefix(root())
            .expect("below the root")
            .to_str()?
            .replace('\\', "/");
        Some(SourceFile { path, text })
    };
    let files: Vec<_> = found.into_iter().filter_map(read).collect();
    assert!(
        files.iter().filter(|file| file.is_rust()).count() > 100,
        "the whole workspace is read"
    );
    files
}

fn walk(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(dir).expect("a directory") {
        let path = entry.expect("an entry").path();
        let name = path
            .file_name()
            .and_then(|name| name.to_str())
            .unwrap_or_default();
        let is_output = name.starts_with("target") || name == ".git";
        if !path.is_dir() {
            found.push(path);
        } else if !is_output {
            walk(&path, found);
        }
    }
}
