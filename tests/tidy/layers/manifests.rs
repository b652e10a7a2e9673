//! Checks the crates' order in their manifests.

use crate::files;

/// Returns the names in a manifest's `[dependencies]`.
fn dependencies(manifest: &str) -> Vec<&str> {
    let section = manifest
        .split("\n[dependencies]\n")
        .nth(1)
        .expect("dependencies");
    let lines = section.lines().take_while(|line| !line.starts_with('['));
    lines
        .filter_map(|line| line.split(['.', ' ', '=']).next())
        .filter(|name| !name.is_empty() && *name != "#")
        .collect()
}

/// Guards the crates' order in their manifests: checkpoint needs no crate of ours, persistence only
/// checkpoint.
#[test]
fn manifests_follow_the_order_of_crates() {
    let read = |name: &str| {
        std::fs::read_to_string(files::root().join(name).join("Cargo.toml")).expect("a manifest")
    };
    let [checkpoint, persistence] = ["checkpoint", "persistence"].map(read);
    let of_ours = ["lowtide-checkpoint", "lowtide-persistence", "dcp-sim"];
    let ours = |manifest| {
        dependencies(manifest)
            .into_iter()
            .filter(|name| of_ours.contains(name))
            .collect::<Vec<_>>()
    };
    assert_eq!(ours(&checkpoint), [""; 0]);
    assert_eq!(ours(&persistence), ["lowtide-checkpoint"]);
    for (name, manifest) in [("checkpoint", &checkpoint), ("persistence", &persistence)] {
        let with_chance = dependencies(manifest)
            .into_iter()
            .find(|dependency| dependency.starts_with("rand"));
        assert_eq!(with_chance, None, "{name}");
        assert!(
            dependencies(manifest).contains(&"bytes"),
            "{name}: the manifest was read"
        );
    }
}
