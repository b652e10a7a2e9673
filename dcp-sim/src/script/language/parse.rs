//! Blocks of a scenario file: each has a command, its input lines and its expected output.
//!
//! # Invariants
//!
//! - Comments and empty lines belong to no block.
//! - A block knows the byte range of its expected output, so a rewrite leaves all other bytes
//!   unchanged.

use std::ops::Range;

/// Line of an error, from 1, and the defect.
pub(in crate::script) type LineError = (usize, String);

/// Separator between a command and its expected output.
const RULE: &str = "----";

/// One command with its expected output.
#[derive(Debug)]
pub(in crate::script) struct Block<'a> {
    /// Line number of the command, from 1.
    pub(in crate::script) line: usize,
    pub(in crate::script) command: &'a str,
    /// Further input lines, with their numbers.
    pub(in crate::script) input: Vec<(usize, &'a str)>,
    pub(in crate::script) expected: Vec<&'a str>,
    /// Byte range of `expected` in the text, line ends included.
    pub(in crate::script) expected_at: Range<usize>,
    /// Line end of the surrounding lines.
    pub(in crate::script) line_end: &'static str,
}

/// One line of the text, without its end.
#[derive(Clone, Copy, Debug)]
struct Line<'a> {
    number: usize,
    text: &'a str,
    /// Byte offset after its end.
    next: usize,
    line_end: &'static str,
}

impl Line<'_> {
    fn is_empty(&self) -> bool {
        self.text.trim().is_empty()
    }

    fn is_comment(&self) -> bool {
        self.text.starts_with('#')
    }

    fn is_rule(&self) -> bool {
        self.text.trim_end() == RULE
    }
}

/// Returns the blocks of a file, in order.
pub(in crate::script) fn blocks(text: &str) -> Result<Vec<Block<'_>>, LineError> {
    let mut lines = lines(text).peekable();
    let mut blocks = Vec::new();
    while let Some(line) = lines.next() {
        if line.is_empty() || line.is_comment() {
            continue;
        }
        if line.is_rule() {
            return Err((line.number, format!("`{RULE}` without a command above it")));
        }
        let mut input = Vec::new();
        let rule = loop {
            match lines.next() {
                Some(next) if next.is_rule() => break next,
                Some(next) if next.is_comment() => {}
                Some(next) if !next.is_empty() => input.push((next.number, next.text)),
                _ => return Err((line.number, format!("expected `{RULE}` below this command"))),
            }
        };
        let mut expected = Vec::new();
        let mut expected_at = rule.next..rule.next;
        while let Some(next) = lines.next_if(|next| !next.is_empty()) {
            if next.is_rule() {
                return Err((
                    next.number,
                    "an empty line is missing above this line's command".to_owned(),
                ));
            }
            expected.push(next.text);
            expected_at.end = next.next;
        }
        let command = line.text.trim();
        let line_end = rule.line_end;
        blocks.push(Block {
            line: line.number,
            command,
            input,
            expected,
            expected_at,
            line_end,
        });
    }
    Ok(blocks)
}

fn lines(text: &str) -> impl Iterator<Item = Line<'_>> {
    let mut next = 0;
    (1..)
        .zip(text.split_inclusive('\n'))
        .map(move |(number, whole)| {
            next += whole.len();
            let line = whole.strip_suffix('\n').unwrap_or(whole);
            let (text, line_end) = line
                .strip_suffix('\r')
                .map_or((line, "\n"), |text| (text, "\r\n"));
            Line {
                number,
                text,
                next,
                line_end,
            }
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_empty_lines_belong_to_no_block() {
        let blocks =
            blocks("# one\n\nset a\n# two\nmore input\n----\n1 new\n\n\n# three\nclose\n----\n")
                .unwrap();
        assert_eq!(blocks.len(), 2);
        assert_eq!((blocks[0].line, blocks[0].command), (3, "set a"));
        assert_eq!(
            (&blocks[0].input, &blocks[0].expected),
            (&vec![(5, "more input")], &vec!["1 new"])
        );
        assert_eq!((blocks[1].line, blocks[1].expected.len()), (11, 0));
    }

    #[test]
    fn hash_inside_a_line_is_no_comment() {
        let text = "set a#1 # b\n----\n#out\n";
        let blocks = blocks(text).unwrap();
        assert_eq!(
            (blocks[0].command, &blocks[0].expected),
            ("set a#1 # b", &vec!["#out"])
        );
        assert_eq!(&text[blocks[0].expected_at.clone()], "#out\n");
    }

    #[test]
    fn file_may_end_anywhere_after_the_rule() {
        for text in [
            "close\n----",
            "close\n----\n",
            "close\r\n----\r\n",
            "close\n----\nx",
            "close\n----   \nx\n\n",
        ] {
            assert_eq!(blocks(text).unwrap().len(), 1, "{text:?}");
        }
    }

    #[test]
    fn missing_rule_or_empty_line_is_refused_with_its_line() {
        for (text, line) in [
            ("\nclose\n", 2),
            ("close\n\n----\n", 1),
            ("# c\n----\n", 2),
            ("close\n----\nset a\n----\n", 4),
        ] {
            assert_eq!(blocks(text).unwrap_err().0, line, "{text:?}");
        }
    }
}
