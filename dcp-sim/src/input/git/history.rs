//! Changes of each commit, parsed from `git log --raw -z`, oldest first.
//!
//! `NUL` ends every field, and a commit without changes is only its header:
//!
//! ```text
//! commit ID NUL  [ LF  { :OLDMODE NEWMODE OLDID NEWID STATUS NUL PATH NUL } ]
//! ```
//!
//! Everything else is an error that names its offset. A path may contain any byte except NUL, so a
//! reader that skipped unexpected bytes could take a path for a commit.

use std::io::BufRead;

use super::object_id::ObjectId;
use super::output::{Output, ReadError, shown};
use super::tree::EntryKind;

pub(super) const COMMAND: &str = "git log --raw";

/// Returns the arguments for the history up to a commit.
///
/// Git before 2.31 shows merges only with `-m`; since 2.32 that flag obeys `log.diffMerges`, hence
/// the setting. The flag against `diff.relative` is younger than the setting. Colour, decoration,
/// notes and others need no flag: the format requests nothing that they change.
pub(super) fn arguments(commit: &ObjectId) -> [&str; 19] {
    [
        "-c",
        "log.diffMerges=first-parent",
        "-c",
        "diff.relative=false",
        "log",
        "--format=tformat:commit %H",
        "--reverse",
        "--first-parent",
        "-m",
        "--root",
        "--raw",
        "-z",
        "--no-abbrev",
        "--no-renames",
        "--no-show-signature",
        "--ignore-submodules=none",
        "-O/dev/null",
        commit.as_str(),
        "--",
    ]
}

/// A commit, and its changes against its first parent.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Commit {
    pub(super) id: ObjectId,
    pub(super) changes: Vec<PathChange>,
}

/// A path, and its state after the commit.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct PathChange {
    pub(super) path: Vec<u8>,
    pub(super) after: After,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum After {
    Absent,
    /// Content of a file, or target of a link.
    Blob(ObjectId),
    /// Commit of another repository.
    Submodule(ObjectId),
}

/// Reader of the commits in the log's output.
pub(super) struct HistoryReader<R> {
    output: Output<R>,
    /// Expected last commit of the history.
    head: ObjectId,
    last: Option<ObjectId>,
    /// Number of expected further commits.
    remaining: u64,
}

impl<R: BufRead> HistoryReader<R> {
    pub(super) fn new(input: R, head: ObjectId, commits: u64) -> Self {
        Self {
            output: Output::new(COMMAND, input),
            head,
            last: None,
            remaining: commits,
        }
    }

    /// Returns the next commit, or `None` if the output ends with the last one.
    pub(super) fn next_commit(&mut self) -> Result<Option<Commit>, ReadError> {
        if self.output.peek()?.is_none() {
            // The format alone cannot distinguish the end from a cut between two commits.
            let whole = self.remaining == 0 && self.last.as_ref() == Some(&self.head);
            return if whole {
                Ok(None)
            } else {
                Err(self.output.cut_short())
            };
        }
        let start = self.output.offset();
        let header = self.output.field(0)?;
        let id = header.strip_prefix(b"commit ").and_then(|hex| self.id(hex));
        let (Some(id), Some(remaining)) = (id, self.remaining.checked_sub(1)) else {
            return Err(self.output.malformed(
                start,
                format!("not a commit's header: \"{}\"", shown(&header)),
            ));
        };
        let mut changes = Vec::new();
        if self.output.peek()? == Some(b'\n') {
            self.output.skip_one();
            changes.push(self.change()?);
            while self.output.peek()? == Some(b':') {
                changes.push(self.change()?);
            }
        }
        self.remaining = remaining;
        self.last = Some(id.clone());
        Ok(Some(Commit { id, changes }))
    }

    fn change(&mut self) -> Result<PathChange, ReadError> {
        let start = self.output.offset();
        let record = self.output.field(0)?;
        let Some(after) = self.after(&record) else {
            return Err(self
                .output
                .malformed(start, format!("not a change: \"{}\"", shown(&record))));
        };
        let start = self.output.offset();
        let path = self.output.field(0)?;
        if path.is_empty() {
            return Err(self.output.malformed(start, "an empty path".into()));
        }
        Ok(PathChange { path, after })
    }

    /// Parses `:OLDMODE NEWMODE OLDID NEWID STATUS`; `None` if it is invalid or contradicts itself.
    fn after(&self, record: &[u8]) -> Option<After> {
        let mut parts = record.strip_prefix(b":")?.split(|&byte| byte == b' ');
        let before = side(parts.next()?)?;
        let after = side(parts.next()?)?;
        let before_id = self.id(parts.next()?)?;
        let after_id = self.id(parts.next()?)?;
        let status = parts.next()?;
        let status_fits = match status {
            b"A" => before.is_none() && after.is_some(),
            b"D" => before.is_some() && after.is_none(),
            b"M" | b"T" => before.is_some() && after.is_some(),
            _ => false,
        };
        let ids_fit =
            before_id.is_zero() == before.is_none() && after_id.is_zero() == after.is_none();
        if !status_fits || !ids_fit || parts.next().is_some() {
            return None;
        }
        Some(match after {
            None => After::Absent,
            Some(EntryKind::Submodule) => After::Submodule(after_id),
            Some(EntryKind::File | EntryKind::Symlink) => After::Blob(after_id),
        })
    }

    fn id(&self, hex: &[u8]) -> Option<ObjectId> {
        ObjectId::parse(hex).filter(|_| hex.len() == self.head.as_str().len())
    }
}

/// Returns the kind of one side of a change: `Some(None)` for nothing, `None` for an unknown mode.
#[expect(
    clippy::option_option,
    reason = "the two absences mean different things"
)]
fn side(mode: &[u8]) -> Option<Option<EntryKind>> {
    if mode == b"000000" {
        return Some(None);
    }
    EntryKind::of_mode(mode).map(Some)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::input::error::InputError;

    const ZERO: &str = "0000000000000000000000000000000000000000";
    const ONE: &str = "1111111111111111111111111111111111111111";
    const TWO: &str = "2222222222222222222222222222222222222222";

    fn id(hex: &str) -> ObjectId {
        ObjectId::parse(hex.as_bytes()).expect("an id")
    }

    fn read(log: &[u8]) -> Result<Vec<Commit>, ReadError> {
        let mut reader = HistoryReader::new(log, id(ONE), 3);
        let mut commits = Vec::new();
        while let Some(commit) = reader.next_commit()? {
            commits.push(commit);
        }
        assert_eq!(reader.output.offset(), log.len() as u64);
        Ok(commits)
    }

    fn sample() -> Vec<u8> {
        [
            format!("commit {ONE}\0"),
            format!("commit {TWO}\0\n:000000 100644 {ZERO} {ONE} A\0commit {ONE}\0"),
            format!(":100644 100755 {ONE} {ONE} M\0:000000\0"),
            format!(":100644 120000 {ONE} {TWO} T\0\na\0"),
            format!(":160000 000000 {ONE} {ZERO} D\0b\0"),
            format!(":000000 160000 {ZERO} {TWO} A\0c\0"),
            format!("commit {ONE}\0"),
        ]
        .concat()
        .into_bytes()
    }

    #[test]
    fn path_that_resembles_structure_is_a_path() {
        let commits = read(&sample()).expect("well-formed");
        assert_eq!(
            commits
                .iter()
                .map(|commit| commit.id.as_str())
                .collect::<Vec<_>>(),
            [ONE, TWO, ONE]
        );
        let change = |path: &str, after| PathChange {
            path: path.as_bytes().to_vec(),
            after,
        };
        let middle = commits.get(1).expect("three");
        assert_eq!(
            middle.changes,
            [
                change(&format!("commit {ONE}"), After::Blob(id(ONE))),
                change(":000000", After::Blob(id(ONE))),
                change("\na", After::Blob(id(TWO))),
                change("b", After::Absent),
                change("c", After::Submodule(id(TWO))),
            ]
        );
    }

    #[test]
    fn every_cut_of_the_log_is_noticed() {
        let whole = sample();
        for length in 0..whole.len() {
            let cut = whole.get(..length).expect("shorter");
            assert!(
                matches!(read(cut), Err(ReadError::CutShort(_))),
                "cut at {length}"
            );
        }
    }

    #[test]
    fn more_commits_than_counted_or_another_end_are_noticed() {
        let more = [sample(), format!("commit {ONE}\0").into_bytes()].concat();
        assert!(matches!(read(&more), Err(ReadError::Other(_))));
        let other = format!("commit {ONE}\0commit {ONE}\0commit {TWO}\0");
        assert!(matches!(
            read(other.as_bytes()),
            Err(ReadError::CutShort(_))
        ));
    }

    #[test]
    fn invalid_log_records_are_errors_with_their_offset() {
        let header = format!("commit {ONE}\0\n");
        let records = [
            format!(":000000 100644 {ONE} {ONE} A\0a\0"),
            format!(":000000 100644 {ZERO} {ZERO} A\0a\0"),
            format!(":000000 100644 {ZERO} {ONE} M\0a\0"),
            format!(":100644 100644 {ONE} {TWO} D\0a\0"),
            format!(":100644 000000 {ONE} {ZERO} M\0a\0"),
            format!(":100644 100644 {ONE} {TWO} R100\0a\0b\0"),
            format!(":100644 100644 {ONE} {TWO} X\0a\0"),
            format!(":000000 040000 {ZERO} {ONE} A\0a\0"),
            format!(":000000 100648 {ZERO} {ONE} A\0a\0"),
            format!(":000000 100644 {ZERO} 1111111 A\0a\0"),
            format!(":000000 100644 {ZERO} {ONE} A extra\0a\0"),
            format!("::100644 100644 100644 {ONE} {TWO} {ONE} MM\0a\0"),
            format!(
                ":000000 100644 {} {} A\0a\0",
                "0".repeat(64),
                "1".repeat(64)
            ),
        ];
        for record in records {
            let log = format!("{header}{record}");
            match read(log.as_bytes()) {
                Err(ReadError::Other(InputError::UnexpectedOutput { offset, .. })) => {
                    assert_eq!(offset, header.len() as u64, "{record}");
                }
                other => panic!("{record}: {other:?}"),
            }
        }
        for log in [
            format!("commit {}\0", "1".repeat(64)),
            format!("commit {ONE} \0"),
            "\n\0".into(),
        ] {
            assert!(
                matches!(read(log.as_bytes()), Err(ReadError::Other(_))),
                "{log:?}"
            );
        }
        // A missing path, and bytes after the changes that are neither a change nor a commit.
        for tail in [
            format!(":000000 100644 {ZERO} {ONE} A\0\0"),
            format!(":000000 100644 {ZERO} {ONE} A\0a\0\n"),
        ] {
            assert!(
                read(format!("{header}{tail}").as_bytes()).is_err(),
                "{tail:?}"
            );
        }
    }

    #[test]
    fn endless_field_is_refused() {
        let log = [b"commit ".to_vec(), vec![b'1'; 2 << 20]].concat();
        assert!(matches!(
            read(&log),
            Err(ReadError::Other(InputError::UnexpectedOutput {
                offset: 0,
                ..
            }))
        ));
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(position in 0usize..2000, byte: u8, noise: Vec<u8>) {
            let _ = read(&noise);
            let mut log = sample();
            let index = position % log.len();
            if let Some(slot) = log.get_mut(index) {
                *slot = byte;
            }
            let _ = read(&log);
        }
    }
}
