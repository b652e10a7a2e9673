//! The shape of the crates' insides: rooms, the arrows between them, and that no arrow leads back.
//!
//! A room is a file together with the folder of its name. An arrow is a path that one room names in another.
//! The rules hold for each folder of the three crates:
//! - rooms form no cycle;
//! - nothing below a face names an item of that face (a face is a file of `mod` and `use` lines, such as `lib.rs`);
//! - a folder has few rooms.

use std::collections::{BTreeMap, BTreeSet};

use super::files::{self, SourceFile};
use super::paths::paths;

const CRATES: [&str; 3] = ["checkpoint", "persistence", "dcp-sim"];
const ROOMS_MAX: usize = 14;

type Module = Vec<String>;

/// The modules of one crate, and what each names of the others.
pub(super) struct Graph {
    modules: BTreeSet<Module>,
    faces: BTreeSet<Module>,
    /// From, to, and the path that is named.
    arrows: Vec<(Module, Module, String)>,
}

impl Graph {
    pub(super) fn of(name: &str, files: &[SourceFile]) -> Self {
        let source = format!("{name}/src/");
        let own: BTreeMap<Module, &SourceFile> = files
            .iter()
            .filter(|file| file.is_rust() && !is_for_tests(&file.path))
            .filter_map(|file| Some((module(file.path.strip_prefix(&source)?)?, file)))
            .collect();
        let modules: BTreeSet<_> = own.keys().cloned().collect();
        let faces = own.iter().filter(|(_, file)| is_face(&file.text));
        let faces = faces.map(|(module, _)| module.clone()).collect();
        let mut arrows = Vec::new();
        for (from, file) in &own {
            let place: Vec<_> = from.iter().map(String::as_str).collect();
            for path in paths(&file.text, &place) {
                let Some(to) = named(&path, from, &modules).filter(|to| to != from) else {
                    continue;
                };
                arrows.push((from.clone(), to, path));
            }
        }
        Self {
            modules,
            faces,
            arrows,
        }
    }

    fn folders(&self) -> BTreeSet<&[String]> {
        let parents = self.modules.iter();
        parents
            .filter_map(|module| module.get(..module.len().checked_sub(1)?))
            .collect()
    }

    fn rooms(&self, folder: &[String]) -> BTreeSet<&str> {
        let below = self.modules.iter();
        below.filter_map(|module| room(module, folder)).collect()
    }

    /// Returns pairs of rooms of a folder of which the first uses the second.
    pub(super) fn uses(&self, folder: &[String]) -> BTreeSet<(&str, &str)> {
        let pairs = self.arrows.iter();
        let pairs =
            pairs.filter_map(|(from, to, _)| Some((room(from, folder)?, room(to, folder)?)));
        pairs.filter(|(from, to)| from != to).collect()
    }

    /// The rooms of a folder that lead to themselves, each with an arrow that does.
    fn cycles(&self, folder: &[String]) -> Vec<String> {
        let mut next: BTreeMap<&str, BTreeMap<&str, &str>> = BTreeMap::new();
        for (from, to, path) in &self.arrows {
            if let (Some(from), Some(to)) = (room(from, folder), room(to, folder))
                && from != to
            {
                next.entry(from).or_default().insert(to, path);
            }
        }
        let reaches = |from: &str, to: &str| {
            let (mut seen, mut open) = (BTreeSet::new(), vec![from]);
            while let Some(at) = open.pop() {
                if at == to {
                    return true;
                }
                if seen.insert(at) {
                    open.extend(next.get(at).into_iter().flat_map(BTreeMap::keys));
                }
            }
            false
        };
        let back = |(from, tos): (&&str, &BTreeMap<&str, &str>)| -> Vec<String> {
            tos.iter()
                .filter(|(to, _)| reaches(to, from))
                .map(|(to, path)| format!("{}: {from} -> {to} ({path})", folder.join("/")))
                .collect()
        };
        next.iter().flat_map(back).collect()
    }

    /// Arrows from below a face to what it passes on.
    fn upward(&self) -> Vec<String> {
        let is_upward = |(from, to, path): &&(Module, Module, String)| {
            let names_an_item =
                path.split("::").count() > to.len() + 1 && !path.ends_with("::self");
            self.faces.contains(to) && from.starts_with(to) && names_an_item
        };
        let upward = self.arrows.iter().filter(is_upward);
        upward
            .map(|(from, _, path)| format!("{} -> {path}", from.join("/")))
            .collect()
    }
}

fn module(path: &str) -> Option<Module> {
    let path = path.strip_suffix(".rs")?;
    match path {
        "main" => None,
        "lib" => Some(Vec::new()),
        _ => Some(path.split('/').map(str::to_owned).collect()),
    }
}

fn is_for_tests(path: &str) -> bool {
    path.split('/')
        .any(|part| ["tests", "tests.rs", "fuzzing", "fuzzing.rs"].contains(&part))
}

/// Which module of the crate a path leads to, as far as its names are modules.
fn named(path: &str, from: &Module, modules: &BTreeSet<Module>) -> Option<Module> {
    let mut names = path.split("::").peekable();
    let mut to = if names.next_if_eq(&"crate").is_some() {
        Module::new()
    } else {
        let child = [&from[..], &[names.peek()?.to_string()]].concat();
        modules.contains(&child).then(|| from.clone())?
    };
    for name in names {
        to.push(name.to_owned());
        if !modules.contains(&to) {
            to.pop();
            break;
        }
    }
    Some(to)
}

fn room<'a>(module: &'a Module, folder: &[String]) -> Option<&'a str> {
    let inside = module.strip_prefix(folder)?;
    inside.first().map(String::as_str)
}

/// Whether a file only names its modules and passes on what is in them.
fn is_face(text: &str) -> bool {
    const DEFINITIONS: [&str; 9] = [
        "fn ", "const ", "static ", "struct ", "enum ", "trait ", "impl ", "impl<", "type ",
    ];
    let has_modules = text
        .lines()
        .any(|line| without_visibility(line).starts_with("mod ") && line.ends_with(';'));
    let defines = |line: &str| {
        let line = without_visibility(line);
        DEFINITIONS.iter().any(|word| line.starts_with(word))
    };
    has_modules && !text.lines().any(defines)
}

fn without_visibility(line: &str) -> &str {
    let line = line.trim_start();
    let Some(rest) = line.strip_prefix("pub") else {
        return line;
    };
    let rest = match rest.strip_prefix('(') {
        Some(scope) => scope.split_once(')').map_or(rest, |(_, rest)| rest),
        None => rest,
    };
    rest.trim_start()
}

fn graphs() -> Vec<(&'static str, Graph)> {
    let files = files::all();
    CRATES
        .into_iter()
        .map(|name| (name, Graph::of(name, &files)))
        .inspect(|(name, graph)| {
            let (modules, arrows) = (graph.modules.len(), graph.arrows.len());
            assert!(
                modules > 10 && arrows > 50,
                "{name} was read: {modules}, {arrows}"
            );
        })
        .collect()
}

/// Guards that the rooms of each folder can be read in an order.
#[test]
fn rooms_form_no_cycle() {
    for (name, graph) in graphs() {
        for folder in graph.folders() {
            let cycles = graph.cycles(folder);
            assert!(cycles.is_empty(), "{name}: {cycles:#?}");
        }
    }
}

/// Guards that a face is for the outside: inside its folder an item is imported from its file.
#[test]
fn nothing_below_a_face_imports_from_it() {
    for (name, graph) in graphs() {
        let upward = graph.upward();
        assert!(upward.is_empty(), "{name}: {upward:#?}");
    }
}

/// Guards that a folder can be taken in at a glance.
#[test]
fn folders_have_few_rooms() {
    for (name, graph) in graphs() {
        for folder in graph.folders() {
            let (rooms, place) = (graph.rooms(folder).len(), folder.join("/"));
            assert!(rooms <= ROOMS_MAX, "{name}/{place}: {rooms} rooms");
        }
    }
}

/// Guards the rules themselves: what they overlook, they allow.
#[test]
fn every_rule_finds_what_breaks_it() {
    let text = [
        (
            "lib.rs",
            "pub mod wing; mod other; mod low;\npub use low::Low;",
        ),
        (
            "wing.rs",
            "mod left;\nmod right;\npub(crate) use left::Left;",
        ),
        ("wing/left.rs", "use super::right::Right;\nstruct Left;"),
        ("wing/right.rs", "fn f() { crate::wing::left::f() }"),
        ("wing/deep.rs", "mod inside;\nstruct Deep; impl Deep {}"),
        (
            "wing/deep/inside.rs",
            "use super::Deep;\nuse crate::wing::Left;",
        ),
        ("other.rs", "use crate::Low;\nuse crate::wing::Left;"),
        ("low.rs", "use crate::low;\npub struct Low;"),
    ];
    let file = |(path, text): (&str, &str)| SourceFile {
        path: format!("some/src/{path}"),
        text: text.to_owned(),
    };
    let graph = Graph::of("some", &text.map(file));
    let wing = ["wing".to_owned()];
    let cycles = [
        "wing: left -> right (crate::wing::right::Right)",
        "wing: right -> left (crate::wing::left::f)",
    ];
    assert_eq!(graph.cycles(&wing), cycles);
    assert_eq!(graph.cycles(&[]), [""; 0]);
    let upward = [
        "other -> crate::Low",
        "wing/deep/inside -> crate::wing::Left",
    ];
    assert_eq!(graph.upward(), upward);
    assert_eq!(graph.rooms(&wing), ["deep", "left", "right"].into());
}
