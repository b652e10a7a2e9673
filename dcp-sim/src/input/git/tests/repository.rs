//! Small repositories made with git itself, and a list of a commit's files that shares no code with
//! the source.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

pub(super) type Files = BTreeMap<Vec<u8>, Vec<u8>>;

pub(super) struct Repository {
    /// Held for its drop, which removes the directory.
    _home: TempDir,
    pub(super) dir: PathBuf,
}

impl Repository {
    /// Creates an empty repository with a branch `main`.
    pub(super) fn new(arguments: &[&str]) -> Self {
        let home = TempDir::new().expect("a directory");
        let dir = home.path().join("repository");
        let this = Self { _home: home, dir };
        let dir = this.dir.to_str().expect("UTF-8");
        let init = [&["init", "--quiet", "-b", "main"], arguments, &[dir]].concat();
        run(command(Path::new("/"), &init), b"");
        this
    }

    /// Clones another repository.
    pub(super) fn cloned(from: &Self, arguments: &[&str]) -> Self {
        let home = TempDir::new().expect("a directory");
        let dir = home.path().join("clone");
        // With the path itself git would ignore --depth.
        let url = format!("file://{}", from.dir.display());
        let clone = [
            &["clone", "--quiet"],
            arguments,
            &[&url, dir.to_str().expect("UTF-8")],
        ]
        .concat();
        run(command(Path::new("/"), &clone), b"");
        Self { _home: home, dir }
    }

    /// Runs git there; it must succeed. Returns its output without the last line's end.
    pub(super) fn git(&self, arguments: &[&str]) -> String {
        self.git_with(arguments, b"")
    }

    /// Runs git there with standard input.
    pub(super) fn git_with(&self, arguments: &[&str], input: &[u8]) -> String {
        let output = run(command(&self.dir, arguments), input);
        String::from_utf8(output)
            .expect("UTF-8")
            .trim_end()
            .to_owned()
    }

    pub(super) fn write(&self, path: &[u8], content: &[u8]) {
        let path = self.dir.join(OsStr::from_bytes(path));
        std::fs::create_dir_all(path.parent().expect("below the repository")).expect("made");
        std::fs::write(path, content).expect("written");
    }

    pub(super) fn remove(&self, path: &str) {
        std::fs::remove_file(self.dir.join(path)).expect("removed");
    }

    pub(super) fn link(&self, path: &str, target: &[u8]) {
        std::os::unix::fs::symlink(OsStr::from_bytes(target), self.dir.join(path)).expect("linked");
    }

    /// Commits the working tree, with or without a change.
    pub(super) fn commit(&self, message: &str) {
        self.git(&["add", "--all"]);
        self.commit_index(message);
    }

    pub(super) fn commit_index(&self, message: &str) {
        self.git(&["commit", "--quiet", "--allow-empty", "-m", message]);
    }

    /// Returns the files of a commit; each content is fetched on its own.
    pub(super) fn files(&self, commit: &str) -> Files {
        let list = run(
            command(&self.dir, &["ls-tree", "-r", "-z", "--full-tree", commit]),
            b"",
        );
        let mut files = Files::new();
        for record in list
            .split(|&byte| byte == 0)
            .filter(|record| !record.is_empty())
        {
            let tab = record
                .iter()
                .position(|&byte| byte == b'\t')
                .expect("a tab");
            let head = std::str::from_utf8(&record[..tab]).expect("ASCII");
            let id = head.split(' ').nth(2).expect("an id");
            let content = if head.starts_with("160000") {
                id.as_bytes().to_vec()
            } else {
                run(command(&self.dir, &["cat-file", "blob", id]), b"")
            };
            files.insert(record[tab + 1..].to_vec(), content);
        }
        files
    }

    /// Returns the path of an unpacked object.
    pub(super) fn object_file(&self, id: &str) -> PathBuf {
        let (first, rest) = id.split_at(2);
        self.dir.join(".git/objects").join(first).join(rest)
    }
}

/// Returns a git command without any setting, environment or clock except its own.
fn command(dir: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new("git");
    for (name, _) in std::env::vars_os() {
        if name.as_bytes().starts_with(b"GIT_") {
            command.env_remove(name);
        }
    }
    command
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_AUTHOR_NAME", "Author")
        .env("GIT_AUTHOR_EMAIL", "author@example.org")
        .env("GIT_AUTHOR_DATE", "1700000000 +0000")
        .env("GIT_COMMITTER_NAME", "Committer")
        .env("GIT_COMMITTER_EMAIL", "committer@example.org")
        .env("GIT_COMMITTER_DATE", "1700000000 +0000")
        .env("LC_ALL", "C")
        .arg("-C")
        .arg(dir)
        .args(arguments);
    command
}

fn run(mut command: Command, input: &[u8]) -> Vec<u8> {
    let child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut child = child.expect("git is installed");
    child
        .stdin
        .take()
        .expect("piped")
        .write_all(input)
        .expect("read by git");
    let output = child.wait_with_output().expect("waited for");
    assert!(
        output.status.success(),
        "{command:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    output.stdout
}
