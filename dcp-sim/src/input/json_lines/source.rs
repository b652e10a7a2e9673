//! Source that reads JSON lines from a file or standard input.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use super::{foreign, line};
use crate::input::error::InputError;
use crate::input::source::{ChangeBatch, Source};

/// Largest line: longer than any document that the protocol's servers accept, escaped or in hex. It
/// keeps a file of another format from filling the memory.
const LINE_BYTES_MAX: u64 = 128 << 20;

/// Mark that some editors and exports write before UTF-8 text.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Source of JSON lines.
pub struct JsonLines {
    name: PathBuf,
    /// `None` at the end, or after an error.
    input: Option<Box<dyn BufRead + Send>>,
    /// Number of the last line, from 1.
    line: u64,
    /// `true` after a line that is not blank.
    is_begun: bool,
}

impl JsonLines {
    /// Opens a file; `-` is standard input.
    ///
    /// # Errors
    /// [`InputError::Io`] if it cannot be opened.
    pub fn open(path: &Path) -> Result<Self, InputError> {
        if path.as_os_str() == "-" {
            return Ok(Self::new("standard input", BufReader::new(io::stdin())));
        }
        let file = File::open(path).map_err(|source| InputError::Io {
            what: format!("open {}", path.display()),
            source,
        })?;
        Ok(Self::new(path, BufReader::new(file)))
    }

    /// Creates a source of any reader, called `name` in errors.
    pub fn new(name: impl Into<PathBuf>, input: impl BufRead + Send + 'static) -> Self {
        Self {
            name: name.into(),
            input: Some(Box::new(input)),
            line: 0,
            is_begun: false,
        }
    }

    fn advance(&mut self) -> Result<Option<ChangeBatch>, InputError> {
        let Some(input) = &mut self.input else {
            return Ok(None);
        };
        let mut text = Vec::new();
        loop {
            text.clear();
            let read = input.take(LINE_BYTES_MAX).read_until(b'\n', &mut text);
            let read = read.map_err(|source| InputError::Io {
                what: format!("read {}", self.name.display()),
                source,
            })?;
            if read == 0 {
                return Ok(None);
            }
            self.line += 1;
            if self.line == 1 && text.starts_with(BYTE_ORDER_MARK) {
                text.drain(..BYTE_ORDER_MARK.len());
            }
            if !self.is_begun && !text.trim_ascii().is_empty() {
                self.is_begun = true;
                if let Some(foreign) = foreign::recognized(&text) {
                    return Err(foreign.error(&self.name));
                }
            }
            let bad = |what| InputError::BadLine {
                path: self.name.clone(),
                line: self.line,
                what,
            };
            if read as u64 == LINE_BYTES_MAX && text.last() != Some(&b'\n') {
                return Err(bad(format!("a line of over {LINE_BYTES_MAX} bytes")));
            }
            if text.trim_ascii().is_empty() {
                continue;
            }
            let change = line::parse(&text).map_err(bad)?;
            return Ok(Some(ChangeBatch {
                label: format!("line {}", self.line),
                changes: vec![change],
            }));
        }
    }
}

impl Source for JsonLines {
    fn next_batch(&mut self) -> Result<Option<ChangeBatch>, InputError> {
        let next = self.advance();
        if !matches!(next, Ok(Some(_))) {
            self.input = None;
        }
        next
    }

    fn batches_total(&self) -> Option<u64> {
        // Counting would need a second read, which standard input does not allow.
        None
    }

    fn describe(&self) -> String {
        format!("JSON lines from {}", self.name.display())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use bytes::Bytes;

    use super::*;
    use crate::input::source::Change;

    fn source(text: &str) -> JsonLines {
        JsonLines::new("in.jsonl", io::Cursor::new(text.as_bytes().to_vec()))
    }

    #[test]
    fn each_line_is_a_batch_and_blank_lines_are_skipped() {
        let text = "\n{\"op\":\"set\",\"key\":\"a\",\"value\":\"1\"}\r\n \t\r\n{\"op\":\"delete\",\"key\":\"a\"}";
        let mut source = source(text);
        let first = source.next_batch().expect("good").expect("a line");
        assert_eq!(first.label, "line 2");
        let change = Change {
            key: Bytes::from("a"),
            value: Some(Bytes::from("1")),
        };
        assert_eq!(first.changes, [change]);
        let second = source.next_batch().expect("good").expect("a line");
        assert_eq!(second.label, "line 4");
        assert_eq!(
            second.changes,
            [Change {
                key: Bytes::from("a"),
                value: None
            }]
        );
        assert!(source.next_batch().expect("the end").is_none());
        assert!(source.next_batch().expect("the end").is_none());
    }

    #[test]
    fn invalid_line_is_named_and_ends_the_source() {
        let mut source = source(
            "{\"op\":\"delete\",\"key\":\"a\"}\n\nnonsense\n{\"op\":\"delete\",\"key\":\"b\"}\n",
        );
        assert!(source.next_batch().expect("good").is_some());
        let error = source.next_batch().expect_err("nonsense");
        assert!(error.to_string().starts_with("in.jsonl:3: "), "{error}");
        assert!(error.is_usage());
        assert!(source.next_batch().expect("the end").is_none());
    }

    #[test]
    fn byte_order_mark_is_skipped_only_at_the_beginning() {
        let mut source = source(
            "\u{feff}{\"op\":\"delete\",\"key\":\"a\"}\n\u{feff}{\"op\":\"delete\",\"key\":\"b\"}\n",
        );
        assert_eq!(
            source.next_batch().expect("good").expect("a line").label,
            "line 1"
        );
        assert!(
            source
                .next_batch()
                .expect_err("in the middle")
                .to_string()
                .starts_with("in.jsonl:2: ")
        );
        let mut nothing = JsonLines::new("in.jsonl", BYTE_ORDER_MARK);
        assert!(nothing.next_batch().expect("the end").is_none());
    }

    #[test]
    fn files_of_other_formats_are_named() {
        let line = b"{\"op\":\"delete\",\"key\":\"a\"}\n";
        let utf16: Vec<u8> = [0xff, 0xfe]
            .into_iter()
            .chain(line.iter().flat_map(|&byte| [byte, 0]))
            .collect();
        for (bytes, what, hint) in [
            (&b"\x1f\x8b\x08\0rest\nof it"[..], "gzip", "gzip -dc"),
            (b"\x28\xb5\x2f\xfdrest", "zstd", "zstd -dc"),
            (b"BZh91AY&SY", "bzip2", "bzip2 -dc"),
            (b"\xfd7zXZ\0rest", "xz", "xz -dc"),
            (
                b"\n  [\n{\"op\":\"delete\",\"key\":\"a\"}]",
                "array",
                "jq -c '.[]'",
            ),
            (
                b"[{\"op\":\"delete\",\"key\":\"a\"}]",
                "array",
                "jq -c '.[]'",
            ),
            (
                b"{\n  \"op\": \"delete\",\n \"key\": \"a\"\n}\n",
                "several lines",
                "jq -c .",
            ),
            (&utf16, "UTF-16", "iconv -f UTF-16 -t UTF-8"),
        ] {
            let mut source = JsonLines::new("in.jsonl", io::Cursor::new(bytes.to_vec()));
            let error = source.next_batch().expect_err("no JSON lines");
            assert!(
                error.to_string().contains(what) && error.is_usage(),
                "{error}"
            );
            let found = error.hint().expect("a hint");
            assert!(
                found.starts_with(hint) && found.ends_with(" | dcp-sim run --input -"),
                "{found}"
            );
        }
    }

    #[test]
    fn files_are_opened_by_path() {
        let mut file = tempfile::NamedTempFile::new().expect("a file");
        file.write_all(b"{\"op\":\"delete\",\"key\":\"a\"}\n")
            .expect("written");
        let mut source = JsonLines::open(file.path()).expect("opened");
        assert!(source.next_batch().expect("good").is_some());
        assert!(source.next_batch().expect("the end").is_none());
        let missing = file.path().with_extension("missing");
        let Err(error) = JsonLines::open(&missing) else {
            panic!("there is no such file")
        };
        assert!(error.to_string().contains("missing"), "{error}");
        assert!(
            JsonLines::open(Path::new("-"))
                .expect("standard input")
                .describe()
                .contains("standard input")
        );
    }
}
