//! Why a source can't be opened or read on: precise enough to act on, with git's own words where git refused.

use std::io;
use std::path::PathBuf;

/// What sources return on failure.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InputError {
    /// Git finds no repository there that it is willing to read.
    #[error("{}: not a git repository that can be read: {words}", path.display())]
    NotARepository {
        /// What was to be opened.
        path: PathBuf,
        /// What git says about it.
        words: String,
    },
    /// A partial clone that lacks contents of the history.
    #[error("{}: a partial clone, which lacks contents of its history, such as object {object}", path.display())]
    PartialClone {
        /// What was to be opened.
        path: PathBuf,
        /// The id of one that is missing.
        object: String,
    },
    /// There is no `git` to run.
    #[error("git is not installed, or not on the PATH")]
    GitMissing,
    /// A git command failed.
    #[error("{command} failed ({status}): {stderr}")]
    Git {
        /// The command, without its directory and flags.
        command: String,
        /// How it ended.
        status: String,
        /// What it said, cut to a few kilobytes.
        stderr: String,
    },
    /// A git command wrote something that can't be what was asked for.
    #[error("{command} at byte {offset} of its output: {what}")]
    UnexpectedOutput {
        /// The command, without its directory and flags.
        command: String,
        /// Where in its output, in bytes from its start.
        offset: u64,
        /// What is wrong there.
        what: String,
    },
    /// The history names a content that the repository does not hold.
    #[error("commit {commit}, path \"{}\": object {object} is missing from the repository", path.escape_ascii())]
    MissingObject {
        /// The commit being read.
        commit: String,
        /// The path in it.
        path: Vec<u8>,
        /// The object's id.
        object: String,
    },
    /// A file that holds something else than JSON lines.
    #[error("{}: {what}", path.display())]
    NotJsonLines {
        /// The file, or `standard input`.
        path: PathBuf,
        /// What it holds.
        what: &'static str,
        /// The command that makes JSON lines of it, without the file.
        converter: &'static str,
    },
    /// A line that is not a change.
    #[error("{}:{line}: {what}", path.display())]
    BadLine {
        /// The file, or `standard input`.
        path: PathBuf,
        /// Which line; the first is 1.
        line: u64,
        /// The defect.
        what: String,
    },
    /// An argument that makes no sense.
    #[error("{0}")]
    InvalidArgument(String),
    /// The system refused to open, read, or start something.
    #[error("cannot {what}: {source}")]
    Io {
        /// What was being done, to what.
        what: String,
        /// The system's own word for it.
        source: io::Error,
    },
}

impl InputError {
    /// Whether what the user asked for is at fault (exit code 2), not what happened while doing it.
    #[must_use]
    pub const fn is_usage(&self) -> bool {
        matches!(
            self,
            Self::NotARepository { .. }
                | Self::PartialClone { .. }
                | Self::NotJsonLines { .. }
                | Self::BadLine { .. }
                | Self::InvalidArgument(_)
        )
    }

    /// What the user can do about it, where that is known.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::NotARepository { path, words } => Some(repository_hint(path, words)),
            Self::GitMissing => Some("install git (https://git-scm.com), or read changes from a file of JSON lines".into()),
            Self::PartialClone { .. } => Some(
                "nothing is fetched while a history is read: fetch first with `git fetch --refetch --no-filter`, or clone \
                 again without --filter (--depth is fine: a shallow clone has every content of its commits)"
                    .into(),
            ),
            Self::NotJsonLines { path, converter, .. } => Some(if path.is_file() {
                format!("{converter} {} | dcp-sim run --input -", path.display())
            } else {
                format!("{converter} | dcp-sim run --input -")
            }),
            Self::MissingObject { .. } | Self::Git { .. } => Some("`git fsck` in the repository tells what is broken".into()),
            Self::UnexpectedOutput { .. }
            | Self::BadLine { .. }
            | Self::InvalidArgument(_)
            | Self::Io { .. } => None,
        }
    }
}

/// Git's words are stable enough for a hint: they are asked for untranslated, and a miss costs only the better hint.
fn repository_hint(path: &std::path::Path, words: &str) -> String {
    if words.contains("dubious ownership") {
        // Git wants the path as it sees it, which its own advice has; a relative path would not match.
        let quoted = words
            .split_once('\'')
            .and_then(|(_, rest)| rest.split_once('\''));
        let seen = quoted.map_or_else(|| path.display().to_string(), |(path, _)| path.to_owned());
        return format!(
            "the repository belongs to another user; if you trust it: git config --global --add safe.directory '{seen}'"
        );
    }
    if words.contains("safe.bareRepository") {
        return "git is set to refuse bare repositories; see safe.bareRepository in `git help config`".into();
    }
    "name a directory inside a git repository, or a bare repository".into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dubious_ownership_names_the_way_out() {
        let error = InputError::NotARepository {
            path: PathBuf::from("../x"),
            words:
                "fatal: detected dubious ownership in repository at '/srv/x'\nTo add an exception"
                    .into(),
        };
        assert!(error.is_usage());
        let hint = error.hint().expect("a hint");
        assert!(
            hint.ends_with("git config --global --add safe.directory '/srv/x'"),
            "{hint}"
        );
    }

    #[test]
    fn messages_name_the_place() {
        let bad = InputError::BadLine {
            path: "in.jsonl".into(),
            line: 3,
            what: "no key".into(),
        };
        assert_eq!(bad.to_string(), "in.jsonl:3: no key");
        let missing = InputError::MissingObject {
            commit: "c0".into(),
            path: b"a\xff".to_vec(),
            object: "0b".into(),
        };
        assert_eq!(
            missing.to_string(),
            r#"commit c0, path "a\xff": object 0b is missing from the repository"#
        );
    }
}
