//! The words of comments, error texts, names of tests and pages: the rules for prose in
//! CONTRIBUTING.md, as far as a program can check them.
//!
//! Text that was written before the rules has an allowance in `prose_allowed.txt`: a line has a
//! path, a count and a rule. Allowances only shrink. A file with more matches must be reworded, and
//! a file with fewer matches needs a lower allowance. After rewording, this command writes the file
//! again:
//!
//! ```text
//! LOWTIDE_PROSE=write cargo test -p lowtide-tests --test tidy prose
//! ```
//!
//! Code is exempt, in fenced blocks and in backticks. CONTRIBUTING.md quotes bad examples, so the
//! whole page is exempt.

mod blocks;
mod rules;

use std::collections::BTreeMap;

use self::blocks::blocks;
use self::rules::{Match, matches};
use super::files::{self, SourceFile};

const ALLOWED: &str = "tests/tidy/prose_allowed.txt";
const EXEMPT: &str = "CONTRIBUTING.md";

/// Matches by path and rule.
type Table = BTreeMap<(String, String), Vec<Match>>;

fn found(files: &[SourceFile]) -> Table {
    let mut table = Table::new();
    for file in files.iter().filter(|file| file.path != EXEMPT) {
        for found in blocks(file).iter().flat_map(matches) {
            let key = (file.path.clone(), found.rule.clone());
            table.entry(key).or_default().push(found);
        }
    }
    table
}

/// Parses lines of a path, a count and a rule.
fn allowed(text: &str) -> BTreeMap<(String, String), usize> {
    let line = |line: &str| {
        let mut parts = line.splitn(3, ' ');
        let [path, count, rule] = [(); 3].map(|()| parts.next().expect("a path, a count, a rule"));
        let count = count.parse().expect("a count");
        ((path.to_owned(), rule.to_owned()), count)
    };
    text.lines().map(line).collect()
}

fn written(table: &Table) -> String {
    let line = |((path, rule), found): (&(String, String), &Vec<Match>)| {
        format!("{path} {} {rule}\n", found.len())
    };
    table.iter().map(line).collect()
}

/// Returns a complaint for each path and rule whose count differs from its allowance.
fn complaints(found: &Table, allowed: &BTreeMap<(String, String), usize>) -> Vec<String> {
    let mut complaints = Vec::new();
    for ((path, rule), found) in found {
        let allowance = allowed.get(&(path.clone(), rule.clone())).copied();
        let allowance = allowance.unwrap_or(0);
        if found.len() > allowance {
            let lines: Vec<_> = found.iter().map(|found| found.line).collect();
            complaints.push(format!(
                "{path}: `{rule}` in lines {lines:?}, {allowance} allowed: reword it"
            ));
        }
    }
    for ((path, rule), &allowance) in allowed {
        let key = (path.clone(), rule.clone());
        let count = found.get(&key).map_or(0, Vec::len);
        if count < allowance {
            complaints.push(format!(
                "{path}: {count} times `{rule}`, {allowance} allowed: lower the allowance"
            ));
        }
    }
    complaints
}

/// Guards the prose of the whole workspace, with the allowances of older text.
#[test]
fn prose_of_the_workspace_follows_the_rules() {
    let files = files::all();
    let found = found(&files);
    if std::env::var("LOWTIDE_PROSE").is_ok_and(|value| value == "write") {
        std::fs::write(files::root().join(ALLOWED), written(&found)).expect("the file is writable");
        return;
    }
    let text = files.iter().find(|file| file.path == ALLOWED);
    let text = &text.expect("the file of allowances").text;
    assert!(
        text.lines().is_sorted_by_key(|line| {
            let (path, rest) = line.split_once(' ').expect("a path");
            (path, rest.split_once(' ').map(|(_, rule)| rule))
        }),
        "{ALLOWED} is not sorted"
    );
    let complaints = complaints(&found, &allowed(text));
    assert!(
        complaints.is_empty(),
        "see CONTRIBUTING.md, \"Ten rules for prose\"; once the text is right, lower the allowances with\n  \
         LOWTIDE_PROSE=write cargo test -p lowtide-tests --test tidy prose\n{complaints:#?}"
    );
}

/// Guards that allowances only shrink: more matches fail, and so do fewer.
#[test]
fn allowance_that_differs_from_the_count_fails() {
    let file = |text: &str| SourceFile {
        path: "a.rs".to_owned(),
        text: text.to_owned(),
    };
    let two = found(&[file("// Done anew.\nfn f() {} // Read anew.\n")]);
    assert_eq!(written(&two), "a.rs 2 anew\n");
    let with = |allowance: &str| complaints(&two, &allowed(allowance));
    assert_eq!(with("a.rs 2 anew\n"), [""; 0]);
    let more = "a.rs: `anew` in lines [1, 2], 1 allowed: reword it";
    assert_eq!(with("a.rs 1 anew\n"), [more]);
    let fewer = "a.rs: 2 times `anew`, 3 allowed: lower the allowance";
    assert_eq!(with("a.rs 3 anew\n"), [fewer]);
    let gone = "b.md: 0 times `he`, 1 allowed: lower the allowance";
    assert_eq!(with("a.rs 2 anew\nb.md 1 he\n"), [gone]);
}

/// Guards the exemption: only the page that quotes bad examples may use every word.
#[test]
fn contributing_page_is_exempt() {
    let page = |path: &str| SourceFile {
        path: path.to_owned(),
        text: "Nobody reads it.\n".to_owned(),
    };
    assert_eq!(found(&[page(EXEMPT)]).len(), 0);
    assert_eq!(found(&[page("docs/CONTRIBUTING.md")]).len(), 1);
}
