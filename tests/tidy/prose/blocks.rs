//! The prose in a file, block by block: comments, error texts and names of tests in Rust files,
//! paragraphs of pages.
//!
//! A block is joined from its lines, so that a phrase is found across a line break.

use crate::files::SourceFile;

/// The place of a block, on which its rules depend.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Kind {
    /// A doc comment of an item, or the head of a file.
    Doc,
    /// Another comment, or a paragraph.
    Plain,
    /// The text of an `error` attribute.
    ErrorText,
    /// The name of a test, with blanks for its underscores.
    TestName,
}

/// A comment, an error text, the name of a test or a paragraph.
#[derive(Debug, Eq, PartialEq)]
pub(super) struct Block {
    /// Number of its first line.
    pub(super) line: usize,
    pub(super) kind: Kind,
    /// Text with its line breaks, without fenced code.
    pub(super) text: String,
}

/// Returns the blocks of a Rust file or a page; none of another file.
pub(super) fn blocks(file: &SourceFile) -> Vec<Block> {
    if file.is_rust() {
        let mut blocks = comments(&file.text);
        blocks.extend(error_texts(&file.text));
        blocks.extend(test_names(&file.text));
        blocks
    } else if file.path.ends_with(".md") {
        paragraphs(&file.text)
    } else {
        Vec::new()
    }
}

/// Removes fenced code, keeping its line breaks.
fn without_fences<'a>(lines: impl Iterator<Item = &'a str>) -> String {
    let mut is_code = false;
    let mut text = String::new();
    for line in lines {
        let is_fence = line.trim_start().starts_with("```");
        is_code ^= is_fence;
        if !is_code && !is_fence {
            text.push_str(line);
        }
        text.push('\n');
    }
    text
}

/// Returns marker and text of the comment that is a whole line.
fn whole_line(line: &str) -> Option<(&'static str, &str)> {
    let line = line.trim_start();
    ["//!", "///", "//"]
        .into_iter()
        .find_map(|marker| Some((marker, line.strip_prefix(marker)?)))
}

/// Returns the comment behind a line's code.
fn behind_code(line: &str) -> Option<&str> {
    let mut is_string = false;
    let mut is_escaped = false;
    for (at, c) in line.char_indices() {
        let is_quote = c == '"' && !is_escaped && !line[..at].ends_with('\'');
        is_string ^= is_quote;
        is_escaped = c == '\\' && !is_escaped;
        if !is_string && line[at..].starts_with("//") {
            return Some(&line[at + 2..]);
        }
    }
    None
}

fn comments(text: &str) -> Vec<Block> {
    let lines: Vec<_> = text.lines().collect();
    let mut blocks = Vec::new();
    let mut at = 0;
    while let Some(line) = lines.get(at) {
        let first = at;
        at += 1;
        let Some((marker, _)) = whole_line(line) else {
            if let Some(comment) = behind_code(line) {
                blocks.push(Block {
                    line: first + 1,
                    kind: Kind::Plain,
                    text: comment.to_owned(),
                });
            }
            continue;
        };
        let is_same = |line: &&str| whole_line(line).is_some_and(|(other, _)| other == marker);
        while lines.get(at).is_some_and(is_same) {
            at += 1;
        }
        let block = lines[first..at].iter().filter_map(|line| whole_line(line));
        let is_doc = marker == "///" || marker == "//!" && first == 0;
        blocks.push(Block {
            line: first + 1,
            kind: if is_doc { Kind::Doc } else { Kind::Plain },
            text: without_fences(block.map(|(_, text)| text)),
        });
    }
    blocks
}

/// Returns the texts of `error` attributes.
fn error_texts(text: &str) -> Vec<Block> {
    let attribute = "#[error(";
    let string = |at: usize| {
        let rest = text[at + attribute.len()..]
            .trim_start()
            .strip_prefix('"')?;
        let mut is_escaped = false;
        let end = rest.find(|c| {
            let is_end = c == '"' && !is_escaped;
            is_escaped = c == '\\' && !is_escaped;
            is_end
        })?;
        Some(Block {
            line: text[..at].lines().count().max(1),
            kind: Kind::ErrorText,
            text: rest[..end].to_owned(),
        })
    };
    text.match_indices(attribute)
        .filter_map(|(at, _)| string(at))
        .collect()
}

/// Returns the names of the functions behind `test` attributes.
fn test_names(text: &str) -> Vec<Block> {
    let mut is_test = false;
    let mut blocks = Vec::new();
    for (at, line) in text.lines().enumerate() {
        let line = line.trim_start();
        is_test |= line == "#[test]";
        let Some(rest) = line.strip_prefix("fn ").filter(|_| is_test) else {
            continue;
        };
        is_test = false;
        let name = rest.split('(').next().unwrap_or(rest);
        blocks.push(Block {
            line: at + 1,
            kind: Kind::TestName,
            text: name.replace('_', " "),
        });
    }
    blocks
}

fn paragraphs(text: &str) -> Vec<Block> {
    let text = without_fences(text.lines());
    let mut blocks: Vec<Block> = Vec::new();
    let mut is_open = false;
    for (at, line) in text.lines().enumerate() {
        let is_blank = line.trim().is_empty();
        match blocks.last_mut().filter(|_| is_open && !is_blank) {
            Some(block) => block.text.push_str(&format!("\n{line}")),
            None if is_blank => {}
            None => blocks.push(Block {
                line: at + 1,
                kind: Kind::Plain,
                text: line.to_owned(),
            }),
        }
        is_open = !is_blank;
    }
    blocks
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(path: &str, text: &str) -> Vec<(usize, Kind, String)> {
        let file = SourceFile {
            path: path.to_owned(),
            text: text.to_owned(),
        };
        let blocks = blocks(&file).into_iter();
        let words = |text: String| text.split_whitespace().collect::<Vec<_>>().join(" ");
        blocks
            .map(|block| (block.line, block.kind, words(block.text)))
            .collect()
    }

    /// Guards the reader of Rust files: each comment, error text and name of a test, no string and
    /// no fenced code.
    #[test]
    fn rust_file_gives_comments_error_texts_and_test_names() {
        let text = concat!(
            "//! Head of\n//! a file.\n",
            "use a::b; // Behind.\n",
            "/// Doc.\n///\n/// ```\n/// code\n/// ```\n/// More.\n",
            "// Plain.\n",
            "#[error(\"plain {a} \\\" text\")]\n",
            "#[error(\n    \"broken\"\n)]\n",
            "#[error(transparent)]\n",
            "let s = (\"http://a\", '\"'); // After.\n",
            "mod m {\n    //! Inner.\n}\n",
            "#[test]\n#[should_panic]\nfn zero_is_refused() {}\nfn no_test() {}\n",
        );
        use Kind::{Doc, ErrorText, Plain, TestName};
        let expected = [
            (1, Doc, "Head of a file."),
            (3, Plain, "Behind."),
            (4, Doc, "Doc. More."),
            (10, Plain, "Plain."),
            (16, Plain, "After."),
            (18, Plain, "Inner."),
            (10, ErrorText, "plain {a} \\\" text"),
            (11, ErrorText, "broken"),
            (22, TestName, "zero is refused"),
        ];
        let expected = expected.map(|(line, kind, text)| (line, kind, text.to_owned()));
        assert_eq!(texts("a.rs", text), expected);
    }

    /// Guards the reader of pages: each paragraph, no fenced code.
    #[test]
    fn page_gives_paragraphs() {
        let text = "# Title\n\nOne\ntwo.\n\n```text\ncode\n```\nThree.\n";
        let expected = [(1, "# Title"), (3, "One two."), (9, "Three.")];
        let expected = expected.map(|(line, text)| (line, Kind::Plain, text.to_owned()));
        assert_eq!(texts("a.md", text), expected);
        assert_eq!(texts("a.scn", text), []);
    }
}
