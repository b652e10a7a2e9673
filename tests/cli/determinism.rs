//! One seed is one run: the same report and the same files, byte for byte, in memory and on disk.

use std::collections::BTreeMap;
use std::path::Path;

use support::cli::argument;
use support::git::Repository;
use tempfile::TempDir;

use super::DCP_SIM;

const WORKLOAD: [&str; 12] = [
    "run",
    "--json",
    "--vbuckets",
    "4",
    "--workload",
    "zipfian",
    "--ops",
    "400",
    "--keys",
    "60",
    "--value-bytes",
    "300",
];

/// Returns the report without the fields that depend on this machine's clock.
fn report(arguments: &[&str]) -> String {
    DCP_SIM.run(arguments).with_code(0).json_without_times()
}

/// Returns every file of the nodes' directories, by name.
fn files(data: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    for node in std::fs::read_dir(data).expect("a directory") {
        let node = node.expect("an entry").path();
        for file in std::fs::read_dir(&node).expect("a directory") {
            let path = file.expect("an entry").path();
            let name = path
                .strip_prefix(data)
                .expect("below it")
                .display()
                .to_string();
            files.insert(name, std::fs::read(&path).expect("readable"));
        }
    }
    files
}

/// Guards determinism in the report and in the files on disk.
#[test]
fn same_seed_gives_the_same_report_and_files() {
    let homes = [
        TempDir::new().expect("a directory"),
        TempDir::new().expect("a directory"),
    ];
    let on_memory = report(&WORKLOAD);
    for home in &homes {
        let on_disk = report(&[&WORKLOAD[..], &["--data", argument(home.path())]].concat());
        assert_eq!(on_disk, on_memory);
    }
    let [first, second] = homes.map(|home| files(home.path()));
    assert!(first.len() >= 12, "{:?}", first.keys());
    assert!(
        first.keys().eq(second.keys()),
        "{:?} {:?}",
        first.keys(),
        second.keys()
    );
    for (name, bytes) in &first {
        assert!(second.get(name) == Some(bytes), "{name} differs");
    }
}

/// Guards that the seed changes the workload and the cluster.
#[test]
fn another_seed_changes_workload_and_cluster() {
    let (one, other) = (
        report(&WORKLOAD),
        report(&[&WORKLOAD[..], &["--seed", "2"]].concat()),
    );
    assert_ne!(one, other);
    assert_eq!(
        one,
        report(&[&WORKLOAD[..], &["--seed", "1"]].concat()),
        "1 is the default"
    );
    // A source without chance: only the network differs. Two seeds may take the same time, five do
    // not.
    let repository = Repository::with_everything();
    let git = [
        "run",
        "--json",
        "--git",
        argument(repository.dir()),
        "--seed",
    ];
    let micros = ["1", "2", "3", "4", "5"].map(|seed| {
        let report = report(&[&git[..], &[seed]].concat());
        let report: serde_json::Value = serde_json::from_str(&report).expect("JSON");
        report["figures"]["virtual_micros"]
            .as_u64()
            .expect("a number")
    });
    assert!(micros.iter().any(|&other| other != micros[0]), "{micros:?}");
}

/// Guards that observing changes nothing: a trace, and a report for people.
#[test]
fn run_with_a_trace_is_the_same_run() {
    let home = TempDir::new().expect("a directory");
    let [first, second] = ["first", "second"].map(|name| home.path().join(name));
    for trace in [&first, &second] {
        assert_eq!(
            report(&[&WORKLOAD[..], &["--trace", argument(trace)]].concat()),
            report(&WORKLOAD)
        );
    }
    let trace = std::fs::read_to_string(&first).expect("a trace");
    assert_eq!(trace, std::fs::read_to_string(&second).expect("a trace"));
    let events: Vec<serde_json::Value> = trace
        .lines()
        .map(|line| serde_json::from_str(line).expect("each line is JSON"))
        .collect();
    assert_eq!(
        events
            .iter()
            .filter(|event| event["event"] == "batch")
            .count(),
        400
    );
    assert!(
        events
            .iter()
            .filter(|event| event["event"] == "persisted")
            .count()
            > 12
    );
    let micros = events
        .iter()
        .map(|event| event["micros"].as_u64().expect("a number"));
    assert!(micros.is_sorted(), "time goes on");
}
