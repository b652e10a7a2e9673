//! `docs/invariants.md` and the code name the same invariants, and the checkers it names exist.

use std::collections::BTreeSet;

use super::files::{self, SourceFile};

const DOCUMENT: &str = "docs/invariants.md";
/// Checkpoints, flusher, streams, tools, worlds, engines, the log store, nodes.
const LETTERS: [char; 8] = ['C', 'F', 'S', 'T', 'W', 'E', 'L', 'N'];

/// What looks like an invariant's number: one of the letters and one or two digits, by themselves.
fn numbers(text: &str) -> Vec<(char, u32, usize)> {
    let is_part = |c: char| c.is_alphanumeric() || c == '_' || c == '\\';
    let mut found = Vec::new();
    for (at, letter) in text.char_indices().filter(|(_, c)| LETTERS.contains(c)) {
        let rest = &text[at + 1..];
        let digits = rest
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(rest.len());
        let is_alone = !text[..at].ends_with(is_part) && !rest[digits..].starts_with(is_part);
        if (1..=2).contains(&digits) && is_alone && !rest.starts_with('0') {
            found.push((
                letter,
                rest[..digits].parse().expect("digits"),
                at + 1 + digits,
            ));
        }
    }
    found
}

/// The invariants a file names; `C1 to C12` names twelve.
fn named(text: &str) -> BTreeSet<(char, u32)> {
    // A range may be broken over two lines of a comment.
    let text = text
        .split_whitespace()
        .filter(|word| !["//!", "///", "//"].contains(word))
        .collect::<Vec<_>>()
        .join(" ");
    let numbers = numbers(&text);
    let mut named: BTreeSet<_> = numbers
        .iter()
        .map(|&(letter, number, _)| (letter, number))
        .collect();
    for pair in numbers.windows(2) {
        let [(letter, first, end), (other, last, _)] = *pair else {
            continue;
        };
        if letter == other && text[end..].starts_with(&format!(" to {letter}{last}")) {
            named.extend((first..=last).map(|number| (letter, number)));
        }
    }
    named
}

/// Those a line of the document defines: it begins with the number, in bold.
fn defined(document: &str) -> Vec<(char, u32)> {
    let heads = document.lines().filter_map(|line| line.strip_prefix("**"));
    heads
        .filter_map(|head| {
            numbers(head)
                .first()
                .copied()
                .filter(|&(.., end)| end <= 3 && head[end..].starts_with('.'))
        })
        .map(|(letter, number, _)| (letter, number))
        .collect()
}

fn document(files: &[SourceFile]) -> &str {
    let document = files.iter().find(|file| file.path == DOCUMENT);
    &document.expect("docs/invariants.md").text
}

/// Library code that is not there for tests, or hidden in a file of tests.
fn code(files: &[SourceFile]) -> impl Iterator<Item = &SourceFile> {
    files
        .iter()
        .filter(|file| file.is_rust() && file.path.contains("/src/") && !file.is_test())
}

/// Guards the document against code that goes another way: each names what the other does.
#[test]
fn document_and_code_name_the_same_invariants() {
    let files = files::all();
    let defined = defined(document(&files));
    let mut in_document: BTreeSet<_> = BTreeSet::new();
    for &number in &defined {
        assert!(in_document.insert(number), "{number:?} is defined twice");
    }
    let mut in_code: BTreeSet<(char, u32)> = BTreeSet::new();
    for file in code(&files) {
        in_code.extend(named(&file.text));
        if file.path == "persistence/src/contract/engine.rs" {
            // The contract numbers its promises, without a letter.
            let lines = file
                .text
                .lines()
                .filter_map(|line| line.strip_prefix("//! ")?.split_once(". *"));
            in_code.extend(lines.filter_map(|(number, _)| Some(('E', number.parse().ok()?))));
        }
    }
    let text = |set: BTreeSet<&(char, u32)>| {
        set.into_iter()
            .map(|(letter, number)| format!("{letter}{number}"))
            .collect::<Vec<_>>()
            .join(" ")
    };
    let undefined = text(in_code.difference(&in_document).collect());
    let unnamed = text(in_document.difference(&in_code).collect());
    assert!(
        undefined.is_empty() && unnamed.is_empty(),
        "only in code: [{undefined}]; only in {DOCUMENT}: [{unnamed}]"
    );
}

/// Guards the numbers from holes: one that is gone leaves a line that says so.
#[test]
fn numbers_have_no_holes() {
    let files = files::all();
    let defined: BTreeSet<_> = defined(document(&files)).into_iter().collect();
    for letter in LETTERS {
        let numbers: Vec<_> = defined
            .iter()
            .filter(|(of, _)| *of == letter)
            .map(|&(_, number)| number)
            .collect();
        assert!(
            numbers.iter().copied().eq(1..=numbers.len() as u32),
            "{letter}: {numbers:?}"
        );
        assert!(!numbers.is_empty(), "{letter}: none at all");
    }
}

/// Guards that the checkers the document names exist: tests and files, by name, and scenarios.
#[test]
fn checkers_that_are_named_exist() {
    let files = files::all();
    let quoted = document(&files).split('`').skip(1).step_by(2);
    let mut missing = Vec::new();
    for name in quoted {
        let is_identifier = name.contains('_')
            && name
                .chars()
                .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
        let exists = if is_identifier {
            let (function, file) = (format!("fn {name}("), format!("/{name}.rs"));
            files
                .iter()
                .any(|file_| file_.path.ends_with(&file) || file_.text.contains(&function))
        } else if let Some(prefix) = name.strip_suffix('*') {
            files
                .iter()
                .any(|file| file.path.starts_with(&format!("tests/scenarios/{prefix}")))
        } else if name.contains('/') && !name.contains(' ') {
            let places = [name.to_owned(), format!("tests/scenarios/{name}.scn")];
            files.iter().any(|file| {
                places.iter().any(|place| {
                    file.path == *place
                        || file
                            .path
                            .starts_with(&format!("{}/", place.trim_end_matches('/')))
                })
            })
        } else {
            true
        };
        if !exists {
            missing.push(name);
        }
    }
    assert!(missing.is_empty(), "{missing:#?}");
}

/// Guards the reader of numbers.
#[test]
fn numbers_are_told_from_other_words() {
    assert_eq!(
        named("C1. S5 to\n//! S7, (W12) F3"),
        [('C', 1), ('F', 3), ('S', 5), ('S', 6), ('S', 7), ('W', 12)].into()
    );
    assert_eq!(
        named("SC1 C1a C123 0xC3 \\xC3 C0 E C_1 X1"),
        BTreeSet::new()
    );
    assert_eq!(
        defined("**C1. One.** See C2.\n**C12. Twelve.**\nC3. **C4** x\n"),
        [('C', 1), ('C', 12)]
    );
}
