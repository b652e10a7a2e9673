//! Who may import whom. Each rule is a place and what code there never names; the exceptions are named with it.

use super::files::{self, SourceFile};
use super::paths::paths;

/// Code below `place` (a path from the workspace's root) names nothing that begins with one of `never`; files that
/// begin with one of `but` may.
struct Rule {
    place: &'static str,
    never: &'static [&'static str],
    but: &'static [&'static str],
}

const RULES: &[Rule] = &[
    // checkpoint is pure: it can be modelled by loom, played in virtual time and linked in anywhere.
    Rule {
        place: "checkpoint/src/",
        never: &[
            "lowtide_persistence",
            "dcp_sim",
            "rand",
            "rand_chacha",
            "std::fs",
            "std::net",
            "std::thread",
            "std::time",
            "std::env",
            "std::process",
            "std::io",
            "std::os",
        ],
        but: &[],
    },
    // Locks have one door, behind which loom's can stand.
    Rule {
        place: "checkpoint/src/",
        never: &[
            "parking_lot",
            "loom",
            "std::sync::Mutex",
            "std::sync::atomic",
        ],
        but: &["checkpoint/src/sync.rs"],
    },
    Rule {
        place: "persistence/src/logstor",
        never: &["parking_lot", "loom", "std::sync::Mutex"],
        but: &[],
    },
    // persistence: all I/O goes through `Disk`; threads and clocks are the host's.
    Rule {
        place: "persistence/src/",
        never: &[
            "dcp_sim",
            "std::net",
            "std::thread",
            "std::time",
            "std::env",
            "std::process",
            "rand",
        ],
        but: &[],
    },
    Rule {
        place: "persistence/src/",
        never: &["std::fs", "std::os"],
        but: &["persistence/src/disk/os.rs"],
    },
    Rule {
        place: "persistence/src/couchstore",
        never: &[
            "crate::flusher",
            "crate::Flusher",
            "crate::FlushGroup",
            "crate::CommittedGroup",
            "crate::Flushed",
            "crate::Persisted",
        ],
        but: &[],
    },
    Rule {
        place: "persistence/src/logstor",
        never: &[
            "crate::couchstore",
            "crate::flusher",
            "crate::Flusher",
            "crate::FlushGroup",
            "crate::CommittedGroup",
            "crate::Flushed",
            "crate::Persisted",
        ],
        but: &[],
    },
    Rule {
        place: "persistence/src/couchstore",
        never: &["crate::logstor", "crate::record", "bincode"],
        but: &[],
    },
    // An unmaintained crate has one door.
    Rule {
        place: "persistence/src/",
        never: &["bincode"],
        but: &["persistence/src/record.rs"],
    },
    // The flusher knows the trait and no engine; disks know neither.
    Rule {
        place: "persistence/src/flusher",
        never: &["crate::couchstore", "crate::logstor", "crate::disk"],
        but: &[],
    },
    Rule {
        place: "persistence/src/contract",
        never: &["crate::couchstore", "crate::logstor", "crate::flusher"],
        but: &[],
    },
    Rule {
        place: "persistence/src/disk",
        never: &[
            "lowtide_checkpoint",
            "crate::couchstore",
            "crate::logstor",
            "crate::flusher",
            "crate::contract",
            "crate::Engine",
        ],
        but: &[],
    },
    // The wire knows records and numbers, and nothing that does something with them.
    Rule {
        place: "dcp-sim/src/wire",
        never: &[
            "lowtide_persistence",
            "lowtide_checkpoint::VBucket",
            "lowtide_checkpoint::CheckpointManager",
            "lowtide_checkpoint::Batch",
            "lowtide_checkpoint::Cursor",
            "lowtide_checkpoint::CheckpointConfig",
            "crate::consumer",
            "crate::producer",
            "crate::node",
            "crate::sim",
            "crate::input",
            "crate::script",
            "crate::report",
            "crate::cli",
        ],
        but: &[],
    },
    // Of persistence a producer knows what it asks the host to read, and that in one place.
    Rule {
        place: "dcp-sim/src/producer",
        never: &["lowtide_persistence"],
        but: &["dcp-sim/src/producer/backfill.rs"],
    },
    // The two ends of a stream meet on the wire only.
    Rule {
        place: "dcp-sim/src/producer",
        never: &[
            "crate::consumer",
            "crate::node",
            "crate::sim",
            "crate::input",
            "crate::script",
        ],
        but: &[],
    },
    Rule {
        place: "dcp-sim/src/consumer",
        never: &[
            "lowtide_persistence",
            "crate::producer",
            "crate::node",
            "crate::sim",
            "crate::input",
            "crate::script",
        ],
        but: &[],
    },
    Rule {
        place: "dcp-sim/src/node",
        never: &["crate::sim", "crate::input", "crate::script"],
        but: &[],
    },
    Rule {
        place: "dcp-sim/src/sim",
        never: &["crate::script"],
        but: &[],
    },
    Rule {
        place: "dcp-sim/src/input",
        never: &[
            "lowtide_persistence",
            "lowtide_checkpoint",
            "crate::wire",
            "crate::consumer",
            "crate::producer",
            "crate::node",
            "crate::sim",
            "crate::script",
        ],
        but: &[],
    },
    Rule {
        place: "dcp-sim/src/script",
        never: &["crate::node", "crate::sim", "crate::input"],
        but: &[],
    },
    Rule {
        place: "dcp-sim/src/script",
        never: &["crate::consumer", "crate::producer"],
        but: &["dcp-sim/src/script/worlds/stream"],
    },
    Rule {
        place: "dcp-sim/src/report",
        never: &[
            "crate::node",
            "crate::input",
            "crate::script",
            "lowtide_persistence",
        ],
        but: &[],
    },
    // Only the command line knows the command line, and only it shows reports.
    Rule {
        place: "dcp-sim/src/",
        never: &["crate::cli"],
        but: &["dcp-sim/src/cli", "dcp-sim/src/main.rs"],
    },
    Rule {
        place: "dcp-sim/src/",
        never: &["crate::report"],
        but: &["dcp-sim/src/cli", "dcp-sim/src/report"],
    },
    // Time, files, threads and processes belong to hosts: what runs in the simulator has none.
    Rule {
        place: "dcp-sim/src/",
        never: &["std::net", "std::env", "std::os"],
        but: &[],
    },
    Rule {
        place: "dcp-sim/src/",
        never: &["std::time"],
        but: &["dcp-sim/src/cli", "dcp-sim/src/report"],
    },
    Rule {
        place: "dcp-sim/src/",
        never: &["std::thread"],
        but: &["dcp-sim/src/input/git/", "dcp-sim/src/cli/ordered_map.rs"],
    },
    Rule {
        place: "dcp-sim/src/",
        never: &["std::process"],
        but: &[
            "dcp-sim/src/input/git/",
            "dcp-sim/src/cli",
            "dcp-sim/src/main.rs",
        ],
    },
    Rule {
        place: "dcp-sim/src/",
        never: &["std::fs"],
        but: &[
            "dcp-sim/src/sim/hardware/storage.rs",
            "dcp-sim/src/input/",
            "dcp-sim/src/cli",
            "dcp-sim/src/report/times.rs",
            "dcp-sim/src/script/files.rs",
        ],
    },
    // Chance is drawn from the seed, in two places.
    Rule {
        place: "dcp-sim/src/",
        never: &["rand_chacha", "rand"],
        but: &["dcp-sim/src/sim/rng.rs", "dcp-sim/src/input/generated"],
    },
    // An order that differs from run to run.
    Rule {
        place: "",
        never: &[
            "std::collections::HashMap",
            "std::collections::HashSet",
            "std::hash::RandomState",
        ],
        but: &["bench/", "fuzz/"],
    },
];

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

/// Whether a path is, or is below, what a rule names; `*` may bring in anything.
fn names(path: &str, forbidden: &str) -> bool {
    let is_below = path
        .strip_prefix(forbidden)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with("::"));
    is_below
        || path
            .strip_suffix("::*")
            .is_some_and(|before| forbidden.starts_with(before))
}

/// Guards the architecture: an import that should not be is found here, not in review.
#[test]
fn nobody_imports_what_is_not_theirs() {
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
fn every_rule_can_be_broken() {
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

/// The names in a manifest's `[dependencies]`.
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

/// Guards the crates' order in their manifests: checkpoint needs nobody of ours, persistence only checkpoint.
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
