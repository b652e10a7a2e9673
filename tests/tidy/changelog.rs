//! The form of CHANGELOG.md: a section for each crate, breaking changes first, and each entry one
//! change in the imperative.

use super::files;

const PAGE: &str = "CHANGELOG.md";
const CRATES: [&str; 3] = ["checkpoint", "persistence", "dcp-sim"];
const KINDS: [&str; 4] = ["Breaking", "Added", "Changed", "Fixed"];
/// Scopes that an entry may begin with.
const SCOPES: [&str; 2] = ["couchstore: ", "logstor: "];

/// Returns what is wrong with the form of a changelog.
fn complaints(page: &str) -> Vec<String> {
    let mut complaints = Vec::new();
    let mut kinds: Vec<&str> = Vec::new();
    for line in page.lines() {
        if let Some(name) = line.strip_prefix("### ") {
            if !CRATES.contains(&name) {
                complaints.push(format!("{name} is no crate"));
            }
            kinds.clear();
        } else if let Some(kind) = line.strip_prefix("#### ") {
            let place = |kind| KINDS.iter().position(|other| *other == kind);
            if place(kind).is_none() || kinds.last().is_some_and(|last| place(last) >= place(kind))
            {
                complaints.push(format!("{kind} stands in the wrong place"));
            }
            kinds.push(kind);
        } else if let Some(entry) = line.strip_prefix("- ") {
            let scoped = SCOPES.iter().find_map(|scope| entry.strip_prefix(scope));
            let text = scoped.unwrap_or(entry);
            let verb = text.split([' ', ',']).next().unwrap_or(text);
            let is_verb = verb.chars().all(char::is_alphabetic)
                && verb.starts_with(char::is_lowercase) == scoped.is_some()
                && !verb.ends_with("ed")
                && !verb.ends_with("ing");
            if !is_verb {
                complaints.push(format!("{entry}: does not begin with a verb"));
            }
        }
    }
    complaints
}

/// Guards readers who look for what they have to change.
#[test]
fn changelog_has_its_form() {
    let files = files::all();
    let page = files.iter().find(|file| file.path == PAGE);
    let complaints = complaints(&page.expect("the page").text);
    assert!(complaints.is_empty(), "{PAGE}: {complaints:#?}");
}

/// Guards the check itself.
#[test]
fn changelog_of_another_form_is_refused() {
    let right = "### checkpoint\n\n#### Breaking\n\n- Rename it.\n\n#### Fixed\n\n- logstor: do not stop.\n### dcp-sim\n#### Added\n- Add, in it, more.\n";
    assert_eq!(complaints(right), [""; 0]);
    for wrong in [
        "### tests",
        "#### News",
        "#### Fixed\n#### Added",
        "#### Added\n#### Added",
        "- Renamed it.",
        "- add it.",
        "- logstor: Add it.",
        "- `new` is there.",
        "- Adding it.",
    ] {
        assert_eq!(complaints(wrong).len(), 1, "{wrong}");
    }
}
