//! Small repositories made with git itself, and git's own account of the files of their HEAD.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::cli::{argument, without_git_settings};

/// Contents by path, both any bytes.
pub type Files = BTreeMap<Vec<u8>, Vec<u8>>;

/// Repository in a temporary directory, removed on drop.
#[derive(Debug)]
pub struct Repository {
    _home: TempDir,
    dir: PathBuf,
}

impl Repository {
    /// Makes an empty repository on a branch `main`.
    ///
    /// # Panics
    ///
    /// If git fails.
    #[must_use]
    pub fn new() -> Self {
        let home = TempDir::new().expect("a directory");
        let dir = home.path().join("repository");
        git(
            home.path(),
            &["init", "--quiet", "-b", "main", argument(&dir)],
        );
        Self { _home: home, dir }
    }

    /// Makes a repository with everything that git can hold.
    ///
    /// It has files, directories, a rename, a deletion, a link and a submodule's entry. It has
    /// binary and empty content, a path that is not UTF-8, an executable, a merge, and a commit
    /// that changes nothing.
    ///
    /// # Panics
    ///
    /// If git fails.
    #[must_use]
    pub fn with_everything() -> Self {
        let repository = Self::new();
        repository.write(b"README", b"first\n");
        repository.write(b"dir/below/deep", b"deep\n");
        repository.write(b"binary", b"\0\xff\r\n\0\x01");
        repository.write(b"empty", b"");
        repository.write(b"doomed", b"to be deleted\n");
        repository.write(b"old name", b"renamed without a change\n");
        repository.write(b"caf\xe9 \xff", b"a path that is not UTF-8\n");
        repository.write(b"line\nbreak\t\"quoted\"", b"strange\n");
        repository.commit("files");
        repository.git(&["mv", "old name", "new name"]);
        repository.git(&["rm", "--quiet", "doomed"]);
        repository.write(b"README", b"second\n");
        repository.commit("a rename, a deletion, a change");
        symlink(OsStr::from_bytes(b"dir/\xff"), repository.dir.join("link")).expect("linked");
        repository.write(b"run.sh", b"#!/bin/sh\n");
        let executable = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(repository.dir.join("run.sh"), executable)
            .expect("made executable");
        repository.commit("a link and an executable");
        repository.git(&["commit", "--quiet", "--allow-empty", "-m", "nothing"]);
        repository.git(&["checkout", "--quiet", "-b", "side"]);
        repository.write(b"side", b"from the side\n");
        repository.write(b"dir/below/deep", b"deeper\n");
        repository.commit("on the side");
        repository.git(&["checkout", "--quiet", "main"]);
        repository.write(b"main", b"meanwhile\n");
        repository.commit("on main");
        repository.git(&["merge", "--quiet", "--no-ff", "-m", "a merge", "side"]);
        let head = repository.git(&["rev-parse", "HEAD"]);
        let entry = format!("160000,{},module", head.trim_end());
        repository.git(&["update-index", "--add", "--cacheinfo", &entry]);
        repository.git(&["commit", "--quiet", "-m", "a submodule"]);
        repository
    }

    /// Clones the repository with these arguments.
    ///
    /// # Panics
    ///
    /// If git fails.
    #[must_use]
    pub fn cloned(&self, arguments: &[&str]) -> Self {
        let home = TempDir::new().expect("a directory");
        let dir = home.path().join("clone");
        // A URL instead of the path, with which git would ignore --depth.
        let url = format!("file://{}", self.dir.display());
        git(
            home.path(),
            &[&["clone", "--quiet"], arguments, &[&url, argument(&dir)]].concat(),
        );
        Self { _home: home, dir }
    }

    /// Returns its directory.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Runs git in it and returns the output.
    ///
    /// # Panics
    ///
    /// If git fails.
    #[must_use]
    pub fn ask(&self, arguments: &[&str]) -> Vec<u8> {
        git(&self.dir, arguments)
    }

    fn git(&self, arguments: &[&str]) -> String {
        String::from_utf8(git(&self.dir, arguments)).expect("UTF-8")
    }

    fn write(&self, path: &[u8], content: &[u8]) {
        let path = self.dir.join(OsStr::from_bytes(path));
        std::fs::create_dir_all(path.parent().expect("below the repository")).expect("made");
        std::fs::write(path, content).expect("written");
    }

    fn commit(&self, message: &str) {
        self.git(&["add", "--all"]);
        self.git(&["commit", "--quiet", "-m", message]);
    }

    /// Returns the files of HEAD, each content fetched on its own; a submodule's content is its
    /// commit's id.
    ///
    /// # Panics
    ///
    /// If git fails.
    #[must_use]
    pub fn files(&self) -> Files {
        let list = self.ask(&["ls-tree", "-r", "-z", "--full-tree", "HEAD"]);
        let records = list
            .split(|&byte| byte == 0)
            .filter(|record| !record.is_empty());
        records.map(|record| self.file(record)).collect()
    }

    fn file(&self, record: &[u8]) -> (Vec<u8>, Vec<u8>) {
        let tab = record
            .iter()
            .position(|&byte| byte == b'\t')
            .expect("a tab");
        let (head, path) = record.split_at(tab);
        let mut head = std::str::from_utf8(head).expect("ASCII").split(' ');
        let (mode, id) = (head.next().expect("a mode"), head.nth(1).expect("an id"));
        let content = if mode == "160000" {
            id.as_bytes().to_vec()
        } else {
            self.ask(&["cat-file", "blob", id])
        };
        (path[1..].to_vec(), content)
    }
}

impl Default for Repository {
    fn default() -> Self {
        Self::new()
    }
}

fn git(dir: &Path, arguments: &[&str]) -> Vec<u8> {
    let mut command = Command::new("git");
    without_git_settings(&mut command);
    for role in ["AUTHOR", "COMMITTER"] {
        command
            .env(format!("GIT_{role}_NAME"), "Someone")
            .env(format!("GIT_{role}_EMAIL"), "someone@example.org")
            .env(format!("GIT_{role}_DATE"), "1700000000 +0000");
    }
    let output = command
        .arg("-C")
        .arg(dir)
        .args(arguments)
        .output()
        .expect("git is installed");
    assert!(
        output.status.success(),
        "{command:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    output.stdout
}
