//! Files that a run writes to. They are opened before the run, and changed only by its results.
//!
//! # Invariants
//!
//! - An older file keeps its content until the first byte of the new one is written.
//! - A command that ends before that leaves no new file.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::exit::Exit;
use super::failure::Failure;
use super::output::Output;

/// Opens a file for results.
///
/// # Errors
/// [`Exit::Io`] with its path, if it cannot be written.
pub(super) fn open(path: &Path) -> Result<Output, Failure> {
    let named = |error: io::Error| {
        Failure::new(
            Exit::Io,
            &format!("cannot write {}: {error}", path.display()),
        )
    };
    let mut options = OpenOptions::new();
    let (file, is_new) = match options.write(true).create_new(true).open(path) {
        Ok(file) => (file, true),
        // A file that cannot be created may exist already, such as a device in a directory that
        // accepts no files.
        Err(created) => match options.create_new(false).open(path) {
            Ok(file) => (file, false),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(named(created)),
            Err(error) => return Err(named(error)),
        },
    };
    let new = NewFile {
        file,
        path: path.to_owned(),
        is_new,
        is_begun: false,
    };
    Ok(Output::new(path.display().to_string(), new))
}

struct NewFile {
    file: File,
    path: PathBuf,
    /// `true` if the file did not exist before.
    is_new: bool,
    is_begun: bool,
}

impl NewFile {
    fn begin(&mut self) -> io::Result<()> {
        // Only a regular file has an older content.
        if !self.is_begun && self.file.metadata()?.is_file() {
            self.file.set_len(0)?;
        }
        self.is_begun = true;
        Ok(())
    }
}

impl Write for NewFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.begin()?;
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.begin()?;
        self.file.flush()
    }
}

impl Drop for NewFile {
    fn drop(&mut self) {
        if self.is_new && !self.is_begun {
            // At worst an empty file remains.
            let _ = fs::remove_file(&self.path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unused_file_changes_nothing() {
        let home = tempfile::tempdir().expect("a directory");
        let old = home.path().join("old");
        let new = home.path().join("new");
        fs::write(&old, "an older page").expect("written");
        let opened = [open(&old), open(&new)];
        assert!(opened.iter().all(Result::is_ok));
        drop(opened);
        assert_eq!(fs::read_to_string(&old).expect("kept"), "an older page");
        assert!(!new.exists());
    }

    #[test]
    fn used_file_has_only_the_new_content() {
        let home = tempfile::tempdir().expect("a directory");
        let old = home.path().join("old");
        let empty = home.path().join("empty");
        fs::write(&old, "an older page").expect("written");
        for (path, text) in [(&old, "new"), (&empty, "")] {
            let Ok(mut output) = open(path) else {
                panic!("{} can be written to", path.display())
            };
            assert!(output.write_all(text.as_bytes()).is_ok());
            assert_eq!(output.end(Exit::Ok), Exit::Ok);
            drop(output);
            assert_eq!(fs::read_to_string(path).expect("there"), text);
        }
    }

    #[test]
    fn unwritable_place_is_named() {
        let home = tempfile::tempdir().expect("a directory");
        for path in [
            home.path().join("missing/page.html"),
            home.path().to_owned(),
        ] {
            let Err(failure) = open(&path) else {
                panic!("{} can't be written to", path.display())
            };
            assert!(
                failure.error.contains(path.to_str().expect("UTF-8")),
                "{}",
                failure.error
            );
            assert_eq!(failure.exit, Exit::Io);
        }
    }
}
