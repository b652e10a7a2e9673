//! Errors of sources, with git's own message if git refused.

use std::io;
use std::path::PathBuf;

/// Error of a source.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InputError {
    /// Git finds no repository there that it agrees to read.
    #[error("{}: not a git repository that can be read: {words}", path.display())]
    NotARepository {
        /// Path of the input.
        path: PathBuf,
        /// Message of git.
        words: String,
    },
    /// The repository is a partial clone without some contents of the history.
    #[error("{}: a partial clone without contents of its history, such as object {object}", path.display())]
    PartialClone {
        /// Path of the input.
        path: PathBuf,
        /// Id of a missing object.
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
        /// Exit status.
        status: String,
        /// Standard error, cut to a few kilobytes.
        stderr: String,
    },
    /// The output of a git command is invalid.
    #[error("{command} at byte {offset} of its output: {what}")]
    UnexpectedOutput {
        /// The command, without its directory and flags.
        command: String,
        /// Byte offset in the output.
        offset: u64,
        /// The defect.
        what: String,
    },
    /// The history names a content that the repository lacks.
    #[error("commit {commit}, path \"{}\": object {object} is missing from the repository", path.escape_ascii())]
    MissingObject {
        /// Commit of the content.
        commit: String,
        /// Path in the commit.
        path: Vec<u8>,
        /// Id of the object.
        object: String,
    },
    /// A file has another format than JSON lines.
    #[error("{}: {what}", path.display())]
    NotJsonLines {
        /// The file, or `standard input`.
        path: PathBuf,
        /// Description of its format.
        what: &'static str,
        /// Command that converts it to JSON lines, without the file.
        converter: &'static str,
    },
    /// A line is not a change.
    #[error("{}:{line}: {what}", path.display())]
    BadLine {
        /// The file, or `standard input`.
        path: PathBuf,
        /// Line number, from 1.
        line: u64,
        /// The defect.
        what: String,
    },
    /// An argument is invalid.
    #[error("{0}")]
    InvalidArgument(String),
    /// The system failed to open, read, or start something.
    #[error("cannot {what}: {source}")]
    Io {
        /// The operation with its object.
        what: String,
        /// Error of the system.
        source: io::Error,
    },
}

impl InputError {
    /// Returns `true` for an error of the user's input (exit code 2), not of the run.
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

    /// Returns a hint for the user, if there is one.
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
            Self::MissingObject { .. } | Self::Git { .. } => Some("`git fsck` in the repository names the damage".into()),
            Self::UnexpectedOutput { .. }
            | Self::BadLine { .. }
            | Self::InvalidArgument(_)
            | Self::Io { .. } => None,
        }
    }
}

/// Git's messages are stable enough for a hint: they are requested untranslated, and a miss costs
/// only the better hint.
fn repository_hint(path: &std::path::Path, words: &str) -> String {
    if words.contains("dubious ownership") {
        // Git needs the absolute path, which its own message has; a relative path would not match.
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
    fn dubious_ownership_hint_names_the_setting() {
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
    fn input_error_names_the_place() {
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
