//! Proof that a set of documents is equal to a commit's files: git's own list of them, and the
//! comparison.
//!
//! The proof shares nothing with the documents' way. The list is not read from the history, and
//! contents are compared by hashing them in git's manner.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::object_id::ObjectId;
use super::output::{Output, ReadError, shown};
use crate::input::error::InputError;

pub(super) const COMMAND: &str = "git ls-tree";

/// Number of paths of each sort in a report.
const PATHS_SHOWN: usize = 5;

/// Kind of a path in a commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EntryKind {
    /// A file; its document is its content.
    File,
    /// A symbolic link; its document is its target.
    Symlink,
    /// A submodule; its document is its commit's id in hex digits.
    Submodule,
}

impl EntryKind {
    /// Returns the kind of a mode of six octal digits; `None` for directories and modes that git
    /// does not store.
    pub(super) fn of_mode(mode: &[u8]) -> Option<Self> {
        parse_mode(mode).map(|(_, kind)| kind)
    }
}

fn parse_mode(digits: &[u8]) -> Option<(u32, EntryKind)> {
    if digits.len() != 6 || !digits.iter().all(|digit| matches!(digit, b'0'..=b'7')) {
        return None;
    }
    let mode = u32::from_str_radix(std::str::from_utf8(digits).ok()?, 8).ok()?;
    let kind = match mode >> 12 {
        0o10 => EntryKind::File,
        0o12 => EntryKind::Symlink,
        0o16 => EntryKind::Submodule,
        _ => return None,
    };
    Some((mode, kind))
}

/// Entry of a path in a commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TreeEntry {
    /// Mode, like 0o100644.
    pub mode: u32,
    /// Kind of the entry.
    pub kind: EntryKind,
    /// Id of its content, or of a submodule's commit.
    pub oid: ObjectId,
}

impl TreeEntry {
    /// Returns `true` if that is the document of this entry.
    #[must_use]
    pub fn matches(&self, document: &[u8]) -> bool {
        match self.kind {
            EntryKind::File | EntryKind::Symlink => self.oid.of_blob(document) == self.oid,
            EntryKind::Submodule => document == self.oid.as_str().as_bytes(),
        }
    }
}

pub(super) fn arguments(commit: &ObjectId) -> [&str; 5] {
    ["ls-tree", "-r", "-z", "--full-tree", commit.as_str()]
}

/// Parses the list: `MODE TYPE ID TAB PATH NUL` for each path.
pub(super) fn parse(list: &[u8]) -> Result<BTreeMap<Vec<u8>, TreeEntry>, InputError> {
    let mut output = Output::new(COMMAND, list);
    let mut entries = BTreeMap::new();
    read_entries(&mut output, &mut entries).map_err(|error| match error {
        ReadError::CutShort(error) | ReadError::Other(error) => error,
    })?;
    Ok(entries)
}

fn read_entries(
    output: &mut Output<&[u8]>,
    entries: &mut BTreeMap<Vec<u8>, TreeEntry>,
) -> Result<(), ReadError> {
    while output.peek()?.is_some() {
        let start = output.offset();
        let record = output.field(0)?;
        let Some((path, entry)) = parse_entry(&record) else {
            return Err(output.malformed(start, format!("not an entry: \"{}\"", shown(&record))));
        };
        // Git refuses to create such trees, but damaged and forged ones exist.
        if entries.insert(path, entry).is_some() {
            return Err(output.malformed(
                start,
                format!("a path for the second time: \"{}\"", shown(&record)),
            ));
        }
    }
    Ok(())
}

fn parse_entry(record: &[u8]) -> Option<(Vec<u8>, TreeEntry)> {
    let tab = record.iter().position(|&byte| byte == b'\t')?;
    let head = record.get(..tab)?;
    let path = record.get(tab + 1..)?;
    let mut parts = head.split(|&byte| byte == b' ');
    let (mode, kind) = parse_mode(parts.next()?)?;
    let type_fits = match parts.next()? {
        b"blob" => matches!(kind, EntryKind::File | EntryKind::Symlink),
        b"commit" => kind == EntryKind::Submodule,
        _ => false,
    };
    let oid = ObjectId::parse(parts.next()?)?;
    if !type_fits || parts.next().is_some() || path.is_empty() {
        return None;
    }
    Some((path.to_vec(), TreeEntry { mode, kind, oid }))
}

/// Set of paths: their number, and the first few.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Paths {
    /// Number of paths.
    pub count: u64,
    /// First paths in the order of their bytes, at most five.
    pub first: Vec<Vec<u8>>,
}

impl Paths {
    fn add(&mut self, path: &[u8]) {
        self.count += 1;
        let at = self.first.partition_point(|known| known.as_slice() <= path);
        if at < PATHS_SHOWN {
            self.first.insert(at, path.to_vec());
            self.first.truncate(PATHS_SHOWN);
        }
    }
}

/// Result of a comparison of documents with a commit's files.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TreeReport {
    /// Number of paths in the commit.
    pub files: u64,
    /// Paths of the commit without a document.
    pub missing: Paths,
    /// Documents whose key is not a path of the commit, or is repeated.
    pub extra: Paths,
    /// Documents whose value differs from the path's content.
    pub different: Paths,
}

impl TreeReport {
    /// Returns `true` if the documents are exactly the commit's files.
    #[must_use]
    pub const fn is_equal(&self) -> bool {
        self.missing.count == 0 && self.extra.count == 0 && self.different.count == 0
    }
}

impl fmt::Display for TreeReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} files", self.files)?;
        if self.is_equal() {
            return f.write_str(", all equal");
        }
        for (name, paths) in [
            ("missing", &self.missing),
            ("extra", &self.extra),
            ("different", &self.different),
        ] {
            if paths.count == 0 {
                continue;
            }
            write!(f, ", {} {name} (", paths.count)?;
            for (index, path) in paths.first.iter().enumerate() {
                let separator = if index == 0 { "" } else { ", " };
                write!(f, "{separator}\"{}\"", path.escape_ascii())?;
            }
            let more = if paths.count > paths.first.len() as u64 {
                ", ...)"
            } else {
                ")"
            };
            f.write_str(more)?;
        }
        Ok(())
    }
}

/// Compares documents, as keys and values in any order, with a commit's files.
///
/// A document does not contain its path's mode, so an executable bit is not compared.
#[must_use]
pub fn verify_tree<'a>(
    entries: &BTreeMap<Vec<u8>, TreeEntry>,
    documents: impl Iterator<Item = (&'a [u8], &'a [u8])>,
) -> TreeReport {
    let mut report = TreeReport {
        files: entries.len() as u64,
        ..TreeReport::default()
    };
    let mut seen = BTreeSet::new();
    for (key, value) in documents {
        match entries.get(key) {
            Some(entry) if seen.insert(key) => {
                if !entry.matches(value) {
                    report.different.add(key);
                }
            }
            _ => report.extra.add(key),
        }
    }
    for path in entries
        .keys()
        .filter(|path| !seen.contains(path.as_slice()))
    {
        report.missing.add(path);
    }
    report
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Ids of "hello" and of an empty content, from `git hash-object`.
    const HELLO: &str = "b6fc4c620b67d95f953a5c1c1230aaab5db5a1b0";
    const NOTHING: &str = "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391";

    fn list() -> BTreeMap<Vec<u8>, TreeEntry> {
        let text = format!(
            "100644 blob {HELLO}\ta\tb\nc\0120000 blob {HELLO}\tlink\0160000 commit {HELLO}\tsub\0\
             100755 blob {NOTHING}\trun\0"
        );
        parse(text.as_bytes()).expect("well-formed")
    }

    type Documents = BTreeMap<Vec<u8>, Vec<u8>>;

    fn documents() -> Documents {
        let pairs = [
            ("a\tb\nc", "hello"),
            ("link", "hello"),
            ("sub", HELLO),
            ("run", ""),
        ];
        pairs
            .into_iter()
            .map(|(key, value)| (key.into(), value.into()))
            .collect()
    }

    fn verify(documents: &Documents) -> TreeReport {
        verify_tree(
            &list(),
            documents
                .iter()
                .map(|(key, value)| (key.as_slice(), value.as_slice())),
        )
    }

    #[test]
    fn equal_files_are_equal() {
        let report = verify(&documents());
        assert!(report.is_equal(), "{report}");
        assert_eq!(report.to_string(), "4 files, all equal");
        assert_eq!(
            list().get(&b"run"[..]).map(|entry| entry.mode),
            Some(0o100_755)
        );
    }

    #[test]
    fn every_sort_of_difference_is_found() {
        for key in [&b"a\tb\nc"[..], b"link", b"sub", b"run"] {
            let mut changed = documents();
            changed.insert(key.to_vec(), b"other".to_vec());
            let report = verify(&changed);
            assert_eq!(
                (report.different.first.as_slice(), report.missing.count),
                (&[key.to_vec()][..], 0)
            );
            changed.remove(key);
            let report = verify(&changed);
            assert_eq!(
                (report.missing.first.as_slice(), report.different.count),
                (&[key.to_vec()][..], 0)
            );
        }
        let mut more = documents();
        more.insert(b"z\xff".to_vec(), Vec::new());
        let report = verify(&more);
        assert!(!report.is_equal());
        assert_eq!(report.to_string(), r#"4 files, 1 extra ("z\xff")"#);
    }

    #[test]
    fn repeated_key_is_extra() {
        let all = documents();
        let twice = all
            .iter()
            .chain(&all)
            .map(|(key, value)| (key.as_slice(), value.as_slice()));
        assert_eq!(verify_tree(&list(), twice).extra.count, 4);
    }

    #[test]
    fn report_names_the_first_few_paths() {
        let keys: Vec<Vec<u8>> = (0..9u8).rev().map(|n| vec![b'0' + n]).collect();
        let report = verify_tree(
            &BTreeMap::new(),
            keys.iter().map(|key| (key.as_slice(), &b""[..])),
        );
        assert_eq!(report.extra.count, 9);
        assert_eq!(report.extra.first.concat(), b"01234");
        assert!(report.to_string().ends_with("\"4\", ...)"), "{report}");
    }

    #[test]
    fn invalid_tree_lists_are_errors() {
        for bad in [
            format!("100644 blob {HELLO}\ta"),
            format!("100644 blob {HELLO} a\0"),
            format!("100644 blob {HELLO}\t\0"),
            format!("040000 tree {HELLO}\ta\0"),
            format!("100644 commit {HELLO}\ta\0"),
            format!("160000 blob {HELLO}\ta\0"),
            "100644 blob abc\ta\0".into(),
            format!("100644 blob {HELLO}\ta\0100644 blob {HELLO}\ta\0"),
        ] {
            assert!(
                matches!(
                    parse(bad.as_bytes()),
                    Err(InputError::UnexpectedOutput { .. })
                ),
                "{bad:?}"
            );
        }
    }
}
