//! The links of the pages: each leads to a file or folder that exists, and to a heading that is
//! there.

use super::files::{self, SourceFile};

/// Returns the targets of a page's links, without those to the web.
fn targets(page: &str) -> Vec<&str> {
    page.match_indices("](")
        .filter_map(|(at, _)| Some(page[at + 2..].split_once(')')?.0))
        .filter(|target| !target.starts_with("http"))
        .collect()
}

/// Returns the path that a target means, from the folder of its page.
fn resolved(page: &str, target: &str) -> String {
    let mut path: Vec<&str> = page.split('/').collect();
    if !target.is_empty() {
        path.pop();
    }
    for part in target.split('/').filter(|part| !part.is_empty()) {
        match part {
            "." => {}
            ".." => {
                path.pop();
            }
            part => path.push(part),
        }
    }
    path.join("/")
}

/// Returns the name by which a heading can be linked.
fn anchor(heading: &str) -> String {
    let kept = heading.trim_start_matches('#').trim().to_lowercase();
    let kept = kept
        .chars()
        .filter(|c| c.is_alphanumeric() || "-_ ".contains(*c));
    kept.map(|c| if c == ' ' { '-' } else { c }).collect()
}

/// Returns the reason why a link leads nowhere; `None` if it does not.
fn broken(files: &[SourceFile], page: &str, target: &str) -> Option<String> {
    let (path, heading) = target.split_once('#').unwrap_or((target, ""));
    let path = resolved(page, path);
    let folder = format!("{path}/");
    let Some(file) = files.iter().find(|file| file.path == path) else {
        let is_there = path.is_empty()
            || files.iter().any(|file| file.path.starts_with(&folder))
            || files::root().join(&path).is_file();
        return (!is_there).then(|| format!("{page}: {target}: there is no {path}"));
    };
    let headings = file.text.lines().filter(|line| line.starts_with('#'));
    let has_it = heading.is_empty() || headings.map(anchor).any(|anchor| anchor == heading);
    (!has_it).then(|| format!("{page}: {target}: no such heading"))
}

/// Guards readers from dead ends.
#[test]
fn link_of_a_page_leads_somewhere() {
    let files = files::all();
    let pages = files.iter().filter(|file| file.path.ends_with(".md"));
    let mut wrong = Vec::new();
    for page in pages {
        let targets = targets(&page.text).into_iter();
        wrong.extend(targets.filter_map(|target| broken(&files, &page.path, target)));
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// Guards the check itself: a missing file or heading is found.
#[test]
fn link_to_nothing_is_broken() {
    let file = |path: &str, text: &str| SourceFile {
        path: path.to_owned(),
        text: text.to_owned(),
    };
    let files = [
        file("docs/a.md", "# One\n\n## What `it` is, and why\n"),
        file("src/b.rs", ""),
    ];
    let is_broken = |target| broken(&files, "docs/a.md", target).is_some();
    for target in [
        "../src/b.rs",
        "../src",
        "a.md#one",
        "#what-it-is-and-why",
        "",
    ] {
        assert!(!is_broken(target), "{target}");
    }
    for target in ["b.rs", "../src/c.rs", "#two", "a.md#what-it-is"] {
        assert!(is_broken(target), "{target}");
    }
    assert_eq!(
        targets("[a](b.md), [web](https://a.b), ![plot](c.svg#d)"),
        ["b.md", "c.svg#d"]
    );
}
