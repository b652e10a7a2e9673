//! Checks every path in the code against the table of layers.

use super::rules::RULES;
use crate::files::{self, SourceFile};
use crate::paths::paths;

fn module(file: &SourceFile) -> Vec<&str> {
    let inside = file
        .path
        .split_once("/src/")
        .map_or("", |(_, inside)| inside);
    let inside = inside.strip_suffix(".rs").unwrap_or(inside);
    inside
        .split('/')
        .filter(|part| !["lib", "main", ""].contains(part))
        .collect()
}

/// Returns `true` if a path is, or is below, what a rule names; `*` may import anything.
fn names(path: &str, forbidden: &str) -> bool {
    let is_below = path
        .strip_prefix(forbidden)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with("::"));
    is_below
        || path
            .strip_suffix("::*")
            .is_some_and(|before| forbidden.starts_with(before))
}

/// Guards the architecture: a forbidden import is found here, not in review.
#[test]
fn imports_follow_the_layers() {
    let files: Vec<_> = files::all()
        .into_iter()
        .filter(|file| file.is_rust() && !file.is_test())
        .collect();
    let (mut broken, mut seen) = (Vec::new(), 0);
    for rule in RULES {
        let there: Vec<_> = files
            .iter()
            .filter(|file| file.path.starts_with(rule.place))
            .collect();
        assert!(!there.is_empty(), "{}: a rule for nothing", rule.place);
        for but in rule
            .but
            .iter()
            .filter(|but| !but.starts_with("bench") && !but.starts_with("fuzz"))
        {
            assert!(
                files.iter().any(|file| file.path.starts_with(but)),
                "{but}: an exception for nothing"
            );
        }
        for file in there
            .iter()
            .filter(|file| !rule.but.iter().any(|but| file.path.starts_with(but)))
        {
            for path in paths(&file.text, &module(file)) {
                seen += 1;
                if rule.never.iter().any(|forbidden| names(&path, forbidden)) {
                    broken.push(format!("{}: {path}", file.path));
                }
            }
        }
    }
    assert!(seen > 5_000, "{seen} paths: the reader is blind");
    assert!(broken.is_empty(), "{broken:#?}");
}

/// Guards that the rules bite: each finds what it forbids.
#[test]
fn each_layer_rule_finds_what_it_forbids() {
    for rule in RULES {
        for forbidden in rule.never {
            let text = format!("use {forbidden}::Anything;");
            let found = paths(&text, &["node"]);
            assert!(
                found.iter().any(|path| names(path, forbidden)),
                "{forbidden}: {found:?}"
            );
        }
    }
    assert!(names("std::collections::*", "std::collections::HashMap"));
    assert!(!names("std::file", "std::fi"));
}
