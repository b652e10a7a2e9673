//! Guards the features of `dcp-sim`: the library's core needs none of the command line's dependencies.

use super::files;

/// Dependencies of `wire`, `producer`, `consumer` and `node`. None of them needs a C compiler.
const CORE: [&str; 7] = [
    "bytes",
    "lowtide-checkpoint",
    "lowtide-persistence",
    "serde_json",
    "smallvec",
    "snap",
    "thiserror",
];

/// Modules that a feature adds to the library, with that feature.
const OPTIONAL: [(&str, &str); 5] = [
    ("cli", "cli"),
    ("input", "sim"),
    ("report", "cli"),
    ("script", "cli"),
    ("sim", "sim"),
];

fn read(path: &str) -> String {
    std::fs::read_to_string(files::root().join(path)).expect("a file")
}

/// The lines of a manifest's `[dependencies]`.
fn dependencies(manifest: &str) -> impl Iterator<Item = &str> {
    let section = manifest.split("\n[dependencies]\n").nth(1);
    section
        .expect("dependencies")
        .lines()
        .take_while(|line| !line.starts_with('['))
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
}

#[test]
fn core_of_dcp_sim_has_no_dependency_of_the_command_line() {
    let manifest = read("dcp-sim/Cargo.toml");
    let required: Vec<_> = dependencies(&manifest)
        .filter(|line| !line.contains("optional = true"))
        .filter_map(|line| line.split(['.', ' ', '=']).next())
        .collect();
    assert_eq!(required, CORE);
    assert!(manifest.contains("\nrequired-features = [\"cli\"]\n"));
    assert!(manifest.contains("\ndefault = [\"cli\"]\n"));
}

#[test]
fn optional_modules_of_dcp_sim_are_behind_their_feature() {
    let library = read("dcp-sim/src/lib.rs");
    for (module, feature) in OPTIONAL {
        let declared = format!("#[cfg(feature = \"{feature}\")]\npub mod {module};\n");
        assert!(library.contains(&declared), "{module}");
    }
}
