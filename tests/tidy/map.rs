//! The trees in ARCHITECTURE.md: they name the rooms that exist, all of them, in an order in which
//! each room uses only those above it.

use std::collections::BTreeMap;

use super::files::{self, SourceFile};
use super::modules::Graph;

const PAGE: &str = "ARCHITECTURE.md";

/// Names of the rooms of a folder, in the page's order. A folder is `name/src` or a path below it.
type Tree = BTreeMap<String, Vec<String>>;

/// Reads the trees of a page: a line `name/src`, and indented lines of a name and its description.
fn trees(page: &str) -> Tree {
    let mut trees = Tree::new();
    let mut folders: Vec<(usize, String)> = Vec::new();
    for line in page.lines() {
        let indent = line.len() - line.trim_start().len();
        let Some(name) = line.split_whitespace().next() else {
            continue;
        };
        if indent == 0 {
            folders.clear();
            if name.ends_with("/src") && name == line {
                folders.push((indent, name.to_owned()));
            }
            continue;
        }
        folders.retain(|(outer, _)| *outer < indent);
        if let Some((_, folder)) = folders.last() {
            let path = format!("{folder}/{name}");
            let rooms = trees.entry(folder.clone()).or_default();
            rooms.push(name.to_owned());
            folders.push((indent, path));
        }
    }
    trees
}

/// Names of the rooms of a folder that exist, sorted: files and folders, without tests.
fn rooms(files: &[SourceFile], folder: &str) -> Vec<String> {
    let below = format!("{folder}/");
    let name = |file: &SourceFile| {
        let rest = file.path.strip_prefix(&below)?;
        let name = rest.split('/').next()?;
        let name = name.strip_suffix(".rs").unwrap_or(name);
        (!["lib", "tests"].contains(&name)).then(|| name.to_owned())
    };
    let mut rooms: Vec<_> = files.iter().filter_map(name).collect();
    rooms.sort();
    rooms.dedup();
    rooms
}

/// Guards the map against drift from the code.
#[test]
fn architecture_page_has_every_room_of_a_folder_it_shows() {
    let files = files::all();
    let page = files.iter().find(|file| file.path == PAGE);
    let trees = trees(&page.expect("the page").text);
    assert!(trees.len() > 3, "{PAGE} shows some folders: {trees:?}");
    for (folder, shown) in &trees {
        let mut shown = shown.clone();
        shown.sort();
        assert_eq!(shown, rooms(&files, folder), "{PAGE}: rooms of {folder}");
    }
}

/// Guards the order of the map, which says what may use what.
#[test]
fn architecture_page_shows_a_room_below_those_it_uses() {
    let files = files::all();
    let page = files.iter().find(|file| file.path == PAGE);
    let trees = trees(&page.expect("the page").text);
    let mut wrong = Vec::new();
    for (folder, shown) in &trees {
        let (name, inside) = folder.split_once("/src").expect("a folder of sources");
        let inside: Vec<_> = inside.split('/').skip(1).map(str::to_owned).collect();
        let place = |room| shown.iter().position(|name| name == room);
        for (from, to) in Graph::of(name, &files).uses(&inside) {
            if place(to) >= place(from) {
                wrong.push(format!("{folder}: {from} uses {to}"));
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "{PAGE} has these in another order: {wrong:#?}"
    );
}

/// Guards the reader of trees.
#[test]
fn tree_of_a_page_gives_the_rooms_of_each_folder() {
    let page = "Text of a/src and more.\n\na/src\n  one   first room\n    in    inside\n  two   second\nb/src\n  one\nEnd\n  no room\n";
    let expected = [
        ("a/src", vec!["one", "two"]),
        ("a/src/one", vec!["in"]),
        ("b/src", vec!["one"]),
    ];
    let expected = expected.map(|(folder, rooms)| {
        let rooms = rooms.into_iter().map(str::to_owned).collect();
        (folder.to_owned(), rooms)
    });
    assert_eq!(trees(page), Tree::from(expected));
}
