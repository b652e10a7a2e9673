//! `docs/invariants.md` and the code name the same invariants, and each links to checkers that
//! exist.

use std::collections::BTreeSet;

use super::files::{self, SourceFile};

const DOCUMENT: &str = "docs/invariants.md";
/// Letters of checkpoints, flusher, streams, tools, worlds, engines, the log store, nodes, documents
/// in memory, and the runtime.
const LETTERS: [char; 10] = ['C', 'F', 'S', 'T', 'W', 'E', 'L', 'N', 'D', 'R'];

/// Returns words that look like an invariant's number: one of the letters and one or two digits, by
/// themselves.
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

/// Returns the invariants that a file names; `C1 to C12` names twelve.
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

/// A row of the document: `| id | statement | checkers |`.
struct Row<'a> {
    id: (char, u32),
    statement: &'a str,
    checkers: &'a str,
}

impl Row<'_> {
    fn name(&self) -> String {
        format!("{}{}", self.id.0, self.id.1)
    }
}

/// Returns number and rest of a row whose first cell is an invariant's number.
fn numbered(line: &str) -> Option<((char, u32), &str)> {
    let cells = line.strip_prefix("| ")?.strip_suffix(" |")?;
    let (first, rest) = cells.split_once(" | ")?;
    let &[(letter, number, end)] = &numbers(first)[..] else {
        return None;
    };
    (end == first.len()).then_some(((letter, number), rest))
}

/// Returns the rows of the document's tables that define an invariant.
fn rows(document: &str) -> Vec<Row<'_>> {
    let row = |(id, rest): ((char, u32), _)| {
        let cells: Vec<_> = str::split(rest, " | ").collect();
        let &[statement, checkers] = &cells[..] else {
            panic!("{id:?} has not three cells: {rest}");
        };
        Row {
            id,
            statement,
            checkers,
        }
    };
    document.lines().filter_map(numbered).map(row).collect()
}

/// Returns the invariants that the document defines, in its order.
fn defined(document: &str) -> Vec<(char, u32)> {
    rows(document).iter().map(|row| row.id).collect()
}

/// Returns the links of a text: the text in the brackets, and the target.
fn links(text: &str) -> Vec<(&str, &str)> {
    let mut found = Vec::new();
    for (at, _) in text.match_indices("](") {
        let start = text[..at].rfind('[').expect("a link begins somewhere");
        let end = text[at..].find(')').expect("a link ends somewhere");
        found.push((&text[start + 1..at], &text[at + 2..at + end]));
    }
    found
}

/// Returns the reason why a link leads to no checker; `None` if it does. The target is relative to
/// the document's folder.
fn broken_link(files: &[SourceFile], text: &str, target: &str) -> Option<String> {
    let path = match target.strip_prefix("../") {
        Some(path) => path.to_owned(),
        None => format!("docs/{target}"),
    };
    let folder = format!("{path}/");
    let is_file = |file: &&SourceFile| file.path == path;
    if !files
        .iter()
        .any(|file| is_file(&file) || file.path.starts_with(&folder))
    {
        return Some(format!("{text}: there is no {path}"));
    }
    let name = text.trim_matches('`');
    let is_test = text.starts_with('`') && is_identifier(name);
    let function = format!("fn {name}(");
    let has_it = |file: &SourceFile| {
        file.text.contains(&function) || file.path.ends_with(&format!("/{name}.rs"))
    };
    if !is_test || files.iter().find(is_file).is_some_and(has_it) {
        return None;
    }
    let elsewhere: Vec<_> = files.iter().filter(|file| has_it(file)).collect();
    let elsewhere: Vec<_> = elsewhere.iter().map(|file| &file.path).collect();
    Some(format!("{text}: not in {path}, but in {elsewhere:?}"))
}

/// Returns `true` for the name of a test or a file, which no other word looks like.
fn is_identifier(name: &str) -> bool {
    name.contains('_')
        && name
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
}

fn document(files: &[SourceFile]) -> &str {
    let document = files.iter().find(|file| file.path == DOCUMENT);
    &document.expect("docs/invariants.md").text
}

/// Returns library code, without tests.
fn code(files: &[SourceFile]) -> impl Iterator<Item = &SourceFile> {
    files
        .iter()
        .filter(|file| file.is_rust() && file.path.contains("/src/") && !file.is_test())
}

/// Guards the document against drift from the code: each names the other's invariants.
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
            // The contract numbers its promises without a letter.
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

/// Guards the numbers from gaps: a removed invariant leaves a line that says so.
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

/// Guards that the checkers named in the document exist: tests and files, by name, and scenarios.
#[test]
fn checkers_named_in_the_document_exist() {
    let files = files::all();
    let quoted = document(&files).split('`').skip(1).step_by(2);
    let mut missing = Vec::new();
    for name in quoted {
        let exists = if is_identifier(name) {
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

/// Guards that each invariant has a checker, and that each link leads to the file with the test.
#[test]
fn each_invariant_links_to_an_existing_checker() {
    let files = files::all();
    let mut broken = Vec::new();
    for row in rows(document(&files)) {
        let links = links(row.checkers);
        if links.is_empty() {
            broken.push(format!("{}: no link to a checker", row.name()));
        }
        let of_row = links
            .into_iter()
            .filter_map(|(text, target)| broken_link(&files, text, target));
        broken.extend(of_row.map(|what| format!("{}: {what}", row.name())));
        let unlinked = row.checkers.split('`').skip(1).step_by(2);
        let unlinked = unlinked
            .filter(|name| is_identifier(name) && !row.checkers.contains(&format!("[`{name}`](")));
        broken.extend(unlinked.map(|name| format!("{}: `{name}` is no link", row.name())));
    }
    assert!(broken.is_empty(), "{broken:#?}");
}

/// Guards the form: one sentence that something must hold, and a footnote for each mark.
#[test]
fn each_invariant_is_a_statement_with_must() {
    let files = files::all();
    let document = document(&files);
    let mut wrong = Vec::new();
    for row in rows(document) {
        let (name, mark) = (row.name(), format!(" [^{}]", row.name()));
        let has_note = document.contains(&format!("\n[^{name}]: "));
        if !row.statement.contains(" must ") {
            wrong.push(format!("{name}: no \"must\""));
        }
        let sentence = row.statement.strip_suffix(&mark).unwrap_or(row.statement);
        if !sentence.ends_with('.') || sentence.contains(". ") {
            wrong.push(format!("{name}: not one sentence"));
        }
        if row.statement.contains("[^") != has_note || row.statement.ends_with(&mark) != has_note {
            wrong.push(format!("{name}: its footnote"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// Guards the readers of numbers, rows and links.
#[test]
fn numbers_are_distinguished_from_other_words() {
    assert_eq!(
        named("C1. S5 to\n//! S7, (W12) F3"),
        [('C', 1), ('F', 3), ('S', 5), ('S', 6), ('S', 7), ('W', 12)].into()
    );
    assert_eq!(
        named("SC1 C1a C123 0xC3 \\xC3 C0 E C_1 X1"),
        BTreeSet::new()
    );
    assert_eq!(
        defined(
            "| C1 | See C2. | x |\n| C12 | Twelve. | y |\n| C3 to C4 | x | y |\nC5 | x | y\n| id | a | b |\n"
        ),
        [('C', 1), ('C', 12)]
    );
    assert_eq!(
        links("unit [`a_b`](../x/y.rs), [the model](../z) (C3)"),
        [("`a_b`", "../x/y.rs"), ("the model", "../z")]
    );
}

/// Guards the reader of links: a link to another file, or to none, is found.
#[test]
fn link_to_a_wrong_file_is_broken() {
    let file = |path: &str, text: &str| SourceFile {
        path: path.to_owned(),
        text: text.to_owned(),
    };
    let files = [file("a/b.rs", "fn one_test() {}"), file("a/c_d.rs", "")];
    let is_broken = |text, target| broken_link(&files, text, target).is_some();
    assert!(!is_broken("`one_test`", "../a/b.rs") && !is_broken("`c_d`", "../a/c_d.rs"));
    assert!(!is_broken("the suite", "../a/b.rs") && !is_broken("the suite", "../a"));
    assert!(is_broken("`one_test`", "../a/c_d.rs") && is_broken("`one_test`", "../a"));
    assert!(is_broken("`no_test`", "../a/b.rs") && is_broken("the suite", "../a/x.rs"));
    assert!(is_broken("the suite", "a/b.rs"));
}
