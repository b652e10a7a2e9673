//! Scenarios of the engine contract, which give the same output on every engine.

use std::fs;

use super::{outcome, scenarios};

/// Scenarios of what only one file for each vBucket has: its commits, its versions, its single
/// failures, its history.
const OF_COUCHSTORE: [&str; 9] = [
    "compaction-failures",
    "compaction-power-loss",
    "compaction",
    "failed-syncs",
    "failed-writes",
    "purge",
    "rollback",
    "two-phase",
    "versions",
];

#[test]
fn contract_scenarios_with_logstor_give_the_same() {
    let directory = scenarios().join("engine");
    let mut played = 0;
    for entry in fs::read_dir(directory).expect("a directory of scenarios") {
        let path = entry.expect("a readable entry").path();
        let name = path
            .file_stem()
            .and_then(|name| name.to_str())
            .unwrap_or_default()
            .to_owned();
        if path.is_dir() || OF_COUCHSTORE.contains(&name.as_str()) {
            continue;
        }
        let text = fs::read_to_string(&path).expect("a readable file");
        let outcome =
            outcome(&text.replace("engine couchstore", "engine logstor file-bytes=1048576"));
        assert!(outcome.matches(), "{name}: {}", outcome.diff());
        played += 1;
    }
    assert!(played >= 8, "{played}");
    let basics =
        fs::read_to_string(scenarios().join("engine-basics.scn")).expect("a readable file");
    let outcome = outcome(&basics.replace("engine couchstore", "engine logstor"));
    assert!(outcome.matches(), "{}", outcome.diff());
}
