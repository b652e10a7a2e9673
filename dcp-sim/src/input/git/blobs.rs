//! Contents by id, from one `git cat-file --batch` process.
//!
//! Requests are ids, one per line; contents arrive in the order of the requests. The two ends are
//! separate types for different threads. A single thread would wait for git while git waits for it,
//! once the pipes are full.

use std::io::BufRead;

use bytes::Bytes;

use super::object_id::ObjectId;
use super::output::{Output, ReadError, shown};

pub(super) const COMMAND: &str = "git cat-file --batch";
pub(super) const ARGUMENTS: [&str; 2] = ["cat-file", "--batch"];

/// Returns the bytes that request these contents.
pub(super) fn requests<'a>(ids: impl Iterator<Item = &'a ObjectId>) -> Vec<u8> {
    let mut lines = Vec::new();
    for id in ids {
        lines.extend_from_slice(id.as_str().as_bytes());
        lines.push(b'\n');
    }
    lines
}

/// Reader of the responses.
pub(super) struct BlobReader<R> {
    output: Output<R>,
}

impl<R: BufRead> BlobReader<R> {
    pub(super) fn new(input: R) -> Self {
        Self {
            output: Output::new(COMMAND, input),
        }
    }

    /// Reads the next response, which must be about `id`; `None` if the repository lacks the
    /// object.
    pub(super) fn next_blob(&mut self, id: &ObjectId) -> Result<Option<Bytes>, ReadError> {
        let start = self.output.offset();
        let header = self.output.field(b'\n')?;
        let answer = header
            .strip_prefix(id.as_str().as_bytes())
            .and_then(|rest| rest.strip_prefix(b" "));
        if answer == Some(b"missing") {
            return Ok(None);
        }
        let Some(size) = answer
            .and_then(|answer| answer.strip_prefix(b"blob "))
            .and_then(decimal)
        else {
            let what = format!("not the header of blob {id}: \"{}\"", shown(&header));
            return Err(self.output.malformed(start, what));
        };
        let content = self.output.exact(size)?;
        let end = self.output.offset();
        if !self.output.field(b'\n')?.is_empty() {
            return Err(self
                .output
                .malformed(end, format!("blob {id} does not end where its size says")));
        }
        Ok(Some(Bytes::from(content)))
    }
}

fn decimal(digits: &[u8]) -> Option<u64> {
    std::str::from_utf8(digits).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "1111111111111111111111111111111111111111";

    fn read(answers: &[u8]) -> Result<Option<Bytes>, ReadError> {
        BlobReader::new(answers).next_blob(&ObjectId::parse(ID.as_bytes()).expect("an id"))
    }

    #[test]
    fn blob_contents_are_arbitrary_bytes() {
        let answers = format!("{ID} blob 12\n{ID}\n").into_bytes();
        assert!(
            read(&answers).is_err(),
            "the content is longer than its size"
        );
        for content in [&b""[..], b"\n", b"a\nb\n", b"\0\xff"] {
            let answers = [
                format!("{ID} blob {}\n", content.len()).as_bytes(),
                content,
                b"\n",
            ]
            .concat();
            assert_eq!(
                read(&answers).expect("well-formed").as_deref(),
                Some(content)
            );
        }
        assert_eq!(
            read(format!("{ID} missing\n").as_bytes()).expect("well-formed"),
            None
        );
    }

    #[test]
    fn unexpected_blob_responses_are_errors() {
        let other = "2".repeat(40);
        let answers = [
            format!("{other} blob 0\n\n"),
            format!("{ID} tree 0\n\n"),
            format!("{ID} blob -1\n\n"),
            "\n".into(),
        ];
        for answer in answers {
            assert!(
                matches!(read(answer.as_bytes()), Err(ReadError::Other(_))),
                "{answer}"
            );
        }
        for answer in [
            String::new(),
            format!("{ID} blob 5\n1234"),
            format!("{ID} blob {}\nx", u64::MAX),
        ] {
            assert!(
                matches!(read(answer.as_bytes()), Err(ReadError::CutShort(_))),
                "{answer}"
            );
        }
    }
}
