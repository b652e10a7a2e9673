//! The table of layers: a place, the paths that its code never names, and the exceptions.
//!
//! A new crate, engine or layer adds its rules here.

/// Code below `place` (a path from the workspace's root) names nothing that begins with one of
/// `never`. Files that begin with one of `but` may.
pub(super) struct Rule {
    pub(super) place: &'static str,
    pub(super) never: &'static [&'static str],
    pub(super) but: &'static [&'static str],
}

pub(super) const RULES: &[Rule] = &[
    // checkpoint is pure, so that loom can model it, and any host and virtual time can run it.
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
    // Locks have one door, where they get a rank and loom's can replace them.
    Rule {
        place: "checkpoint/src/",
        never: &["parking_lot"],
        but: &["checkpoint/src/internal/sync/native.rs"],
    },
    Rule {
        place: "checkpoint/src/",
        never: &[
            "loom",
            "std::sync::Mutex",
            "std::sync::RwLock",
            "std::sync::Condvar",
            "std::sync::atomic",
        ],
        but: &[
            "checkpoint/src/internal/sync.rs",
            "checkpoint/src/internal/sync/",
        ],
    },
    Rule {
        place: "persistence/src/",
        never: &[
            "parking_lot",
            "loom",
            "std::sync::Mutex",
            "std::sync::RwLock",
            "std::sync::Condvar",
        ],
        but: &[],
    },
    // persistence: all I/O goes through `Disk`.
    Rule {
        place: "persistence/src/",
        never: &["dcp_sim", "std::net", "std::env", "std::process", "rand"],
        but: &[],
    },
    // Only the runtime has threads, time and chance, and nothing but a program knows it.
    Rule {
        place: "persistence/src/",
        never: &[
            "std::thread",
            "std::time",
            "getrandom",
            "crossbeam_channel",
            "crate::runtime",
        ],
        but: &["persistence/src/runtime"],
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
            "crate::hosted",
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
            "crate::hosted",
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
        never: &["crate::logstor", "crate::shared::record", "bincode"],
        but: &[],
    },
    // An unmaintained crate is used in one place.
    Rule {
        place: "persistence/src/",
        never: &["bincode"],
        but: &["persistence/src/shared/record.rs"],
    },
    // Flusher and follower know the trait and no engine; disks know neither.
    Rule {
        place: "persistence/src/flusher",
        never: &["crate::couchstore", "crate::logstor", "crate::disk"],
        but: &[],
    },
    Rule {
        place: "persistence/src/hosted",
        never: &["crate::couchstore", "crate::logstor", "crate::disk"],
        but: &[],
    },
    Rule {
        place: "persistence/src/hosted/follower",
        never: &[
            "crate::couchstore",
            "crate::logstor",
            "crate::disk",
            "crate::flusher",
        ],
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
    // The wire knows records and numbers, and no code that acts on them.
    Rule {
        place: "dcp-sim/src/wire",
        never: &[
            "lowtide_persistence",
            "lowtide_checkpoint::VBucket",
            "lowtide_checkpoint::CheckpointManager",
            "lowtide_checkpoint::CursorBatch",
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
    // A producer knows only the part of persistence that it asks the host to read, in one place.
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
    // Time, files, threads and processes belong to hosts: code that runs in the simulator has none.
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
    // Their order differs from run to run.
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
